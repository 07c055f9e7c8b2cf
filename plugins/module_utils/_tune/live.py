# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches what serves while the standby slot is measured: a few questions a second, and what became of their p95."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .._host.door import Door
from .._host.probe import ask
from .._host.ranks import percentile

EVERY = 0.1
"""Seconds between two questions."""
PATIENCE = 5.0
"""Seconds that one may take."""
BEFORE = 4.0
"""Seconds for which it is asked before anything is started."""
WINDOW = 4.0
"""Seconds that a p95 is of."""
LEAST = 20
"""So many answers at least are one."""
FLOOR = 0.025
"""Seconds by which a p95 has to have grown: twice a millisecond is nothing that anybody notices, and comes from a CPU
that is merely in use."""
UNANSWERED = 3
"""So many questions in a row without a good answer are an end of it."""


@dataclass(frozen=True)
class Limits:
    """Seconds: from where on the p95 is told to a person, and from where on the run stops."""

    warn: float
    stop: float


def limits(before: float, slower: float) -> Limits:
    """
    :param before: the p95 before, seconds.
    :param slower: how many times as long it may become. Half of the way there is worth a word.
    """
    return Limits(max((1 + slower) / 2 * before, before + FLOOR / 2), max(slower * before, before + FLOOR))


def filled(took: float, every: float = EVERY) -> list[float]:
    """An answer that was late, with those that would have been asked meanwhile and had waited for the rest of it."""
    return [took - late * every for late in range(int(took / every) + 1)] if took > every else [took]


class LiveWatch:
    """Asks from a thread of its own, until it is closed.

    :param door: of the slot that serves.
    :param path: what it is asked: its readiness, which knows of what the app needs and costs little.
    :param slower: see limits().
    """

    def __init__(self, door: Door, path: str, slower: float) -> None:
        self.door = door
        self.path = path
        self.slower = slower
        self.rows: list[tuple[float, float]] = []
        """When it was asked, on the monotonic clock, and the seconds that the answer took."""
        self.before = 0.0
        """The p95 before anything was started, seconds."""
        self.limits = limits(0.0, slower)
        self.failed = ""
        """The last of several bad answers in a row."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> LiveWatch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE + 1)

    def settle(self) -> None:
        """Take what it is like now for what it is like undisturbed."""
        begun = time.monotonic()
        # One that takes seconds for an answer is watched for as long as there are some.
        while time.monotonic() < begun + BEFORE or (len(self.rows) < LEAST and time.monotonic() < begun + 10 * BEFORE):
            time.sleep(EVERY)
        self.before = self.p95(begun)
        self.limits = limits(self.before, self.slower)

    def _run(self) -> None:
        bad = 0
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            asked = time.monotonic()
            answer = ask(self.door, self.path, PATIENCE)
            took = time.monotonic() - asked
            self.rows += [(asked + took - each, each) for each in filled(took)]
            bad = 0 if answer.good else bad + 1
            if bad >= UNANSWERED:
                self.failed = f"{self.path} answers {answer}"
            due = max(due + EVERY, time.monotonic())

    def p95(self, since: float, until: float = float("inf")) -> float:
        """Seconds; 0 where nothing was asked between these times."""
        return _p95([took for at, took in list(self.rows) if since <= at <= until])

    def trouble(self, begun: float) -> str:
        """What the live slot suffers just now, '' where it doesn't.

        :param begun: when what may be the cause began, on the monotonic clock.
        """
        if self.failed:
            return self.failed
        now = time.monotonic()
        recent = [took for at, took in list(self.rows) if at >= max(begun, now - WINDOW)]
        if len(recent) < LEAST or _p95(recent) <= self.limits.stop:
            return ""
        return f"its p95 went from {self.before * 1000:.1f} ms to {_p95(recent) * 1000:.1f} ms"

    def disturbed(self, p95: float) -> bool:
        """Whether a p95 is one to tell of."""
        return p95 > self.limits.warn


def _p95(took: Sequence[float]) -> float:
    return percentile(sorted(took), 95)
