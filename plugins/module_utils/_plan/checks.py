# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is refused for, and for each refusal a value that would pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .._app.words import PREFIX
from .capacity import Capacity
from .demand import ARBITER, Demand, available, find_caps, memory_for, reserve, room_of
from .sizes import MIB, format_size, human_size, parse_size, round_down, round_up
from .timeouts import PlanProblem

# A Python interpreter with Uvicorn alone takes more, so less is a slip, such as 150 for 150M.
SMALLEST_WORKER = 16 * MIB
# What a problem names as its variable where none of the user's could fix it.
HOST_MEMORY = "host memory"


def fix(problem: PlanProblem, demand: Demand, capacity: Capacity) -> tuple[Demand, Capacity]:
    """The same question with the problem's proposal written in."""
    value = problem.passing_value
    if problem.variable == HOST_MEMORY:
        memory = parse_size(value)
        own = None if capacity.own is None else max(capacity.own, memory)
        return demand, replace(capacity, memory=max(capacity.memory, memory), own=own)
    name = problem.variable.removeprefix(PREFIX)
    change: dict[str, Any] = {name: parse_size(value) if name in ("worker_memory", "memory_max") else value}
    return replace(demand, **change), capacity


def find_problems(demand: Demand, capacity: Capacity) -> list[PlanProblem]:
    """Everything that can't be planned with; each check sees the input as the earlier ones would have it."""
    problems: list[PlanProblem] = []
    for check in CHECKS:
        problem = check(demand, capacity)
        if problem is not None:
            problems.append(problem)
            demand, capacity = fix(problem, demand, capacity)
    return problems


def _can_give(capacity: Capacity) -> str:
    room = room_of(capacity)
    if room == capacity.own:
        return f"the {human_size(room)} that the limit of the app's own slice leaves"
    gives, has, keeps = (human_size(f(capacity.memory)) for f in (available, int, reserve))
    return f"the {gives} that this host can give ({has} by {capacity.memory_source}, less {keeps} for the system)"


def _giver(capacity: Capacity) -> str:
    return "its slice" if room_of(capacity) == capacity.own else "the host"


def _check_no_workers(demand: Demand, capacity: Capacity) -> PlanProblem | None:
    workers, name = demand.workers, f"{PREFIX}workers"
    if workers is None or workers > 0:
        return None
    return PlanProblem(
        name, workers, 1, f"{name} is {workers}: nothing would answer. Write {name}: auto, or 1 or more."
    )


def _check_worker_memory(demand: Demand, capacity: Capacity) -> PlanProblem | None:
    value = format_size(demand.worker_memory)
    if demand.worker_memory >= SMALLEST_WORKER:
        return None
    smallest = format_size(SMALLEST_WORKER)
    return PlanProblem(
        f"{PREFIX}worker_memory",
        value,
        smallest,
        f"{PREFIX}worker_memory is {value} and that is less than a Python interpreter takes; a number without a suffix "
        f"is bytes. Write {PREFIX}worker_memory: {smallest} or more, such as 150M.",
    )


def _check_one_worker(demand: Demand, capacity: Capacity) -> PlanProblem | None:
    room, one, value = room_of(capacity), demand.need(1), format_size(demand.worker_memory)
    if one * demand.slots <= room:
        return None
    takes = f"{PREFIX}worker_memory is {value}: one worker and its arbiter take {human_size(one)}"
    if one <= room:
        return PlanProblem(
            f"{PREFIX}strategy",
            demand.strategy,
            "restart",
            f"{PREFIX}strategy is swap and {takes}, two slots {human_size(2 * one)} of {_can_give(capacity)}. "
            f"Write {PREFIX}strategy: restart, which loses no request but pauses.",
        )
    largest = room // demand.slots - ARBITER
    takes += " in each of two slots (swap)" * (demand.slots == 2)
    if largest >= SMALLEST_WORKER:
        passing = format_size(round_down(largest, SMALLEST_WORKER))
        return PlanProblem(
            f"{PREFIX}worker_memory",
            value,
            passing,
            f"{takes}, more than {_can_give(capacity)}. Write {PREFIX}worker_memory: {passing} or less if the app gets "
            f"by with it, or give {_giver(capacity)} {human_size(memory_for(one * demand.slots))}.",
        )
    passing = format_size(memory_for(one * demand.slots))
    return PlanProblem(
        HOST_MEMORY,
        format_size(capacity.memory),
        passing,
        f"{takes}, more than {_can_give(capacity)}, and no smaller worker would fit. "
        f"Give {_giver(capacity)} {passing} or more.",
    )


def _check_memory_max(demand: Demand, capacity: Capacity) -> PlanProblem | None:
    if demand.memory_max is None:
        return None
    value, one, room = format_size(demand.memory_max), demand.need(1), room_of(capacity) // demand.slots
    if demand.memory_max > room:
        passing = format_size(round_down(room, one))
        twice = f"{PREFIX}strategy is swap, and two slots take more than" if demand.slots == 2 else "that is more than"
        sentence = f"{twice} {_can_give(capacity)}. Write {PREFIX}memory_max: {passing} or less."
    elif demand.memory_max < one:
        passing = format_size(round_up(one, room))
        sentence = (
            f"one worker of {PREFIX}worker_memory {format_size(demand.worker_memory)} and its arbiter take "
            f"{human_size(one)}, so that the kernel would kill it. Write {PREFIX}memory_max: {passing} or more."
        )
    else:
        return None
    return PlanProblem(f"{PREFIX}memory_max", value, passing, f"{PREFIX}memory_max is {value}: {sentence}")


def _check_database(demand: Demand, capacity: Capacity) -> PlanProblem | None:
    pool, most = demand.db_pool_size, demand.db_max_connections
    if not demand.has_database or pool * demand.slots <= most:
        return None
    says = f"{PREFIX}db_pool_size is {pool} and {PREFIX}db_max_connections is {most}: one worker"
    says += " in each of two slots (swap)" * (demand.slots == 2)
    says += f" would open {pool * demand.slots} connections, and the database would refuse some."
    # Smaller pools for as many workers as were asked for, where that leaves each at least one connection.
    largest = most // (demand.slots * (demand.workers or 1)) or most // demand.slots
    name, passing, or_so = ("db_pool_size", largest, "less") if largest else ("db_max_connections", pool * 2, "more")
    value = pool if largest else most
    return PlanProblem(PREFIX + name, value, passing, f"{says} Write {PREFIX}{name}: {passing} or {or_so}.")


def _check_workers(demand: Demand, capacity: Capacity) -> PlanProblem | None:
    workers = demand.workers
    if workers is None:
        return None
    caps = find_caps(demand, capacity)
    reasons = []
    if workers > caps.memory:
        room = "half (two slots, for a swap) of " * (demand.slots == 2) + _can_give(capacity)
        if demand.memory_max is not None:
            room = f"{PREFIX}memory_max {format_size(demand.memory_max)}"
        reasons.append(f"they and the arbiter take {human_size(demand.need(workers))}, more than {room}")
    if caps.database is not None and workers > caps.database:
        connections = workers * demand.db_pool_size * demand.slots
        slots = " in two slots" * (demand.slots == 2)
        most = f"{PREFIX}db_max_connections {demand.db_max_connections}"
        reasons.append(f"they open {connections} connections{slots}, more than {most}")
    if not reasons:
        return None
    name, passing = f"{PREFIX}workers", min(caps.memory, workers if caps.database is None else caps.database)
    return PlanProblem(
        name,
        workers,
        passing,
        f"{name} is {workers}: {', and '.join(reasons)}. Write {name}: {passing}{' or less' * (passing > 1)}, or auto.",
    )


CHECKS: tuple[Callable[[Demand, Capacity], PlanProblem | None], ...] = (
    _check_no_workers,
    _check_worker_memory,
    _check_one_worker,
    _check_memory_max,
    _check_database,
    _check_workers,
)
