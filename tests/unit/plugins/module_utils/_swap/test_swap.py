"""Slots and steps without systemd: which slot, which steps, and that a slot is whole or as it was."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import shutil
import socketserver
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import prepared, roots
from ansible_collections.graceful.deploy.plugins.module_utils._app.by_systemd import BySystemd
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import (
    App,
    Snapshot,
)
from ansible_collections.graceful.deploy.plugins.module_utils._host import files, probe
from ansible_collections.graceful.deploy.plugins.module_utils._host.door import Door
from ansible_collections.graceful.deploy.plugins.module_utils._host.probe import Answer, wait_until_good
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import Systemd
from ansible_collections.graceful.deploy.plugins.module_utils._swap import watch
from ansible_collections.graceful.deploy.plugins.module_utils._swap.canary import Canary
from ansible_collections.graceful.deploy.plugins.module_utils._swap.compare import Limits
from ansible_collections.graceful.deploy.plugins.module_utils._swap.steps import Terms
from ansible_collections.graceful.deploy.plugins.module_utils._swap.swap import Swap
from ansible_collections.graceful.deploy.plugins.module_utils._swap.units import UnitFiles

USER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name
ONE = Snapshot("one", 'A="1"\n', {"gunicorn.conf.py": "workers = 1\n"}, "[Service]\n")
UP = {"ActiveState": "active", "UnitFileState": "enabled"}
DOWN = {"ActiveState": "inactive", "UnitFileState": "disabled"}


class Units(Systemd):
    """Stands in for systemd where only states are asked."""

    def __init__(self, live: str | None, **states):
        self.run = None
        self.live = live
        self.states = states

    def show(self, units):
        return {
            u: self.states.get(u)
            or self.states.get(u.split("@")[1].split(".")[0], UP if self.live and self.live in u else DOWN)
            for u in units
        }


@pytest.fixture
def app(tmp_path):
    (tmp_path / "slots").mkdir()
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "hello@.service").write_text(ONE.unit)
    return App("hello", str(tmp_path), str(tmp_path / "units"))


def terms(strategy="swap"):
    paths = {"ready_path": "/ready", "health_path": "/health", "host": "localhost"}
    return Terms(strategy, "app:app", USER, GROUP, ready_timeout=1, bake=1, patience=1, **paths)


def swap_of(units, app, wanted, strategy, commands=()):
    return Swap(units.run, BySystemd(units, app), app, wanted, terms(strategy), list(commands))


def steps(app, wanted, units, strategy="swap", commands=()):
    swap = swap_of(units, app, wanted, strategy, commands)
    return swap.slot, swap.steps


def fill(app, slot, snapshot=ONE, booted="", strategy="swap"):
    app.put(slot, app.make(slot, snapshot, {"strategy": strategy}, GROUP, booted))


def live(app, slot, snapshot=ONE):
    fill(app, slot, snapshot)
    app.point_to(slot)


def test_the_first_release_goes_to_blue(app):
    assert steps(app, ONE, Units(None)) == ("blue", ["fill", "start", "enable", "move"])


def test_a_canary_comes_before_the_move_and_before_the_boot_and_alone_where_another_slot_serves(app):
    def due(units, wanted, strategy="swap"):
        swap = swap_of(units, app, wanted, strategy)
        swap.with_canary(Canary(units.run, app, swap.slot, Limits(share=10, seconds=60), "/var/log/access.log"))
        assert len(swap.sentences()) == len(swap.steps)
        return swap.steps

    two = Snapshot("two", ONE.environment, ONE.files, ONE.unit)
    assert "canary" not in due(Units(None), ONE)
    live(app, "blue")
    steps = ["fill", "start", "canary", "enable", "move", "disable", "watch", "drain"]
    assert due(Units("blue"), two) == steps
    assert "canary" not in due(Units("blue"), two, "restart")
    assert "canary" not in due(Units("blue"), ONE)


def test_what_is_live_up_and_alone_needs_nothing(app):
    live(app, "blue")
    assert steps(app, ONE, Units("blue")) == ("blue", [])


@pytest.mark.parametrize(
    "wanted",
    [
        Snapshot("two", ONE.environment, ONE.files, ONE.unit),
        Snapshot("one", 'A="2"\n', ONE.files, ONE.unit),
        Snapshot("one", ONE.environment, {"gunicorn.conf.py": "workers = 2\n"}, ONE.unit),
        Snapshot("one", ONE.environment, ONE.files, "[Service]\nLimitNOFILE=1024\n"),
        Snapshot("one", ONE.environment, ONE.files, ONE.unit, "[Socket]\nSocketGroup=caddy\n"),
        Snapshot("one", ONE.environment, ONE.files, ONE.unit, credentials={"key": "canary"}),
    ],
    ids=["release", "environment", "configuration", "unit", "socket", "credentials"],
)
def test_every_change_goes_to_the_standby_slot(app, wanted):
    live(app, "blue")
    swap = ["fill", "start", "enable", "move", "disable", "watch", "drain"]
    assert steps(app, wanted, Units("blue")) == ("green", swap)
    assert steps(app, wanted, Units("blue"), "restart") == ("blue", ["fill", "check", "restart", "watch"])
    assert steps(app, wanted, Units("blue"), "reload") == ("blue", ["fill", "check", "reload", "watch", "drain"])


def test_memory_limits_need_no_new_start(app):
    live(app, "blue")
    more = Snapshot("one", ONE.environment, ONE.files, "[Service]\nMemoryMax=1G\n")
    assert steps(app, more, Units("blue"))[1] == ["unit"]


def test_credentials_are_roots_files_that_a_rollback_finds_again(app):
    secret = Snapshot("one", ONE.environment, ONE.files, ONE.unit, credentials={"key": "canary\r\nof two lines\n"})
    fill(app, "blue", secret)
    assert app.configuration("blue", "one") == secret
    place = os.path.join(app.directory("blue"), "credentials")
    assert [os.stat(path).st_mode & 0o777 for path in (place, os.path.join(place, "key"))] == [0o700, 0o600]
    assert "canary" not in json.dumps(app.held("blue"))
    # A slot that an earlier version of the collection has filled.
    shutil.rmtree(place)
    assert app.configuration("blue", "one").credentials == {}


def test_a_unit_is_written_whole_and_put_back(tmp_path):
    path, reread = tmp_path / "x@.service", []
    path.write_text("old")
    unit = UnitFiles(lambda: reread.append(1), {str(path): "new"})
    unit.put_back()
    assert (path.read_text(), reread) == ("old", [])
    unit.write()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o644)
    unit.put_back()
    assert (path.read_text(), len(reread)) == ("old", 2)
    assert os.listdir(tmp_path) == ["x@.service"]
    same = UnitFiles(lambda: reread.append(1), {str(path): "old"})
    same.write()
    assert (same.changes, len(reread)) == ({}, 2)


def test_commands_run_before_a_new_release_alone(app):
    live(app, "blue")
    two = Snapshot("two", ONE.environment, ONE.files, ONE.unit)
    assert steps(app, two, Units("blue"), commands=["migrate"])[1] == ["fill", "before"]
    other = Snapshot("one", 'A="2"\n', ONE.files, ONE.unit)
    prepared.note(app.root, "one", ["migrate"])
    assert steps(app, other, Units("blue"), commands=["migrate"])[1] == []
    # A line that was written after the release was live runs, too.
    assert steps(app, ONE, Units("blue"), commands=["migrate", "seed"])[1] == ["fill", "before"]
    prepared.note(app.root, "one", ["migrate", "seed"])
    assert steps(app, ONE, Units("blue"), commands=["migrate", "seed"])[1] == []
    assert "migrate" not in (Path(app.root) / prepared.NAME).read_text()


def test_a_slot_that_is_down_is_restarted_where_a_reload_was_asked_for(app):
    live(app, "blue")
    down = Units(None, blue=DOWN)
    two = Snapshot("two", "", {}, "")
    assert "restart" in steps(app, two, down, "reload")[1]


def test_a_run_that_was_cut_off_is_finished(app):
    """The link had moved to green, blue was still running and enabled."""
    live(app, "blue")
    live(app, "green", Snapshot("two", "", {}, ""))
    both = Units(None, blue=UP, green=UP)
    assert steps(app, Snapshot("two", "", {}, ""), both) == ("green", ["disable", "watch", "drain"])


DRAINING = {"ActiveState": "deactivating", "UnitFileState": "disabled", "Job": "7"}
WAITING = {"ActiveState": "active", "UnitFileState": "disabled", "Job": "8"}


@pytest.mark.parametrize(
    ("service", "socket", "due"),
    [
        (DRAINING, WAITING, []),
        (DRAINING, DOWN, []),
        # The stop was lost, of one or of both; or what ended had done so by itself.
        (DRAINING, {**WAITING, "Job": ""}, ["drain"]),
        ({**DRAINING, "Job": ""}, {**WAITING, "Job": ""}, ["drain"]),
        (DOWN, {**WAITING, "Job": ""}, ["drain"]),
        ({**UP, "UnitFileState": "disabled"}, {**WAITING, "Job": ""}, ["watch", "drain"]),
    ],
)
def test_a_slot_that_was_told_to_stop_needs_nothing_more(app, service, socket, due):
    live(app, "green")
    states = {"hello@blue.service": service, "hello@blue.socket": socket}
    assert steps(app, ONE, Units("green", **states)) == ("green", due)


@pytest.mark.parametrize("strategy", ["restart", "reload"])
def test_a_slot_that_was_filled_in_place_and_not_proved_is_done_again(app, strategy):
    """The run was killed between filling the live slot and restarting it: the old release may still be running."""
    two = Snapshot("two", ONE.environment, ONE.files, ONE.unit)
    live(app, "blue")
    app.clear()
    fill(app, "blue", two, strategy=strategy)
    for wanted in (two, ONE):
        assert steps(app, wanted, Units("blue"), strategy) == ("blue", ["fill", "check", "restart", "watch"])
    assert swap_of(Units("blue"), app, two, strategy).before == "one"
    assert steps(app, two, Units("blue"), commands=["migrate"])[1] == ["fill", "before"]
    app.clear()
    assert steps(app, two, Units("blue"), strategy) == ("blue", [])


class Killed(BaseException):
    """Nothing of ours runs after it."""


@pytest.mark.parametrize("strategy", ["restart", "reload"])
@pytest.mark.parametrize("call", ["exchange", "rmtree", "rename"])
def test_a_run_that_was_killed_within_the_exchange_is_done_again(app, monkeypatch, strategy, call):
    two = Snapshot("two", ONE.environment, ONE.files, ONE.unit)
    live(app, "blue")
    app.clear()

    def killed(*_arguments, **_options):
        raise Killed

    new = app.make("blue", two, {"strategy": strategy}, GROUP)
    with monkeypatch.context() as patched:
        patched.setattr({"exchange": files, "rmtree": shutil, "rename": os}[call], call, killed)
        with pytest.raises(Killed):
            app.put("blue", new)
    begun = call != "exchange"
    assert (app.held("blue")["release"], app.cut_off("blue")) == ("two" if begun else "one", begun)
    assert swap_of(Units("blue"), app, two, strategy).before == "one"
    due = ["fill", "check", "restart", "watch"]
    asked = ["fill", "check", "reload", "watch", "drain"] if strategy == "reload" else due
    assert steps(app, two, Units("blue"), strategy)[1] == (due if begun else asked)
    assert steps(app, ONE, Units("blue"), strategy)[1] == (due if begun else [])
    if begun:
        # What was proved is what the next run goes back to.
        app.put("blue", app.aside("blue"))
        assert (app.held("blue")["release"], app.held("blue", aside=True)["release"]) == ("one", "two")
        assert app.configuration("blue", "one") == ONE


def test_a_live_slot_that_is_down_is_started_where_it_is(app):
    live(app, "blue")
    down = Units(None, blue={"ActiveState": "failed", "UnitFileState": "enabled"})
    assert steps(app, ONE, down) == ("blue", ["start"])


def test_the_first_fill_makes_the_directory_of_the_slots(tmp_path):
    app = App("hello", str(tmp_path))
    app.clear()
    fill(app, "blue")
    # The proxy passes it on its way to static files.
    assert os.stat(tmp_path / "slots").st_mode & 0o777 == 0o751


def test_the_way_to_static_files_is_open_where_the_release_has_some(app):
    os.makedirs(app.release_directory("one"), 0o750)
    fill(app, "blue")
    assert os.stat(app.directory("blue")).st_mode & 0o777 == 0o750
    os.chmod(app.release_directory("one"), 0o751)
    fill(app, "blue")
    assert os.stat(app.directory("blue")).st_mode & 0o777 == 0o751
    assert os.stat(os.path.join(app.directory("blue"), "env")).st_mode & 0o777 == 0o600


def test_the_link_to_the_live_slot_goes_with_the_traffic(app):
    path = os.path.join(app.root, "live")
    app.point_to("blue")
    assert os.readlink(path) == "slots/blue"
    app.point_to("green")
    assert os.readlink(path) == "slots/green"
    # An app from before there was such a link.
    os.unlink(path)
    app.follow(app.live())
    assert os.readlink(path) == "slots/green"
    app.follow(None)
    assert os.readlink(path) == "slots/green"


def test_a_slot_is_filled_whole_and_its_secrets_are_closed(app):
    fill(app, "blue")
    assert app.held("blue")["release"] == "one"
    assert app.held("blue")["fingerprint"] == ONE.fingerprint
    assert os.readlink(os.path.join(app.directory("blue"), "release")) == "../../releases/one"
    with open(os.path.join(app.directory("blue"), "env"), encoding="utf-8") as file:
        assert file.read() == 'A="1"\nFASTAPI_RELEASE="one"\n'
    assert os.stat(os.path.join(app.directory("blue"), "env")).st_mode & 0o777 == 0o600
    assert os.stat(os.path.join(app.directory("blue"), "slot.json")).st_mode & 0o777 == 0o600


def test_a_slot_that_cannot_be_filled_stays_as_it_was(app):
    fill(app, "blue")
    with pytest.raises(FileNotFoundError):
        fill(app, "blue", Snapshot("two", "", {"no/such/directory": ""}, ""))
    assert app.held("blue")["release"] == "one"
    assert os.listdir(os.path.dirname(app.directory("blue"))) == ["blue"]


def test_a_broken_slot_record_counts_as_none(app):
    fill(app, "blue")
    with open(os.path.join(app.directory("blue"), "slot.json"), "w", encoding="utf-8") as file:
        file.write('{"release": "o')
    assert app.held("blue") == {}


def test_a_file_in_the_links_place_is_no_live_slot(app):
    with open(app.link, "w", encoding="utf-8"):
        pass
    assert app.live() is None
    app.point_to("blue")
    assert app.live() == "blue"


def test_the_link_moves_by_one_rename_even_after_a_cut(app):
    app.point_to("blue")
    os.symlink("/nowhere", app.link + ".new")
    app.point_to("green")
    assert app.live() == "green"
    assert os.readlink(app.link) == "/run/hello/green.sock"


@pytest.mark.parametrize(
    ("up", "said"),
    [
        ([1, 1, 2], None),
        # Another worker class, or a slot that an earlier version has filled.
        ([0], None),
        ([1], "1 of 2 workers of hello@blue.service had started within 0.2 s, and the others hadn't."),
    ],
)
def test_a_slot_is_ready_when_each_worker_has_started(app, monkeypatch, up, said):
    fill(app, "blue", Snapshot("one", "", {"gunicorn.conf.py": "workers = 2\n"}, ""))
    monkeypatch.setattr(watch, "serving", lambda _main: up.pop(0) if len(up) > 1 else up[0])
    there = Units("blue", blue={**UP, "InvocationID": ""})
    watched = watch.Watch(BySystemd(there, app), app, "blue", terms())
    told = watched.all_serve(watch.Start("", 0, 0, 0.0), 0.2)
    assert told is said is None or (told and said and told.startswith(said))
    assert len(up) == 1


@pytest.mark.parametrize(("workers", "died", "over"), [(1, 1, True), (2, 1, False), (2, 2, True), (8, 2, True)])
def test_a_start_is_given_up_where_no_worker_comes_up(app, monkeypatch, workers, died, over):
    """In place, clients wait for as long as that takes, and each further try takes longer."""
    fill(app, "blue", Snapshot("one", "", {"gunicorn.conf.py": f"workers = {workers}\n"}, ""))
    monkeypatch.setattr(watch, "serving", lambda _main: workers - 1)
    dying = Units(
        "blue", blue={**UP, "InvocationID": "", "StatusText": f"{died} worker(s) ended unexpectedly, the last"}
    )
    told = watch.Watch(BySystemd(dying, app), app, "blue", terms()).all_serve(watch.Start("", 0, 0, 0.0), 0.1)
    assert (told == f"{died} worker(s) of hello@blue.service ended unexpectedly.") is over


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def door(tmp_path):
    """A service whose answers are given one by one; after the last it repeats it."""
    answers: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.rfile.readline()
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer == "hang":
                time.sleep(5)
            self.wfile.write(f"HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nhi".encode())

    path = str(tmp_path / "s")
    with Server(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Door("localhost", unix=path), answers
        server.shutdown()


def test_good_answers_have_to_come_in_a_row(door):
    where, answers = door
    answers += ["200 OK", "200 OK", "503 No", "200 OK"]
    assert wait_until_good(where, "/ready", 5, in_a_row=3, pause=0) == Answer(200, "hi")
    assert answers == ["200 OK"]


def test_a_service_that_is_never_ready_is_named_with_its_last_answer(door):
    where, answers = door
    answers.append("503 No")
    said = wait_until_good(where, "/ready", 0.3, in_a_row=3, pause=0.01)
    assert said == f"/ready on {where.unix} did not answer 2xx 3 times in a row within 0.3 s; the last answer: 503 hi"


def test_a_path_that_the_app_doesnt_have_isnt_waited_for(door, monkeypatch):
    where, answers = door
    monkeypatch.setattr(probe, "NOT_THERE", 0.2)
    answers.append("404 Not Found")
    began = time.monotonic()
    said = wait_until_good(where, "/ready", 30, pause=0.01, not_there="Add it.")
    # Words of the app's own: FastAPI's would be "Not Found".
    assert said.startswith(f"/ready on {where.unix} answers 404 hi. So says the app itself: it has no such path, or ")
    assert time.monotonic() - began < 3
    # A 404 among other answers is waited for: what comes before the app may say so while it starts.
    answers[:] = ["404 No", "503 No"] * 50 + ["200 OK"]
    assert wait_until_good(where, "/ready", 30, pause=0.01, not_there="Add it.") == Answer(200, "hi")


def test_a_service_that_dies_isnt_waited_for(door):
    where, answers = door
    answers.append("hang")
    began = time.monotonic()
    assert wait_until_good(where, "/ready", 30, lost=lambda: "it ended") == "it ended"
    assert time.monotonic() - began < 3


def test_nobody_there_is_an_answer_too(tmp_path):
    said = wait_until_good(Door("localhost", unix=str(tmp_path / "none")), "/ready", 0.2, pause=0.01)
    assert "FileNotFoundError" in str(said)


def test_slot_records_are_json(app):
    fill(app, "green")
    with open(os.path.join(app.directory("green"), "slot.json"), encoding="utf-8") as file:
        assert set(json.load(file)) == {"release", "parts", "fingerprint", "terms"}


def test_a_slot_set_aside_can_be_put_back(app):
    fill(app, "blue")
    fill(app, "blue", Snapshot("two", "", {}, ""))
    assert app.held("blue")["release"] == "two"
    app.put("blue", app.aside("blue"))
    assert app.held("blue")["release"] == "one"
    app.clear()
    assert os.listdir(os.path.join(app.root, "slots")) == ["blue"]


def test_what_runs_in_a_reloaded_slot_is_known(app):
    fill(app, "blue")
    assert app.booted("blue") == "one"
    fill(app, "blue", Snapshot("two", "", {}, ""), booted="one")
    assert app.booted("blue") == "one"
    assert app.booted("green") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give something away")
def test_the_apps_home_is_its_users_alone_and_stays_as_it_is(app):
    home = os.path.join(app.root, roots.HOME)
    for _ in range(2):
        roots.make_home(app.root, "nobody", "nogroup")
        found = os.stat(home)
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o700)
    # A user of another name has the app now; what the old one has is for a person to give.
    roots.make_home(app.root, "daemon", "nogroup")
    assert os.stat(home).st_uid == 65534
    os.rmdir(home)
    os.symlink("/tmp", home)
    with pytest.raises(NotADirectoryError, match="home isn't a directory, and has to be one"):
        roots.make_home(app.root, "nobody", "nogroup")


def test_the_environment_file_says_what_is_live_where_there_is_one(app):
    roots.publish(app.root, "A=1\n")
    path = os.path.join(app.root, roots.ENVIRONMENT)
    assert not os.path.exists(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write("A=0\n")
    roots.publish(app.root, "A=1\n")
    with open(path, encoding="utf-8") as file:
        assert file.read() == "A=1\n"
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mode", "goes"), [(0o600, True), (0o640, False), (0o644, False)])
@pytest.mark.parametrize("written", [False, True], ids=["old alone", "both"])
def test_an_environment_file_that_libraries_find_is_taken_over(app, mode, goes, written):
    """Of a host that version 0.1.0 has set up, perhaps by a run that was cut off between the two. A file that the app
    may read is somebody's own, and found to good purpose."""
    old, new = (os.path.join(app.root, name) for name in (roots.OLD_ENVIRONMENT, roots.ENVIRONMENT))
    for path, text in ((old, "A=0\n"), (new, "A=1\n"))[: 1 + written]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(old, mode)
    for _run in range(2):
        roots.rename_environment(app.root)
        assert os.path.exists(old) is not goes
        assert os.path.exists(new) is (goes or written)
    if goes:
        with open(new, encoding="utf-8") as file:
            assert file.read() == ("A=1\n" if written else "A=0\n")


def test_a_slots_configuration_is_what_it_was_filled_with(app):
    fill(app, "blue")
    with open(app.unit_file, "w", encoding="utf-8") as file:
        file.write("[Service]\n# of a later deploy\n")
    assert app.configuration("blue", "one") == ONE
    assert app.configuration("blue", "zero").release == "zero"


DRIPS = {
    "status": b"HTTP/1.1 200 OK",
    "headers": b"HTTP/1.1 200 OK\r\nX-A: b\r\n",
    "more heads": b"HTTP/1.1 100 Continue\r\n\r\n",
    "body": b"HTTP/1.1 200 OK\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
}


@pytest.mark.parametrize("first", DRIPS.values(), ids=DRIPS)
def test_a_service_that_answers_by_the_byte_is_asked_for_no_longer_than_the_limit(tmp_path, first):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                self.wfile.write(first)
                while True:
                    self.wfile.write(b"1" if first != DRIPS["more heads"] else first)
                    time.sleep(0.1)

    path = str(tmp_path / "s")
    with Server(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        answer = probe.ask(Door("localhost", unix=path), "/ready", 0.5)
        assert answer == Answer(0, "no answer (TimeoutError: timed out)")
        said = wait_until_good(Door("localhost", unix=path), "/ready", 0.5)
        assert "did not answer 2xx within 0.5 s" in said
        assert time.monotonic() - began < 2.5
        server.shutdown()


@pytest.mark.parametrize(
    "text", [b"", b"\0" * 99, b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 999, b"\xff" * 99]
)
def test_whatever_a_service_answers_is_an_answer(tmp_path, text):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.rfile.readline()
            self.wfile.write(text)

    path = str(tmp_path / "s")
    with Server(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert not probe.ask(Door("localhost", unix=path), "/ready", 2).good
        server.shutdown()
