# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was measured with each number of workers, when there is no point in more, and which one is right. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

NEAR = 0.95
"""A throughput from this part of the best on is as good as the best: runs of a few seconds differ by that much."""
P99_FACTOR, P99_SLACK = 1.5, 5.0
"""How much longer than the shortest p99 of those that are as good one may have: a factor, and at least milliseconds."""
ERRORS = 0.01
"""The part of answers that may be errors."""
FURTHER = 2
"""So many further counts have to bring less than a twentieth each before the sweep ends: one may be bad luck."""


@dataclass(frozen=True)
class Count:
    """One number of workers, measured.

    :param requests: answers within the time, errors among them.
    :param rate: good answers a second.
    :param p50: and ``p95`` and ``p99``: milliseconds of the good ones.
    :param errors: answers other than 2xx and 3xx, and requests without one.
    :param memory: bytes of arbiter and workers (PSS).
    :param worker_memory: the most bytes that a worker has taken.
    :param cpu: CPUs that the slot had on average: 1.5 is one and a half.
    :param load_cpu: CPUs that the load itself had.
    :param idle: CPUs that the host had left.
    :param ready: seconds from the start until it was ready.
    :param live_p95: milliseconds, of the questions to the slot that serves.
    :param bad: how often each status came that is an error; 0 is a request without an answer.
    :param asked: the answers by method, where several methods or bodies were asked.
    :param connections: to databases, by the name of what listens on such a port.
    :param stalls: how often an event loop stood still for long; None where nobody counts it.
    """

    workers: int
    requests: int
    rate: float
    p50: float
    p95: float
    p99: float
    errors: int
    memory: int = 0
    worker_memory: int = 0
    cpu: float = 0.0
    load_cpu: float = 0.0
    idle: float = 0.0
    ready: float = 0.0
    live_p95: float = 0.0
    connections: dict[str, int] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    stalls: int | None = None

    @property
    def sound(self) -> bool:
        """Whether what was measured are answers, and not errors, which may be quick."""
        return self.rate > 0 and self.errors <= ERRORS * self.requests


def bent(counts: Sequence[Count]) -> bool:
    """Whether the last counts have brought nothing that counts, each beside the best before it."""
    if len(counts) <= FURTHER:
        return False
    return all(
        counts[at].rate * NEAR < max(count.rate for count in counts[:at])
        for at in range(len(counts) - FURTHER, len(counts))
    )


def best(counts: Sequence[Count]) -> Count | None:
    """The one with the highest throughput."""
    sound = [count for count in counts if count.sound]
    return max(sound, key=lambda count: count.rate, default=None)


def choose(counts: Sequence[Count]) -> Count | None:
    """The fewest workers whose throughput is as good as the best, and whose p99 isn't much longer than it could be.

    Each worker is a whole interpreter with its own connections, so the fewest win; but where clients pause between
    requests the throughput is the same for all, and the p99 is what more workers are for.

    :returns: None where there were nothing but errors.
    """
    top = best(counts)
    if not top:
        return None
    near = [count for count in counts if count.sound and count.rate >= NEAR * top.rate]
    shortest = min(count.p99 for count in near)
    allowed = max(P99_FACTOR * shortest, shortest + P99_SLACK)
    return min((count for count in near if count.p99 <= allowed), key=lambda count: count.workers)


def line(counts: Sequence[Count], chosen: Count) -> str:
    """What to paste."""
    top = best(counts) or chosen
    said = f"{chosen.rate:,.0f} requests/s, p99 {_short(chosen.p99)} ms"
    if len(counts) == 1:
        return f"fastapi_workers: {chosen.workers}  # {said}"
    if chosen.workers == top.workers:
        most, least = max(count.workers for count in counts), min(count.workers for count in counts)
        return f"fastapi_workers: {chosen.workers}  # {said}, the best of {least} to {most}"
    share = f"{100 * chosen.rate / top.rate:.0f} % of the best"
    return f"fastapi_workers: {chosen.workers}  # {said}, {share}{_memory(chosen, top)}"


def _memory(chosen: Count, top: Count) -> str:
    part = chosen.memory / top.memory if chosen.memory and top.memory else 1.0
    if part > NEAR:
        return ""
    return f" with {'half' if 0.45 <= part <= 0.55 else f'{100 * part:.0f} % of'} its memory"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:,.0f}"
