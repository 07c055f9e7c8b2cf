# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a release to the traffic: fill a slot, start it, prove it ready, move the link, watch it, drain the other."""

from __future__ import annotations

import os
import shutil
import time

from .._host.systemd import CommandFailed
from . import steps
from .start import BAD_PATIENCE, NotReady, Starting
from .steps import Failed
from .watch import Watch, workers


class Swap(Starting):
    """Works out the steps from what is there now, then takes them; check mode stops after the first half."""

    def sentences(self) -> list[str]:
        return steps.sentences(self.steps, self.slot, self.wanted.release)

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
                    self._try(step, new)
                else:
                    getattr(self, f"_{step}")()
            self.phase("done")
            self.app.publish(self.wanted.environment)
            self.app.follow(self.app.live())
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

    def _try(self, verb: str, new: str) -> None:
        try:
            self._run(verb, new)
        except NotReady as trouble:
            raise Failed(trouble.why, self._step_back(), trouble.log) from trouble

    def _unit(self) -> None:
        self.units.write()

    def _enable(self) -> None:
        # systemd reads all units anew after each; where a disable follows, once is enough.
        once = ["--no-reload"] if "disable" in self.steps else []
        self.systemd.do("--quiet", *once, "enable", "--", *self._units(self.slot))

    def _disable(self) -> None:
        self.systemd.do("--quiet", "disable", "--", *self._units(self.other))

    def _move(self) -> None:
        self._point_to(self.slot)

    def _point_to(self, slot: str) -> None:
        self.app.point_to(slot)
        self.moved_at = time.monotonic()

    def _watch(self) -> None:
        """See that the release stays well while there is something to go back to, and go back if it doesn't."""
        terms = self.terms
        if self.start:
            watched = time.monotonic() - self.moved_at if self.moved_at else 0.0
            trouble = self.watch.stays_well(self.start, terms.health_path, terms.bake - watched)
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
        self._point_to(back)
        log = self.watch.log(since)
        release = self.app.held(back).get("release")
        self.units.put_back()
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
        self.units.put_back()
        if slot != self.live:
            self.start = None
            self._retire(slot)
            same = ", with the settings that it had" if self.before == self.wanted.release else ""
            return f"Release {self.before} serves as before{same}." if self.live else self._serves()
        if not os.path.isdir(aside):
            return f"Slot {slot} held this release already; it is left to systemd, which goes on trying."
        app.put(slot, aside)
        verb = "reload" if "reload" in self.steps and not self.watch.lost(self.watch.begin(0)) else "restart"
        self.systemd.run(["systemctl", verb, "--", app.service(slot)])
        trouble = self.watch.ready(self.watch.begin(time.time()), self.terms.ready_path, self.terms.ready_timeout)
        return f"Release {self.before} " + (f"was started again, but {trouble}" if trouble else "serves again.")

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
        # Not waited for: nothing new can reach it, and what it is at may take as long as the longest request. The
        # socket comes first, because its stop brings the service's with it (Requires=) and waits for it (After=): one
        # transaction, so a cut leaves both jobs or neither.
        service, socket = self._units(self.other)
        self.systemd.do("stop", "--no-block", "--", socket, service)
