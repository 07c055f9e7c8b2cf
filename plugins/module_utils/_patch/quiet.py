# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an app still has requests: the access log grows, or its socket has connections. Health questions are in no
log, and are over in a moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .._app.slots import SLOTS, App
from .._host.files import read_text

LOGS = ("/var/log/caddy/{}.access.log", "/var/log/nginx/{}.access.json")
STILL = 3.0
"""Seconds without a request after which none is coming."""
PAUSE = 0.3
"""Seconds between two looks."""
CONNECTED = "03"
"""A socket's state in /proc/net/unix."""


def connections(table: str, sockets: set[str]) -> int:
    """How many connections there are to these sockets, by the text of /proc/net/unix."""
    rows = (line.split(maxsplit=7) for line in table.splitlines()[1:])
    return sum(len(row) == 8 and row[5] == CONNECTED and row[7] in sockets for row in rows)


def requester(line: str) -> str:
    """Who asked for what by a line of either proxy's access log, without secrets; '' where it says neither."""
    try:
        entry = json.loads(line)
        asked = entry.get("request") or entry
        client = asked.get("client_ip") or asked.get("remote_ip") or asked["client"]
        return f"{asked['method']} {str(asked['uri']).partition('?')[0]} of {client}"[:200]
    except (ValueError, RecursionError, KeyError, AttributeError, TypeError):
        return ""


@dataclass
class Traffic:
    """What requests of an app this host sees.

    :param paths: its access logs, those that are there.
    """

    app: App
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.paths = self.paths or [path.format(self.app.name) for path in LOGS]
        self.seen = self.logged()

    def logged(self) -> tuple[tuple[int, int], ...]:
        """What changes with each line of the logs."""
        found = []
        for path in self.paths:
            try:
                state = os.stat(path)
                found.append((state.st_ino, state.st_size))
            except OSError:
                found.append((0, 0))
        return tuple(found)

    def came(self) -> bool:
        """Whether a request was answered since this was asked last."""
        before, self.seen = self.seen, self.logged()
        return before != self.seen

    def under_way(self) -> int:
        return connections(read_text("/proc/net/unix"), {self.app.socket(slot) for slot in SLOTS})

    def last(self) -> str:
        """Who asked last for what."""
        for path in self.paths:
            try:
                with open(path, "rb") as file:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - 20_000))
                    lines = file.read().decode(errors="replace").splitlines()
            except OSError:
                continue
            if lines and (said := requester(lines[-1])):
                return said
        return ""


def came(traffic: list[Traffic]) -> bool:
    """Whether a request was answered to any since this was asked last. Each is asked, so that nothing is seen later."""
    return sum(each.came() for each in traffic) > 0


@dataclass(frozen=True)
class Left:
    """What was seen until a limit.

    :param coming: who still asks for what, a phrase; '' where nobody does.
    :param under_way: how many requests hadn't ended.
    """

    seconds: float
    coming: str = ""
    under_way: int = 0


def wait_until_left(
    traffic: list[Traffic],
    notice: float,
    limit: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Left:
    """Wait until no request comes any more, and none is under way.

    :param notice: seconds in which a balancer notices that the host leaves: until then a quiet moment says nothing.
    :param limit: seconds to wait at most.
    """
    begun = last = clock()
    while True:
        last = clock() if came(traffic) else last
        open_now = sum(each.under_way() for each in traffic)
        passed, still = clock() - begun, clock() - last
        if passed >= min(notice, limit) and still >= min(STILL, limit) and not open_now:
            return Left(passed)
        if passed >= limit:
            coming = "" if still >= STILL else next(filter(None, (each.last() for each in traffic)), "somebody")
            return Left(passed, coming, open_now)
        sleep(PAUSE)


def wait_for_one(
    traffic: list[Traffic],
    limit: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until a request comes, for so many seconds at most; whether one did."""
    end = clock() + limit
    while not came(traffic):
        if clock() >= end:
            return False
        sleep(PAUSE)
    return True
