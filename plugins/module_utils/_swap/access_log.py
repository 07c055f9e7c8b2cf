# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy's access log, followed from now on: which side has answered what, and in which time.

Which side it was is the proxy's own word: a header that it sets in the answer itself (Caddy, whose log has no fields of
one's own before 2.8), a field of the log (nginx). What a client or the app says is never asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HEADER = "X-Graceful-Side"
CANARY, LIVE = "canary", "live"
MOST = 1 << 22
"""Bytes that are read at a time."""
LONGEST = 1 << 20
"""Bytes of a line; a longer one is passed over."""
SWITCHED = 101
"""The status of a WebSocket, which is answered when it ends."""
STREAM = "text/event-stream"


@dataclass(frozen=True)
class Seen:
    """One request.

    :param side: ``canary`` or ``live``.
    :param error: whether its answer was a 5xx.
    :param seconds: that its answer took; None of a stream, whose end says nothing.
    """

    side: str
    error: bool
    seconds: float | None


def parse(line: bytes) -> Seen | None:
    """A line of either proxy's; None where no side has answered it, or it is none."""
    if b"canary" not in line and b"live" not in line:
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    return _of_nginx(row) if "side" in row else _of_caddy(row)


def _of_caddy(row: dict[str, Any]) -> Seen | None:
    headers, status, took = row.get("resp_headers"), row.get("status"), row.get("duration")
    if not isinstance(headers, dict) or not isinstance(status, int) or not isinstance(took, (int, float)):
        return None
    said = headers.get(HEADER)
    kind = headers.get("Content-Type")
    stream = status == SWITCHED or (isinstance(kind, list) and any(STREAM in str(each) for each in kind))
    return _seen(said[0] if isinstance(said, list) and said else None, status, None if stream else float(took))


def _of_nginx(row: dict[str, Any]) -> Seen | None:
    status, took = row.get("status"), row.get("duration")
    if not isinstance(status, int) or not isinstance(took, (int, float)):
        return None
    # Where a second one was asked, such as "502, 200": what the first made of it counts.
    first = str(row.get("upstream_status", "")).partition(",")[0].strip()
    status = int(first) if first.isdecimal() else status
    # Until the answer begins: how fast a client takes it is no matter of the app's.
    until = sum(filter(None, map(_number, str(row.get("upstream_duration", "")).split(",")))) or float(took)
    return _seen(row["side"], status, None if status == SWITCHED else until)


def _seen(side: object, status: int, seconds: float | None) -> Seen | None:
    return Seen(str(side), status >= 500, seconds) if side in (CANARY, LIVE) else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Log:
    """Follows a log from its end on, also where it is renamed and begun anew meanwhile. One that isn't there yet is
    empty: Caddy makes it with its first line.

    :raises OSError: where it is no file that can be read so.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.file: int | None = None
        self.rest = b""
        self.skips = False
        """Whether what comes next is the rest of a line that is too long."""
        with contextlib.suppress(FileNotFoundError):
            self.file = _opened(path)
            os.lseek(self.file, 0, os.SEEK_END)

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)

    def new(self) -> Iterator[Seen]:
        """What has come since the last call."""
        while True:
            # Asked before the last read: what is written to the old file after that is written before this.
            renamed = self._renamed()
            while self.file is not None and (content := os.read(self.file, MOST)):
                yield from self._lines(content)
            if not renamed:
                return
            new = _opened(self.path)
            self.close()
            self.file, self.rest, self.skips = new, b"", False

    def _renamed(self) -> bool:
        """Whether another file than the one that is read is at the path."""
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            # Not begun, or renamed a moment ago; the next call finds what is begun in its place.
            return False
        return self.file is None or not os.path.samestat(there, os.fstat(self.file))

    def _lines(self, content: bytes) -> Iterator[Seen]:
        *lines, self.rest = (self.rest + content).split(b"\n")
        for line in lines:
            if not self.skips and (seen := parse(line)):
                yield seen
            self.skips = False
        if len(self.rest) > LONGEST:
            self.rest, self.skips = b"", True


def _opened(path: str) -> int:
    """The proxy's user could put anything in its place."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return descriptor
