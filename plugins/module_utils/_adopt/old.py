# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The old way in which an app is run: ended and begun by whoever keeps it alive, and how many still speak to it."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from .._host import files
from .._host.files import read_text
from .._host.systemd import CommandFailed, Run, Systemd
from . import oxmgr

ASIDE = ".adopted"
"""Ends the name of a supervisord file that is out of the way: it reads those that end in .conf alone."""


UNITS = "/etc/systemd/system"


def _link(name: str) -> str:
    """What a unit of the administrator's is a link to; '' for a file, or none."""
    path = os.path.join(UNITS, name)
    return os.readlink(path) if os.path.islink(path) else ""


def connections(at: str, proc: str = "/proc/net") -> int:
    """How many connections there are to an address of this host, those that wait to be accepted among them.

    :param at: ``127.0.0.1:8000`` or ``unix:/run/shop.sock``.
    """
    if at.startswith("unix:"):
        rows = [line.split(None, 7) for line in read_text(f"{proc}/unix").splitlines()[1:]]
        # The listening one is in state 01.
        return sum(len(row) > 7 and row[7] == at.removeprefix("unix:") and row[5] != "01" for row in rows)
    port, found = int(at.rpartition(":")[2]), 0
    for table in ("tcp", "tcp6"):
        for line in read_text(f"{proc}/{table}").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 3 and fields[3] == "01":
                found += int(fields[1].rpartition(":")[2], 16) == port
    return found


def counted(left: int) -> str:
    return f"{left} connection{'s' * (left != 1)}"


def drain(at: str, limit: float, note: str) -> int:
    """Wait until nobody speaks to an address any more, which has to be seen three times in a row; how many still do.

    :param note: a file that says meanwhile what is waited for (plugins/action/adopt.py shows it).
    """
    end, quiet, said = time.monotonic() + limit, 0, ""
    try:
        while True:
            left, rest = connections(at), end - time.monotonic()
            quiet = 0 if left else quiet + 1
            if quiet >= 3 or rest < 0:
                return left
            if left and said != (said := f"waiting for {counted(left)} to {at} to end, {rest:.0f} s more at most"):
                with contextlib.suppress(OSError):
                    files.write(note, f"{said}\n".encode(), 0o644)
            time.sleep(0.2)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(note)


class Old:
    """What ran the app before.

    :param adopt: what the inventory says of it: ``unit``, ``kind``, ``file`` and ``sockets``.
    """

    def __init__(self, run: Run, adopt: dict[str, Any]) -> None:
        self.run = run
        self.systemd = Systemd(run)
        self.name: str = adopt["unit"]
        self.kind: str = adopt.get("kind", "systemd")
        self.file: str = adopt.get("file", "")
        self.units = [*adopt.get("sockets", []), self.name] if self.kind == "systemd" else []
        self.program = self.name.partition("/")[2]

    def state(self) -> dict[str, Any]:
        """Whether it runs, and whether it starts at boot; for systemd the same of each unit, in ``units``, with
        what it is a link to.

        :raises CommandFailed: where it isn't there.
        """
        if self.kind == "supervisor":
            said = self._supervisor("status", ok=(0, 3))
            return {"active": "RUNNING" in said, "enabled": os.path.isfile(self.file)}
        if self.kind == "oxmgr":
            held = oxmgr.find(self.name)
            return {"active": held.runs, "enabled": held.stays}
        found = self.systemd.show(self.units)
        if found[self.name].get("LoadState") == "not-found":
            raise CommandFailed(f"adopt.unit is {self.name}, and there is no such unit on this host any more.")
        units = {
            name: {
                "active": shown.get("ActiveState") == "active",
                "enabled": shown.get("UnitFileState") == "enabled",
                "link": _link(name),
            }
            for name, shown in found.items()
        }
        mine = units[self.name]
        return {"active": mine["active"], "enabled": mine["enabled"], "units": units}

    def refusal(self) -> str:
        """Why it can't be ended and begun from here; '' where it can."""
        if self.kind == "oxmgr":
            try:
                oxmgr.find(self.name)
            except CommandFailed as failure:
                return str(failure)
        if self.kind == "supervisor" and read_text(self._where()).count("[program:") > 1:
            return (
                f"{self.file} has several programs, and a file goes as a whole. Move [program:{self.program}] into a "
                "file of "
                "its own, and run again."
            )
        return ""

    def stop(self, was: dict[str, Any]) -> None:
        """End it, with the requests that it has, and have it not begun at boot.

        :param was: what state() told before.
        """
        if self.kind == "supervisor":
            if os.path.isfile(self.file):
                os.rename(self.file, self.file + ASIDE)
            self._supervisor("stop", ok=(0, 1, 7))
            return
        if self.kind == "oxmgr":
            # Oxmgr notes that it is to stay stopped, over a boot as well.
            oxmgr.find(self.name).stop()
            return
        self._link_again(was)
        self.systemd.do("disable", "--quiet", "--", *self.units)
        # A unit that is a link to a file elsewhere is taken away by that, and its file is to stay one of systemd's.
        self._link_again(was)
        self.systemd.do("stop", "--", *self.units)

    def start(self, was: dict[str, Any]) -> None:
        """Have it run and begun at boot as it was, each unit by itself.

        :param was: what state() told before.
        """
        if self.kind == "supervisor":
            if not os.path.isfile(self.file) and os.path.isfile(self.file + ASIDE):
                os.rename(self.file + ASIDE, self.file)
            if "RUNNING" not in self._supervisor("status", ok=(0, 3, 4)):
                self.run(["supervisorctl", "reread"])
                self.run(["supervisorctl", "add", self.program])
                self._supervisor("start", ok=(0, 7))
            return
        if self.kind == "oxmgr":
            # One that runs would be started anew, and wouldn't answer meanwhile.
            if not (held := oxmgr.find(self.name)).runs:
                held.start()
            return
        self._link_again(was)
        units = was["units"]
        if enabled := [name for name, before in units.items() if before["enabled"]]:
            self.systemd.do("enable", "--quiet", "--", *enabled)
        self.systemd.do("start", "--", *(name for name, before in units.items() if before["active"]))

    def _link_again(self, was: dict[str, Any]) -> None:
        """Put back links among the units that aren't there any more."""
        gone = {name: unit["link"] for name, unit in was.get("units", {}).items() if unit["link"] and not _link(name)}
        for name, link in gone.items():
            if not os.path.lexists(os.path.join(UNITS, name)):
                os.symlink(link, os.path.join(UNITS, name))
        if gone:
            self.systemd.do("daemon-reload")

    def _where(self) -> str:
        return self.file if os.path.isfile(self.file) else self.file + ASIDE

    def _supervisor(self, verb: str, ok: tuple[int, ...]) -> str:
        status, out, err = self.run(["supervisorctl", verb, self.program])
        if status not in ok:
            raise CommandFailed(f"supervisorctl {verb} {self.program} failed: {(err or out).strip()}")
        return out
