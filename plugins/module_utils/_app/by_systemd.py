# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd as the supervisor of an app's slots: each is an instance of a service and of a socket."""

from __future__ import annotations

from .._host.journal import last_lines
from .._host.systemd import Systemd, ending, number
from .slots import SLOTS, App, Snapshot
from .supervisor import Standing, State


class BySystemd:
    """See Supervisor.

    :param systemd: how systemd is asked.
    """

    changes = False

    def __init__(self, systemd: Systemd, app: App) -> None:
        self.systemd = systemd
        self.app = app

    def by(self, slot: str) -> str:
        del slot
        return "systemd"

    def called(self, slot: str) -> str:
        return self.app.service(slot)

    def _units(self, slot: str) -> tuple[str, str]:
        return self.called(slot), self.app.socket_unit(slot)

    def files(self, wanted: Snapshot) -> dict[str, str]:
        return {self.app.unit_file: wanted.unit, self.app.socket_file: wanted.socket}

    def reread(self) -> None:
        self.systemd.do("daemon-reload")

    def standing(self) -> dict[str, Standing]:
        states = self.systemd.show([unit for slot in SLOTS for unit in self._units(slot)])
        return {slot: self._standing(slot, *(states[unit] for unit in self._units(slot))) for slot in SLOTS}

    def _standing(self, slot: str, service: dict[str, str], socket: dict[str, str]) -> Standing:
        units, state = (service, socket), self._seen(slot, service)
        return Standing(
            state,
            up=all(unit.get("ActiveState") == "active" for unit in units),
            quiet=all(map(_down, units)) or _leaving(*units),
            boots=all(unit.get("UnitFileState") == "enabled" for unit in units),
            loose=any(unit.get("UnitFileState") == "enabled" for unit in units),
            stale=any(unit.get("NeedDaemonReload") == "yes" for unit in units),
        )

    def state(self, slot: str) -> State:
        unit = self.called(slot)
        return self._seen(slot, self.systemd.show([unit])[unit])

    def _seen(self, slot: str, unit: dict[str, str]) -> State:
        """:param unit: the properties of the slot's service."""
        del slot
        active, result = unit.get("ActiveState", ""), unit.get("Result")
        return State(
            word=f"{active} ({unit.get('SubState')})",
            # "deactivating": the arbiter is dead and its workers drain, which may take as long as a drain may.
            ended=active in ("failed", "inactive", "deactivating") or unit.get("SubState") == "auto-restart",
            down=active in ("failed", "activating", "deactivating"),
            draining=active == "deactivating",
            stopped=active in ("inactive", "failed"),
            given_up=active == "failed",
            overdue=active == "failed" and result == "timeout",
            how=ending(unit),
            hung=result == "watchdog",
            out_of_memory=result == "oom-kill",
            start=unit.get("InvocationID", ""),
            main=unit.get("MainPID", ""),
            restarts=number(unit, "NRestarts"),
            told=unit.get("StatusText", ""),
            group=unit.get("ControlGroup", ""),
            limit=number(unit, "MemoryMax") or None,
            boots=unit.get("UnitFileState") == "enabled",
            since=self.systemd.entered_at(unit),
            changed=self.systemd.changed_at(unit),
        )

    def listen(self, slot: str) -> None:
        self.systemd.do("start", "--", self.app.socket_unit(slot))

    def begin(self, slot: str, verb: str) -> str:
        status, out, err = self.systemd.run(["systemctl", verb, "--", self.called(slot)])
        return ((err or out).strip() or f"systemctl {verb} ended with {status}") if status else ""

    def forgive(self, slot: str) -> None:
        self.systemd.run(["systemctl", "reset-failed", "--", self.called(slot)])

    def stop(self, slot: str) -> None:
        units = self._units(slot)
        self.systemd.run(["systemctl", "stop", "--", *units])
        self.systemd.run(["systemctl", "reset-failed", "--", *units])

    def leave(self, slot: str) -> None:
        # The socket comes first, because its stop brings the service's with it (Requires=) and waits for it (After=):
        # one transaction, so a cut leaves both jobs or neither.
        service, socket = self._units(slot)
        self.systemd.do("stop", "--no-block", "--", socket, service)

    def boot(self, slot: str, last: bool = True) -> None:
        # systemd reads all units anew after each; where another follows, once is enough.
        once = [] if last else ["--no-reload"]
        self.systemd.do("--quiet", *once, "enable", "--", *self._units(slot))

    def no_boot(self, slot: str) -> None:
        self.systemd.do("--quiet", "disable", "--", *self._units(slot))

    def lines(self, slot: str, since: float, count: int) -> str:
        return last_lines(self.systemd.run, self.app.name, self.called(slot), since, count)

    def where_lines(self, slot: str) -> str:
        return f"journalctl --unit={self.called(slot)}"

    def start_again(self, slot: str) -> str:
        return f"systemctl reset-failed {self.called(slot)} && systemctl start {self.called(slot)}"


def _down(unit: dict[str, str]) -> bool:
    return unit.get("ActiveState") in ("inactive", "failed")


def _leaving(service: dict[str, str], socket: dict[str, str]) -> bool:
    """Whether a slot was told to stop and finishes its requests. The socket waits for that with a stop job of its own;
    where the job is lost, the socket stays, and there is something left to stop."""
    told = service.get("ActiveState") == "deactivating" and bool(service.get("Job"))
    return told and (_down(socket) or bool(socket.get("Job")))
