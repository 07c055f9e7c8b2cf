# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back of a swap: what served before serves again, and a reboot at any moment starts it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time

from .._app.slots import App, Snapshot
from .._app.supervisor import Supervisor
from .._host.door import Door
from .._host.probe import ask
from .._host.systemd import CommandFailed, Run
from .._process.move import Move
from .start import Candidate
from .steps import Failed, Now, Terms
from .units import UnitFiles
from .watch import BAD_PATIENCE, Watch

FRONT_BACK = 1.0
"""Seconds in which the proxy has to have a good answer for clients while a release is watched, so that a single bad one
undoes nothing."""

CLOSES = 2.0
"""Seconds to wait for the socket of a slot that doesn't serve to be closed. Where its workers finish their requests it
takes longer, and nothing is waited for."""
HEARD = 0.3
"""Seconds in which the proxy hears that it was."""


def unforeseen(error: Exception) -> str:
    """A failure that isn't the release's, in a sentence."""
    if isinstance(error, CommandFailed):
        return str(error)
    if isinstance(error, OSError):
        return f"The host's files stood in the way: {error}."
    return f"The deploy met something that it doesn't know ({type(error).__name__}: {error})."


class Back:
    """What a swap knows of its try, and how it is undone; Swap sets and says what each of it is."""

    run: Run
    supervisor: Supervisor
    app: App
    wanted: Snapshot
    terms: Terms
    now: Now
    live: str | None
    cut: bool
    before: str | None
    slot: str
    other: str
    units: UnitFiles
    beside: Move | None
    steps: list[str]
    candidate: Candidate
    new: str
    moved_at: float
    phases: dict[str, float]
    front: Door | None
    front_unit: str

    @property
    def moved(self) -> bool:
        """Whether the traffic has reached what is wanted."""
        due = "move" if "move" in self.steps else "ready"
        return due in self.phases and self.app.live() == self.slot

    def _serves(self) -> str:
        release = self.wanted.release if self.moved else self.before
        return f"Release {release} serves." if release else "Nothing was live before, and nothing is."

    def _point_to(self, slot: str) -> None:
        self.app.point_to(slot)
        self.moved_at = time.monotonic()

    def _undone(self, error: Exception) -> Exception:
        """After a failure that nothing says to be the release's, such as a full disk: undo the try, as far as there is
        anything to go back to, and say what serves."""
        why = unforeseen(error)
        try:
            if {"drain", "done"} & self.phases.keys() or (self.live is None and self.app.live()):
                # Proved: what is left to do, the next run does.
                self.app.clear()
                return CommandFailed(f"{why}\n{self._serves()}")
            if not self.phases.keys() - {"prepare", "fill", "before", "check"}:
                self._clear_unused()
                return CommandFailed(f"{why}\nNothing has moved. {self._serves()}")
            back = self.app.live() == self.slot != self.live or ("watch" in self.phases and self._can_go_back())
            now = self._return() if back else self._step_back()
        except Exception as second:
            live = self.app.live()
            release = self.app.held(live).get("release") if live else None
            now = f"Undoing it failed too: {unforeseen(second)} "
            now += f"Slot {live} has the traffic, with release {release}." if live else "Nothing is live."
            return Failed(why, f"{now} Run again when that is fixed.", "", blames=False)
        return Failed(why, now, "", moved_back=back, blames=False)

    def _clear_unused(self) -> None:
        """Remove what this run has filled and not used. What an earlier run left unproved the next one has to see."""
        if self.beside:
            self.beside.discard()
        if self.cut or self.now.ready:
            shutil.rmtree(self.new, ignore_errors=True)
        else:
            self.app.clear()

    def _return(self) -> str:
        """Give the traffic back to the other slot. The link never names a slot that doesn't start at boot."""
        back = self.other
        release = self.app.held(back).get("release")
        boot = ""
        try:
            self.supervisor.boot(back, last=False)
        except CommandFailed as failure:
            boot = f" It doesn't start at boot: {failure}"
        self._point_to(back)
        try:
            # Once more when nothing waits in the other slot any more: a question of the proxy's may have been among it.
            self._have_proxy_ask()
            self._retire(self.slot)
            self._have_proxy_ask()
        finally:
            self._processes_back()
        return f"The traffic is back on release {release}, in slot {back}.{boot}"

    def _processes_back(self) -> None:
        if self.beside:
            self.beside.back()
            self.beside.discard()

    def _have_proxy_ask(self) -> None:
        """A proxy that has asked a release while it died answers clients with 503 until it asks again, which may be ten
        seconds later: have it ask now."""
        if self.front and self.front_unit and not ask(self.front, self.terms.health_path, FRONT_BACK).good:
            self.run(["systemctl", "reload-or-restart", "--", self.front_unit])

    def _have_proxy_ask_when_closed(self, slot: str) -> None:
        """What waited in the socket of a slot that doesn't serve is refused when that closes, and the proxy takes it
        for the new release's answer if it was its question."""
        closes = time.monotonic() + CLOSES
        while os.path.exists(self.app.socket(slot)) and time.monotonic() < closes:
            time.sleep(0.05)
        # systemd closes it beside, and the proxy takes a moment to hear of it.
        heard = time.monotonic() + HEARD
        while time.monotonic() < heard:
            self._have_proxy_ask()
            time.sleep(0.1)

    def _can_go_back(self) -> bool:
        """Whether the other slot, which an earlier run has left running, can have the traffic."""
        if self.other not in self.now.up:
            return False
        watch = Watch(self.supervisor, self.app, self.other, self.terms)
        return watch.ready(watch.begin(time.time()), self.terms.ready_path, BAD_PATIENCE) is None

    def _empty(self, slot: str, patience: float) -> None:
        watch = Watch(self.supervisor, self.app, slot, self.terms)
        watch.empty(self.terms.ready_path, patience, self.moved_at)

    def _retire(self, slot: str) -> None:
        """Take a slot that failed off the host: not enabled, not running, and filled as before the try."""
        with contextlib.suppress(CommandFailed):
            self.supervisor.no_boot(slot)
        try:
            self.units.put_back()
        finally:
            if slot in self.now.up or self.candidate.start:
                self._empty(slot, BAD_PATIENCE)
            self.supervisor.stop(slot)
            if not self.app.restore(slot) and not os.path.isdir(self.new):
                shutil.rmtree(self.app.directory(slot), ignore_errors=True)
        self.app.clear()

    def _step_back(self) -> str:
        """Leave the host as it was before the try."""
        try:
            return self._slot_back()
        finally:
            self._processes_back()

    def _slot_back(self) -> str:
        app, slot, watch = self.app, self.slot, self.candidate.watch
        if slot != self.live:
            self.candidate.start = None
            self._retire(slot)
            same = ", with the settings that it had" if self.before == self.wanted.release else ""
            return f"Release {self.before} serves as before{same}." if self.live else self._serves()
        self.units.put_back()
        if "fill" not in self.steps:
            if not {"start", "watch"} & self.phases.keys():
                return self._serves()
            return f"Slot {slot} held this release already; it is left to systemd, which goes on trying."
        if app.held(slot).get("fingerprint") != self.wanted.fingerprint:
            self._clear_unused()
            return f"Release {self.before} serves as before."
        app.put(slot, app.aside(slot))
        verb = "reload" if "reload" in self.steps and not watch.lost(watch.begin(0)) else "restart"
        self.supervisor.begin(slot, verb)
        trouble = watch.ready(watch.begin(time.time()), self.terms.ready_path, self.terms.ready_timeout)
        self._have_proxy_ask()
        app.clear()
        return f"Release {self.before} " + (f"was started again, but {trouble}" if trouble else "serves again.")
