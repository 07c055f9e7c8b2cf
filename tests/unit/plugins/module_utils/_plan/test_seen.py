"""What an app that runs, or has run, shows the next plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import history
from ansible_collections.graceful.deploy.plugins.module_utils._plan import seen
from ansible_collections.graceful.deploy.plugins.module_utils._plan.flow import NOTHING, Seen

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    entries = [{"release": f"r{n}", "outcome": "live", "worker_memory": n * 100 * MIB} for n in (9, 3, 1, 2)]
    # One that ran away, one that nobody can read, and one of an earlier version.
    entries += [{"release": "bad", "outcome": "failed", "worker_memory": 9999 * MIB}]
    entries += [{"release": "odd", "outcome": "live", "worker_memory": "much"}, {"release": "old", "outcome": "live"}]
    (tmp_path / history.NAME).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return tmp_path


def asked(limit: str, commands: list[list[str]]):
    def run(command):
        commands.append(command)
        blocks = [f"Id={unit}\nMainPID=7\nMemoryMax={limit}" for unit in command[command.index("--") + 1 :]]
        return 0, "\n\n".join(blocks) + "\n", ""

    return run


def test_the_last_deploys_that_went_live_count(root):
    assert history.taken(history.read(str(root))) == 300 * MIB
    assert history.taken([]) == 0


@pytest.mark.parametrize(("now", "taken"), [(0, 300), (500 * MIB, 500)])
def test_the_live_slot_is_asked_in_one_question_with_the_limit_of_the_slice(root, monkeypatch, now, taken):
    commands: list[list[str]] = []
    monkeypatch.setattr(seen, "most_taken", lambda main: now if main == "7" else 0)
    (root / "live.sock").symlink_to("/run/my-app/green.sock")
    assert seen.see(asked("314572800", commands), "my-app", str(root)) == Seen(taken * MIB, 300 * MIB)
    (command,) = commands
    assert command[-2:] == [r"system-my\x2dapp.slice", "my-app@green.service"]


def test_where_nothing_runs_the_history_counts(root):
    assert seen.see(asked("infinity", []), "hello", str(root)) == Seen(300 * MIB, None)
    assert seen.see(asked("infinity", []), "hello", str(root / "none")) == NOTHING


def test_a_host_without_systemd_is_refused_elsewhere(root):
    def none(_command):
        raise OSError(2, "No such file or directory: systemctl")

    assert seen.see(none, "hello", str(root)) == NOTHING


def test_a_run_that_may_not_read_is_refused_elsewhere(root, monkeypatch):
    """By the sentence about root, and not by an error about a file that the person never heard of."""

    def refused(_root):
        raise PermissionError(13, "Permission denied", "history.jsonl")

    monkeypatch.setattr(history, "read", refused)
    assert seen.see(asked("infinity", []), "hello", str(root)) == NOTHING
