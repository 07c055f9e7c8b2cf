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
from .demand import (
    ARBITER,
    Demand,
    available,
    beside_connections,
    bound_of,
    find_caps,
    memory_for,
    reserve,
    room_of,
    used,
)
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
    if name == "processes":
        _name, _colon, size = value.partition(": ")
        parts = [replace(part, each=parse_size(size)) if part.name == _name else part for part in capacity.beside]
        return demand, replace(capacity, beside=tuple(parts))
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
    room, less = room_of(capacity), []
    if beside := used(capacity.beside):
        less.append(f"{human_size(beside)} for {PREFIX}processes and {PREFIX}timers")
    if _giver(capacity) == "its slice":
        return f"the {human_size(room)} that the limit of the app's own slice leaves{_less(less)}"
    less.insert(0, f"{human_size(reserve(capacity.memory))} for the system")
    if others := used(capacity.others):
        less.append(f"{human_size(others)} for {', '.join(part.name for part in capacity.others)}")
    has = human_size(capacity.memory)
    return f"the {human_size(room)} that this host can give ({has} by {capacity.memory_source}{_less(less)})"


def _less(parts: list[str]) -> str:
    return f", less {' and '.join(parts)}" if parts else ""


def _giver(capacity: Capacity) -> str:
    gives = available(capacity.memory) - used(capacity.others)
    return "its slice" if capacity.own is not None and capacity.own <= gives else "the host"


def _host_for(wanted: int, capacity: Capacity) -> int:
    """The memory that the host, or the slice, has to have for so many bytes of the web's."""
    return memory_for(wanted + used(capacity.beside) + used(capacity.others))


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


def _check_beside(demand: Demand, capacity: Capacity) -> PlanProblem | None:
    """Processes that leave no room for the web are told to take less, the largest of them first."""
    least = demand.need(1) * demand.slots
    over = least - room_of(capacity)
    sized = [part for part in capacity.beside if not part.fixed]
    if over <= 0 or not sized or least > room_of(replace(capacity, beside=())):
        return None
    largest = max(sized, key=lambda part: part.whole)
    free = room_of(replace(capacity, beside=tuple(part for part in capacity.beside if part != largest)))
    each = (free - least) // largest.count
    if each < SMALLEST_WORKER:
        return None
    passing = format_size(round_down(each, SMALLEST_WORKER))
    name, rows = f"{PREFIX}processes", ", ".join(f"{part.name} {human_size(part.whole)}" for part in capacity.beside)
    return PlanProblem(
        name,
        rows,
        f"{largest.name}: {passing}",
        f"{name} and {PREFIX}timers take {human_size(used(capacity.beside))} ({rows}; twice where an old one may "
        f"finish beside the new), and leave less than the {human_size(least)} that one worker and its arbiter take. "
        f"Write memory_max: {passing} for {largest.name}, if it gets by with that, or give {_giver(capacity)} "
        f"{human_size(_host_for(least, capacity))}.",
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
            f"by with it, or give {_giver(capacity)} {human_size(_host_for(one * demand.slots, capacity))}.",
        )
    passing = format_size(_host_for(one * demand.slots, capacity))
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
    # A limit doesn't follow the other apps.
    value, one, room = format_size(demand.memory_max), demand.need(1), bound_of(capacity) // demand.slots
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
    count = sum(part.count for part in capacity.beside)
    if not demand.has_database or pool * (demand.slots + count) <= most:
        return None
    says = f"{PREFIX}db_pool_size is {pool} and {PREFIX}db_max_connections is {most}: one worker"
    says += " in each of two slots (swap)" * (demand.slots == 2)
    says += f", and {count} of {PREFIX}processes and {PREFIX}timers," * bool(count)
    says += f" would open {pool * (demand.slots + count)} connections, and the database would refuse some."
    # Smaller pools for as many workers as were asked for, where that leaves each at least one connection.
    largest = most // (demand.slots * (demand.workers or 1) + count) or most // (demand.slots + count)
    enough = pool * (2 + count)
    name, passing, or_so = ("db_pool_size", largest, "less") if largest else ("db_max_connections", enough, "more")
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
        connections = workers * demand.db_pool_size * demand.slots + beside_connections(demand, capacity)
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
    _check_beside,
    _check_one_worker,
    _check_memory_max,
    _check_database,
    _check_workers,
)
