# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The standby slot with the live release and another number of workers: filled, started, stopped, and put back."""

from __future__ import annotations

import shutil
import time
from typing import Any

from .._app.slots import App, Snapshot
from .._app.supervisor import Standing, State, Supervisor
from .._host.systemd import Run
from .._swap.rules import with_workers
from .._swap.start import Candidate
from .._swap.steps import Terms, other
from .._swap.units import UnitFiles

MARK = "measured"
"""Among the terms of a slot that was filled to be measured: whoever finds it knows that it never had traffic."""


def refusal(name: str, slot: str, standing: Standing, holds: dict[str, Any]) -> str:
    """Why the standby slot can't be had, '' where it can.

    :param holds: what its slot.json says.
    """
    if standing.service.draining or (standing.quiet and not standing.service.stopped):
        return (
            f"Slot {slot} of {name} still finishes the requests that it had before the last deploy. Nothing was "
            "changed. Run again when it has ended: status.yml says when."
        )
    if not standing.quiet and MARK not in (holds.get("terms") or {}):
        return (
            f"Slot {slot} of {name} runs, and hasn't the traffic: a deploy was cut off, or somebody has started it. "
            "Nothing was changed. Run release.yml first, which sees to it."
        )
    return ""


class Standby:
    """One slot for as long as it is measured. The caller holds the deploy lock.

    :param live: the slot that has the traffic; nothing of it is touched.
    """

    def __init__(self, run: Run, supervisor: Supervisor, app: App, live: str, terms: Terms) -> None:
        self.run = run
        self.supervisor = supervisor
        self.app = app
        self.live = live
        self.slot = other(live)
        self.terms = terms
        self.began = 0.0
        """When it was last started, in seconds since the epoch."""
        self._filled = False

    def take(self) -> None:
        """Take over what a run that was killed has left of this."""
        if MARK in (self.app.held(self.slot).get("terms") or {}):
            self._filled = True
            self.put_back()

    def start(self, wanted: Snapshot, count: int) -> float:
        """Start it with so many workers; the seconds until it was ready.

        :raises NotReady: where it can't be proved.
        """
        snapshot, begun = with_workers(wanted, count), time.monotonic()
        # The units are those that the live slot was started with, and stay.
        candidate = Candidate(self.run, self.supervisor, self.app, self.slot, self.live, snapshot, self.terms)
        terms, group, new = vars(self.terms) | {MARK: True}, self.terms.group, ""
        if self._filled:
            self.stop()
            self.app.refill(self.slot, snapshot, terms, group)
        else:
            new = self.app.make(self.slot, snapshot, terms, group)
        self.began = time.time()
        self._filled = True
        candidate.bring_up("start", UnitFiles(self.supervisor.reread, {}), new, False, lambda: None)
        return time.monotonic() - begun

    def stop(self) -> None:
        if self._filled:
            self.supervisor.stop(self.slot)

    def state(self) -> State:
        return self.supervisor.state(self.slot)

    def put_back(self) -> None:
        """Stop it, and let the slot hold what it held before."""
        if self._filled:
            self.supervisor.stop(self.slot)
            if not self.app.restore(self.slot) and MARK in (self.app.held(self.slot).get("terms") or {}):
                # It had never been filled before.
                shutil.rmtree(self.app.directory(self.slot), ignore_errors=True)
            self._filled = False
        self.app.clear()
