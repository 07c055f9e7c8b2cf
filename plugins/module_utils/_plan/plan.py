# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many workers a host gets, with how much memory, and how a release takes over. Pure: no I/O here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .._app.words import PREFIX
from .capacity import Capacity, Part
from .checks import find_problems
from .demand import Caps, Demand, beside_connections, bound_of, find_caps, memory_for, room_of, used
from .sizes import format_size, human_size, round_down
from .timeouts import Refusal


@dataclass(frozen=True)
class Plan:
    """Sizes in bytes; memory_worst_case is what all slots that may run at once can take together."""

    workers: int
    caps: Caps
    bound_by: str
    strategy: str
    strategy_reason: str
    worker_memory: int
    memory_max: int
    memory_worst_case: int
    memory_available: int
    explanation: str


def make_plan(demand: Demand, capacity: Capacity, settled: bool = False) -> Plan:
    """The plan, or a Refusal with every problem that stands in its way.

    :param settled: whether the app has run here: what serves fits, and isn't refused because another app has grown.
    """
    problems = find_problems(demand, replace(capacity, others=()) if settled else capacity)
    if problems:
        raise Refusal(problems)
    caps = find_caps(demand, capacity)
    bound_by, workers = choose_workers(demand, caps)
    strategy, reason = choose_strategy(demand, workers, capacity)
    slots = 2 if strategy == "swap" else 1
    # It keeps an app that runs away from the rest of the host. What the app needs is no reason for it to be lower: that
    # is an assumption before the app has run, and the kernel would kill for it on a host with memory to spare.
    bound = bound_of(capacity)
    memory_max = demand.memory_max or round_down(bound // slots, demand.need(workers))
    measured = f"A worker has taken up to {human_size(demand.taken)}. " if demand.taken else ""
    why = explain_workers(demand, capacity, caps, bound_by, workers)
    return Plan(
        workers=workers,
        caps=caps,
        bound_by=bound_by,
        strategy=strategy,
        strategy_reason=reason,
        worker_memory=demand.worker_memory,
        memory_max=memory_max,
        memory_worst_case=slots * memory_max,
        memory_available=bound,
        explanation=f"{why} {measured}{reason}{shared(capacity)}",
    )


def choose_workers(demand: Demand, caps: Caps) -> tuple[str, int]:
    """What decided, and the number: the lowest cap, or what the user wrote (which find_problems let pass)."""
    if demand.workers is not None:
        return "workers", demand.workers
    # What was measured takes the place of a rule for apps of all kinds; what the host can't carry, it can't.
    first = ("tuned", demand.tuned) if demand.tuned else ("cpu", caps.cpu)
    bounds = [first, ("memory", caps.memory)]
    if caps.database is not None:
        bounds.append(("database", caps.database))
    bound_by, workers = min(bounds, key=lambda bound: bound[1])
    # Other apps may have left it nothing.
    return bound_by, max(1, workers)


def shared(capacity: Capacity) -> str:
    """A sentence, with a blank before it, on what else has its part of the memory; '' where nothing has."""
    own = ", ".join(_share(part) for part in capacity.beside)
    others = ", ".join(f"app {_share(part)}" for part in capacity.others)
    said = "; ".join(filter(None, [own, others]))
    return f" Planned beside the web: {said}." if said else ""


def _share(part: Part) -> str:
    return f"{part.name} {f'{part.count} x ' if part.count > 1 else ''}{human_size(part.each)}"


def choose_strategy(demand: Demand, workers: int, capacity: Capacity) -> tuple[str, str]:
    """The strategy and a sentence that says why.

    auto never takes workers away to make a swap fit: fewer workers are felt all day, a restart's pause once.
    """
    both, room = 2 * demand.need(workers), room_of(capacity)
    if demand.memory_max and both <= room:
        # A limit that somebody wrote has to fit twice, too.
        both, room = 2 * demand.memory_max, bound_of(capacity)
    connections = 2 * workers * demand.db_pool_size + beside_connections(demand, capacity)
    memory_says = f"two slots need {human_size(both)}, and the host can give {human_size(room)}"
    pause = "requests wait in the socket's queue meanwhile, and none is lost"
    if demand.strategy == "swap":
        return "swap", f"Releases take over by swap, as {PREFIX}strategy says: {memory_says}."
    if demand.strategy == "reload":
        return "reload", f"Releases take over by reload, as {PREFIX}strategy says: for changes of code alone."
    if demand.strategy == "restart":
        return "restart", f"Releases take over by restart, as {PREFIX}strategy says: {pause}."
    if both > room:
        enough = memory_for(both + used(capacity.beside) + used(capacity.others))
        host = f"; a host of {human_size(enough)} could swap" if enough > capacity.memory else ""
        return "restart", f"Releases take over by restart, because {memory_says}: {pause}{host}."
    if demand.has_database and connections > demand.db_max_connections:
        rest = " beside those of processes and timers" * bool(capacity.beside)
        return "restart", (
            f"Releases take over by restart, because two slots would open {2 * workers * demand.db_pool_size} "
            f"connections of {PREFIX}db_max_connections {demand.db_max_connections}{rest}: {pause}."
        )
    return "swap", f"Releases take over by swap: {memory_says}."


def explain_workers(demand: Demand, capacity: Capacity, caps: Caps, bound_by: str, workers: int) -> str:
    """A sentence for a person: how many workers, and why not more."""
    number = "1 worker" if workers == 1 else f"{workers} workers"
    cpus = f"{capacity.cpus:g} CPU{'' if capacity.cpus == 1 else 's'} ({capacity.cpu_source})"
    each = human_size(demand.worker_memory)
    if bound_by == "tuned":
        return f"{number}, as tune.yml has measured on {demand.tuned_on}; by rule it would be {caps.cpu} for {cpus}."
    if bound_by == "workers":
        planned = choose_workers(Demand(), caps)[1]
        return f"{number}, as {PREFIX}workers says; auto would be {planned} for {cpus}."
    if bound_by == "memory":
        if demand.memory_max is not None:
            within = f"{PREFIX}memory_max {format_size(demand.memory_max)}"
        else:
            within = f"the {human_size(room_of(capacity))} that the host can give"
            within += " two slots" * (demand.slots == 2)
        return f"{number}, because no more of {each} each fit in {within}; {cpus} would carry {caps.cpu}."
    if bound_by == "database":
        return (
            f"{number}, because {PREFIX}db_max_connections is {demand.db_max_connections} and each opens "
            f"{demand.db_pool_size}{', in two slots' * (demand.slots == 2)}; {cpus} would carry {caps.cpu}."
        )
    more = ", one more because the workload is mixed" if demand.workload == "mixed" else ""
    return f"{number} for {cpus}{more}; memory would allow {caps.memory} of {each} each."
