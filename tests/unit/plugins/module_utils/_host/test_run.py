"""What is told of a program that failed."""

from __future__ import annotations

import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host import run as programs


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("WARNING: a\\nWARNING: b\\nERROR: the cause\\n", "ERROR: the cause"),
        ("WARNING: all that there is\\n", "WARNING: all that there is"),
    ],
)
def test_the_cause_isnt_behind_a_dozen_warnings(said, told):
    with pytest.raises(programs.ProgramError) as failed:
        programs.run("Collecting", ["/bin/sh", "-c", f"printf '{said}' >&2; exit 1"], os.environ, programs.CONTROL_NODE)
    assert str(failed.value) == f"Collecting failed on the control node with exit code 1:\n{told}"
