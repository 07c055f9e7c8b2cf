# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wanted release in the slot that will have the traffic: prepared, started and proved ready. Nothing moves here."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from .._app import as_service
from .._app.command import Place, shell
from .._app.slots import App, Snapshot
from .._app.supervisor import Supervisor
from .._host.memory import workers
from .._host.systemd import CommandFailed, Run
from .steps import Failed, Terms
from .units import UnitFiles
from .watch import BAD_PATIENCE, SETTLE, Start, Watch

CHECK_LIMIT = 120
"""Seconds in which the app has to load, where it is loaded once before it takes the live one's place."""
IDLE = re.compile(r"\A(?=.*\[alembic\.)(?!.*Running (up|down)grade)|No migrations to apply", re.DOTALL)
"""What a migration prints that had nothing to do: Alembic begins with its context and ends there, Django says so."""
BEFORE_LIMIT = 3600
"""Seconds that one command before a swap may take."""


class NotReady(Exception):
    """The release was started and can't be proved: why, and its last lines. Nothing was done about it yet."""

    def __init__(self, why: str, log: str) -> None:
        super().__init__(why)
        self.why = why
        self.log = log


class Candidate:
    """What is to have the traffic, in its slot.

    :param live: the slot that has the traffic now; None before the first release.
    """

    def __init__(
        self, run: Run, supervisor: Supervisor, app: App, slot: str, live: str | None, wanted: Snapshot, terms: Terms
    ) -> None:
        self.run = run
        self.supervisor = supervisor
        self.app = app
        self.slot = slot
        self.live = live
        self.wanted = wanted
        self.terms = terms
        self.watch = Watch(supervisor, app, slot, terms)
        self.start: Start | None = None
        """The start that is watched; None where this run has made none."""
        self.old_workers: set[str] = set()
        """Process ids of the workers from before a reload."""

    def _place(self, directory: str) -> Place:
        return Place(self.app.name, self.terms.user, self.terms.group, directory, self.wanted.unit)

    def prepare(self, directory: str, commands: list[str], serves: str) -> Iterator[tuple[str, str, bool]]:
        """Run what comes before the release, one at each step.

        :param directory: of the filled slot.
        :param serves: the sentence that says which release serves meanwhile.
        :returns: of each command a line about it, the command, and whether it may have changed something.
        :raises Failed: at the first that fails.
        """
        place = self._place(directory)
        for line in commands:
            begun = time.monotonic()
            try:
                command = shell(place, line)
                said = as_service.run(self.run, place, "before-swap", command, BEFORE_LIMIT)
            except CommandFailed as failure:
                why = f"fastapi_before_swap has {line!r}, and {failure}"
                raise Failed(why, f"Nothing has moved. {serves}", failure.said, blames=False) from failure
            note = f"{line} ({time.monotonic() - begun:.1f} s) {said.rpartition(chr(10))[2]}".rstrip()
            yield note, line, not IDLE.search(said)

    def check(self, directory: str, serves: str) -> None:
        """Load the app in a process of its own, where a failure would otherwise take the live slot down."""
        place = self._place(directory)
        command = [os.path.join(place.release, ".venv/bin/python"), "-m", "gunicorn", "--check-config"]
        command += ["-c", os.path.join(directory, "gunicorn.conf.py"), self.terms.app]
        try:
            as_service.run(self.run, place, "check", command, CHECK_LIMIT)
        except CommandFailed as failure:
            why = f"Release {self.wanted.release} can't be loaded: {failure}"
            raise Failed(why, f"Nothing has moved. {serves}", failure.said) from failure

    def bring_up(self, verb: str, units: UnitFiles, new: str, left_running: bool, proving: Callable[[], None]) -> None:
        """Start, restart or reload the slot, and prove it ready.

        :param verb: ``start``, ``restart`` or ``reload``.
        :param units: what the supervisor reads, written when nothing of the slot runs.
        :param new: the directory that becomes the slot's; '' where the slot has it already.
        :param left_running: whether a run that was cut off has left the slot running.
        :param proving: called when it was started, before it is asked.
        :raises NotReady: where it can't be proved.
        """
        slot, supervisor = self.slot, self.supervisor
        since = time.time()
        self.watch.short_of_memory = False
        if slot != self.live:
            if left_running:
                # It may still have requests.
                self.watch.empty(self.terms.ready_path, BAD_PATIENCE)
            supervisor.stop(slot)
        units.write()
        supervisor.listen(slot)
        if new:
            self.app.put(slot, new)
        old = workers(self.watch.state().main)
        base = self.watch.begin(since)
        if verb != "reload" and slot == self.live:
            # A service that was given up may be started again, and a deploy's starts aren't a crash loop's.
            supervisor.forgive(slot)
        said = supervisor.begin(slot, verb)
        # A new start begins a new count of what went wrong; a reload goes on with the old one.
        start = base if verb == "reload" else replace(self.watch.begin(since), crashes=0, oom_kills=0)
        trouble = None
        if said:
            trouble = self.watch.lost(Start("", 0, 0, since)) or said
        elif verb == "reload":
            trouble = self._new_workers(old, start)
        proving()
        trouble = trouble or self.watch.ready(start, self.terms.ready_path, self.terms.ready_timeout)
        if not trouble and verb != "reload":
            trouble = self.watch.all_serve(start, self.terms.ready_timeout)
        how = "did not become ready"
        if not trouble and not self.live:
            # After the move there is nothing to go back to, so a first release is watched before it.
            trouble, how = self.watch.stays_well(start, self.terms.health_path, self.terms.bake), "didn't stay well"
        if trouble:
            raise NotReady(f"Release {self.wanted.release} {how}: {trouble}", self.watch.log(since))
        self.start, self.old_workers = start, old

    def adopt(self) -> None:
        """Prove what an earlier call has started.

        :raises NotReady: where it isn't ready any more.
        """
        start = self.watch.begin(time.time())
        if trouble := self.watch.ready(start, self.terms.ready_path, self.terms.ready_timeout):
            raise NotReady(
                f"Release {self.wanted.release} isn't ready any more: {trouble}", self.watch.log(start.since)
            )
        self.start = start

    def _new_workers(self, old: set[str], start: Start) -> str | None:
        """After SIGHUP: wait until there are new workers, and the old ones have closed their listeners."""
        main, end = self.watch.state().main, time.monotonic() + self.terms.ready_timeout
        while not workers(main) - old:
            if reason := self.watch.lost(start):
                return reason
            if time.monotonic() > end:
                return f"{self.watch.unit} forked no new workers within {self.terms.ready_timeout} s."
            time.sleep(0.05)
        time.sleep(SETTLE)
        return None

    def await_old_workers(self) -> None:
        """After a reload: wait until the old workers have drained, for as long as the terms have patience."""
        end = time.monotonic() + self.terms.patience
        main = self.watch.state().main
        while workers(main) & self.old_workers and time.monotonic() < end:
            time.sleep(0.1)
