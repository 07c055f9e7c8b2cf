# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Oxmgr that somebody has set up: which of them has an app, and how that is stopped and started there.

It is asked by its own protocol, a line of JSON each way, and never by its program, which starts a daemon of its own
where none answers at once. Whoever runs it may answer anything: no path and no user is taken from what it says.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .._host.files import names_in
from .._host.reading import MOST, read_text
from .._host.systemd import CommandFailed

ANSWER = 10.0
"""Seconds within which a daemon has to answer that starts and stops nothing."""
BESIDE = 15.0
"""Seconds that it may take beside an app's own stop timeout."""
_LOOPBACK = re.compile(r"(127(?:\.[0-9]{1,3}){3}|localhost):([0-9]{1,5})")


@dataclass(frozen=True)
class Daemon:
    """:param address: where it takes orders: host and port.
    :param uid: of the user as whom it and all of its apps run.
    """

    address: tuple[str, int]
    uid: int


@dataclass(frozen=True)
class Held:
    """An app, and the daemon that has it.

    :param runs: whether it runs now; ``stays`` whether it is started again with the daemon.
    :param timeout: seconds within which it has to stop.
    """

    daemon: Daemon
    app: str
    runs: bool
    stays: bool
    timeout: float

    def stop(self) -> None:
        """:raises CommandFailed: where the daemon says no, or nothing in time; of start() as well."""
        self._order("stop")

    def start(self) -> None:
        self._order("restart")

    def _order(self, verb: str) -> None:
        try:
            answer = ask(self.daemon, {"type": verb, "target": self.app}, self.timeout + BESIDE)
        except (OSError, ValueError) as error:
            raise CommandFailed(f"Oxmgr didn't {verb} {self.app}: {error}. Try oxmgr {verb} {self.app}.") from None
        if answer.get("ok") is not True:
            raise CommandFailed(f"Oxmgr didn't {verb} {self.app}: it said {str(answer.get('message'))[:500]}")


def default_port(uid: int) -> int:
    """That of a user's daemon which was given none: a hash of who it is (FNV-1a; Oxmgr 0.5.0, src/config.rs)."""
    number = 2166136261
    for byte in f"uid-{uid}".encode():
        number = (number ^ byte) * 16777619 & 0xFFFFFFFF
    return 40000 + number % 20000


def daemons(proc: str = "/proc") -> Iterator[Daemon]:
    """Those that run in the host's own network, where this collection's never do."""
    for pid in names_in(proc):
        place = f"{proc}/{pid}"
        words = read_text(f"{place}/cmdline").split("\0") if pid.isdecimal() else []
        if words[1:3] != ["daemon", "run"] or os.path.basename(words[0]) != "oxmgr":
            continue
        try:
            if os.readlink(f"{place}/ns/net") != os.readlink(f"{proc}/self/ns/net"):
                continue
            uid = os.stat(place).st_uid
        except OSError:
            # It has ended meanwhile.
            continue
        given = re.search(r"(?:^|\0)OXMGR_DAEMON_ADDR=([^\0]+)", read_text(f"{place}/environ"))
        match = _LOOPBACK.fullmatch(given[1].strip()) if given else None
        if match or not given:
            yield Daemon((match[1], int(match[2])) if match else ("127.0.0.1", default_port(uid)), uid)


def ask(daemon: Daemon, request: dict[str, str], limit: float) -> dict[str, Any]:
    """One question.

    :param limit: seconds for all of it: while it starts or stops something it answers nobody.
    :raises OSError: where it can't be reached in time.
    :raises ValueError: where what answers isn't Oxmgr.
    """
    end, data = time.monotonic() + limit, b""
    with socket.create_connection(daemon.address, limit) as link:
        link.sendall(json.dumps(request).encode() + b"\n")
        while not data.endswith(b"\n") and len(data) < MOST:
            link.settimeout(max(0.01, end - time.monotonic()))
            more = link.recv(65536)
            if not more:
                break
            data += more
    answer = json.loads(data or b"null")
    if not isinstance(answer, dict):
        raise ValueError("what answers there isn't Oxmgr")
    return answer


def _apps(daemon: Daemon) -> list[dict[str, Any]]:
    try:
        rows = ask(daemon, {"type": "list"}, ANSWER).get("processes")
    except (OSError, ValueError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def find(name: str, proc: str = "/proc") -> Held:
    """The app of an oxfile where it is kept.

    :param name: as in Program: ``/srv/shop/oxfile.toml#api``.
    :raises CommandFailed: where no daemon has it, or more than one.
    """
    path, _hash, app = name.partition("#")
    found = [(daemon, row) for daemon in daemons(proc) for row in _apps(daemon) if row.get("name") == app]
    if len(found) > 1:
        near = os.path.dirname(path)
        found = [(daemon, row) for daemon, row in found if f"{row.get('cwd')}/".startswith(f"{near}/")] or found
    if not found:
        raise CommandFailed(
            f"No Oxmgr that runs on this host has an app {app}, as {path} says it. Start its daemon, and the app by "
            f"oxmgr apply {path}; then run again."
        )
    if len(found) > 1:
        raise CommandFailed(
            f"More than one Oxmgr on this host has an app {app}, and which one {path} is for can't be told. Take it "
            f"out of the others by oxmgr delete {app}, and run again."
        )
    ((daemon, row),) = found
    seconds = row.get("stop_timeout_secs")
    return Held(
        daemon,
        app,
        row.get("status") == "running",
        row.get("desired_state") == "running",
        float(seconds) if isinstance(seconds, int) and 0 <= seconds <= 3600 else 0.0,
    )
