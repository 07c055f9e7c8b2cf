# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings what runs beside the web workers from one generation to the next, and back where the new one dies."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from dataclasses import replace

from .._app import as_service
from .._app.command import Place, shell
from .._app.slots import MEMORY_LINES, App, Snapshot
from .._app.words import is_ours
from .._host import files
from .._host.journal import last_lines
from .._host.memory import group_of
from .._host.systemd import CommandFailed, Systemd, ending, number
from . import units
from .generations import Generations, fingerprint
from .specs import Beside

LEAST_WATCH, MOST_WATCH = 3.0, 15.0
"""Seconds for which a new process is watched; as long as it is still busy, as in its imports, up to the second."""
BUSY = 0.6
"""Part of the time from which on a process that has a CPU, or waits for one, counts as busy."""
LOOK_EVERY = 0.25
CHECK_LIMIT = 60
SAID = "graceful-lacks "
"""Begins the lines of the check's own: what a package prints when it is looked into is the app's."""
CHECK = """
import importlib.util, json, os, shutil, subprocess, sys
for name, (line, words) in json.loads(sys.argv[1]).items():
    first, *more = words
    what = ""
    if line and not all(sign.isalnum() or sign in "_./+-" for sign in first) or "$" in first:
        continue
    # A line for the shell may begin with a word of the shell's.
    known = ["sh", "-c", 'command -v -- "$1" >/dev/null', "sh", first]
    if not shutil.which(first) and not (line and subprocess.run(known).returncode == 0):
        what = "program " + first
    elif os.path.basename(first).startswith("python") and more and "$" not in "".join(more[:2]):
        if more[0] == "-m" and more[1:]:
            try:
                what = "" if importlib.util.find_spec(more[1]) else "module " + more[1]
            except ModuleNotFoundError:
                what = "module " + more[1]
            except BaseException as error:
                what = f"module {more[1]} that can be imported ({type(error).__name__}: {error})"
        elif not line and more[0].endswith(".py") and not os.path.exists(more[0]):
            what = "file " + more[0]
    if what:
        print("\\n" + sys.argv[2] + json.dumps([name, what]))
"""
"""Prints which commands have no program, module or file in the release. The app runs it: a package may run its code."""


class Died(Exception):
    """What was started didn't stay: why, and its last lines."""

    def __init__(self, why: str, log: str) -> None:
        super().__init__(why)
        self.why = why
        self.log = log


class Move:
    """From what runs to what is wanted.

    :param wanted: the snapshot of the web's slot, whose release, environment, credentials and unit are shared.
    :param beside: what is to run.
    """

    def __init__(self, systemd: Systemd, app: App, wanted: Snapshot, beside: Beside, user: str, group: str) -> None:
        self.systemd = systemd
        self.app = app
        self.wanted = wanted
        self.beside = beside
        self.user = user
        self.group = group
        self.store = Generations(app)
        self.numbers = self.store.numbers()
        self.now = self.store.live()
        """The generation that a reboot would start; 0 for none."""
        self.new = ""
        """The directory that was filled, until it is a generation."""
        self.number = 0
        """Of the generation that this run has begun."""
        self.stopped: list[str] = []
        """Units of the old generation that may not run beside the new one, and were stopped for it."""
        self.gap = 0.0
        """Seconds in which none of those ran."""
        self.before = self._proved()
        """The generation that is gone back to; 0 for none."""
        self.begun = False
        """Whether anything that runs was touched."""
        self.asked = beside
        """What is to run by the variables, also where a release lacks some of it."""
        self.timers = units.timer_texts(self._place(), beside)
        self.gone = self._gone()
        """Unit files of timers that are no more."""
        self.timers_begun = False
        self.states = self._states()
        self.due = bool(beside or self.numbers or self.gone) and not self._is_done()
        self._changes = self._compare() if self.due else {}

    def _proved(self) -> int:
        """The live generation, or the last that is known to run well where a run was cut off before it knew that; none
        where nothing is to run."""
        if not self.now:
            return 0
        last_first = (self.now, *reversed(self.numbers))
        return next((n for n in last_first if self.store.record(n).get("proved")), self.now)

    def _gone(self) -> list[str]:
        there = units.of(self.app.name, files.names_in(self.app.units))
        mine = [name for name in there if not units.generation_of(name) and name not in self.timers]
        # Somebody may have a unit of their own by such a name.
        return [name for name in mine if is_ours(files.read_text(self._file(name)))]

    def _place(self, generation: int = 0) -> Place:
        """Of a generation; 0 is the one that is being made."""
        directory = self.store.path(generation) if generation or not self.new else self.new
        return Place(self.app.name, self.user, self.group, directory, self.wanted.unit)

    def _units(self, generation: int) -> list[str]:
        return [
            u
            for each in self.store.held(generation).processes
            for u in units.instances(self.app.name, each, generation)
        ]

    @property
    def _timers(self) -> list[str]:
        """The units that start the wanted timers' runs."""
        return [name for name in self.timers if name.endswith(".timer")]

    def _states(self) -> dict[str, dict[str, str]]:
        names = [unit for n in self.numbers for unit in self._units(n)]
        names += self._timers
        return self.systemd.show(names) if names else {}

    def _in(self, names: list[str], *states: str) -> list[str]:
        return [name for name in names if self.states.get(name, {}).get("ActiveState", "inactive") in states]

    def _is_done(self) -> bool:
        record = self.store.record(self.now)
        same = bool(record.get("proved")) and record.get("fingerprint") == fingerprint(self.wanted, self.beside)
        wanted = [*self._units(self.now), *self._timers]
        here = all(_lasting(files.read_text(self._file(name))) == _lasting(text) for name, text in self.timers.items())
        up = len(self._in(wanted, "active")) == len(wanted)
        return (same and here and up if self.beside else not self.now) and not self.gone and not self._loose()

    def _loose(self) -> list[str]:
        """Units of other generations that nobody has told to stop."""
        others = [unit for n in self.numbers if n != self.now for unit in self._units(n)]
        return self._in(others, "active", "activating", "reloading")

    def _file(self, name: str) -> str:
        return os.path.join(self.app.units, name)

    def diffs(self) -> list[dict[str, str]]:
        """What differs in the text of units, as Ansible's --diff shows it, whatever number a generation has."""
        return [
            {"before_header": name, "after_header": name, "before": old, "after": new}
            for name, (old, new) in self._changes.items()
        ]

    def _compare(self) -> dict[str, tuple[str, str]]:
        old = {name: files.read_text(self._file(name)) for name in [*self.timers, *self.gone]}
        for each in self.store.held(self.now).processes:
            text = files.read_text(self._file(units.template(self.app.name, each.name, self.now)))
            old[units.template(self.app.name, each.name, 0)] = units.unnumbered(text, self.store.directory, self.now)
        new = units.texts(replace(self._place(), directory=self.store.path(0)), self.beside, 0)
        names = [name for name in sorted({*old, *new}) if old.get(name, "") != new.get(name, "")]
        return {name.replace(".0@", "@"): (old.get(name, ""), new.get(name, "")) for name in names}

    def prepare(self) -> list[tuple[str, str]]:
        """Fill the new generation; nothing that runs changes.

        :returns: the names of those whose command the release doesn't have, each with what it lacks.
        """
        if not self.beside:
            return []
        self.new = self.store.make(self.wanted, self.beside, self.asked, self.group)
        lines = {each.name for each in self.beside.timers}
        commands = {name: (name in lines, shlex.split(line)) for name, line in self.beside.commands.items()}
        place = self._place()
        line = shlex.join(["python", "-c", CHECK, json.dumps(commands), SAID])
        try:
            said = as_service.run(self.systemd.run, place, "commands", shell(place, line), CHECK_LIMIT)
        except CommandFailed:
            # It is there to say early what would be seen anyway, once they are started.
            return []
        rows = [json.loads(row.removeprefix(SAID)) for row in said.split("\n") if row.startswith(SAID)]
        return [(str(name), str(what)) for name, what in rows if name in commands]

    def leave_out(self, names: list[str]) -> None:
        """Go on without these: a release of before may not have what they run."""
        self.discard()
        self.beside = Beside(
            tuple(each for each in self.beside.processes if each.name not in names),
            tuple(each for each in self.beside.timers if each.name not in names),
        )
        self.timers = units.timer_texts(self._place(), self.beside)
        self.gone = self._gone()
        self.prepare()

    def discard(self) -> None:
        """Forget what was filled and not used."""
        if self.new:
            shutil.rmtree(self.new, ignore_errors=True)
        self.new = ""
        self.store.clear()

    def go(self, watch: bool) -> None:
        """Start the new generation, watch it, and tell the old ones to stop.

        :param watch: whether it may still die; one that has served well before isn't watched.
        :raises Died: where something of it doesn't stay. Then back() is due.
        """
        self.begun = True
        self._sweep()
        started: list[str] = []
        if self.beside:
            self.number = self.store.put(self.new)
            self.new = ""
            texts = units.texts(self._place(self.number), self.beside, self.number)
            for name in sorted(set(texts) - set(self.timers)):
                files.write(self._file(name), texts[name].encode(), 0o644)
            started = self._units(self.number)
        if started:
            self.systemd.do("--quiet", "--no-reload", "enable", "--", *started)
            self.systemd.do("daemon-reload")
        # From here on a reboot starts the new ones, and none of the old.
        self.store.point_to(self.number)
        stopped_at = self._stop_those_alone()
        since = time.time()
        if started:
            self.systemd.run(["systemctl", "start", "--", *started])
            self.gap = time.monotonic() - stopped_at if self.stopped else 0.0
            self._stay(started, since, watch)
        if self.number:
            self.store.prove(self.number)
        self._move_timers()
        old = [unit for n in self.numbers for unit in self._units(n)]
        if old:
            self.systemd.run(["systemctl", "--quiet", "--no-reload", "disable", "--", *old])
            # Not waited for: a job may take as long as its process is given. Its release and its unit stay meanwhile.
            self.systemd.do("stop", "--no-block", "--", *old)

    def finish(self) -> None:
        """When nothing can be gone back to any more: the generations that have ended go."""
        self.now = self.before = self.number
        self.tidy()

    def _stop_those_alone(self) -> float:
        """Of those that may not run twice, the old ones end before the new ones begin. When they were told to, on the
        monotonic clock."""
        alone = {each.name for each in self.beside.processes if each.alone}
        old = [u for n in self.numbers for u in self._units(n) if u.split(".")[1] in alone]
        self.stopped = self._in(old, "active", "activating", "reloading", "deactivating")
        told = time.monotonic()
        if self.stopped:
            self.systemd.do("stop", "--", *self.stopped)
        return told

    def _stay(self, names: list[str], since: float, watch: bool) -> None:
        """See that each is still at its first start, for a while."""
        begun = time.monotonic()
        first = self.systemd.show(names)
        spent, looked = {name: _at_work(first[name]) for name in names}, begun
        while True:
            states = self.systemd.show(names)
            for name in names:
                state = states[name]
                if state.get("ActiveState") != "active" or state.get("InvocationID") != first[name].get("InvocationID"):
                    raise Died(self._why(name, state), self._log(name, since))
            now = time.monotonic()
            if not watch or now - begun > MOST_WATCH:
                return
            if now - looked >= 1:
                used = {name: _at_work(states[name]) for name in names}
                busy = any(used[name] - spent[name] > BUSY * (now - looked) for name in names)
                spent, looked = used, now
                if now - begun > LEAST_WATCH and not busy:
                    return
            time.sleep(LOOK_EVERY)

    def _why(self, unit: str, state: dict[str, str]) -> str:
        name = unit.split(".")[1]
        # What systemd has begun anew is told of as it was: it failed, with a status.
        how = ending(state)
        kills = group_of(state.get("ControlGroup", "")).kills or state.get("Result") == "oom-kill"
        process = next(each for each in self.beside.processes if each.name == name)
        where = f"memory_max of {name} in fastapi_processes" if process.memory_max else "fastapi_memory_max"
        advice = f" The kernel killed it for memory: raise {where}." if kills else ""
        if state.get("Result") == "success" and state.get("ExecMainStatus") == "0":
            advice = " A process has to run on. What ends by itself is one for fastapi_timers, or for run.yml."
        return f"process {name} ended ({how}) right after its start: {process.command}.{advice}"

    def _log(self, unit: str, since: float) -> str:
        try:
            return last_lines(self.systemd.run, self.app.name, unit, since, 100) or "(it logged nothing)"
        except Exception as error:
            return f"(its log can't be read: {error})"

    def _move_timers(self) -> None:
        """Write the timers' units where they changed, and start those that are new. A run that is at work goes on."""
        self.timers_begun = True
        changed = {name: text for name, text in self.timers.items() if files.read_text(self._file(name)) != text}
        for name, text in changed.items():
            files.write(self._file(name), text.encode(), 0o644)
        gone = [name for name in self.gone if name.endswith(".timer")]
        if gone:
            self.systemd.run(["systemctl", "--quiet", "--no-reload", "disable", "--now", "--", *gone])
        for name in self.gone:
            os.unlink(self._file(name))
        if changed or self.gone:
            if self._timers:
                self.systemd.do("--quiet", "--no-reload", "enable", "--", *self._timers)
            self.systemd.do("daemon-reload")
        active = self._in(self._timers, "active")
        begin = [name for name in self._timers if name in changed or name not in active]
        if begin:
            self.systemd.do("restart", "--", *begin)

    def back(self) -> None:
        """Undo go(), where it had begun: what ran before runs on, or again, and a reboot starts that."""
        if not self.begun:
            return
        self.begun = False
        run, bad, before = self.systemd.run, self.number, self.before
        self.number = 0
        self.store.point_to(before)
        if bad:
            names = self._units(bad)
            run(["systemctl", "--quiet", "--no-reload", "disable", "--", *names])
            run(["systemctl", "stop", "--", *names])
            run(["systemctl", "reset-failed", "--", *names])
        # Those that were stopped for it or told to stop, and any that has ended meanwhile: none of it begins anew while
        # the link leads elsewhere.
        if again := self._units(before):
            run(["systemctl", "--quiet", "--no-reload", "enable", "--", *again])
            self.states = self._states()
            # One that is at its last job starts again when that is done, and nobody waits for it.
            leaving = self._in(again, "deactivating")
            for unit in [unit for unit in again if unit not in leaving]:
                run(["systemctl", "start", "--", unit])
            if leaving:
                run(["systemctl", "start", "--no-block", "--", *leaving])
        if bad:
            self._remove(bad)
        if self.timers_begun:
            self.timers = units.timer_texts(self._place(before), self.store.held(before))
            self.gone = self._gone()
            self._move_timers()
        # Else the units that are gone are there until the next run, for everybody who asks systemd.
        run(["systemctl", "daemon-reload"])

    def tidy(self) -> None:
        """Remove what runs before this one have left: generations that have ended, and what was filled and not used."""
        self._sweep()
        self.store.clear()

    def _sweep(self) -> None:
        """Remove the generations of which nothing runs any more, but for the live one and the one to go back to."""
        self.states = self._states()
        for n in [n for n in self.numbers if n not in (self.now, self.before)]:
            if not self._in(self._units(n), "active", "activating", "reloading", "deactivating"):
                self._remove(n)
                self.numbers.remove(n)

    def _remove(self, generation: int) -> None:
        names = self._units(generation)
        if names:
            self.systemd.run(["systemctl", "--quiet", "--no-reload", "disable", "--", *names])
            self.systemd.run(["systemctl", "reset-failed", "--", *names])
        for name in files.names_in(self.app.units):
            if units.of(self.app.name, [name]) and units.generation_of(name) == generation:
                os.unlink(self._file(name))
        self.store.remove(generation)

    def sentence(self) -> str:
        """What is to be done, for a person."""
        names = [each.name for each in self.beside.processes] + [f"timer {each.name}" for each in self.beside.timers]
        if not names:
            return "end the processes and timers that are not wanted any more"
        return f"start {', '.join(names)} from release {self.wanted.release}, and let the old ones finish"

    @property
    def says(self) -> str:
        """What came of it: the gap of those that may not run twice; '' where there was none."""
        names = sorted({unit.split(".")[1] for unit in self.stopped})
        return f"{' and '.join(names)} stood still for {self.gap:.1f} s." if names else ""


def _lasting(text: str) -> str:
    """A unit's text without its memory limits, which follow the host and are no reason to start anything anew."""
    return "".join(line for line in text.splitlines(True) if not line.startswith(MEMORY_LINES))


def _at_work(state: dict[str, str]) -> float:
    """Seconds for which the main process of a unit has had a CPU or waited for one."""
    process = f"/proc/{number(state, 'MainPID')}"
    return at_work(files.read_text(f"{process}/stat"), files.read_text(f"{process}/schedstat"))


def at_work(stat: str, schedstat: str) -> float:
    """The same, by the text of the two files of proc(5). On a busy host imports get a part of a CPU alone."""
    used, waited = stat.rpartition(")")[2].split(), schedstat.split()
    seconds = (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK") if len(used) > 12 else 0.0
    return seconds + (int(waited[1]) / 1e9 if len(waited) > 1 else 0.0)
