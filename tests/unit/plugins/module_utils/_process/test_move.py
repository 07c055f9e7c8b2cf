"""From one generation to the next, and back, with a systemd that keeps states and nothing else."""

from __future__ import annotations

import grp
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import as_service
from ansible_collections.graceful.deploy.plugins.module_utils._app.hidden import hider
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import standing
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import Systemd
from ansible_collections.graceful.deploy.plugins.module_utils._process import move as moving
from ansible_collections.graceful.deploy.plugins.module_utils._process.generations import Generations, asked_by, held_by
from ansible_collections.graceful.deploy.plugins.module_utils._process.move import CHECK, SAID, Died, Move
from ansible_collections.graceful.deploy.plugins.module_utils._process.specs import NOTHING, Beside, Process, Timer

GROUP = grp.getgrgid(os.getgid()).gr_name
UNIT = "# Written by Ansible (graceful.deploy.gunicorn)\n[Service]\nMemoryMax=500M\nPrivateTmp=yes\n"
WORKER = Process("worker", "celery worker")
BEAT = Process("beat", "celery beat", alone=True)
CLEANUP = Timer("cleanup", "python clean.py", ("*-*-* 03:30:00",))


def release(name: str) -> Snapshot:
    return Snapshot(name, 'A="1"\n', {"gunicorn.conf.py": "workers = 1\n"}, UNIT, credentials={"key": "s3cret-of-ours"})


class Fake(Systemd):
    """Keeps what is active. `slow` are units that take long to stop, `ill` those that don't stay."""

    def __init__(self) -> None:
        super().__init__(self.command)
        self.active: dict[str, str] = {}
        self.enabled: set[str] = set()
        self.slow: set[str] = set()
        self.ill: set[str] = set()
        self.said: list[list[str]] = []

    def show(self, units):
        return {unit: self._state(unit) for unit in units}

    def _state(self, unit):
        active = self.active.get(unit, "inactive")
        ended = {"SubState": "auto-restart", "Result": "exit-code", "ExecMainStatus": "1"} if unit in self.ill else {}
        return {"ActiveState": active, "InvocationID": "1", "MainPID": "0", **ended}

    def do(self, *arguments):
        self.command(["systemctl", *arguments])

    def command(self, command):
        self.said.append(command)
        verb = next((word for word in command[1:] if not word.startswith("-")), "")
        names = command[command.index("--") + 1 :] if "--" in command else []
        for name in names:
            if verb in ("start", "restart"):
                self.active[name] = "activating" if name in self.ill else "active"
            elif verb == "stop" or (verb == "disable" and "--now" in command):
                waits = name in self.slow and "--no-block" in command and self.active.get(name) != "inactive"
                self.active[name] = (
                    "deactivating" if waits and self.active.get(name) in ("active", "deactivating") else "inactive"
                )
            if verb in ("enable", "disable"):
                (self.enabled.add if verb == "enable" else self.enabled.discard)(name)
        return 0, "", ""

    def up(self):
        return sorted(unit for unit, state in self.active.items() if state == "active")


@pytest.fixture
def app(tmp_path, monkeypatch):
    for name in ("one", "two", "three"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "release.json").write_text(json.dumps({"id": name, "created": name}))
    (tmp_path / "units").mkdir()
    monkeypatch.setattr(as_service, "run", lambda *_: "")
    monkeypatch.setattr(moving, "LEAST_WATCH", 0.0)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    return App("shop", str(tmp_path), str(tmp_path / "units"))


def deploy(app, systemd, name, *beside, watch=False):
    processes = tuple(each for each in beside if isinstance(each, Process))
    timers = tuple(each for each in beside if isinstance(each, Timer))
    move = Move(systemd, app, release(name), Beside(processes, timers), "deploy", GROUP)
    if move.due:
        assert move.prepare() == []
        move.go(watch)
        move.finish()
    return move


def unit_files(app):
    return sorted(os.listdir(app.units))


def test_nothing_is_asked_of_a_host_where_nothing_runs_beside(app):
    systemd = Fake()
    move = Move(systemd, app, release("one"), NOTHING, "deploy", GROUP)
    move.tidy()
    assert (move.due, systemd.said) == (False, [])
    assert not os.path.exists(os.path.join(app.root, "generations"))


def test_the_first_generation_starts_and_a_second_run_does_nothing(app):
    systemd = Fake()
    deploy(app, systemd, "one", Process("worker", "celery worker", instances=2), CLEANUP)
    assert systemd.up() == ["shop.cleanup.timer", "shop.worker.1@1.service", "shop.worker.1@2.service"]
    assert systemd.enabled == {*systemd.up()}
    assert os.readlink(os.path.join(app.root, "generations", "live")) == "1"
    # What the unit's condition asks for.
    assert os.path.exists(os.path.join(app.root, "generations", "live", "1"))
    again = Move(systemd, app, release("one"), held_by(app), "deploy", GROUP)
    assert (again.due, again.diffs()) == (False, [])


@pytest.mark.parametrize("change", ["release", "command", "environment", "timer", "down", "timer down"])
def test_each_change_is_due(app, change):
    systemd = Fake()
    deploy(app, systemd, "one", WORKER, CLEANUP)
    wanted, beside = release("two" if change == "release" else "one"), held_by(app)
    if change == "command":
        beside = Beside((Process("worker", "celery other"),), beside.timers)
    if change == "environment":
        beside = Beside((Process("worker", "celery worker", environment='B="2"\n'),), beside.timers)
    if change == "timer":
        beside = Beside(beside.processes, (Timer("cleanup", CLEANUP.command, ("daily",)),))
    if "down" in change:
        systemd.active["shop.cleanup.timer" if change == "timer down" else "shop.worker.1@1.service"] = "inactive"
    assert Move(systemd, app, wanted, beside, "deploy", GROUP).due


def test_old_ones_finish_while_new_ones_run_and_a_third_generation_is_right_too(app):
    systemd = Fake()
    for number, name in enumerate(("one", "two", "three"), 1):
        systemd.slow.add(f"shop.worker.{number}@1.service")
        deploy(app, systemd, name, WORKER)
    assert systemd.up() == ["shop.worker.3@1.service"]
    assert systemd.active["shop.worker.1@1.service"] == systemd.active["shop.worker.2@1.service"] == "deactivating"
    assert systemd.enabled == {"shop.worker.3@1.service"}
    # What they run from stays for as long as they do.
    records = {name: {"created": name} for name in ("one", "two", "three")}
    assert set(standing(app.root, records)["protected"]) == {"one", "two", "three"}
    again = Move(systemd, app, release("three"), held_by(app), "deploy", GROUP)
    assert not again.due
    systemd.active["shop.worker.1@1.service"] = "inactive"
    again.tidy()
    assert Generations(app).numbers() == [2, 3]
    assert unit_files(app) == ["shop.worker.2@.service", "shop.worker.3@.service"]


def test_what_may_not_run_twice_ends_before_it_begins_anew(app):
    systemd = Fake()
    deploy(app, systemd, "one", WORKER, BEAT)
    systemd.said.clear()
    move = deploy(app, systemd, "two", WORKER, BEAT)
    orders = [(words[1], words[-1]) for words in systemd.said if words[1] in ("stop", "start")]
    assert orders[0] == ("stop", "shop.beat.1@1.service")
    assert orders[1][0] == "start"
    assert move.says.startswith("beat stood still for ")
    assert systemd.up() == ["shop.beat.2@1.service", "shop.worker.2@1.service"]


@pytest.mark.parametrize("ill", ["shop.worker.2@1.service", "shop.beat.2@1.service"])
def test_where_one_dies_all_is_as_before(app, ill):
    systemd = Fake()
    deploy(app, systemd, "one", WORKER, BEAT, CLEANUP)
    before, files = systemd.up(), unit_files(app)
    systemd.ill.add(ill)
    move = Move(systemd, app, release("two"), held_by(app), "deploy", GROUP)
    move.prepare()
    with pytest.raises(Died, match=r"ended \(exit-code, status 1\) right after its start: celery"):
        move.go(watch=True)
    move.back()
    move.discard()
    assert (systemd.up(), unit_files(app)) == (before, files)
    assert Generations(app).live() == 1
    assert Generations(app).numbers() == [1]


def test_an_old_process_that_has_ended_meanwhile_is_started_again(app):
    """systemd didn't: while the new generation was live, the condition of the old one's units was false."""
    systemd = Fake()
    deploy(app, systemd, "one", WORKER, BEAT)
    before = systemd.up()
    systemd.ill.add("shop.beat.2@1.service")
    move = Move(systemd, app, release("two"), held_by(app), "deploy", GROUP)
    move.prepare()
    with pytest.raises(Died):
        move.go(watch=True)
    systemd.active["shop.worker.1@1.service"] = "inactive"
    move.back()
    assert systemd.up() == before


def test_a_run_that_was_killed_before_its_proof_is_done_again(app, monkeypatch):
    systemd = Fake()
    deploy(app, systemd, "one", WORKER)
    monkeypatch.setattr(Generations, "prove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        deploy(app, systemd, "two", WORKER)
    monkeypatch.undo()
    monkeypatch.setattr(as_service, "run", lambda *_: "")
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    # A reboot would start the second; nobody has told the first to stop.
    assert Generations(app).live() == 2
    move = Move(systemd, app, release("two"), held_by(app), "deploy", GROUP)
    assert move.due
    # It dies now: what is known to run well is what is gone back to.
    systemd.ill.add("shop.worker.3@1.service")
    move.prepare()
    with pytest.raises(Died):
        move.go(watch=False)
    move.back()
    assert Generations(app).live() == 1


def test_what_is_wanted_no_more_ends(app):
    systemd = Fake()
    deploy(app, systemd, "one", WORKER, CLEANUP)
    gone = deploy(app, systemd, "one", WORKER)
    assert gone.sentence() == "start worker from release one, and let the old ones finish"
    assert systemd.up() == ["shop.worker.2@1.service"]
    assert unit_files(app) == ["shop.worker.2@.service"]
    systemd.slow.add("shop.worker.2@1.service")
    deploy(app, systemd, "one")
    assert systemd.active["shop.worker.2@1.service"] == "deactivating"
    assert Generations(app).live() == 0
    systemd.active["shop.worker.2@1.service"] = "inactive"
    again = Move(systemd, app, release("one"), NOTHING, "deploy", GROUP)
    again.tidy()
    assert not again.due
    assert not unit_files(app)
    assert not os.path.exists(os.path.join(app.root, "generations"))


def test_a_timer_that_is_the_same_is_left_alone(app):
    systemd = Fake()
    deploy(app, systemd, "one", CLEANUP)
    systemd.said.clear()
    deploy(app, systemd, "two", CLEANUP)
    assert [words for words in systemd.said if words[1] in ("restart", "start", "stop")] == []
    # It follows the link.
    assert os.readlink(os.path.join(app.root, "generations", "live", "release")) == "../../releases/two"


def test_what_a_release_lacks_is_told_and_may_be_left_out(app, monkeypatch):
    systemd = Fake()
    monkeypatch.setattr(as_service, "run", lambda *_: f'[INFO] loading\n{SAID}["beat", "program celery"]\n["x"]\n')
    move = Move(systemd, app, release("one"), Beside((WORKER, BEAT)), "deploy", GROUP)
    assert move.prepare() == [("beat", "program celery")]
    assert not systemd.up()
    move.leave_out(["beat"])
    move.go(watch=False)
    assert systemd.up() == ["shop.worker.1@1.service"]


def test_the_secrets_of_a_process_are_hidden(app):
    deploy(app, Fake(), "one", Process("worker", "w", environment='BROKER_PASSWORD="hunter2-hunter2"\n'))
    hide = hider(app.root)
    assert hide("it said hunter2-hunter2 and s3cret-of-ours") == "it said *** and ***"
    modes = {
        name: oct(os.stat(os.path.join(app.root, "generations/1", name)).st_mode)[-3:] for name in ("env", "env.worker")
    }
    assert modes == {"env": "600", "env.worker": "600"}


def test_a_record_that_nobody_can_read_runs_nothing(app):
    os.makedirs(os.path.join(app.root, "generations", "1"))
    for text in ("", "{", "[]", '{"processes": 3}'):
        with open(os.path.join(app.root, "generations", "1", "generation.json"), "w", encoding="utf-8") as file:
            file.write(text)
        assert Generations(app).held(1) == NOTHING


# Recorded on Debian 12: its utime and stime are 150 and 50 ticks.
STAT = "1216 (cele ) ry) S 1 1216 1216 0 -1 4194560 9051 0 12 0 150 50 0 0 20 0 3 0 181350 201863168 12345\n"


@pytest.mark.parametrize(
    ("stat", "waited", "seconds"), [(STAT, "2 6500000000 8\n", 6.5), (STAT, "", 0), ("", "", None)]
)
def test_what_waits_for_a_cpu_is_at_work_too(stat, waited, seconds):
    """Nothing tells how long it waited where the kernel doesn't, and nothing is told of a process that is gone."""
    used = 200 / os.sysconf("SC_CLK_TCK")
    assert moving.at_work(stat, waited) == (0 if seconds is None else used + seconds)


def test_what_a_rollback_left_out_is_asked_for_again(app, monkeypatch):
    systemd = Fake()
    move = Move(systemd, app, release("one"), Beside((WORKER, BEAT)), "deploy", GROUP)
    move.prepare()
    move.leave_out(["beat"])
    move.go(watch=False)
    assert held_by(app) == Beside((WORKER,))
    assert asked_by(app) == Beside((WORKER, BEAT))
    with open(os.path.join(app.root, "generations", "1", "generation.json"), "w", encoding="utf-8") as file:
        file.write("{")
    assert asked_by(app) is None


def test_a_unit_of_somebody_s_own_is_left_alone(app):
    """Its name may look like one of ours."""
    systemd = Fake()
    own = os.path.join(app.units, "shop.backup.timer")
    with open(own, "w", encoding="utf-8") as file:
        file.write("[Timer]\nOnCalendar=daily\n")
    assert not Move(systemd, app, release("one"), NOTHING, "deploy", GROUP).due
    deploy(app, systemd, "one", WORKER, CLEANUP)
    deploy(app, systemd, "one", WORKER)
    assert unit_files(app) == ["shop.backup.timer", "shop.worker.2@.service"]
    assert not [words for words in systemd.said if "shop.backup.timer" in words]


@pytest.mark.parametrize("first", [(WORKER, BEAT, CLEANUP), (WORKER,)])
@pytest.mark.parametrize("then", [(WORKER, BEAT), (WORKER, Timer("other", "python x.py", ("daily",))), ()])
def test_it_is_gone_back_also_when_all_of_it_had_moved(app, first, then):
    """The web may die after that: while the old ones are told to stop, or while the old slot drains."""
    systemd = Fake()
    deploy(app, systemd, "one", *first)
    before, files, enabled = systemd.up(), unit_files(app), set(systemd.enabled)
    processes = tuple(each for each in then if isinstance(each, Process))
    timers = tuple(each for each in then if isinstance(each, Timer))
    move = Move(systemd, app, release("two"), Beside(processes, timers), "deploy", GROUP)
    move.prepare()
    move.go(watch=False)
    move.back()
    move.discard()
    assert (systemd.up(), unit_files(app), systemd.enabled) == (before, files, enabled)
    assert (Generations(app).live(), Generations(app).numbers()) == (1, [1])
    assert not Move(systemd, app, release("one"), held_by(app), "deploy", GROUP).due


def test_what_ran_well_is_kept_until_something_else_does(app, monkeypatch):
    """A run was killed before its proof, and the host rebooted: of what ran well nothing runs."""
    systemd = Fake()
    deploy(app, systemd, "one", BEAT)
    prove = Generations.prove
    monkeypatch.setattr(Generations, "prove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        deploy(app, systemd, "two", BEAT)
    monkeypatch.setattr(Generations, "prove", prove)
    systemd.active.clear()
    Move(systemd, app, release("two"), held_by(app), "deploy", GROUP).tidy()
    assert Generations(app).numbers() == [1, 2]
    systemd.ill.add("shop.beat.3@1.service")
    move = Move(systemd, app, release("two"), held_by(app), "deploy", GROUP)
    move.prepare()
    with pytest.raises(Died):
        move.go(watch=False)
    move.back()
    assert (systemd.up(), Generations(app).live()) == (["shop.beat.1@1.service"], 1)


def test_a_memory_limit_is_no_reason_to_start_anything_anew(app):
    systemd = Fake()
    deploy(app, systemd, "one", WORKER, CLEANUP)
    other = replace(release("one"), unit=UNIT.replace("500M", "800M"))
    assert not Move(systemd, app, other, held_by(app), "deploy", GROUP).due


LACKS = {
    "cd /tmp && python3 x.py": (True, ""),
    "umask 077; ls": (True, ""),
    "TZ=UTC python3 x.py": (True, ""),
    "if true; then ls; fi": (True, ""),
    "(ls)": (True, ""),
    "nosuchprogram --all": (True, "program nosuchprogram"),
    "ls": (False, ""),
    "cd x": (False, "program cd"),
    "python3 -m http.server": (False, ""),
    "python3 -m nosuch.module": (False, "module nosuch.module"),
    "python3 -m loud": (False, ""),
    "python3 -m broken.part": (False, "module broken.part that can be imported (KeyError: 'SETTING')"),
    "python3 there.py": (False, ""),
    "python3 nowhere.py": (False, "file nowhere.py"),
    "$PROGRAM x": (False, ""),
}


@pytest.mark.parametrize("command", LACKS)
def test_the_release_itself_is_asked_for_what_a_command_needs(tmp_path, command):
    line, lacks = LACKS[command]
    (tmp_path / "there.py").touch()
    (tmp_path / "loud.py").write_text("print(['x'])\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("print('[app] loading'); raise KeyError('SETTING')\n")
    told = json.dumps({"it": (line, shlex.split(command))})
    words = [sys.executable, "-c", CHECK, told, SAID]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    rows = [json.loads(row.removeprefix(SAID)) for row in done.stdout.split("\n") if row.startswith(SAID)]
    assert [what for _name, what in rows] == ([lacks] if lacks else [])
