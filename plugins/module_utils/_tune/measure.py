# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures a standby slot that has started: loads it, and reads meanwhile what it takes."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence

from .._host.door import Door
from .._host.probe import Answer, ask
from .._host.ranks import percentile
from .._observe.stalls import of_last_day
from . import host
from .figures import Count
from .live import LiveWatch
from .load import Group, Kind, adjusted, good, off, shares, split
from .press import Press, Pressed
from .standby import Standby

WARM = 0.25
"""So much of the time that counts is asked before it; between the two below, in seconds."""
WARM_LEAST, WARM_MOST = 1.0, 5.0
BEFORE_END = 0.2
"""Seconds before its end at which is read what it takes: while it is still asked."""
COUNTED = re.compile(r"^\s*slow_callback=(?!0(\.0)?,)", re.MULTILINE)
"""What Gunicorn's settings have where stalls are counted."""
ROUNDS, TRIAL, NEARLY = 5, 0.8, 0.15
"""So often the division of clients is tried, for so many seconds each, until it is off by less than this part."""
ONCE = 30.0
"""Seconds that one answer may take when each path is tried."""


def ask_once(door: Door, path: str) -> Answer:
    return ask(door, path, ONCE)


def stalls(standby: Standby) -> int | None:
    """How often an event loop of the slot stood still for long since it was started (fastapi_slow_callback); None where
    nobody counts it: that is off, or the live slot is of an earlier version."""
    app, slot = standby.app, standby.slot
    if not COUNTED.search(app.configured(slot)):
        return None
    found = of_last_day(standby.run, app.name, [standby.supervisor.called(slot)], f"@{standby.began:.0f}")
    return int(found.get("times", 0))


class Measure:
    """Measures one number of workers after the other, each in the same way."""

    def __init__(
        self, standby: Standby, watch: LiveWatch, press: Press, kinds: Sequence[Kind], clients: int, seconds: float
    ) -> None:
        self.standby = standby
        self.watch = watch
        self.press = press
        self.kinds = kinds
        self.clients = clients
        self.seconds = seconds
        self.wanted = shares(kinds)
        self.weights: dict[Group, float] = dict(self.wanted)
        """How the clients are divided among what one h2load asks for."""
        self.warm = min(WARM_MOST, max(WARM_LEAST, WARM * seconds))

    def take(self, workers: int, ready: float, begun: float) -> Count | str:
        """Measure.

        :param ready: seconds that its start took; it began at ``begun``, on the monotonic clock.
        :returns: what was measured, or what the slot that serves suffered.
        """
        state = self.standby.state()
        main, group = state.main, state.group
        host.step_aside(group, host.processes(main))

        def stop() -> str:
            return self.watch.trouble(begun)

        if suffered := self._divide(stop):
            return suffered
        seen: dict[str, tuple[float, float, float, float]] = {}
        memory = worker_memory = 0
        connections: dict[str, int] = {}

        def at(name: str) -> None:
            idle, whole = host.idle_ticks()
            seen[name] = (time.monotonic(), host.cpu_seconds(group, main), idle, whole)

        def end() -> None:
            nonlocal memory, worker_memory, connections
            at("end")
            memory, worker_memory = host.taken(main)
            connections = host.connections(main)

        calls = [(self.warm, lambda: at("begin")), (self.warm + self.seconds - BEFORE_END, end)]
        pressed = self._press(self.warm, self.seconds, calls, stop)
        if pressed.stopped:
            return pressed.stopped
        (began, cpu, idle, whole), (ended, cpu_then, idle_then, whole_then) = seen["begin"], seen["end"]
        fine = sorted(seconds * 1000 for status, seconds in pressed.rows if good(status))
        bad = Counter(str(status) for status, _seconds in pressed.rows if not good(status))
        between = max(0.1, ended - began)
        left = (idle_then - idle) / max(1.0, whole_then - whole) * (os.cpu_count() or 1)
        return Count(
            workers=workers,
            requests=len(pressed.rows),
            rate=round(len(fine) / self.seconds, 2),
            p50=round(percentile(fine, 50), 2),
            p95=round(percentile(fine, 95), 2),
            p99=round(percentile(fine, 99), 2),
            errors=bad.total(),
            memory=memory,
            worker_memory=worker_memory,
            cpu=round((cpu_then - cpu) / between, 2),
            load_cpu=round(pressed.load_cpu, 2),
            idle=round(left, 2),
            ready=round(ready, 2),
            live_p95=round(self.watch.p95(begun) * 1000, 2),
            connections=connections,
            bad=dict(bad.most_common()),
            asked=_by_method(pressed) if len(self.wanted) > 1 else {},
            stalls=stalls(self.standby),
        )

    def _divide(self, stop: Callable[[], str]) -> str:
        """Divide the clients among what several h2load ask for, so that each comes as often as is wanted: tried for a
        moment, a few times, beginning with what was right for the number before.

        :returns: what the slot that serves suffered, '' where it didn't.
        """
        for _round in range(ROUNDS if len(self.wanted) > 1 else 0):
            pressed = self._press(0.2, TRIAL, [], stop)
            if pressed.stopped:
                return pressed.stopped
            seen = {group: len(rows) for group, rows in pressed.groups.items()}
            if off(self.wanted, seen) < NEARLY:
                break
            self.weights = adjusted(self.weights, self.wanted, seen)
        return ""

    def _press(
        self, warm: float, seconds: float, calls: Sequence[tuple[float, Callable[[], None]]], stop: Callable[[], str]
    ) -> Pressed:
        streams = split(self.kinds, self.clients, self.weights, self.press.target.think)
        return self.press.run(streams, warm, seconds, calls, stop)


def _by_method(pressed: Pressed) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (method, _body, _type), rows in pressed.groups.items():
        found[method] += len(rows)
    return dict(found)
