"""How a module has an outcome told: by the host's program, and never at the cost of the deploy."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import tell

TELLS = (
    "import json, sys\nevent = json.load(sys.stdin)\nprint(json.dumps({'told': [event['reason']], 'not_told': %s}))\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands/notify").write_text("{}")
    return tmp_path


def program(root: Path, text: str) -> None:
    (root / "commands/tell.py").write_text(text)


def test_without_targets_nothing_is_started(tmp_path):
    assert tell.begin(str(tmp_path), {"event": "live"}) is None
    said, warnings = tell.end(None)
    assert (said["told"], warnings) == ([], [])


def test_what_the_program_says_is_the_result_and_who_could_not_be_told_a_warning(root):
    program(root, TELLS % "[{'target': 'slack at x', 'why': 'no answer'}]")
    said, warnings = tell.end(tell.begin(str(root), {"event": "live", "reason": "r" * 100_000}))
    assert said["told"] == ["r" * tell.MOST_REASON]
    assert warnings == ["slack at x could not be told: no answer."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit('it is broken')", "Nobody was told: it is broken"),
        ("print('no JSON')", "Nobody was told: it ended with status 0"),
        ("print('[]')", "Nobody was told: it ended with status 0"),
        ("import os; os.kill(os.getpid(), 9)", "Nobody was told: it ended with status -9"),
    ],
)
def test_a_program_that_is_broken_fails_nothing(root, text, said):
    program(root, text)
    answer, warnings = tell.end(tell.begin(str(root), {"event": "live"}))
    assert (answer["told"], warnings) == ([], [said])


def test_a_program_that_hangs_is_ended(root, monkeypatch):
    monkeypatch.setattr(tell, "LIMIT", 0.5)
    program(root, "import time; time.sleep(60)")
    begun = time.monotonic()
    _said, warnings = tell.end(tell.begin(str(root), {"event": "live"}))
    assert time.monotonic() - begun < 5
    assert "Nobody was told" in warnings[0]


def test_one_that_is_gone_fails_nothing(root):
    _said, warnings = tell.end(tell.begin(str(root), {"event": "live"}))
    assert "Nobody was told" in warnings[0]


def test_a_python_that_is_not_there_is_a_warning(root, monkeypatch):
    def missing(command, **_options):
        raise FileNotFoundError(2, "No such file or directory", command[0])

    monkeypatch.setattr(tell.subprocess, "Popen", missing)
    _said, warnings = tell.end(tell.begin(str(root), {"event": "live"}))
    assert warnings == ["Nobody was told: [Errno 2] No such file or directory: '/usr/bin/python3'."]


def test_a_note_that_nobody_can_read_is_told_as_one():
    known = {"by": "ann@laptop", "since": "noon", "pid": 7, "release": "b2", "previous": "a1", "phase": "watch"}
    event = tell.of_cut_off(known)
    assert event == {
        "event": "cut_off",
        "by": "ann@laptop",
        "release": "b2",
        "previous": "a1",
        "key": "cut off noon 7",
        "reason": "in phase watch",
    }
    assert json.dumps(tell.of_cut_off(dict.fromkeys(("by", "since", "release", "phase"), "unknown")))
