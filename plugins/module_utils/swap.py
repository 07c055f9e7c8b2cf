# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a release to the traffic: fill a slot, start it, prove it ready, move the link, watch it, drain the other."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ansible_collections.graceful.deploy.plugins.module_utils import as_service, swap_steps
from ansible_collections.graceful.deploy.plugins.module_utils.probe import ask
from ansible_collections.graceful.deploy.plugins.module_utils.slots import SLOTS, App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils.swap_watch import SETTLE, Start, Watch, workers
from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import CommandFailed, Systemd
from ansible_collections.graceful.deploy.plugins.module_utils.unit_file import UnitFile

CHECK_LIMIT = 120
"""Seconds in which the app has to load, where it is loaded once before it takes the live one's place."""
BAD_PATIENCE = 2.0
"""Seconds to wait for the queue of a slot that failed or was left behind: it may never answer."""


@dataclass(frozen=True)
class Terms:
    """How a release is brought to the traffic; kept in its slot, so that a rollback needs nothing but a name.

    :param strategy: ``swap`` (both slots for a moment), ``restart`` or ``reload`` (the live slot in place).
    :param ready_timeout: seconds within which the release has to become ready.
    :param bake: seconds for which it is watched after the move, while the old slot still runs.
    :param patience: seconds to wait for the old slot's queue and workers.
    :param host: Host header of the questions.
    """

    strategy: str
    app: str
    user: str
    group: str
    ready_path: str
    health_path: str
    ready_timeout: int
    bake: int
    patience: int
    host: str
    writable: tuple[str, ...] = ()


class Failed(Exception):
    """The release didn't come to the traffic, or didn't stay there: why, what was done about it, its last lines.

    :param blames: whether the release itself is to blame, and is known to be bad from now on.
    """

    def __init__(self, why: str, now: str, log: str, moved_back: bool = False, blames: bool = True) -> None:
        super().__init__(f"{why}\n{now}" + (f"\n\nIts last lines:\n{log}" if log else ""))
        self.why = why
        self.moved_back = moved_back
        self.blames = blames


class Swap:
    """Works out the steps from what is there now, then takes them; check mode stops after the first half.

    :param wanted: what the live slot has to be.
    :param commands: lines for the shell; where there are any, they are run from the new release, and nothing else is.
    """

    def __init__(self, systemd: Systemd, app: App, wanted: Snapshot, terms: Terms, commands: list[str]) -> None:
        self.systemd = systemd
        self.app = app
        self.wanted = wanted
        self.terms = terms
        self.live = app.live()
        units = {slot: [app.service(slot), app.socket_unit(slot)] for slot in SLOTS}
        states = systemd.show([unit for pair in units.values() for unit in pair])
        self.reread = any(state.get("NeedDaemonReload") == "yes" for state in states.values())
        self.cut = bool(self.live) and app.cut_off(self.live)
        held = app.held(self.live, aside=self.cut) if self.live else {}
        self.before = held.get("release")
        current = bool(self.live) and held.get("fingerprint") == wanted.fingerprint and not self.cut
        self.now = swap_steps.now(self.live, current, {s: [states[u] for u in pair] for s, pair in units.items()})
        # Nobody knows what the processes of a slot that was cut off were started with, so they can't be kept.
        strategy = "restart" if self.cut and terms.strategy == "reload" else terms.strategy
        self.slot = swap_steps.target(self.now, strategy)
        self.other = swap_steps.other(self.slot)
        self.commands = commands
        self.unit = UnitFile(systemd, app.unit_file, wanted.unit)
        self.steps = swap_steps.steps(self.now, strategy, self.unit.differs)
        self.strategy = strategy
        self.reloads = "reload" in self.steps
        """Whether the release comes to the traffic by a reload, after the commands where there are any."""
        if commands:
            # The release that is live has been prepared for already.
            self.steps = ["fill", "before"] if wanted.release != self.before else []
        self.watch = Watch(systemd, app, self.slot, terms.host)
        self.start: Start | None = None
        self.phases: dict[str, float] = {}
        self.notes: list[str] = []
        self.told: Callable[[str], None] = lambda _name: None
        """Called with the name of each phase when it begins."""

    def sentences(self) -> list[str]:
        return swap_steps.sentences(self.steps, self.slot, self.wanted.release)

    @property
    def moved(self) -> bool:
        """Whether the traffic has reached what is wanted."""
        return "move" in self.phases or ("move" not in self.steps and "ready" in self.phases)

    def phase(self, name: str) -> None:
        """Begin a phase; the one before has ended."""
        now = time.monotonic()
        self._end_phase(now)
        self.phases[name] = 0.0
        self._begun = (name, now)
        self.told(name)

    def _end_phase(self, now: float) -> None:
        if self.phases:
            name, begun = self._begun
            self.phases[name] = round(now - begun, 2)

    def apply(self) -> None:
        """Take the steps.

        :raises Failed: when the release can't be proved; what was live before still is, or is again.
        """
        new = ""
        if self.reread:
            self.systemd.do("daemon-reload")
        try:
            if self.cut and self.live:
                # What was proved is what this run goes back to.
                self.app.put(self.live, self.app.aside(self.live))
            for step in self.steps:
                self.phase(step)
                if step == "fill":
                    booted = self.app.booted(self.slot) if "reload" in self.steps else ""
                    new = self.app.make(self.slot, self.wanted, vars(self.terms), self.terms.group, booted)
                elif step in ("before", "check"):
                    getattr(self, f"_{step}")(new)
                elif step in ("start", "restart", "reload"):
                    self._run(step, new)
                else:
                    getattr(self, f"_{step}")()
            self.phase("done")
            self.app.publish(self.wanted.environment)
        except OSError as error:
            # A full disk, say. Before the move nothing of the live slot was touched, and after it nothing has to be.
            why = f"The host's files stood in the way: {error}."
            if "start" in self.phases and "move" not in self.phases:
                raise Failed(why, self._step_back(), "", blames=False) from error
            raise CommandFailed(f"{why}\n{self._serves()}") from error
        finally:
            self._end_phase(time.monotonic())
            self.phases.pop("done", None)
            self.app.clear()

    def _serves(self) -> str:
        release = self.wanted.release if self.moved else self.before
        return f"Release {release} serves." if release else "Nothing was live before, and nothing is."

    def _place(self, directory: str) -> as_service.Place:
        terms = self.terms
        return as_service.Place(self.app.name, terms.user, terms.group, directory, tuple(terms.writable))

    def _before(self, new: str) -> None:
        place = self._place(new)
        for line in self.commands:
            begun = time.monotonic()
            try:
                said = as_service.run(self.systemd.run, place, "before-swap", as_service.shell(place, line), 3600)
            except CommandFailed as failure:
                why = f"fastapi_before_swap has {line!r}, and {failure}"
                raise Failed(why, f"Nothing has moved. {self._serves()}", "", blames=False) from failure
            last = said.splitlines()[-1:] or [""]
            self.notes.append(f"{line} ({time.monotonic() - begun:.1f} s) {last[0]}".rstrip())

    def _check(self, new: str) -> None:
        """Load the app in a process of its own, where a failure would otherwise take the live slot down."""
        place = self._place(new)
        command = [os.path.join(place.release, ".venv/bin/python"), "-m", "gunicorn", "--check-config"]
        command += ["-c", os.path.join(new, "gunicorn.conf.py"), self.terms.app]
        try:
            as_service.run(self.systemd.run, place, "check", command, CHECK_LIMIT)
        except CommandFailed as failure:
            why = f"Release {self.wanted.release} can't be loaded: {failure}"
            raise Failed(why, f"Nothing has moved. {self._serves()}", "") from failure

    def _run(self, verb: str, new: str) -> None:
        """Start, restart or reload the slot, and prove it ready."""
        app, slot, unit = self.app, self.slot, self.app.service(self.slot)
        units = (unit, app.socket_unit(slot))
        since = time.time()
        if slot != self.live:
            if slot in self.now.up:
                # What a run that was cut off has left may still have requests.
                self._empty(slot)
            self.systemd.run(["systemctl", "stop", "--", *units])
            self.systemd.run(["systemctl", "reset-failed", "--", *units])
        self.unit.write()
        self.systemd.do("start", "--", app.socket_unit(slot))
        if new:
            app.put(slot, new)
        old = workers(self.watch.state().get("MainPID", ""))
        base = self.watch.begin(since)
        status, out, err = self.systemd.run(["systemctl", verb, "--", unit])
        # A new start begins a new count of what went wrong; a reload goes on with the old one.
        start = base if verb == "reload" else replace(self.watch.begin(since), crashes=0, oom_kills=0)
        trouble = None
        if status:
            trouble = self.watch.lost(Start("", 0, 0, since)) or (err or out).strip()
        elif verb == "reload":
            trouble = self._new_workers(old, start)
        self.phase("ready")
        trouble = trouble or self.watch.ready(start, self.terms.ready_path, self.terms.ready_timeout)
        if trouble:
            log = self.watch.log(since)
            why = f"Release {self.wanted.release} did not become ready: {trouble}"
            raise Failed(why, self._step_back(), log)
        self.start, self._old_workers = start, old

    def _new_workers(self, old: set[str], start: Start) -> str | None:
        """After SIGHUP: wait until there are new workers, and the old ones have closed their listeners."""
        main, end = self.watch.state().get("MainPID", ""), time.monotonic() + self.terms.ready_timeout
        while not workers(main) - old:
            if reason := self.watch.lost(start):
                return reason
            if time.monotonic() > end:
                return f"{self.watch.unit} forked no new workers within {self.terms.ready_timeout} s."
            time.sleep(0.05)
        time.sleep(SETTLE)
        return None

    def _unit(self) -> None:
        self.unit.write()

    def _enable(self) -> None:
        self.systemd.do("--quiet", "enable", "--", *self._units(self.slot))

    def _disable(self) -> None:
        self.systemd.do("--quiet", "disable", "--", *self._units(self.other))

    def _units(self, slot: str) -> tuple[str, str]:
        return self.app.service(slot), self.app.socket_unit(slot)

    def _move(self) -> None:
        self.app.point_to(self.slot)

    def _watch(self) -> None:
        """See that the release stays well while there is something to go back to, and go back if it doesn't."""
        terms = self.terms
        if self.start:
            trouble = self.watch.stays_well(self.start, terms.health_path, terms.bake)
        else:
            # An earlier run was cut off before it had watched.
            self.start = self.watch.begin(time.time() - terms.bake)
            trouble = self.watch.ready(self.start, terms.ready_path, terms.ready_timeout)
        if trouble:
            self._go_back(trouble)

    def _go_back(self, trouble: str) -> None:
        """The release has the traffic and isn't well: what was live before gets it back, or is started again."""
        since, back = self.start.since, self.other
        if "move" not in self.steps and not self._can_go_back():
            log = self.watch.log(since)
            raise Failed(f"Release {self.wanted.release} didn't stay well: {trouble}", self._step_back(), log)
        self.app.point_to(back)
        log = self.watch.log(since)
        release = self.app.held(back).get("release")
        self.unit.put_back()
        self.systemd.do("--quiet", "enable", "--", *self._units(back))
        self._retire(self.slot)
        why = f"Release {self.wanted.release} had the traffic and didn't stay well: {trouble}"
        raise Failed(why, f"The traffic is back on release {release}, in slot {back}.", log, moved_back=True)

    def _can_go_back(self) -> bool:
        """Whether the other slot, which an earlier run has left running, can have the traffic."""
        if self.other not in self.now.up:
            return False
        watch = Watch(self.systemd, self.app, self.other, self.terms.host)
        return watch.ready(watch.begin(time.time()), self.terms.ready_path, BAD_PATIENCE) is None

    def _retire(self, slot: str) -> None:
        """Take a slot that failed off the host: not enabled, not running, and filled as before the try."""
        units = self._units(slot)
        self.systemd.run(["systemctl", "--quiet", "disable", "--", *units])
        if slot in self.now.up or self.start:
            self._empty(slot)
        self.systemd.run(["systemctl", "stop", "--", *units])
        self.systemd.run(["systemctl", "reset-failed", "--", *units])
        aside = self.app.aside(slot)
        shutil.rmtree(self.app.directory(slot), ignore_errors=True)
        if os.path.isdir(aside):
            os.rename(aside, self.app.directory(slot))

    def _step_back(self) -> str:
        """Leave the host as it was before the try."""
        app, slot = self.app, self.slot
        aside = app.aside(slot)
        self.unit.put_back()
        if slot != self.live:
            self.start = None
            self._retire(slot)
            return f"Release {self.before} serves as before." if self.live else self._serves()
        if not os.path.isdir(aside):
            return f"Slot {slot} held this release already; it is left to systemd, which goes on trying."
        app.put(slot, aside)
        verb = "reload" if "reload" in self.steps and not self.watch.lost(self.watch.begin(0)) else "restart"
        self.systemd.run(["systemctl", verb, "--", app.service(slot)])
        trouble = self.watch.ready(self.watch.begin(time.time()), self.terms.ready_path, self.terms.ready_timeout)
        return f"Release {self.before} " + (f"was started again, but {trouble}" if trouble else "serves again.")

    def _empty(self, slot: str, patience: float = BAD_PATIENCE) -> None:
        """Wait until nothing waits in a slot's queue: closing a socket drops what was not accepted.

        The queue is first in, first out, so when a question of our own is answered, all before it were accepted. A
        second one covers a proxy that had read the link just before it moved.
        """
        door = Watch(self.systemd, self.app, slot, self.terms.host).door
        for _ in range(2):
            if not ask(door, self.terms.ready_path, patience).status:
                return
            time.sleep(0.1)

    def _drain(self) -> None:
        if "reload" in self.steps:
            end = time.monotonic() + self.terms.patience
            main = self.watch.state().get("MainPID", "")
            while workers(main) & self._old_workers and time.monotonic() < end:
                time.sleep(0.1)
        if self.other in self.now.quiet:
            return
        if "watch" in self.steps and self.start and (trouble := self.watch.lost(self.start)):
            # The last moment in which there is something to go back to.
            self._go_back(trouble)
        if self.other in self.now.up:
            self._empty(self.other, self.terms.patience)
        units = self._units(self.other)
        self.systemd.do("stop", "--", *units)
        self.systemd.run(["systemctl", "reset-failed", "--", *units])
