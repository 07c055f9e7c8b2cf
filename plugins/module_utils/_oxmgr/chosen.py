# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which supervisor an app's slots have, and the way from one to the other."""

from __future__ import annotations

from .._app.by_systemd import BySystemd
from .._app.slots import DAEMON_UNIT, SLOTS, App, Snapshot
from .._app.supervisor import Standing, State, Supervisor
from .._host.systemd import Systemd
from .by_oxmgr import ByOxmgr


def supervisor_of(systemd: Systemd, app: App, wanted: Snapshot | None = None) -> Supervisor:
    """:param wanted: what a deploy brings; None where nothing is to be started."""
    under = {app.under_oxmgr(slot) for slot in SLOTS if app.held(slot)}
    if wanted:
        under.add(DAEMON_UNIT in wanted.files)
    if True not in under:
        return BySystemd(systemd, app)
    oxmgr = ByOxmgr(systemd, app, wanted)
    return oxmgr if False not in under else Changing(oxmgr, BySystemd(systemd, app, sockets=False), app, wanted)


class Changing:
    """One slot by the one, the other by the other. See Supervisor.

    Which one a slot has is what it was filled for, so that a run that was cut off anywhere leaves nothing in doubt.
    """

    in_place = False

    def __init__(self, oxmgr: ByOxmgr, systemd: BySystemd, app: App, wanted: Snapshot | None) -> None:
        self.oxmgr = oxmgr
        self.systemd = systemd
        self.app = app
        self.wanted = oxmgr if wanted and DAEMON_UNIT in wanted.files else systemd

    def _of(self, slot: str) -> ByOxmgr | BySystemd:
        return self.oxmgr if self.app.under_oxmgr(slot) else self.systemd

    def by(self, slot: str) -> str:
        return self._of(slot).by(slot)

    def called(self, slot: str) -> str:
        return self._of(slot).called(slot)

    def files(self, wanted: Snapshot) -> dict[str, str]:
        return self.wanted.files(wanted)

    def reread(self) -> None:
        self.wanted.reread()

    def standing(self) -> dict[str, Standing]:
        return {slot: self._of(slot).standing()[slot] for slot in SLOTS}

    def state(self, slot: str) -> State:
        return self._of(slot).state(slot)

    def listen(self, slot: str) -> None:
        self._of(slot).listen(slot)

    def begin(self, slot: str, verb: str) -> str:
        return self._of(slot).begin(slot, verb)

    def forgive(self, slot: str) -> None:
        self._of(slot).forgive(slot)

    def stop(self, slot: str) -> None:
        self._of(slot).stop(slot)

    def leave(self, slot: str) -> None:
        self._of(slot).leave(slot)

    def boot(self, slot: str, last: bool = True) -> None:
        self._of(slot).boot(slot, last)

    def no_boot(self, slot: str) -> None:
        self._of(slot).no_boot(slot)

    def lines(self, slot: str, since: float, count: int) -> str:
        return self._of(slot).lines(slot, since, count)

    def where_lines(self, slot: str) -> str:
        return self._of(slot).where_lines(slot)

    def start_again(self, slot: str) -> str:
        return self._of(slot).start_again(slot)
