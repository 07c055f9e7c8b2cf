"""Whatever goes wrong in a swap: what served before serves, any reboot starts it, and it is told in words."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import by_systemd, history
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App, worker_count
from ansible_collections.graceful.deploy.plugins.module_utils._host import probe
from ansible_collections.graceful.deploy.plugins.module_utils._host.door import Door
from ansible_collections.graceful.deploy.plugins.module_utils._host.probe import Answer
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed
from ansible_collections.graceful.deploy.plugins.module_utils._swap import back, flow, start, swap, watch
from ansible_collections.graceful.deploy.plugins.module_utils._swap.flow import Deploy
from ansible_collections.graceful.deploy.plugins.modules import swap as swap_module

GROUP = grp.getgrgid(os.getgid()).gr_name
USER = pwd.getpwuid(os.getuid()).pw_name
TERMS = {"strategy": "swap", "app": "app:app", "user": USER, "group": GROUP, "ready_path": "/ready"}
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


def deploy(app, host, release, strategy="swap", rollback=False, warn=print, **more):
    given = {**TERMS, "name": "hello", "root": app.root, "by": "ann@laptop", "release": release}
    given |= {"strategy": strategy, "rollback": rollback, **more}
    arguments = {name: given.get(name, option.get("default")) for name, option in swap_module.ARGUMENTS.items()}
    run = Deploy({**arguments, "unit": more.get("unit", f"[Service]\n# {release}\n")}, False, host, warn)
    run.app = app
    locks = []
    run._lock = lambda lock=run._lock: locks.append(lock()) or locks[0]
    try:
        return run.result()
    finally:
        # As the end of a process does, where the run hasn't released it.
        if locks[0].descriptor >= 0:
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

    monkeypatch.setattr(by_systemd, "last_lines", recursion)
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


def need(app, each, room, monkeypatch):
    """A host on which only so many workers fit; returns how many each start had asked for."""
    tries = []

    def ready(self, *_):
        tries.append(worker_count(self.app.configured(self.slot)))
        self.short_of_memory = tries[-1] * each > room
        return "1 worker(s) of hello@blue.service ended unexpectedly." if self.short_of_memory else None

    monkeypatch.setattr(watch.Watch, "ready", ready)
    return tries


@pytest.mark.parametrize(
    ("each", "fewer", "tries", "live"),
    [(100, True, [8], True), (300, True, [8, 4, 2], True), (1200, True, [8, 4, 2, 1], False), (300, False, [8], False)],
)
def test_a_slot_starts_with_as_many_workers_as_there_is_memory_for(app, monkeypatch, each, fewer, tries, live):
    """Before the app has run, nobody knows what a worker of it takes."""
    host, told = Host(app), []
    made = need(app, each, 1000, monkeypatch)
    settings = {"files": {"gunicorn.conf.py": "# workers = 9\nworkers = 8\ntimeout = 30\n"}, "fewer_workers": fewer}
    if live:
        deploy(app, host, "a1", warn=told.append, **settings)
        slot = app.live()
        held = app.configuration(slot, "a1")
        assert held.files["gunicorn.conf.py"] == f"# workers = 9\nworkers = {tries[-1]}\ntimeout = 30\n"
        # The next run compares with what there is.
        assert app.held(slot)["fingerprint"] == held.fingerprint
        assert host.after_reboot() == "a1"
    else:
        with pytest.raises(CommandFailed, match="ended unexpectedly"):
            deploy(app, host, "a1", **settings)
        assert (app.live(), host.active) == (None, set())
    assert made == tries
    assert told == [] or "runs with 2 worker(s) where 8 were planned" in told[0]
    assert bool(told) == (live and len(tries) > 1)


def test_a_first_slot_may_take_what_was_planned_for_a_second_one(app, monkeypatch):
    """On 1 GB the plan had provided for two slots of small workers; one slot of large ones is better than none."""
    host, told = Host(app), []
    made = need(app, 350, 700, monkeypatch)
    ready = watch.Watch.ready

    def within(self, *_):
        limit = "MemoryMax=768M" in (Path(app.units) / "hello@.service").read_text()
        trouble = ready(self)
        self.short_of_memory = not limit or bool(trouble)
        return trouble or (None if limit else "killed")

    monkeypatch.setattr(watch.Watch, "ready", within)
    settings = {"files": {"gunicorn.conf.py": "workers = 2\n"}, "fewer_workers": True, "warn": told.append}
    room = {"memory_room": (768 << 20) + 5, "unit": "[Service]\nMemoryMax=384M\n"}
    deploy(app, host, "a1", **settings, **room)
    assert made == [2, 2]
    held = app.held("blue")
    assert (app.live(), held["terms"]["strategy"]) == ("blue", "restart")
    assert "by restart" in told[0]
    # The same plan again is what there is, and a limit that a person has set stays: there is none to take.
    assert app.configuration("blue", "a1").unit == "[Service]\nMemoryMax=768M\n"
    assert held["fingerprint"] == app.configuration("blue", "a1").fingerprint


def test_beside_a_live_slot_a_new_one_has_its_part_and_no_more(app, monkeypatch):
    host, told = Host(app), []
    settings = {"files": {"gunicorn.conf.py": "workers = 4\n"}, "fewer_workers": True, "warn": told.append}
    settings |= {"memory_room": 768 << 20, "unit": "[Service]\nMemoryMax=384M\n"}
    deploy(app, host, "a1", **settings)
    made = need(app, 150, 384, monkeypatch)
    deploy(app, host, "b2", **settings)
    assert (made, app.held("green")["terms"]["strategy"]) == ([4, 2], "swap")
    assert (Path(app.units) / "hello@.service").read_text() == "[Service]\nMemoryMax=384M\n"
    assert "runs with 2 worker(s)" in told[0]


def test_a_limit_that_a_person_has_set_stays(app, monkeypatch):
    host = Host(app)
    made = need(app, 350, 340, monkeypatch)
    settings = {"files": {"gunicorn.conf.py": "workers = 2\n"}, "fewer_workers": True, "memory_room": 0}
    with pytest.raises(CommandFailed):
        deploy(app, host, "a1", unit="[Service]\nMemoryMax=384M\n", **settings)
    assert made == [2, 1]
    assert (Path(app.units) / "hello@.service").read_text() == "[Service]\nMemoryMax=384M\n"


def test_a_live_slot_that_is_filled_in_place_keeps_its_workers(app, monkeypatch):
    """By restart requests wait meanwhile: what served is put back, and the message has the value to write."""
    host = first_call_of_a_second_deploy(app)
    made = need(app, 300, 1000, monkeypatch)
    settings = {"files": {"gunicorn.conf.py": "workers = 8\n"}, "fewer_workers": True}
    with pytest.raises(CommandFailed, match="Release a1 serves again"):
        deploy(app, host, "b2", "restart", **settings)
    assert made[0] == 8 and app.held(app.live())["release"] == "a1"


def test_what_workers_have_taken_is_in_the_history(app, monkeypatch):
    host = Host(app)
    monkeypatch.setattr(swap, "most_taken", lambda _main: 700 << 20)
    deploy(app, host, "a1")
    assert history.taken(history.read(app.root)) == 700 << 20
    monkeypatch.setattr(watch.Watch, "ready", lambda *_: "it hangs")
    with pytest.raises(CommandFailed):
        deploy(app, host, "b2")
    assert "worker_memory" not in history.read(app.root)[-1]


@pytest.mark.parametrize("strategy", ["swap", "restart"])
@pytest.mark.parametrize("before", [200, 503])
def test_a_release_through_which_clients_get_nothing_good_is_moved_back_if_they_got_something_before(
    app, monkeypatch, strategy, before
):
    """The proxy has its own question; where clients got nothing good before it either, the release isn't to blame."""
    host = first_call_of_a_second_deploy(app)
    asked = []

    def ask(door, path, _limit):
        asked.append((door, path))
        return Answer(before if len(asked) == 1 else 503, "held back")

    monkeypatch.setattr(swap, "ask", ask)
    monkeypatch.setattr(probe, "ask", ask)
    monkeypatch.setattr(swap, "FRONT_BACK", 0.2)
    monkeypatch.setattr(flow, "FRONT_LIMIT", 0.2)
    with pytest.raises(CommandFailed, match=r"503 held back.*fastapi_ready_path") as failure:
        deploy(app, host, "b2", strategy, front_port=443, front_tls=True, scheme="https")
    front = {door for door in asked if not door[0].unix}
    assert front == {(Door("localhost", port=443, tls=True, scheme="https"), "/health")}
    last = history.read(app.root)[-1]
    if before == 200:
        assert "Release a1 serves again" in str(failure.value) or "back on release a1" in str(failure.value)
        assert host.after_reboot() == "a1" and last["outcome"] in ("failed", "moved back") and last["blames"]
    else:
        assert "Release b2 is live" in str(failure.value) and "site.yml" in str(failure.value)
        assert host.after_reboot() == "b2" and last["outcome"] == "live"


class Proxy:
    """It takes what follows on `served` to be down, and asks again only where somebody has it ask.

    :param listens: whether it knows better when it has asked.
    """

    def __init__(self, host, monkeypatch, served, listens):
        self.host, self.served, self.listens, self.asked = host, served, listens, 0
        for module in (back, swap, probe):
            monkeypatch.setattr(module, "ask", self.answer, raising=False)
        for module, limit in ((swap, "FRONT_BACK"), (swap, "FRONT_AGAIN"), (flow, "FRONT_LIMIT")):
            monkeypatch.setattr(module, limit, 0.2)
        monkeypatch.setattr(Door, "connect", lambda *_: socket.socket())

    def answer(self, door, _path, _limit):
        live = self.host.app.held(self.host.app.live())["release"]
        # At its own socket each release is well.
        well = door.unix or live == self.served or (self.listens and self.asked)
        return Answer(200 if well else 503, "")

    def __call__(self, command):
        self.asked += "reload-or-restart" in command
        return self.host(command)


FRONT = {"front_port": 80, "front_unit": "caddy.service"}


@pytest.mark.parametrize("strategy", ["swap", "restart"])
@pytest.mark.parametrize("part", ["all", "back"])
@pytest.mark.parametrize("listens", [True, False])
def test_a_rollback_stays_on_the_good_release_whatever_the_proxy_says(
    app, monkeypatch, capsys, listens, part, strategy
):
    """The bad one flaps, so the proxy takes it to be well before, and to be down when the good one gets the traffic."""
    host = first_call_of_a_second_deploy(app)
    deploy(app, host, "b2", strategy)
    proxy = Proxy(host, monkeypatch, "b2", listens)
    rollback = {"rollback": True, "part": part, **FRONT}
    if listens or part == "back":
        assert deploy(app, proxy, "a1", **rollback)["release"] == "a1"
    else:
        with pytest.raises(CommandFailed, match=r"Release a1 is live in slot blue, .*but not through the proxy"):
            deploy(app, proxy, "a1", **rollback)
    assert proxy.asked >= 1 and host.after_reboot() == "a1"
    assert ("not through the proxy" in capsys.readouterr().out) == (part == "back" and not listens)
    last = history.read(app.root)[-1]
    assert (last["release"], last["outcome"], last["kind"]) == ("a1", "live", "rollback")
    assert history.marked(history.read(app.root)).keys() == {"b2"}


@pytest.mark.parametrize("strategy", ["swap", "restart"])
def test_a_proxy_is_had_to_ask_before_a_release_is_judged_by_it(app, monkeypatch, strategy):
    host = first_call_of_a_second_deploy(app)
    proxy = Proxy(host, monkeypatch, "a1", listens=True)
    deploy(app, proxy, "b2", strategy, **FRONT)
    assert proxy.asked == 1 and host.after_reboot() == "b2"


@pytest.mark.parametrize("strategy", ["swap", "restart"])
def test_a_release_is_not_known_to_be_bad_for_the_proxys_answer_alone(app, monkeypatch, strategy):
    host = first_call_of_a_second_deploy(app)
    proxy = Proxy(host, monkeypatch, "a1", listens=False)
    with pytest.raises(CommandFailed, match="503"):
        deploy(app, proxy, "b2", strategy, **FRONT)
    assert proxy.asked >= 1 and host.after_reboot() == "a1"
    assert history.read(app.root)[-1]["outcome"] in ("failed", "moved back")
    assert history.marked(history.read(app.root)) == {}


@pytest.mark.parametrize("strategy", ["swap", "restart"])
def test_a_proxy_that_has_seen_a_release_die_is_had_to_ask_again(app, monkeypatch, strategy):
    """Its last answer was that nothing is ready, and it would wait for its interval until it asks again."""
    host = first_call_of_a_second_deploy(app)
    told = []
    # Clients are served before the deploy, and again once the proxy has asked.
    monkeypatch.setattr(back, "ask", lambda *_: Answer(200 if told else 503, ""))
    monkeypatch.setattr(swap, "ask", lambda *_: Answer(200, ""))
    monkeypatch.setattr(watch.Watch, "stays_well", lambda *_: "it was down")
    run = host.__call__

    def noting(self, command):
        told.extend(command[-1:] * ("reload-or-restart" in command))
        return run(command)

    monkeypatch.setattr(Host, "__call__", noting)
    with pytest.raises(CommandFailed, match="it was down"):
        deploy(app, host, "b2", strategy, bake=1, front_port=80, front_unit="caddy.service")
    assert told == ["caddy.service"]
    assert host.after_reboot() == "a1"


def test_a_proxy_whose_question_waited_in_a_dead_slot_is_had_to_ask_again(app, monkeypatch):
    """It is refused when that slot's socket is closed, after the new release has the traffic."""
    host = first_call_of_a_second_deploy(app)
    # It died, and its supervisor waits before it tries again.
    host.active.discard("hello@blue.service")
    order = []

    def run(command):
        order.append(" ".join(word for word in command if not word.startswith("-")))
        return host(command)

    stopped = lambda: [each for each in order if each.startswith("systemctl stop") and "blue" in each]  # noqa: E731
    reloaded = "systemctl reload-or-restart caddy.service"
    asked = lambda *_: Answer(503 if stopped() and reloaded not in order else 200, "")  # noqa: E731
    for module in (back, swap, probe):
        monkeypatch.setattr(module, "ask", asked, raising=False)
    deploy(app, run, "b2", front_port=80, front_unit="caddy.service")
    assert app.live() == "green"
    assert order.count(reloaded) == 1 and order.index(reloaded) > order.index(stopped()[0])


def test_clients_are_asked_for_all_the_while_that_a_release_is_watched(app, monkeypatch):
    host = first_call_of_a_second_deploy(app)
    answers, slices = [], []
    monkeypatch.setattr(watch.Watch, "stays_well", lambda _watch, _start, _path, seconds: slices.append(seconds))
    monkeypatch.setattr(swap, "ask", lambda *_: Answer(200, ""))
    monkeypatch.setattr(probe, "ask", lambda *_: answers.append(1) or Answer(200, ""))
    monkeypatch.setattr(swap, "FRONT_EVERY", 0.0)
    deploy(app, host, "b2", bake=1, front_port=80)
    assert host.after_reboot() == "b2" and len(answers) > 3 and max(slices) == 0.0


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
    result = deploy(app, host, "", rollback=True)
    assert result["release"] == "a1"
    # What a person reads: the next run of the same source undoes it.
    assert "a1 is live" in result["msg"] and "still that of b2, the next site.yml or release.yml" in result["msg"]
    assert host.after_reboot() == "a1"
    assert history.marked(history.read(app.root)).keys() == {"b2"}
    assert "source" not in deploy(app, host, "b2")["msg"]
