"""Both Debians share the questions of a scenario: none may fall between them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

MOLECULE = Path(__file__).resolve().parents[2] / "molecule"
LEFT = runpy.run_path(str(MOLECULE / "conftest.py"))["LEFT_TO_THE_OTHER"]


@pytest.mark.parametrize("host", LEFT)
def test_what_a_host_leaves_is_asked_of_its_twin(host):
    scenario, rest = host.split("-", 1)
    debian = rest.rpartition("-")[2]
    twin = host.removesuffix(debian) + {"bookworm": "trixie", "trixie": "bookworm"}[debian]
    modules = {path.stem for path in (MOLECULE / scenario / "tests").glob("test_*.py")}
    assert f"name: {twin}\n" in (MOLECULE / scenario / "molecule.yml").read_text()
    assert set(LEFT[host]) <= modules
    assert not set(LEFT[host]) & set(LEFT.get(twin, []))
