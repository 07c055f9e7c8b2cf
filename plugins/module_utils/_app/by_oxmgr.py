# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Oxmgr as the supervisor of an app's slots: a daemon for each, which systemd keeps alive and gives the socket."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from .._host.files import read_text
from .._host.journal import last_lines
from .._host.systemd import Systemd
from .by_systemd import BySystemd
from .slots import OXMGR_UNIT, SLOTS, App, Snapshot
from .supervisor import Standing, State, Supervisor

TOLD = 255
"""So many bytes at most are what an arbiter says of itself."""


class ByOxmgr(BySystemd):
    """See Supervisor. The daemon's unit is told what a slot's own would be; what its arbiter does, Oxmgr knows."""

    def by(self, slot: str) -> str:
        del slot
        return "Oxmgr"

    def called(self, slot: str) -> str:
        return self.app.daemon(slot)

    def _process(self, slot: str) -> str:
        return f"{self.app.name}-{slot}"

    def files(self, wanted: Snapshot) -> dict[str, str]:
        # The slots' own unit is there, too, and not started: commands and processes get their sandbox from it.
        return {**super().files(wanted), self.app.daemons_file: wanted.files.get(OXMGR_UNIT, "")}

    def _seen(self, slot: str, unit: dict[str, str]) -> State:
        daemon = super()._seen(slot, unit)
        if daemon.ended:
            return daemon
        record = self._record(slot)
        pid = record.get("pid")
        born = started_at(pid) if isinstance(pid, int) else ""
        code = record.get("last_exit_code")
        return replace(
            daemon,
            word=f"{record.get('status', 'starting')} (Oxmgr)",
            ended=not born,
            down=daemon.down or not born,
            how=f"status {code}" if code is not None else "a signal",
            # Of a slot that was stopped and started by hand the daemon is another one, too.
            start=f"{daemon.start} {born}" if born else "",
            main=str(pid) if born else "",
            restarts=daemon.restarts + int(record.get("restart_count") or 0),
            told=self._told(slot),
            since=max(daemon.since, float(record.get("last_started_at") or 0)),
        )

    def _standing(self, slot: str, service: dict[str, str], socket: dict[str, str]) -> Standing:
        # The daemon of a slot that somebody has stopped by Oxmgr's own command runs on.
        standing = super()._standing(slot, service, socket)
        return replace(standing, up=standing.up and not standing.service.ended)

    def begin(self, slot: str, verb: str) -> str:
        # A daemon that runs already would be told nothing.
        return super().begin(slot, "restart" if verb == "start" else verb)

    def _record(self, slot: str) -> dict[str, Any]:
        """What Oxmgr has written down of the slot, which it does at each change. It isn't asked: while it starts or
        stops something it answers nobody."""
        try:
            with open(f"/var/lib/{self.app.name}-oxmgr/{slot}/state.json", encoding="utf-8") as file:
                return dict(json.load(file)["processes"][0])
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def _told(self, slot: str) -> str:
        """What the arbiter says of itself, in a file of root's that graceful_slot.py has opened for it."""
        path = f"/run/{self.app.name}-oxmgr/{slot}/told"
        return read_text(path, TOLD).strip().removeprefix("STATUS=")

    def lines(self, slot: str, since: float, count: int) -> str:
        # Where nothing of the slot was started, its daemon's say why.
        of_slot = last_lines(self.systemd.run, self.app.name, self._process(slot), since, count)
        return of_slot or super().lines(slot, since, count)

    def where_lines(self, slot: str) -> str:
        return f"{self.app.name}-logs --slot {slot}"


def started_at(pid: int) -> str:
    """What tells a process that lives from all others; '' where it has ended."""
    stat = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return f"{pid} {stat[19]}" if len(stat) > 19 and stat[0] not in "ZX" else ""


def supervisor_of(systemd: Systemd, app: App, wanted: Snapshot | None = None) -> Supervisor:
    """:param wanted: what a deploy brings; None where nothing is to be started."""
    under = {app.under_oxmgr(slot) for slot in SLOTS if app.held(slot)}
    under |= {OXMGR_UNIT in wanted.files} if wanted else set()
    if True not in under:
        return BySystemd(systemd, app)
    return BySlot(systemd, app, wanted) if False in under else ByOxmgr(systemd, app)


class BySlot(BySystemd):
    """Each slot by the one that it was filled for, so that a run that was cut off anywhere, while the app moves from
    one to the other, leaves nothing in doubt. See Supervisor.

    What is asked and ordered of a unit is inherited: the unit is the slot's own.

    :param wanted: what a deploy brings; None where nothing is to be started.
    """

    def __init__(self, systemd: Systemd, app: App, wanted: Snapshot | None) -> None:
        super().__init__(systemd, app)
        self.plain, self.oxmgr = BySystemd(systemd, app), ByOxmgr(systemd, app)
        self.wanted = self.oxmgr if wanted and OXMGR_UNIT in wanted.files else self.plain
        live = app.live()
        self.changes = bool(wanted and live) and self._of(live or "") is not self.wanted

    def _of(self, slot: str) -> BySystemd:
        return self.oxmgr if self.app.under_oxmgr(slot) else self.plain

    def _other(self, slot: str) -> BySystemd:
        return self.plain if self._of(slot) is self.oxmgr else self.oxmgr

    def by(self, slot: str) -> str:
        return self._of(slot).by(slot)

    def called(self, slot: str) -> str:
        return self._of(slot).called(slot)

    def files(self, wanted: Snapshot) -> dict[str, str]:
        return self.wanted.files(wanted)

    def _standing(self, slot: str, service: dict[str, str], socket: dict[str, str]) -> Standing:
        return self._of(slot)._standing(slot, service, socket)

    def _seen(self, slot: str, unit: dict[str, str]) -> State:
        return self._of(slot)._seen(slot, unit)

    def begin(self, slot: str, verb: str) -> str:
        if verb == "restart":
            # In place the slot may have been the other's until now. What comes meanwhile waits in its socket.
            for order in ("stop", "disable"):
                self.systemd.run(["systemctl", "--quiet", order, "--", self._other(slot).called(slot)])
            self.boot(slot)
        return self._of(slot).begin(slot, verb)

    def stop(self, slot: str) -> None:
        self._of(slot).stop(slot)
        # What waited in the socket may have had systemd start the other one, where its text has just changed back.
        self._other(slot).stop(slot)

    def lines(self, slot: str, since: float, count: int) -> str:
        return self._of(slot).lines(slot, since, count)

    def where_lines(self, slot: str) -> str:
        return self._of(slot).where_lines(slot)
