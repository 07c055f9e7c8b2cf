"""Whatever goes wrong in a swap: what served before serves, any reboot starts it, and it is told in words."""

from __future__ import annotations

import grp
import json
import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import history
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed
from ansible_collections.graceful.deploy.plugins.module_utils._swap import start, watch
from ansible_collections.graceful.deploy.plugins.module_utils._swap.flow import Deploy
from ansible_collections.graceful.deploy.plugins.modules import swap as swap_module

GROUP = grp.getgrgid(os.getgid()).gr_name
TERMS = {"strategy": "swap", "app": "app:app", "user": "deploy", "group": GROUP, "ready_path": "/ready"}
TERMS |= {"health_path": "/health", "ready_timeout": 1, "bake": 0, "patience": 0, "host": "localhost"}


class Host:
    """A systemd with the app's four units. At `fatal`, the number of a call, it raises `error` instead of answering."""

    def __init__(self, app, fatal=0, error=None):
        self.app = app
        self.fatal = fatal
        self.error = error
        self.calls = 0
        self.active: set[str] = set()
        self.enabled: set[str] = set()
        self.boots: list[bool] = []
        """At each call since there was a live slot: whether a reboot would have started it."""

    def __call__(self, command):
        live = self.app.live()
        if live:
            self.boots.append({f"hello@{live}.service", f"hello@{live}.socket"} <= self.enabled)
        self.calls += 1
        if self.calls == self.fatal:
            raise self.error
        verb = next((word for word in command[1:] if not word.startswith("-")), "")
        units = command[command.index("--") + 1 :] if "--" in command else []
        if verb == "show":
            return 0, "\n\n".join(self._shown(unit) for unit in units) + "\n", ""
        {"start": self.active, "enable": self.enabled}.get(verb, set()).update(units)
        for unit in units:
            {"stop": self.active, "disable": self.enabled}.get(verb, set()).discard(unit)
        return 0, "", ""

    def _shown(self, unit):
        active, enabled = unit in self.active, unit in self.enabled
        words = ["InvocationID=", f"ActiveState={'active' if active else 'inactive'}"]
        return "\n".join([*words, f"UnitFileState={'enabled' if enabled else 'disabled'}"])

    def after_reboot(self):
        """The release that a reboot starts behind the link."""
        live = self.app.live()
        whole = {f"hello@{live}.service", f"hello@{live}.socket"} <= self.enabled
        return self.app.held(live)["release"] if live and whole else None


@pytest.fixture
def app(tmp_path, monkeypatch):
    for release in ("a1", "b2"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "release.json").write_text(json.dumps({"id": release, "created": release}))
    (tmp_path / "units").mkdir()
    monkeypatch.setattr(watch.Watch, "empty", lambda *_: None)
    monkeypatch.setattr(watch.Watch, "ready", lambda *_: None)
    monkeypatch.setattr(watch.Watch, "stays_well", lambda *_: None)
    monkeypatch.setattr(start.Candidate, "check", lambda *_: None)
    return App("hello", str(tmp_path), str(tmp_path / "units"))


def deploy(app, host, release, strategy="swap", rollback=False):
    given = {**TERMS, "name": "hello", "root": app.root, "by": "ann@laptop", "release": release}
    given |= {"strategy": strategy, "rollback": rollback}
    arguments = {name: given.get(name, option.get("default")) for name, option in swap_module.ARGUMENTS.items()}
    run = Deploy({**arguments, "unit": f"[Service]\n# {release}\n"}, False, host, print)
    run.app = app
    locks = []
    run._lock = lambda lock=run._lock: locks.append(lock()) or locks[0]
    try:
        return run.result()
    finally:
        # As the end of a process does.
        os.close(locks[0].descriptor)


def first_call_of_a_second_deploy(app):
    host = Host(app)
    deploy(app, host, "a1")
    assert host.after_reboot() == "a1"
    return host


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), OSError(28, "No space"), ValueError("zip()"), CommandFailed("x")]
)
@pytest.mark.parametrize("strategy", ["swap", "restart"])
def test_any_failure_at_any_call_leaves_a_host_that_boots_into_a_good_release(app, tmp_path, strategy, error):
    """systemd's calls are where a run's time goes, and between two of them is every step of ours."""
    host = first_call_of_a_second_deploy(app)
    number, outcomes = 0, []
    while True:
        number += 1
        host.calls, host.fatal, host.error, host.boots = 0, number, error, []
        known = len(history.read(app.root))
        try:
            deploy(app, host, "b2", strategy)
        except (CommandFailed, type(error)) as failure:
            outcomes.append(str(failure))
        if len(history.read(app.root)) == known:
            # Before there was a try: nothing is changed, and the module's own guard says so.
            assert number == 1 and app.held(app.live())["release"] == "a1"
            continue
        assert all(host.boots), number
        live = app.held(app.live())["release"]
        assert host.after_reboot() == live
        last = history.read(app.root)[-1]
        if host.calls < number:
            break
        # After the proof it stays, and the next run does the rest.
        assert live == ("b2" if last["outcome"] == "live" else "a1"), (number, outcomes[-1:])
        if last["outcome"] != "live":
            assert last["release"] == "b2" and not last["blames"]
            assert "a1" in outcomes[-1] and "Undoing" not in outcomes[-1]
        assert [name for name in os.listdir(tmp_path / "slots") if name.startswith(".")] == []
        host.fatal = 0
        deploy(app, host, "a1", strategy)
    assert outcomes and live == "b2"


def test_a_release_that_logs_what_cannot_be_read_is_moved_back_and_a_reboot_serves_the_good_one(app, monkeypatch):
    host = first_call_of_a_second_deploy(app)
    monkeypatch.setattr(watch.Watch, "stays_well", lambda *_: "it answers 500")

    def recursion(*_):
        raise RecursionError("deep")

    monkeypatch.setattr(watch, "last_lines", recursion)
    with pytest.raises(
        CommandFailed, match=r"it answers 500(.|\n)*back on release a1, in slot blue(.|\n)*can't be read: deep"
    ):
        deploy(app, host, "b2")
    assert host.after_reboot() == "a1" and all(host.boots)
    last = history.read(app.root)[-1]
    assert (last["release"], last["outcome"], last["blames"]) == ("b2", "moved back", True)


def test_a_first_release_whose_workers_die_never_gets_the_traffic(app, monkeypatch):
    """One of two workers came up and answered; the other was killed for memory, again and again."""
    host = Host(app)
    monkeypatch.setattr(watch.Watch, "stays_well", lambda *_: "3 worker(s) of hello@blue.service ended unexpectedly.")
    with pytest.raises(CommandFailed, match=r"Release a1 didn't stay well: 3 worker(.|\n)*Nothing was live before"):
        deploy(app, host, "a1")
    assert (app.live(), host.active, host.enabled) == (None, set(), set())
    last = history.read(app.root)[-1]
    assert (last["outcome"], last["blames"]) == ("failed", True)
    # The next good one needs no cleaning up.
    monkeypatch.setattr(watch.Watch, "stays_well", lambda *_: None)
    deploy(app, host, "b2")
    assert host.after_reboot() == "b2"


def test_an_undo_that_fails_says_what_has_the_traffic(app, monkeypatch):
    host = first_call_of_a_second_deploy(app)
    monkeypatch.setattr(watch.Watch, "stays_well", lambda *_: "it answers 500")
    point_to, moves = App.point_to, []

    def once(self, slot):
        moves.append(slot)
        if len(moves) > 1:
            raise OSError(28, "No space left on device")
        point_to(self, slot)

    monkeypatch.setattr(App, "point_to", once)
    with pytest.raises(
        CommandFailed, match=r"Undoing it failed too: .*No space.*Slot green has the traffic, with release b2"
    ):
        deploy(app, host, "b2")
    assert host.after_reboot() == "b2"
    assert history.read(app.root)[-1]["outcome"] == "failed"


def test_a_rollback_that_a_full_disk_has_ended_blames_nothing_and_may_be_tried_again(app, monkeypatch):
    host = first_call_of_a_second_deploy(app)
    deploy(app, host, "b2")
    make = App.make

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(App, "make", full)
    with pytest.raises(CommandFailed, match=r"No space left(.|\n)*Nothing has moved. Release b2 serves"):
        deploy(app, host, "", rollback=True)
    last = history.read(app.root)[-1]
    assert (last["release"], last["kind"], last["outcome"], last["blames"]) == ("a1", "rollback", "failed", False)
    monkeypatch.setattr(App, "make", make)
    assert deploy(app, host, "", rollback=True)["release"] == "a1"
    assert host.after_reboot() == "a1"
    assert history.marked(history.read(app.root)).keys() == {"b2"}
