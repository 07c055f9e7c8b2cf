"""What a swap may do and what a person reads of it, without systemd."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import json
import os
import pwd
import shutil
import threading
import time
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.graceful.deploy.plugins.module_utils._app import command, history
from ansible_collections.graceful.deploy.plugins.module_utils._app.by_systemd import BySystemd
from ansible_collections.graceful.deploy.plugins.module_utils._app.lock import DeployLock, is_held
from ansible_collections.graceful.deploy.plugins.module_utils._app.names import missing
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import complete
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils._app.supervisor import State
from ansible_collections.graceful.deploy.plugins.module_utils._host import probe
from ansible_collections.graceful.deploy.plugins.module_utils._host.door import Door
from ansible_collections.graceful.deploy.plugins.module_utils._host.memory import Group
from ansible_collections.graceful.deploy.plugins.module_utils._host.probe import Answer
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed, Systemd
from ansible_collections.graceful.deploy.plugins.module_utils._observe import status
from ansible_collections.graceful.deploy.plugins.module_utils._swap import flow as swap_flow
from ansible_collections.graceful.deploy.plugins.module_utils._swap import rules as swap_rules
from ansible_collections.graceful.deploy.plugins.module_utils._swap import start as swap_start
from ansible_collections.graceful.deploy.plugins.module_utils._swap import watch as swap_watch
from ansible_collections.graceful.deploy.plugins.module_utils._swap.steps import Failed, Terms
from ansible_collections.graceful.deploy.plugins.module_utils._swap.watch import Start, Watch, killed
from ansible_collections.graceful.deploy.plugins.modules import swap as swap_module

ONE = Snapshot("one", 'A="1"\n', {"gunicorn.conf.py": "workers = 1\n"}, "[Service]\n")
HELD = {"release": "zero", "parts": ONE.parts}
SAME = {"environment": "e1"}
ASKING = Terms("swap", "main:app", "deploy", "deploy", "/ready", "/health", 60, 2, 55, "localhost")
GROUP = grp.getgrgid(os.getgid()).gr_name


def test_a_reload_takes_a_change_of_code_alone():
    assert swap_rules.reload_refusal(ONE, HELD, SAME, SAME) == ""


@pytest.mark.parametrize(
    ("wanted", "old", "new", "word"),
    [
        (ONE, SAME, {"environment": "e2"}, "the dependencies"),
        (ONE, {}, {}, "the dependencies"),
        (Snapshot("one", 'A="2"\n', ONE.files, ONE.unit), SAME, SAME, "the environment"),
        (Snapshot("one", ONE.environment, ONE.files, "[Service]\nUser=x\n"), SAME, SAME, "the unit"),
        (
            Snapshot("one", ONE.environment, {"gunicorn.conf.py": "workers = 2\n"}, ONE.unit),
            SAME,
            SAME,
            "gunicorn.conf",
        ),
    ],
)
def test_a_reload_of_anything_more_is_refused_by_name(wanted, old, new, word):
    said = swap_rules.reload_refusal(wanted, HELD, old, new)
    assert word in said
    assert "fastapi_strategy" in said


@pytest.fixture
def watch(monkeypatch):
    """A slot that answers each question alike, and lives."""
    app = App("hello", "/srv/hello")
    watch = Watch(BySystemd(Systemd(lambda *_: (0, "", "")), app), app, "blue", ASKING)
    monkeypatch.setattr(watch, "lost", lambda *_: None)
    monkeypatch.setattr(probe, "ask", lambda *_: watch.answer)
    return watch


def test_an_app_that_was_answered_for_is_ready_and_told_of(watch):
    paths = ("/ready", "/health")
    for path in paths:
        watch.answer = Answer(200, f"{probe.STANDS_IN}{path}")
        asked = watch.ready(Start("", 0, 0, 0), path, 5) if path == "/ready" else watch.stays_well(None, path, 0.01)
        assert asked is None
    assert watch.missing == list(paths)
    said = swap_rules.stood_in(watch.missing, first=True)
    assert "no /ready and no /health" in said
    assert "fastapi_ready_path or fastapi_health_path" in said
    # At each release it is one line.
    again = swap_rules.stood_in(watch.missing, first=False)
    assert "no /ready and no /health" in again and len(again) < 140
    # The worker class, which can import nothing of ours, says it in the same words.
    worker = Path(__file__).parents[5].joinpath("roles/gunicorn/files/graceful_watch.py").read_text()
    assert f'STANDS_IN = "{probe.STANDS_IN}"' in worker


def test_an_app_that_answers_itself_is_nothing_to_tell_of(watch):
    watch.answer = Answer(200, "ok")
    assert (watch.ready(Start("", 0, 0, 0), "/ready", 5), watch.missing) == (None, [])


def test_a_start_that_takes_too_long_is_told_with_its_limit_and_how_far_it_came(watch, monkeypatch):
    watch.answer = Answer(503, "warming up")
    said = watch.ready(Start("", 0, 0, 0), "/ready", 0.2)
    assert "the last answer: 503 warming up. If it only" in said
    assert "fastapi_ready_timeout" in said
    monkeypatch.setattr(swap_watch, "how_far", lambda _main: "2 importing the app")
    said = watch.ready(Start("", 0, 0, 0), "/ready", 0.2)
    assert "503 warming up. Of its workers, 2 importing the app. If it only" in said


@pytest.fixture
def app(tmp_path):
    for release in ("a1", "b2", "c3"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "release.json").write_text(json.dumps({"id": release, "created": release}))
    (tmp_path / "releases" / "half").mkdir()
    lines = [
        {"release": "a1", "outcome": "live"},
        {"release": "b2", "outcome": "failed", "reason": "it died"},
        {"release": "c3", "outcome": "live"},
    ]
    (tmp_path / history.NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return App("hello", str(tmp_path))


def test_only_complete_releases_count(app):
    assert complete(app.root) == ["a1", "b2", "c3"]


def test_a_rollback_chooses_or_says_what_there_is_to_choose(app):
    assert swap_rules.rollback_release(app, "", "c3") == "a1"
    assert swap_rules.rollback_release(app, "a1", "c3") == "a1"
    with pytest.raises(CommandFailed, match=r"fastapi_release is zz.*those that it has: a1"):
        swap_rules.rollback_release(app, "zz", "c3")
    with pytest.raises(CommandFailed, match=r"b2.*known to be bad \(it died\)"):
        swap_rules.rollback_release(app, "b2", "c3")
    with pytest.raises(CommandFailed, match="no release of hello to roll back to"):
        swap_rules.rollback_release(App("hello", app.root + "/none"), "", "c3")


def test_the_arbiters_line_is_read():
    assert State(told="3 worker(s) ended unexpectedly, the last (pid 7) at noon").died == 3
    assert State(told="Gunicorn arbiter booted").died == 0
    assert State().died == 0


@pytest.mark.parametrize(
    ("state", "seconds", "ill"),
    [
        ({"ActiveState": "active", "NRestarts": "0", "StatusText": "Gunicorn arbiter booted"}, 5, ""),
        # It has died over the years, or just now by a bad reload; or a person has stopped it.
        ({"ActiveState": "active", "NRestarts": "9"}, 3600, ""),
        ({"ActiveState": "active", "NRestarts": "1", "StatusText": "4 worker(s) ended unexpectedly"}, 3, ""),
        ({"ActiveState": "inactive"}, 0, ""),
        ({"ActiveState": "failed"}, 5, "was down"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, 0, "was down"),
        ({"ActiveState": "active", "NRestarts": "4"}, 3, "kept dying"),
    ],
)
def test_a_release_that_dies_again_and_again_is_ill(state, seconds, ill):
    systemd = Systemd(lambda *_: (0, "".join(f"{key}={value}\n" for key, value in state.items()), ""))
    systemd.entered_at = lambda _state: 1000.0
    assert BySystemd(systemd, App("hello", "/srv/hello")).state("blue").ill(1000.0 + seconds) == ill


@pytest.mark.parametrize(
    ("group", "count", "taken", "told"),
    [
        # What people wrote when a model, or a table of pandas', was loaded at import: two workers of 328M in 455M.
        (Group(3, 455 << 20, True), 2, 328 << 20, "455M (fastapi_memory_max): write fastapi_worker_memory: 410M, and"),
        # Those that are left are young; but four that together took more than the limit took more than their parts.
        (Group(9, 800 << 20, True), 4, 60 << 20, "800M (fastapi_memory_max): write fastapi_worker_memory: 250M, and"),
        (Group(1, 400 << 20, True), 1, 0, "400M (fastapi_memory_max): a worker alone takes more. Give the slot more"),
        (
            Group(1, 400 << 20, True),
            2,
            390 << 20,
            "400M (fastapi_memory_max): a worker alone takes more. Give the slot",
        ),
        (Group(1, 400 << 20, False), 2, 328 << 20, "the host had none left"),
        (Group(1, None, True), 2, 328 << 20, "the host had none left"),
    ],
)
def test_a_kill_for_memory_names_the_variable_and_the_value(group, count, taken, told):
    assert told in killed(group, count, taken)


@pytest.mark.parametrize(("kills", "lost"), [(0, False), (1, True)])
def test_a_worker_that_dies_for_memory_while_it_starts_is_no_bad_luck(app, monkeypatch, kills, lost):
    """The next one needs as much; one that dies of anything else may be replaced by one that lives."""
    text = "InvocationID=\nStatusText=1 worker(s) ended unexpectedly, the last (pid 7) at noon\nActiveState=active\n"
    monkeypatch.setattr(swap_watch, "group_of", lambda _name: Group(kills, 400 << 20, True))
    watch = Watch(BySystemd(Systemd(lambda _command: (0, text, "")), app), app, "blue", ASKING)
    said = watch.lost(Start("", 0, 0, 0.0), tolerated=2)
    assert bool(said) == lost
    assert (
        not lost or "1 worker(s) of hello@blue.service ended unexpectedly. The kernel killed it at the memory" in said
    )


UNIT = """[Service]
User=deploy
ExecStart=/srv/hello/slots/%i/release/.venv/bin/python -m gunicorn
Restart=always
MemoryMax=1G
LoadCredential=key:/srv/hello/slots/%i/credentials/key
ProtectSystem=strict
# TasksMax=1
SystemCallFilter=@system-service
SystemCallFilter=~bind
ReadWritePaths=/srv/hello/shared
"""


def test_a_command_is_handed_over_without_its_environment_unexpanded_and_in_the_services_sandbox():
    place = command.Place("hello", "deploy", "deploy", "/srv/hello/slots/.blue-x", UNIT)
    words = command.command_line(
        place, "before-swap", ["/bin/sh", "-c", "echo $HOME"], ["--wait"], ["RuntimeMaxSec=60"]
    )
    assert words[-3:] == ["/bin/sh", "-c", "echo $$HOME"]
    assert "--property=EnvironmentFile=/srv/hello/slots/.blue-x/env" in words
    assert "--property=User=deploy" in words
    (given,) = (word for word in words if word.startswith("--property=Environment="))
    assert given.endswith(" HOME=/srv/hello/home")
    assert "--unit=graceful-hello-before-swap" in words
    given = [word.removeprefix("--property=") for word in words if word.startswith("--property=")]
    assert given[-6:] == [
        "LoadCredential=key:/srv/hello/slots/.blue-x/credentials/key",
        "ProtectSystem=strict",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~bind",
        "ReadWritePaths=/srv/hello/shared",
        "RuntimeMaxSec=60",
    ]
    assert len(given) == 11


def test_the_module_leaves_variables_in_commands_to_their_shell(monkeypatch):
    """Ansible expands them by default, with root's environment."""
    seen = {}

    class Stub:
        hide = str

        def __init__(self, _params, _check, run, _warn):
            seen["out"] = run(["printf", "%s", "$$HOME ~"])[1]

        def result(self):
            return {}

    monkeypatch.setattr(swap_module, "Deploy", Stub)
    with patch_module_args({"name": "hello", "root": "/srv/hello", "group": "deploy"}), pytest.raises(SystemExit):
        swap_module.main()
    assert seen["out"] == "$$HOME ~"


def slot(state, release, workers=0):
    return {
        "state": state,
        "service": "active (running)" if workers else "inactive (dead)",
        "release": release,
        "since": 1000,
        "workers": workers,
        "restarts": 0,
        "memory": 80 << 20,
        "memory_max": 460 << 20,
        "worker_memory": [40 << 20] * workers,
        "worker_memory_planned": 150 << 20,
        "enabled": bool(workers),
        "note": "",
        "advice": "",
        "ready": "/ready answers 200 ready" if workers else "",
    }


def test_status_is_a_table_for_people():
    facts = {
        "name": "hello",
        "live": "green",
        "slots": {"blue": slot("stopped", "a1"), "green": slot("live", "c3", 2)},
        "releases": [
            {"release": "c3", "state": "live", "built": "2026-11-25T00:57:50", "revision": "f" * 40, "why": ""},
            {"release": "b2", "state": "bad", "built": "2026-11-25T00:50:50", "revision": "", "why": "it died"},
        ],
        "history": [
            {"started": "2026-11-25T00:58:16Z", "kind": "deploy", "release": "c3", "strategy": "swap", "seconds": 4.52}
            | {"outcome": "live", "by": "ann@laptop", "reason": ""}
        ],
        "commands": [
            {"started": "2026-11-25T01:12:03Z", "release": "c3", "by": "ann@laptop", "outcome": "status 7"}
            | {"command": "python -m app.admin " + 99 * "x"}
        ],
        "certificate": {},
        "stalls": {},
        "pushes": [
            {"number": 16, "ref": "refs/tags/v1.0", "commit": 40 * "a", "by": "ann", "received": "2026-11-25T01:12:03Z"}
            | {"state": "failed", "reason": "web1: it isn't well" + 99 * "x"},
            {
                "number": 17,
                "ref": "refs/heads/main",
                "commit": 40 * "b",
                "by": "bob",
                "received": "2026-11-25T02:12:03Z",
            }
            | {"state": "waiting", "reason": ""},
        ],
        "processes": [
            {
                "process": "worker",
                "unit": f"hello.worker.4@{n}.service",
                "state": "live",
                "release": "c3",
                "since": 1000,
            }
            | {"service": "active (running)", "restarts": n, "memory": 50 << 20, "memory_max": 400 << 20}
            | {"command": "celery -A app worker", "note": n * "dies\nof it"}
            for n in (0, 1)
        ],
        "timers": [
            {"timer": "cleanup", "last": "Sun 2026-11-29 03:30:00 UTC", "outcome": "exit-code, status 1", "next": ""}
            | {"command": "python -m app.cleanup", "note": "its last run failed."}
        ],
        "deploying": {"by": "bob@desk", "since": "noon", "release": "d4", "phase": "ready"},
        "cut_off": {},
        "maintenance": False,
        "root": "/srv/hello",
    }
    text = status.render(facts, 1000 + 7300, 10)
    assert text.splitlines()[0] == "hello: release c3 is live in slot green, /ready answers 200 ready"
    assert "bob@desk, since noon, in phase ready" in text
    rows = [line.split() for line in text.splitlines()]
    assert "worker@0 live active (running) c3 2 h 0 50M of 400M celery -A app worker".split() in rows
    assert "  worker: dies\n    of it" in text
    assert "cleanup Sun 2026-11-29 03:30:00 UTC exit-code, status 1 - python -m app.cleanup".split() in rows
    assert "  cleanup: its last run failed." in text
    assert [
        "green",
        "live",
        "active",
        "(running)",
        "c3",
        "2",
        "h",
        "2",
        "80M",
        "of",
        "460M",
        "40M",
        "of",
        "150M",
    ] in rows
    assert ["b2", "bad", "2026-11-25", "00:50", "it", "died"] in rows
    assert ["2026-11-25", "00:58", "deploy", "c3", "swap", "4.5", "s", "live", "ann@laptop"] in rows
    told = "2026-11-25 01:12     c3       status 7  ann@laptop  python -m app.admin xxx"
    assert any(line.strip().startswith(told) and line.endswith("x…") for line in text.splitlines()), text
    (head,) = [number for number, row in enumerate(rows) if row[:1] == ["push"]]
    assert rows[head + 1] == ["17", "2026-11-25", "02:12", "main", 12 * "b", "waiting", "bob"]
    assert rows[head + 2][:9] == ["16", "2026-11-25", "01:12", "tags/v1.0", 12 * "a", "failed", "ann", "web1:", "it"]


def test_status_says_what_to_do_about_a_service_that_was_given_up(app):
    def run(command):
        return 0, '{"event": "no such queue"}\n' if "--lines=200" in command else shown, ""

    supervisor = BySystemd(Systemd(run), app)

    shown = "ActiveState=failed\nResult=exit-code\nExecMainStatus=3\nNRestarts=10\n"
    note = status._note(supervisor, "blue", supervisor.state("blue"))
    assert note == (
        "systemd has given it up after 10 restarts (exit-code, status 3). Its last lines:\nno such queue\n"
        "When the cause is fixed: systemctl reset-failed hello@blue.service && systemctl start hello@blue.service, "
        "or deploy."
    )
    shown = "ActiveState=active\nNRestarts=0\n"
    assert status._note(supervisor, "blue", supervisor.state("blue")) == ""
    shown = "ActiveState=active\nNRestarts=2\n"
    restarted = status._note(supervisor, "blue", supervisor.state("blue"))
    assert restarted == "systemd has restarted it 2 time(s): journalctl --unit=hello@blue.service"
    shown = "ActiveState=failed\nResult=timeout\n"
    late = status._note(supervisor, "blue", supervisor.state("blue"))
    assert late == "its end took longer than fastapi_stop_timeout, and systemd killed what was left"


@pytest.mark.parametrize(("term", "planned"), [({"worker_memory": 410 << 20}, 410 << 20), ({}, None)])
def test_status_knows_what_a_worker_was_planned_with_from_its_slot(app, term, planned):
    """Of a slot that an earlier version has filled it doesn't."""
    (Path(app.root) / "slots").mkdir()
    app.put("blue", app.make("blue", ONE, {**TERMS, **term}, GROUP))
    run = lambda _command: (0, "ActiveState=inactive\nMainPID=0\nMemoryMax=infinity\n", "")  # noqa: E731
    row = status._slot(BySystemd(Systemd(run), app), app, "blue", None)
    assert (row["worker_memory_planned"], row["memory_max"]) == (planned, None)


def test_status_of_nothing():
    facts = {
        "name": "hello",
        "live": None,
        "slots": {},
        "releases": [],
        "history": [],
        "commands": [],
        "certificate": {},
        "stalls": {},
        "pushes": [],
        "processes": [],
        "timers": [],
    }
    facts |= {"deploying": {}, "cut_off": {}, "maintenance": True, "root": "/srv/hello"}
    assert "as long as /srv/hello/maintenance is there" in status.render(facts, 0, 10)
    facts["maintenance"] = False
    assert status.render(facts, 0, 10).startswith("hello: nothing is live.")


def test_status_has_the_whole_reason_of_the_last_failure_below_the_table():
    reason = "It answered 503 for as long as it was asked, which is " + "a long time " * 12
    entry = {"started": "2026-11-25T00:58:16Z", "kind": "deploy", "release": "c3", "outcome": "failed"}
    history = [{**entry, "release": "old", "reason": reason}, {**entry, "reason": reason}, {**entry, "release": "d4"}]
    facts = {
        "name": "hello",
        "live": None,
        "slots": {},
        "releases": [],
        "history": history,
        "commands": [],
        "certificate": {},
        "stalls": {},
        "pushes": [],
        "processes": [],
        "timers": [],
    }
    facts |= {"deploying": {}, "cut_off": {}, "maintenance": False, "root": "/srv/hello"}
    table, _, below = status.render(facts, 0, 10).rpartition("\n\n")
    assert " ".join(below.split()).endswith(f" c3: {reason.strip()}")
    assert f"{reason[:59]}…" in table
    facts["history"] = [{**entry, "reason": reason}, {**entry, "reason": "short"}]
    assert status.render(facts, 0, 10).count("It answered") == 1


SECRET = "Zk3vQ9xT7mLw2Rb8"


def test_status_shows_no_secret_that_an_app_quotes_or_has_quoted(app, monkeypatch):
    (Path(app.root) / "slots").mkdir()
    filled = Snapshot("a1", f'API_KEY="{SECRET}"\n', {}, "", credentials={"pw": "sunshine"})
    app.put("blue", app.make("blue", filled, {}, GROUP))
    said = f"KeyError: {SECRET} at sunshine"
    slots = {**slot("live", "a1", 2), "note": said, "ready": f"/ready answers 500 {said}"}
    monkeypatch.setattr(status, "_slot", lambda *_: dict(slots))
    history.append(app.root, {"release": "b2", "outcome": "failed", "reason": said}, os.getgid())
    told = json.dumps(status.report(None, app, 10))
    assert SECRET not in told and "sunshine" not in told
    assert told.count("KeyError: *** at ***") >= 4


def test_a_failed_deploy_shows_no_secret_that_an_app_quotes(app, monkeypatch, capsys):
    """Its exception is in the reason, the last lines and the history; what ran before it has secrets as well."""
    (Path(app.root) / "slots").mkdir()
    app.put("blue", app.make("blue", Snapshot("a1", 'OLD_KEY="an-old-key"\n', {}, ""), TERMS, GROUP))
    app.point_to("blue")

    def fail(_swap):
        raise swap_flow.Failed(f"Release c3 died of {SECRET}, an-old-key", "It serves.", f"E: '/x/{SECRET}' sunshine")

    monkeypatch.setattr(swap_flow.Swap, "apply", fail)
    unit = "ActiveState=active\nUnitFileState=enabled"
    run = lambda _command: (0, "\n\n".join([unit] * 4), "")  # noqa: E731
    monkeypatch.setattr(
        swap_module, "Deploy", lambda params, check, _run, warn: swap_flow.Deploy(params, check, run, warn)
    )
    given = {"name": "hello", "root": app.root, "group": GROUP, "release": "c3", "credentials": {"pw": "sunshine"}}
    with patch_module_args({**given, "environment": f'KEY="{SECRET}"\n'}), pytest.raises(SystemExit):
        swap_module.main()
    said = capsys.readouterr().out
    assert SECRET not in said and "an-old-key" not in said and "sunshine" not in said
    assert "Release c3 died of ***, ***" in said and "E: '/x/***' ***" in said
    assert history.read(app.root)[-1]["reason"] == "died of ***, ***"


def test_the_first_line_of_a_failure_is_the_apps_without_a_secret_of_several_lines(app, monkeypatch):
    """It is the reason in the history too; then what to write, then the log."""
    (Path(app.root) / "slots").mkdir()
    log = (
        "Worker startup failed\nTraceback (most recent call last):\n"
        f'  File "{app.root}/releases/c3/.venv/lib/python3/site-packages/gunicorn/util.py", line 3, in f\n    load()\n'
        f'  File "{app.root}/releases/c3/app/main.py", line 5, in <module>\n    os.environ["X"]\n'
        "KeyError: first-words-9\nsecond-words-9"
    )

    def fail(_swap):
        raise swap_flow.Failed("Release c3 did not become ready: hello@blue.service ended (1).", "It serves.", log)

    monkeypatch.setattr(swap_flow.Swap, "apply", fail)
    run = deploy(app, ("inactive",) * 2, release="c3", credentials={"pw": "first-words-9\nsecond-words-9"})
    with pytest.raises(CommandFailed) as failed:
        run.result()
    first, *rest = str(failed.value).split("\n")
    assert first == """Release c3 can't start: KeyError: ***, at app/main.py line 5: os.environ["X"]"""
    assert rest[:4] == ["Release c3 did not become ready: hello@blue.service ended (1).", "It serves.", "", rest[3]]
    assert rest[3].startswith("Write fastapi_env: {")
    assert rest[5] == "Its last lines:"
    assert "words-9" not in str(failed.value) and "gunicorn" not in str(failed.value)
    assert history.read(app.root)[-1]["reason"] == first.removeprefix("Release c3 ")


def test_nor_does_what_came_before_a_release_or_why_it_failed_last_time(app, monkeypatch, capsys):
    """A reason of an earlier version's history has it still."""
    (Path(app.root) / "slots").mkdir()
    monkeypatch.setattr(swap_flow.Swap, "apply", lambda swap: swap.notes.append(f"migrate (0.1 s) at {SECRET}"))
    given = {"release": "b2", "environment": f'KEY="{SECRET}"\n'}
    assert deploy(app, ("inactive",) * 2, **given, before=["migrate"]).result()["commands"] == [
        "migrate (0.1 s) at ***"
    ]
    again = deploy(app, ("inactive",) * 2, **given)
    failed = {"release": "b2", "outcome": "failed", "reason": f"it died of {SECRET}", "tried": again._tried()}
    history.append(app.root, failed, os.getgid())
    again._swap()
    assert "b2 failed before (it died of ***)" in capsys.readouterr().out


def test_who_did_what_a_failure_asked_for_is_not_warned_of_it(app, monkeypatch):
    """The release is the same, and its settings are others; told was that the same source comes once more."""
    (Path(app.root) / "slots").mkdir()

    def fail(_swap):
        raise swap_flow.Failed("Release b2 did not become ready: x", "Nothing is live.", "")

    given = {"release": "b2", "environment": 'PASSWORD="sunshine-9"\n', "ready_timeout": 60, "memory_room": 5}
    monkeypatch.setattr(swap_flow.Swap, "apply", fail)
    with pytest.raises(CommandFailed):
        deploy(app, ("inactive",) * 2, **given).result()
    entry = history.read(app.root)[-1]
    assert len(entry["tried"]) == 8 and "sunshine" not in json.dumps(entry)

    def warned(**changed) -> str:
        run, told = deploy(app, ("inactive",) * 2, **{**given, **changed}), list[str]()
        run.warn = told.append
        run._swap()
        return " ".join(told)

    assert "b2 failed before (did not become ready: x), and this run tries the same once more" in warned()
    # What isn't set, but measured or said of the run, makes no other try of it.
    assert warned(memory_room=6, worker_memory=7, by="bob@desk") == warned()
    for changed in (
        {"environment": 'PASSWORD="rain"\n'},
        {"files": {"gunicorn.conf.py": "workers = 1\n"}},
        {"unit": "[Service]\nMemoryMax=9G\n"},
        {"credentials": {"key": "pem"}},
        {"ready_timeout": 90},
        {"process_environments": {"worker": "A=1"}},
    ):
        assert warned(**changed) == "", changed
    # Nor is anybody after a migration; before it nobody can say.
    assert warned(before=["alembic upgrade head"]) == ""
    history.append(app.root, {"release": "b2", "outcome": "ran", "commands": ["alembic upgrade head"]}, os.getgid())
    assert warned() == ""


def test_a_misspelled_name_is_told_with_the_names_that_there_are(tmp_path):
    (tmp_path / "hello@.service").write_text("# Written by Ansible (graceful.deploy.systemd)\n")
    (tmp_path / "getty@.service").write_text("# the system's\n")
    assert missing("hello", str(tmp_path)) == ""
    assert missing("helo", str(tmp_path)) == "There is no app helo on this host; there is hello."
    assert missing("hello", f"{tmp_path}/none") == "There is no app hello on this host."


def test_a_first_deploy_that_failed_before_there_was_a_unit_has_its_reason(app, monkeypatch):
    known = {"live": None, "releases": [], "history": [], "deploying": {}, "cut_off": {}}
    monkeypatch.setattr(status, "look", lambda *_: known)
    monkeypatch.setattr(status, "render", lambda facts, *_: "the table")
    assert status.report(None, app, 10)["text"] == "There is no app hello on this host."
    known["history"] = [{"release": "c3", "reason": "the migration failed"}]
    assert status.report(None, app, 10)["text"] == "the table"


def test_status_tells_a_deploy_under_way_from_one_that_was_cut_off(app, monkeypatch):
    monkeypatch.setattr(status, "_slot", lambda *_: slot("stopped", None))
    lock = DeployLock(app.root)
    note = {"by": "bob@desk", "since": "noon", "release": "d4", "phase": "restart"}
    lock.write(note)
    facts = status.look(None, app)
    assert (facts["deploying"], facts["cut_off"]) == (note, {})
    os.close(lock.descriptor)
    facts = status.look(None, app)
    assert (facts["deploying"], facts["cut_off"]) == ({}, note)
    assert "release d4 was cut off in phase restart: bob@desk, begun at noon." in status.render(facts, 0, 10)


def deploy(app, states=("active", "active"), **params):
    given = {"name": app.name, "root": app.root, "group": GROUP, "by": "ann@laptop", **params}
    arguments = {name: given.get(name, option.get("default")) for name, option in swap_module.ARGUMENTS.items()}
    units = [f"ActiveState={s}\nUnitFileState={'enabled' if s == 'active' else 'disabled'}" for s in states]
    run = lambda _command: (0, "\n\n".join(unit for unit in units for _kind in range(2)), "")  # noqa: E731
    return swap_flow.Deploy(arguments, params.get("check", False), run, print)


def test_an_app_that_was_never_deployed_is_named_with_what_to_fix(tmp_path):
    with pytest.raises(CommandFailed, match=r"There is no .*/none on this host.*fastapi_name or fastapi_root"):
        deploy(App("hello", f"{tmp_path}/none"), rollback=True).result()


@pytest.mark.parametrize("check", [False, True])
def test_a_reload_that_cannot_be_is_refused_before_any_command_and_in_check_mode(app, check):
    (Path(app.root) / "slots").mkdir()
    app.put("blue", app.make("blue", Snapshot("a1", 'A="1"\n', {}, ""), {}, GROUP))
    app.point_to("blue")
    # In check mode the release isn't built yet.
    wanted = {"release": "e5" if check else "c3", "environment": 'A="2"\n', "strategy": "reload"}
    with pytest.raises(CommandFailed, match=r"fastapi_strategy is reload.*also changes the environment"):
        deploy(app, before=["touch /nowhere/at/all"], check=check, **wanted).result()


USER = pwd.getpwuid(os.getuid()).pw_name
TERMS = {"strategy": "swap", "app": "app:app", "user": USER, "group": GROUP, "ready_path": "/ready"}
TERMS |= {"health_path": "/health", "ready_timeout": 1, "bake": 1, "patience": 1, "host": "localhost", "writable": []}


@pytest.fixture
def cut_off(app):
    """The app with `release` in slot blue, live, and the note of a run to it that was cut off."""

    def leave(release, phase, kind="rollback", previous="c3"):
        (Path(app.root) / "slots").mkdir()
        app.put("blue", app.make("blue", Snapshot(release, 'A="1"\n', {}, ""), TERMS, GROUP))
        app.point_to("blue")
        lock = DeployLock(app.root)
        note = {"release": release, "kind": kind, "previous": previous, "phase": phase}
        lock.write({**note, "by": "ann@laptop", "since": "noon", "pid": 1})
        os.close(lock.descriptor)
        return history.read(app.root)

    return leave


def filled(app, strategy):
    """The app with release a1 in slot blue, live, whose deploys take over by a strategy."""
    (Path(app.root) / "slots").mkdir()
    snapshot = Snapshot("a1", 'A="1"\n', {"gunicorn.conf.py": "workers = 1\n"}, "")
    app.put("blue", app.make("blue", snapshot, {**TERMS, "strategy": strategy}, GROUP))
    app.point_to("blue")
    record = Path(app.root, "releases/a1/release.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "environment": "e1"}))


@pytest.mark.parametrize(
    ("again", "slot", "first"),
    [
        ("swap", "green", "prepare slot green"),
        ("restart", "blue", "prepare slot blue"),
        ("reload", "blue", "load the app"),
    ],
)
def test_what_is_live_is_brought_to_the_traffic_anew_by_any_way(app, again, slot, first):
    filled(app, "swap")
    assert deploy(app, ("active", "inactive"), release="a1", check=True, **asked_as(app)).result()["steps"] == []
    result = deploy(app, ("active", "inactive"), again=again, check=True).result()
    assert any(first in step for step in result["steps"]), result
    assert (result["slot"], result["strategy"], result["release"], result["previous"]) == (slot, again, "a1", "a1")


def asked_as(app):
    """The options by which the live slot is what is wanted."""
    live = app.configuration("blue", "a1")
    return {"environment": live.environment, "files": live.files, "unit": live.unit, "socket": live.socket}


def test_a_second_slot_is_not_started_anew_where_deploys_start_none(app):
    filled(app, "restart")
    with pytest.raises(CommandFailed, match=r"take over by restart.*Write during=restart or during=reload"):
        deploy(app, again="swap", check=True).result()
    assert deploy(app, ("active", "inactive"), again="restart", check=True).result()["strategy"] == "restart"


def test_nothing_is_started_anew_that_may_not_be_what_its_slot_names(app):
    filled(app, "restart")
    # What a run in place leaves that is cut off: the slot's new files, and the old ones beside.
    held = {**TERMS, "strategy": "restart"}
    app.put("blue", app.make("blue", app.configuration("blue", "c3"), held, GROUP))
    with pytest.raises(CommandFailed, match=r"was cut off.*Run release.yml first"):
        deploy(app, again="restart", check=True).result()
    with pytest.raises(CommandFailed, match="there is nothing to start anew"):
        deploy(App("hello", app.root + "/releases"), again="restart", check=True).result()


def free(path):
    """Whether pruning could have a release."""
    place = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(place)
    return True


def test_a_release_stays_while_its_deploy_waits_and_is_looked_for_again_then(app):
    release = Path(app.root, "releases/c3")
    first = DeployLock(app.root)
    first.write({"by": "bob@desk", "since": "noon", "release": "d4", "phase": "watch"})
    run = deploy(app, release="c3", lock_wait=20)
    told: list[str] = []

    def second():
        try:
            run.result()
        except CommandFailed as failure:
            told.append(str(failure))

    thread = threading.Thread(target=second)
    thread.start()
    end = time.monotonic() + 10
    while free(release) and time.monotonic() < end:
        time.sleep(0.01)
    held = not free(release)
    # Somebody who doesn't ask takes it all the same.
    shutil.rmtree(release)
    first.release()
    thread.join(20)
    assert held
    assert "bob@desk began at noon with release d4" in run.waited
    assert told and "Release c3 is not complete" in told[0] and "run again, which builds it anew" in told[0]


TELLS = """
import json, sys
with open(__file__ + ".got", "a") as file:
    print(json.dumps(json.load(sys.stdin)), file=file)
print(json.dumps({"told": ["slack at x"], "not_told": [{"target": "url at y", "why": "no answer"}]}))
"""


@pytest.fixture
def telling(app):
    """What the host's program was asked to tell."""
    (Path(app.root) / "commands").mkdir()
    (Path(app.root) / "commands/notify").write_text("{}")
    program = Path(app.root, "commands/tell.py")
    program.write_text(TELLS)
    got = Path(f"{program}.got")
    return lambda: [json.loads(line) for line in got.read_text().splitlines()] if got.exists() else []


@pytest.mark.parametrize("check", [True, False])
def test_a_deploy_that_was_cut_off_is_told_by_the_next_which_goes_on_meanwhile(app, cut_off, telling, capsys, check):
    cut_off("a1", "watch", "deploy")
    run = deploy(app, release="none", check=check)
    # Also where that one may not be itself.
    with contextlib.suppress(CommandFailed):
        run.result()
    assert [(event["event"], event["release"], event["reason"]) for event in telling()] == (
        [] if check else [("cut_off", "a1", "in phase watch")]
    )
    assert run.told == ([] if check else ["slack at x"])
    assert ("url at y could not be told: no answer." in capsys.readouterr().out) is not check


def test_a_try_is_told_with_its_reason_and_the_run_says_whom(app, telling, monkeypatch):
    """When the lock is free."""
    (Path(app.root) / "slots").mkdir()

    def fails(swap):
        swap.told("fill")
        raise Failed("Release c3 isn't well: no such table", "Nothing has moved.", "")

    held = []
    ended = swap_flow.tell.end
    monkeypatch.setattr(swap_flow.Swap, "apply", fails)
    monkeypatch.setattr(swap_flow.tell, "end", lambda process: (held.append(is_held(app.root)), ended(process))[1])
    with pytest.raises(CommandFailed) as failed:
        deploy(app, release="c3", states=("inactive", "inactive")).result()
    assert failed.value.more["told"] == ["slack at x"]
    (event,) = telling()
    told = {
        "event": "failed",
        "by": "ann@laptop",
        "release": "c3",
        "previous": None,
        "reason": "isn't well: no such table",
    }
    assert {key: event[key] for key in told} == told
    assert held == [False]


@pytest.mark.parametrize("check", [True, False])
def test_any_run_that_changes_takes_the_environment_file_over(app, cut_off, check):
    """Before anything starts beside it; a rollback goes from what the slot was filled with, which is another file."""
    cut_off("a1", "done")
    old = Path(app.root, ".env")
    old.write_text('A="1"\n')
    old.chmod(0o600)
    deploy(app, ("active", "inactive"), rollback=True, check=check).result()
    assert old.exists() is check
    assert Path(app.root, "environment").exists() is not check


@pytest.mark.parametrize("status", [200, 502])
def test_what_is_live_is_asked_through_the_proxy(app, cut_off, monkeypatch, status):
    """In the deploy's own trip; what fails there is told as the proxy's fault."""
    cut_off("a1", "watch", "deploy", "c3")
    asked = []
    monkeypatch.setattr(swap_flow, "FRONT_LIMIT", 0.3)
    monkeypatch.setattr(swap_flow.Swap, "apply", lambda _swap: None)
    monkeypatch.setattr(probe, "ask", lambda door, path, _limit: asked.append((door, path)) or Answer(status, "it"))
    run = deploy(app, release="a1", environment='A="1"\n', host="a.test", front_port=443, front_tls=True)
    if status == 200:
        assert run.result()["changed"]
    else:
        with pytest.raises(CommandFailed, match=r"live in slot blue.*not through the proxy.*502.*site.yml"):
            run.result()
    assert asked[0] == (Door("a.test", port=443, tls=True), "/health")
    assert history.read(app.root)[-1]["outcome"] == "live"


def test_a_rollback_that_was_cut_off_at_its_very_end_is_on_record_as_one(app, cut_off):
    before = cut_off("a1", "done")
    result = deploy(app, ("active", "inactive"), rollback=True).result()
    # It is done, and not done again one release further back.
    assert (result["changed"], result["release"]) == (False, "a1")
    (entry,) = history.read(app.root)[len(before) :]
    assert (entry["kind"], entry["release"], entry["previous"], entry["outcome"]) == ("rollback", "a1", "c3", "live")
    assert "c3" in history.marked(history.read(app.root))


@pytest.mark.parametrize("check", [False, True])
def test_a_rollback_that_was_cut_off_after_its_move_is_finished_and_marks_what_it_left(app, cut_off, check):
    cut_off("a1", "disable")
    run = deploy(app, rollback=True, check=check)
    run.left = {} if check else run._lock().left
    run.left = run.left or swap_flow.left_in(app.root)
    swap = run._swap()
    assert (swap.wanted.release, swap.steps) == ("a1", ["disable", "watch", "drain"])
    assert run._previous(swap) == "c3"


def test_a_deploy_that_is_finished_takes_the_place_of_what_was_live_before_the_cut(app, cut_off):
    cut_off("c3", "watch", "deploy", "a1")
    run = deploy(app, release="c3", environment='A="1"\n')
    run.left = run._lock().left
    assert run._previous(run._swap()) == "a1"


def test_a_rollback_from_a_release_that_was_cut_off_in_place_leaves_that_one(app, cut_off):
    """The slot had been filled with it, and nobody knows whether it ever ran."""
    cut_off("a1", "done")
    app.put("blue", app.make("blue", Snapshot("c3", 'A="1"\n', {}, ""), {**TERMS, "strategy": "restart"}, GROUP))
    run = deploy(app, rollback=True)
    swap = run._swap()
    assert (swap.before, swap.wanted.release, run._previous(swap)) == ("a1", "a1", "c3")


def test_a_rollback_behind_a_deploy_that_was_cut_off_before_its_move_is_told(app, cut_off):
    """The person may have meant to undo that deploy, which never had traffic."""
    cut_off("a1", "start")
    history.append(app.root, {"release": "b2", "outcome": "interrupted"}, os.getgid())
    history.append(app.root, {"release": "c3", "outcome": "live"}, os.getgid())
    history.append(app.root, {"release": "e5", "outcome": "interrupted", "kind": "deploy"}, os.getgid())
    told = []
    run = deploy(app, rollback=True)
    run.warn = told.append
    assert run._swap().wanted.release == "c3"
    assert "of release e5, did not get through (interrupted), and a1 is live as before it" in told[0]


@pytest.mark.parametrize("bad", ["e5", "a1"])
def test_a_rollback_after_a_deploy_that_failed_is_refused_unless_it_says_where_to(app, cut_off, bad):
    """What was good before serves still. Bad may be the release, or a change of settings of the live one."""
    cut_off("a1", "done")
    history.append(app.root, {"release": "c3", "outcome": "live"}, os.getgid())
    history.append(app.root, {"release": "a1", "outcome": "live"}, os.getgid())
    history.append(app.root, {"release": bad, "previous": "a1", "outcome": "failed", "kind": "deploy"}, os.getgid())
    with pytest.raises(CommandFailed, match=f"nothing to roll back.*release {bad}, did not get.*release a1 serves"):
        deploy(app, rollback=True)._swap()
    assert deploy(app, rollback=True, release="c3")._swap().wanted.release == "c3"


def test_a_release_that_was_rolled_back_from_comes_back_with_a_warning(app, cut_off):
    cut_off("a1", "done")
    history.append(app.root, {"release": "a1", "previous": "c3", "kind": "rollback", "outcome": "live"}, os.getgid())
    told = []
    for release in ("c3", "a1"):
        run = deploy(app, release=release, environment='A="1"\n')
        run.warn = told.append
        run._swap()
    assert len(told) == 1 and "c3 is known to be bad (a rollback left it" in told[0]


@pytest.mark.parametrize("text", ["\0" * 203, '{"by": "ann@lap'])
def test_a_deploy_whose_note_a_power_cut_has_left_unreadable_is_in_the_history(app, cut_off, text):
    cut_off("a1", "done")
    (Path(app.root) / "deploy.lock").write_text(text)
    deploy(app, release="a1", environment='A="1"\n')._lock()
    last = history.read(app.root)[-1]
    assert (last["release"], last["outcome"], last["reason"]) == ("unknown", "interrupted", "cut off in phase unknown")
    # It is known to be bad for nothing, and nobody is kept from going on.
    assert history.marked(history.read(app.root)).keys() == {"b2"}


RAN = [
    {"release": "a1", "outcome": "live"},
    {"release": "b2", "outcome": "ran", "commands": ["alembic upgrade head"], "kind": "before"},
    {"release": "b2", "outcome": "live"},
    {"release": "c3", "outcome": "ran", "commands": ["alembic upgrade head", "python seed.py"]},
]


@pytest.mark.parametrize(
    ("release", "ran"),
    [
        ("a1", ["alembic upgrade head", "alembic upgrade head", "python seed.py"]),
        ("b2", ["alembic upgrade head", "python seed.py"]),
        ("zz", ["alembic upgrade head", "alembic upgrade head", "python seed.py"]),
    ],
)
def test_what_was_run_since_a_release_was_live_is_known(release, ran):
    assert history.ran_since(RAN, release) == ran


def test_what_runs_before_a_release_says_nothing_of_the_release():
    assert history.last_telling(RAN)["outcome"] == "live"
    assert history.marked(RAN) == {}
    assert history.last_served(RAN) == {"a1": 0, "b2": 2}
    assert history.parse(json.dumps({"release": "x", "commands": "rm"}) + "\n") == [{"release": "x"}]


@pytest.mark.parametrize(
    ("said", "idle"),
    [
        ("INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.\nWill assume transactional DDL.", True),
        (
            "INFO  [alembic.runtime.migration] Context impl.\nINFO  [alembic.runtime.migration] Running upgrade a -> b",
            False,
        ),
        ("Operations to perform:\n  Apply all\nRunning migrations:\n  No migrations to apply.", True),
        # Says nothing of itself: it may have changed something.
        ("(it said nothing)", False),
        ("done", False),
    ],
)
def test_a_migration_that_had_nothing_to_do_is_none(said, idle):
    assert bool(swap_start.IDLE.search(said)) is idle


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (["", "", "503 no column price"], "since 'second' ran: 503 no column price"),
        (["", "503 no table", "503 no table"], "since 'first' ran: 503 no table"),
        (["", "", ""], ""),
        # It wasn't ready before, or there is none.
        (["503 warming up", "503", "503"], ""),
        ([None, None, None], ""),
    ],
)
def test_a_command_that_what_serves_does_not_bear_is_named(app, monkeypatch, capsys, answers, told):
    (Path(app.root) / "slots").mkdir()
    ran = [("first (0.1 s)", "first", True), ("second (0.1 s)", "second", False)]
    monkeypatch.setattr(swap_start.Candidate, "prepare", lambda *_: iter(ran))
    monkeypatch.setattr(swap_flow.Swap, "_ask_live", lambda *_: answers.pop(0))
    monkeypatch.setattr(swap_flow.Swap, "apply", lambda swap: swap._before())
    run = deploy(app, ("inactive",) * 2, release="b2", before=["first", "second"])
    assert run.result()["commands"] == ["first (0.1 s)", "second (0.1 s)"]
    said = capsys.readouterr().out
    assert (told in said and "goes on" in said.replace("\n", " ")) if told else "isn't ready any more" not in said
    entry = history.read(app.root)[-1]
    assert (entry["outcome"], entry["kind"], entry["commands"]) == ("ran", "before", ["first"])
    assert told in entry["reason"]
