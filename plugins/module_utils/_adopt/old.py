# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The old way in which an app is run: ended and begun by whoever keeps it alive, and how many still speak to it."""

from __future__ import annotations

import os
import time
from typing import Any

from .._host.files import read_text
from .._host.systemd import CommandFailed, Run, Systemd

ASIDE = ".adopted"
"""Ends the name of a supervisord file that is out of the way: it reads those that end in .conf alone."""


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


def drain(at: str, limit: float) -> int:
    """Wait until nobody speaks to an address any more, which has to be seen three times in a row; how many still do."""
    end, quiet = time.monotonic() + limit, 0
    while True:
        left = connections(at)
        quiet = 0 if left else quiet + 1
        if quiet >= 3 or time.monotonic() > end:
            return left
        time.sleep(0.2)


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

    def state(self) -> dict[str, bool]:
        """Whether it runs, and whether it starts at boot.

        :raises CommandFailed: where it isn't there.
        """
        if self.kind == "supervisor":
            said = self._supervisor("status", ok=(0, 3))
            return {"active": "RUNNING" in said, "enabled": os.path.isfile(self.file)}
        if self.kind != "systemd":
            return {"active": True, "enabled": False}
        shown = self.systemd.show([self.name])[self.name]
        if shown.get("LoadState") == "not-found":
            raise CommandFailed(f"adopt.unit is {self.name}, and there is no such unit on this host any more.")
        return {"active": shown["ActiveState"] == "active", "enabled": shown.get("UnitFileState") == "enabled"}

    def refusal(self) -> str:
        """Why it can't be ended and begun from here; '' where it can."""
        if self.kind == "oxmgr":
            return (
                f"{self.name} is Oxmgr's, whose daemon belongs to whoever has started it: adopt.yml doesn't speak to "
                "it. Stop "
                f"the app there when step=move has been (oxmgr stop {self.name.partition('#')[2]}), and start it "
                "before undo."
            )
        if self.kind == "supervisor" and read_text(self._where()).count("[program:") > 1:
            return (
                f"{self.file} has several programs, and a file goes as a whole. Move [program:{self.program}] into a "
                "file of "
                "its own, and run again."
            )
        return ""

    def stop(self) -> None:
        """End it, with the requests that it has, and have it not begun at boot."""
        if self.kind == "supervisor":
            if os.path.isfile(self.file):
                os.rename(self.file, self.file + ASIDE)
            self._supervisor("stop", ok=(0, 1, 7))
            return
        self.systemd.do("disable", "--quiet", "--", *self.units)
        self.systemd.do("stop", "--", *self.units)

    def start(self, enabled: bool) -> None:
        if self.kind == "supervisor":
            if not os.path.isfile(self.file) and os.path.isfile(self.file + ASIDE):
                os.rename(self.file + ASIDE, self.file)
            if "RUNNING" not in self._supervisor("status", ok=(0, 3, 4)):
                self.run(["supervisorctl", "reread"])
                self.run(["supervisorctl", "add", self.program])
                self._supervisor("start", ok=(0, 7))
            return
        if self.kind != "systemd":
            return
        if enabled:
            self.systemd.do("enable", "--quiet", "--", *self.units)
        self.systemd.do("start", "--", *self.units)

    def _where(self) -> str:
        return self.file if os.path.isfile(self.file) else self.file + ASIDE

    def _supervisor(self, verb: str, ok: tuple[int, ...]) -> str:
        status, out, err = self.run(["supervisorctl", verb, self.program])
        if status not in ok:
            raise CommandFailed(f"supervisorctl {verb} {self.program} failed: {(err or out).strip()}")
        return out
