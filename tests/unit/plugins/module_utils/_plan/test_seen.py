"""What an app that runs, or has run, shows the next plan."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import history
from ansible_collections.graceful.deploy.plugins.module_utils._plan import seen
from ansible_collections.graceful.deploy.plugins.module_utils._plan.flow import NOTHING, Seen
from ansible_collections.graceful.deploy.plugins.module_utils._process.specs import Process

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


def test_the_host_s_other_apps_are_counted_by_what_they_run(tmp_path, monkeypatch):
    units = tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr(seen, "UNITS", str(units))
    for name, taken in (("blog", 0), ("hello", 0), ("shop", 80 * MIB), ("down", 0)):
        root = tmp_path / name
        (units / f"{name}@.service").write_text(
            f"# Written by Ansible (graceful.deploy.gunicorn)\n[Service]\nWorkingDirectory={root}/slots/%i/release\n"
        )
        (root / "slots" / "blue").mkdir(parents=True)
        if name != "down":
            (root / "live.sock").symlink_to(f"/run/{name}/blue.sock")
        (root / "slots" / "blue" / "gunicorn.conf.py").write_text("workers = 3\n")
        (root / "slots" / "blue" / "slot.json").write_text(json.dumps({"terms": {"worker_memory": 200 * MIB}}))
        if taken:
            (root / history.NAME).write_text(json.dumps({"release": "r", "outcome": "live", "worker_memory": taken}))
    processes = [
        asdict(Process("worker", "w", instances=2, memory_max="400M")),
        asdict(Process("beat", "b")),
    ]
    generation = tmp_path / "blog" / "generations" / "4"
    generation.mkdir(parents=True)
    (generation.parent / "live").symlink_to("4")
    (generation / "generation.json").write_text(json.dumps({"processes": processes, "timers": []}))
    found = {part.name: part.whole // MIB for part in seen.see(asked("infinity", []), "hello", "/none").others}
    # Workers as planned and the arbiter's 64M, with processes; or as they were seen, with a quarter on top.
    assert found == {"blog": 3 * 200 + 64 + 2 * 400 + 150, "shop": 3 * 100 + 64}
