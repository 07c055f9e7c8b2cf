# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds out what is to be done with a release, prepares it, starts it in its slot and proves it ready."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from .._app.slots import SLOTS, App, Snapshot
from .._host.probe import ask
from .._host.systemd import CommandFailed, Systemd
from . import as_service, steps
from .steps import Failed, Terms
from .units import UnitFiles
from .watch import SETTLE, Start, Watch, illness, workers

CHECK_LIMIT = 120
"""Seconds in which the app has to load, where it is loaded once before it takes the live one's place."""
BAD_PATIENCE = 2.0
"""Seconds to wait for the queue of a slot that failed or was left behind: it may never answer."""
LATE = 0.1
"""Seconds after the link has moved in which a proxy that had read it just before may still dial the old slot."""


class NotReady(Exception):
    """The release was started and can't be proved: why, and its last lines. Nothing was done about it yet."""

    def __init__(self, why: str, log: str) -> None:
        super().__init__(why)
        self.why = why
        self.log = log


class Starting:
    """The half of a swap that comes before the traffic moves.

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
        self.ill = ""
        """What was wrong with it."""
        if self.live and not self.cut:
            state = states[app.service(self.live)]
            self.ill = illness(state, time.time() - systemd.entered_at(state))
        current = bool(self.live) and held.get("fingerprint") == wanted.fingerprint and not self.cut
        self.now = steps.now(self.live, current, {s: [states[u] for u in pair] for s, pair in units.items()})
        # Nobody knows what the processes of a slot that was cut off were started with, so they can't be kept.
        strategy = "restart" if self.cut and terms.strategy == "reload" else terms.strategy
        self.slot = steps.target(self.now, strategy)
        self.other = steps.other(self.slot)
        self.commands = commands
        self.units = UnitFiles(systemd, {app.unit_file: wanted.unit, app.socket_file: wanted.socket})
        self.steps = steps.steps(self.now, strategy, bool(self.units.changes))
        self.strategy = strategy
        self.reloads = "reload" in self.steps
        """Whether the release comes to the traffic by a reload, after the commands where there are any."""
        if commands:
            # The release that is live has been prepared for already.
            self.steps = ["fill", "before"] if wanted.release != self.before else []
        self.watch = Watch(systemd, app, self.slot, terms.host)
        self.start: Start | None = None
        self.moved_at = 0.0
        """When this run last moved the link, on the monotonic clock; 0 before it has."""
        self.phases: dict[str, float] = {}
        self.notes: list[str] = []
        self.told: Callable[[str], None] = lambda _name: None
        """Called with the name of each phase when it begins."""

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

    @property
    def moved(self) -> bool:
        """Whether the traffic has reached what is wanted."""
        return "move" in self.phases or ("move" not in self.steps and "ready" in self.phases)

    def _serves(self) -> str:
        release = self.wanted.release if self.moved else self.before
        return f"Release {release} serves." if release else "Nothing was live before, and nothing is."

    def _units(self, slot: str) -> tuple[str, str]:
        return self.app.service(slot), self.app.socket_unit(slot)

    def _place(self, directory: str) -> as_service.Place:
        terms = self.terms
        return as_service.Place(self.app.name, terms.user, terms.group, directory, self.wanted.unit)

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
        self.units.write()
        self.systemd.do("start", "--", app.socket_unit(slot))
        if new:
            app.put(slot, new)
        old = workers(self.watch.state().get("MainPID", ""))
        base = self.watch.begin(since)
        if verb != "reload" and slot == self.live:
            # A service that was given up may be started again, and a deploy's starts aren't a crash loop's.
            self.systemd.run(["systemctl", "reset-failed", "--", unit])
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
            raise NotReady(f"Release {self.wanted.release} did not become ready: {trouble}", log)
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

    def _empty(self, slot: str, patience: float = BAD_PATIENCE) -> None:
        """Wait until nothing waits in a slot's queue: closing a socket drops what was not accepted.

        The queue is first in, first out, so when a question of our own is answered, all before it were accepted.
        """
        time.sleep(max(0.0, (self.moved_at or time.monotonic()) + LATE - time.monotonic()))
        ask(Watch(self.systemd, self.app, slot, self.terms.host).door, self.terms.ready_path, patience)
