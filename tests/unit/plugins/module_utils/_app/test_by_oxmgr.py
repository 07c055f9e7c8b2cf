"""A slot as Oxmgr's own record shows it, and each slot by its own supervisor."""

from __future__ import annotations

import grp
import json
import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import by_oxmgr
from ansible_collections.graceful.deploy.plugins.module_utils._app.by_oxmgr import (
    ByOxmgr,
    BySlot,
    started_at,
    supervisor_of,
)
from ansible_collections.graceful.deploy.plugins.module_utils._app.by_systemd import BySystemd
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import OXMGR_UNIT, App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import Systemd

GROUP = grp.getgrgid(os.getgid()).gr_name
PLAIN = Snapshot("one", "", {"gunicorn.conf.py": "workers = 2\n"}, "[Service]\n")
UNDER = Snapshot("two", "", {**PLAIN.files, OXMGR_UNIT: "[Service]\nMemoryMax=1G\n"}, "[Service]\n")
ACTIVE = "Id={}\nActiveState=active\nSubState=running\nInvocationID=abc\nMainPID=7\nUnitFileState=enabled\n"


@pytest.fixture
def app(tmp_path):
    return App("hello", str(tmp_path), str(tmp_path / "units"))


def fill(app, slot, snapshot):
    app.put(slot, app.make(slot, snapshot, {}, GROUP))


@pytest.fixture
def oxmgr(app, monkeypatch):
    supervisor = ByOxmgr(Systemd(lambda command: (0, "\n".join(map(ACTIVE.format, command[4:])), "")), app)
    monkeypatch.setattr(supervisor, "_record", lambda _slot: supervisor.record)
    return supervisor


# Oxmgr 0.5.0's own words, as recorded.
RUNNING = {"status": "running", "desired_state": "running", "restart_count": 0, "last_exit_code": None}
RUNNING |= {"last_started_at": 1796007935}


def test_the_arbiter_is_the_process_that_oxmgr_runs(oxmgr):
    oxmgr.record = {**RUNNING, "pid": os.getpid(), "restart_count": 2}
    state = oxmgr.state("blue")
    assert (state.ended, state.main, state.restarts, state.word) == (False, str(os.getpid()), 2, "running (Oxmgr)")
    # A new one in its place is another start.
    oxmgr.record = {**RUNNING, "pid": os.getppid()}
    assert oxmgr.state("blue").start not in ("", state.start)
    assert oxmgr.standing()["blue"].up


@pytest.mark.parametrize(
    ("record", "how"),
    [
        ({**RUNNING, "status": "restarting", "pid": None, "last_exit_code": 78, "restart_count": 1}, "status 78"),
        # It has died just now, and Oxmgr hasn't seen it yet.
        ({**RUNNING, "pid": 2**22 + 1}, "a signal"),
        ({}, "a signal"),
    ],
)
def test_an_arbiter_that_is_gone_has_ended_though_its_daemon_runs(oxmgr, record, how):
    oxmgr.record = record
    state = oxmgr.state("blue")
    assert (state.ended, state.down, state.main, state.how) == (True, True, "", how)
    # The next run has something to start.
    assert not oxmgr.standing()["blue"].up


def test_what_oxmgr_has_not_written_yet_is_nothing(app, tmp_path, monkeypatch):
    supervisor = ByOxmgr(Systemd(lambda _command: (0, "", "")), app)
    for text in ("", "[]", '{"processes": []}', '{"processes": [3]}'):
        path = tmp_path / "state.json"
        path.write_text(text)
        monkeypatch.setattr(by_oxmgr, "open", lambda *_args, path=path, **_more: path.open(), raising=False)
        assert supervisor._record("blue") == {}


@pytest.mark.parametrize("of_slot", ["its app's own\n", ""])
def test_where_a_slot_has_said_nothing_its_daemon_is_asked(app, of_slot):
    def run(command):
        return 0, "the daemon's\n" if "--unit=hello-oxmgr@blue.service" in command else of_slot, ""

    assert ByOxmgr(Systemd(run), app).lines("blue", 0, 5) == (of_slot.strip() or "the daemon's")


def test_a_dead_process_is_nobody(tmp_path):
    assert started_at(os.getpid()) and not started_at(2**22 + 1)


def test_what_an_app_has_is_told_by_its_slots(app):
    systemd = Systemd(lambda _command: (0, "", ""))
    assert type(supervisor_of(systemd, app)) is BySystemd
    assert type(supervisor_of(systemd, app, UNDER)) is ByOxmgr
    fill(app, "blue", PLAIN)
    assert type(supervisor_of(systemd, app, PLAIN)) is BySystemd
    fill(app, "green", UNDER)
    assert type(supervisor_of(systemd, app, UNDER)) is BySlot
    fill(app, "blue", UNDER)
    assert type(supervisor_of(systemd, app)) is ByOxmgr


def test_between_the_two_each_slot_has_its_own(app):
    said = []
    systemd = Systemd(lambda command: said.append(command) or (0, "", ""))
    fill(app, "blue", PLAIN)
    supervisor = supervisor_of(systemd, app, UNDER)
    # It is stopped as what it was, and started as what it was filled for.
    fill(app, "green", PLAIN)
    supervisor.stop("green")
    fill(app, "green", UNDER)
    supervisor.begin("green", "start")
    supervisor.leave("blue")
    orders = [" ".join(command) for command in said]
    assert orders == [
        "systemctl stop -- hello@green.service hello@green.socket",
        "systemctl reset-failed -- hello@green.service hello@green.socket",
        "systemctl stop -- hello-oxmgr@green.service hello@green.socket",
        "systemctl reset-failed -- hello-oxmgr@green.service hello@green.socket",
        "systemctl restart -- hello-oxmgr@green.service",
        "systemctl stop --no-block -- hello@blue.socket hello@blue.service",
    ]
    assert supervisor.files(UNDER)[f"{app.units}/hello-oxmgr@.service"] == UNDER.files[OXMGR_UNIT]
    assert f"{app.units}/hello-oxmgr@.service" not in supervisor_of(systemd, app, PLAIN).files(PLAIN)


def test_in_place_a_slot_goes_from_one_to_the_other_and_only_that_one_starts_at_boot(app):
    said = []
    systemd = Systemd(lambda command: said.append(" ".join(command)) or (0, "", ""))
    fill(app, "blue", PLAIN)
    app.point_to("blue")
    supervisor = supervisor_of(systemd, app, UNDER)
    assert supervisor.changes and not supervisor_of(systemd, app, PLAIN).changes
    fill(app, "blue", UNDER)
    supervisor.begin("blue", "restart")
    assert said == [
        "systemctl --quiet stop -- hello@blue.service",
        "systemctl --quiet disable -- hello@blue.service",
        "systemctl --quiet enable -- hello-oxmgr@blue.service hello@blue.socket",
        "systemctl restart -- hello-oxmgr@blue.service",
    ]


def test_a_daemons_memory_limit_needs_no_new_start_and_its_sandbox_does():
    changed = {text: Snapshot("two", "", {**UNDER.files, OXMGR_UNIT: text}, UNDER.unit) for text in ("a", "b")}
    more = Snapshot("two", "", {**UNDER.files, OXMGR_UNIT: "[Service]\nMemoryMax=2G\n"}, UNDER.unit)
    assert more.fingerprint == UNDER.fingerprint
    assert changed["a"].fingerprint != changed["b"].fingerprint
    assert json.dumps(more.parts) == json.dumps(UNDER.parts)
