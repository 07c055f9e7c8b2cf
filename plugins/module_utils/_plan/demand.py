# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of a host and what it could carry: the arithmetic of the plan, in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .capacity import Capacity, Part
from .sizes import MIB, round_up, with_margin

ARBITER = 64 * MIB
RESERVE = 256 * MIB
WORKLOADS = ("io", "cpu", "mixed")
STRATEGIES = ("auto", "swap", "restart", "reload")


@dataclass(frozen=True)
class Demand:
    """What the user asks for: workers None is auto, memory_max None is planned, sizes are bytes.

    `taken` is what a worker has taken at most, where `worker_memory` is planned by it; 0 where it isn't. `tuned` are
    the workers that tune.yml has measured to be right, on the day `tuned_on`; 0 where that isn't known.
    """

    workload: str = "io"
    workers: int | None = None
    worker_memory: int = 150 * MIB
    memory_max: int | None = None
    strategy: str = "auto"
    db_pool_size: int = 0
    db_max_connections: int = 0
    taken: int = 0
    tuned: int = 0
    tuned_on: str = ""

    @property
    def slots(self) -> int:
        """How many slots have to fit for certain: two only where a swap was asked for."""
        return 2 if self.strategy == "swap" else 1

    def need(self, workers: int) -> int:
        """Bytes that one slot takes."""
        return workers * self.worker_memory + ARBITER

    @property
    def has_database(self) -> bool:
        return self.db_pool_size > 0 and self.db_max_connections > 0


@dataclass(frozen=True)
class Caps:
    """The most workers that each resource allows; database is None where it sets no limit."""

    cpu: int
    memory: int
    database: int | None


def reserve(memory: int) -> int:
    """Bytes kept for the system: 256M or a tenth, whichever is more, but never more than half."""
    return min(memory // 2, max(RESERVE, memory // 10))


def available(memory: int) -> int:
    """Bytes that the app's slots may take together."""
    return memory - reserve(memory)


def given(capacity: Capacity) -> int:
    """Bytes that the app may take: all of its own slice, and of the host what is left for apps."""
    gives = available(capacity.memory)
    return gives if capacity.own is None else min(gives, capacity.own)


def used(parts: Iterable[Part]) -> int:
    """Bytes that these take together."""
    return sum(part.whole for part in parts)


def room_of(capacity: Capacity) -> int:
    """Bytes that the app's slots may take together: without its processes and timers, and without the other apps."""
    gives = available(capacity.memory) - used(capacity.others)
    gives = gives if capacity.own is None else min(gives, capacity.own)
    return max(0, gives - used(capacity.beside))


def bound_of(capacity: Capacity) -> int:
    """Bytes by which the slots' limit is made: the other apps come and go, and a limit that followed them would change
    with each deploy of theirs."""
    return max(0, given(capacity) - used(capacity.beside))


def beside_connections(demand: Demand, capacity: Capacity) -> int:
    """Connections that processes and timers open, each as many as a worker of the web."""
    return demand.db_pool_size * sum(part.count for part in capacity.beside)


def learn(demand: Demand, taken: int, capacity: Capacity) -> Demand:
    """The demand of an app of which a worker has taken so many bytes at most: with a quarter on top, if that is more
    than was assumed. Less is no reason for more workers: they may not have had much to do.

    Never so much that the plan would be refused for it: what serves now has shown that it fits.
    """
    room = room_of(capacity) // demand.slots
    if demand.memory_max is not None:
        room = min(room, demand.memory_max)
    each = min(with_margin(taken), (room - ARBITER) // max(1, demand.workers or 1))
    return replace(demand, worker_memory=each, taken=taken) if each > demand.worker_memory else demand


def memory_for(wanted: int) -> int:
    """The smallest memory, in whole megabytes, of which at least wanted bytes are available."""
    if wanted < 1:
        return 0
    # The inverse of available() to the byte, whose reserve is rounded down: hence the ones.
    return round_up(min(2 * wanted - 1, max(wanted + RESERVE, 10 * (wanted - 1) // 9 + 1)))


def find_caps(demand: Demand, capacity: Capacity) -> Caps:
    """Each resource's cap, for the slots that have to fit for certain."""
    cpu = max(1, int(capacity.cpus)) + (demand.workload == "mixed")
    room = room_of(capacity) // demand.slots
    if demand.memory_max is not None:
        room = min(room, demand.memory_max)
    memory = max(0, (room - ARBITER) // demand.worker_memory)
    database = None
    if demand.has_database:
        left = max(0, demand.db_max_connections - beside_connections(demand, capacity))
        database = left // (demand.db_pool_size * demand.slots)
    return Caps(cpu, memory, database)
