"""A release that stands by on each host of a fleet before anybody's traffic moves."""

from __future__ import annotations

import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import history
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed
from ansible_collections.graceful.deploy.plugins.module_utils._swap import flow, standby, start, swap, watch
from test_swap_back import Host, app, deploy  # noqa: F401 - a fixture


def tree(app) -> dict[str, str]:  # noqa: F811
    """What is in the slots and units, and where the link leads."""
    found = {"link": os.readlink(app.link) if os.path.islink(app.link) else ""}
    for top in (f"{app.root}/slots", app.units):
        for place, directories, names in os.walk(top):
            directories[:] = [name for name in directories if not name.startswith(".")]
            for path in (os.path.join(place, name) for name in names):
                if not os.path.islink(path):
                    with open(path, encoding="utf-8") as file:
                        found[path.removeprefix(app.root)] = file.read()
    return found


@pytest.fixture
def host(app):  # noqa: F811
    host = Host(app)
    deploy(app, host, "a1")
    return host


def test_it_is_ready_and_nothing_has_moved(app, host):  # noqa: F811
    before = len(history.read(app.root))
    said = deploy(app, host, "b2", part="standby")
    assert said["changed"]
    assert said["msg"] == "Release b2 stands by in slot green, ready."
    assert said["release"] == "a1"
    assert app.live() == "blue"
    assert {"hello@green.service", "hello@green.socket"} <= host.active
    assert "hello@green.service" not in host.enabled
    assert len(history.read(app.root)) == before
    again = deploy(app, host, "b2", part="standby")
    assert not again["changed"]


def test_the_move_starts_nothing_again(app, host):  # noqa: F811
    deploy(app, host, "b2", part="standby")
    said = deploy(app, host, "b2")
    assert list(said["phases"]) == ["adopt", "enable", "move", "disable", "watch", "drain"]
    assert said["previous"] == "a1"
    assert (app.live(), host.after_reboot()) == ("green", "b2")
    assert not standby.marked(app, "green")
    assert history.read(app.root)[-1]["outcome"] == "live"
    assert not deploy(app, host, "b2")["changed"]


def test_what_stands_by_is_stopped_and_the_host_is_as_it_was(app, host):  # noqa: F811
    before = tree(app)
    deploy(app, host, "b2", part="standby")
    assert tree(app) != before
    said = deploy(app, host, "", part="leave")
    assert said["msg"] == "Release b2 was stopped before it had any traffic. Release a1 serves as before."
    assert tree(app) == before
    assert host.active == {"hello@blue.service", "hello@blue.socket"}
    assert not deploy(app, host, "", part="leave")["changed"]


def test_so_is_a_first_release(app):  # noqa: F811
    host = Host(app)
    deploy(app, host, "a1", part="standby")
    assert app.live() is None
    deploy(app, host, "", part="leave")
    assert host.active == set()
    deploy(app, host, "a1", part="standby")
    assert deploy(app, host, "a1")["changed"]
    assert host.after_reboot() == "a1"


def test_units_are_put_back_to_what_was_found(app, host):  # noqa: F811
    """Not to what the live slot was started with: systemd has given it another limit since."""
    deploy(app, host, "a1", unit="[Service]\n# a1\nMemoryMax=1G\n")
    before = tree(app)
    assert "MemoryMax=1G" in before["/units/hello@.service"]
    deploy(app, host, "b2", part="standby")
    deploy(app, host, "", part="leave")
    assert tree(app) == before


def test_fewer_workers_stand_by_too(app, host, monkeypatch):  # noqa: F811
    """What was asked for is compared, not what fitted."""
    four = {"gunicorn.conf.py": "workers = 4\n"}
    started = []

    def bring_up(self, verb, units, new, *_rest):
        units.write()
        if new:
            self.app.put(self.slot, new)
        self.supervisor.begin(self.slot, verb)
        self.supervisor.listen(self.slot)
        workers = self.app.configured(self.slot)
        started.append(workers)
        if workers == "workers = 4\n":
            self.watch.short_of_memory = True
            raise start.NotReady("killed", "")
        self.start = watch.Start("", 0, 0, 0)

    monkeypatch.setattr(start.Candidate, "bring_up", bring_up)
    deploy(app, host, "b2", part="standby", files=four, fewer_workers=True)
    assert started == ["workers = 4\n", "workers = 2\n"]
    said = deploy(app, host, "b2", files=four, fewer_workers=True)
    assert "start" not in said["phases"]
    assert host.after_reboot() == "b2"


def test_the_way_back_of_a_fleet_has_the_old_settings(app, host):  # noqa: F811
    deploy(app, host, "a1", environment='A="1"\n')
    before = app.configuration(app.live(), "a1").environment
    moved = deploy(app, host, "b2", environment='A="2"\n')
    assert (moved["moved"], moved["previous"]) == (True, "a1")
    deploy(app, host, "a1", rollback=True, part="back")
    assert host.after_reboot() == "a1"
    assert app.configuration(app.live(), "a1").environment == before == 'A="1"\n'
    # Of settings alone, too.
    deploy(app, host, "a1", environment='A="3"\n')
    deploy(app, host, "a1", rollback=True, part="back")
    assert app.configuration(app.live(), "a1").environment == 'A="1"\n'


def test_a_move_that_cant_begin_leaves_what_stands_by_to_be_left(app, host, monkeypatch):  # noqa: F811
    before = tree(app)
    deploy(app, host, "b2", part="standby")
    monkeypatch.setattr(swap.Swap, "_adopt", lambda self: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(CommandFailed) as failed:
        deploy(app, host, "b2")
    assert failed.value.more["moved"] is False
    deploy(app, host, "", part="leave")
    assert tree(app) == before
    assert host.active == {"hello@blue.service", "hello@blue.socket"}


def test_a_host_that_moved_and_then_failed_says_that_it_moved(app, host, monkeypatch):  # noqa: F811
    """What clients get is another release, though the proxy has no good answer."""
    monkeypatch.setattr(flow, "wait_until_good", lambda *_: "502")
    deploy(app, host, "b2", part="standby")
    with pytest.raises(CommandFailed, match="not through the proxy") as failed:
        deploy(app, host, "b2", front_port=80)
    assert failed.value.more["moved"] is True
    assert failed.value.more["previous"] == "a1"


def test_another_release_takes_its_place(app, host):  # noqa: F811
    """Its own terms or settings count: what stands by is taken as it is, or not at all."""
    deploy(app, host, "b2", part="standby")
    said = deploy(app, host, "b2", environment='A="1"\n')
    assert "start" in said["phases"]
    assert host.after_reboot() == "b2"


def test_where_it_comes_in_place_it_is_loaded_alone(app, host):  # noqa: F811
    before = tree(app)
    said = deploy(app, host, "b2", "restart", part="standby")
    assert said["msg"] == "Release b2 loads beside what serves."
    assert list(said["phases"]) == ["fill", "check"]
    assert tree(app) == before
    assert deploy(app, host, "b2", "restart")["changed"]


def test_what_isnt_ready_any_more_is_ended(app, host, monkeypatch):  # noqa: F811
    before = tree(app)
    deploy(app, host, "b2", part="standby")
    monkeypatch.setattr(watch.Watch, "ready", lambda *_: "503 no database")
    with pytest.raises(CommandFailed, match="isn't ready any more: 503 no database"):
        deploy(app, host, "b2")
    assert tree(app) == before
    assert host.after_reboot() == "a1"
    assert history.read(app.root)[-1]["outcome"] == "failed"


@pytest.mark.parametrize("error", [OSError(28, "No space"), CommandFailed("x")])
def test_any_failure_at_any_call_leaves_a_good_release(app, host, error):  # noqa: F811
    """Of making it ready, of the move, and of leaving it; then a deploy goes through."""
    for part in ("standby", "all", "leave"):
        number = 0
        while True:
            number += 1
            deploy(app, host, "a1")
            if part != "standby":
                deploy(app, host, "b2", part="standby")
            host.calls, host.fatal, host.error, host.boots = 0, number, error, []
            try:
                deploy(app, host, "b2", part=part)
            except (CommandFailed, type(error)):
                pass
            over = host.calls < number
            host.fatal = 0
            assert all(host.boots), f"{part}, call {number}: a reboot would have started nothing"
            assert host.after_reboot() in ("a1", "b2"), f"{part}, call {number}"
            deploy(app, host, "b2")
            assert host.after_reboot() == "b2"
            assert "hello@blue.service" not in host.active or app.live() == "blue"
            if over:
                break
        assert number > 3
