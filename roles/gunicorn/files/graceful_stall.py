# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says for how long a worker's event loop stood still, and at which line of the app: a call without an await holds it.

The loop beats; a thread looks from outside, and where a beat is overdue it notes what the loop's own thread is at. When
the loop turns again, one line tells it. A call in C that holds Python's lock keeps the thread out as well: it then gets
in as the call ends, which is at the same line or just after it.
"""

from __future__ import annotations

import asyncio
import collections
import linecache
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

BEATS = 4  # in the time of one stall that counts, so one is told up to a quarter of that too long
LOOKS = 4  # of the thread, in the same time
LONGEST_LINE = 100  # characters of the line of code
_LIBRARY = (sysconfig.get_path("stdlib") + os.sep, os.path.dirname(os.path.abspath(__file__)) + os.sep)
_INSTALLED = f"{os.sep}site-packages{os.sep}"


def place(frame: FrameType | None, release: str) -> tuple[str, int, str] | None:
    """Path, line and function of the app's innermost frame; of a package's where no code of the app's own is at work.

    It reads no file, which would let the loop go on before the place is noted.

    release: the directory of the app's code.
    """
    found = None
    while frame is not None:
        path = frame.f_code.co_filename
        own, _installed, package = path.partition(_INSTALLED)
        if package or not path.startswith((*_LIBRARY, "<")):
            at = (path, frame.f_lineno, frame.f_code.co_name)
            if not package and own.startswith(f"{release}{os.sep}"):
                return at
            # Of the servers' own code the loop is always somewhere inside.
            if not found and not package.startswith(("uvicorn", "gunicorn", "starlette", "fastapi", "anyio")):
                found = at
        frame = frame.f_back
    return found


def shown(at: tuple[str, int, str], release: str) -> str:
    """A place as ``app/main.py:42 in read: data = requests.get(url)``; a package's by the package's path."""
    path, number, function = at
    line = linecache.getline(path, number).strip()[:LONGEST_LINE]
    short = path.partition(_INSTALLED)[2] or path.removeprefix(f"{release}{os.sep}")
    return f"{short}:{number} in {function}{line and ': ' + line}"


class Stalls:
    """Watches the loop that it is begun in, until stop().

    limit: seconds from which on a stall is told.
    tell: takes the line, in the thread that watches.
    release: the directory of the app's code.
    """

    def __init__(self, limit: float, tell: Callable[[str], Any], release: str) -> None:
        self.limit = limit
        self.tell = tell
        self.release = release
        self.seen: collections.Counter[tuple[str, int, str]] = collections.Counter()  # of a stall that goes on
        self.ended = threading.Event()
        self.beat = self.cpu = self.all = 0.0
        self.who = 0
        self.timer: asyncio.TimerHandle | None = None
        self.held: list[tuple[float, float, float, collections.Counter[tuple[str, int, str]]]] = []  # that are over

    def begin(self) -> None:
        """To be called in the loop."""
        self.who = threading.get_ident()
        self.beat, self.cpu, self.all = time.monotonic(), time.thread_time(), time.process_time()
        self._turn(asyncio.get_running_loop())
        threading.Thread(target=self._look, name="graceful-stalls", daemon=True).start()

    def stop(self) -> None:
        self.ended.set()
        if self.timer:
            self.timer.cancel()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        now, cpu, everybody = time.monotonic(), time.thread_time(), time.process_time()
        took, used, others = now - self.beat, cpu - self.cpu, everybody - self.all - cpu + self.cpu
        self.beat, self.cpu, self.all = now, cpu, everybody
        if took >= self.limit:
            self.held.append((took, used, others, self.seen))
        if took >= self.limit or self.seen:
            self.seen = collections.Counter()
        self.timer = loop.call_later(self.limit / BEATS, self._turn, loop)

    def _look(self) -> None:
        looked, kept_out = time.monotonic(), 0.0
        while not self.ended.wait(self.limit / LOOKS):
            # For how long nobody but one thread ran Python, or none.
            looked, kept_out = time.monotonic(), max(kept_out, time.monotonic() - looked)
            # A beat may be late by a turn of a busy loop.
            late = time.monotonic() - self.beat > self.limit / 2
            if late and (at := place(sys._current_frames().get(self.who), self.release)):
                self.seen[at] += 1
            while self.held:
                self.tell(self._line(*self.held.pop(0), kept_out))
            if looked - self.beat < self.limit / 2:
                kept_out = 0.0

    def _line(
        self, took: float, used: float, others: float, seen: collections.Counter[tuple[str, int, str]], kept_out: float
    ) -> str:
        head = f"The event loop stood still for {took:.2f} s"
        if kept_out >= took / 2 and others >= took / 2:
            return f"{head}, while another thread of the app held Python: one long call, in a def endpoint perhaps"
        if seen:
            return f"{head} at {shown(seen.most_common(1)[0][0], self.release)}"
        if used < took / 2:
            return f"{head}: the process was stopped, or the host had no CPU for it"
        return f"{head}, in code that isn't the app's own"
