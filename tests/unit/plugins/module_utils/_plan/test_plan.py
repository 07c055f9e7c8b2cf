# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._plan.capacity import Capacity, Part
from ansible_collections.graceful.deploy.plugins.module_utils._plan.checks import HOST_MEMORY, find_problems, fix
from ansible_collections.graceful.deploy.plugins.module_utils._plan.demand import (
    STRATEGIES,
    WORKLOADS,
    Demand,
    available,
    learn,
    memory_for,
    reserve,
    room_of,
)
from ansible_collections.graceful.deploy.plugins.module_utils._plan.plan import Plan, make_plan
from ansible_collections.graceful.deploy.plugins.module_utils._plan.timeouts import PlanProblem, Refusal
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

MIB = 1 << 20


def host(memory_mib: float = 4096, cpus: float = 4) -> Capacity:
    return Capacity(cpus, "affinity", int(memory_mib * MIB), "MemTotal")


# Hosts with a limit on the app's own slice are some of them.
OWN = st.none() | st.none() | st.integers(1, 4000).map(lambda n: n * MIB)
# From hosts that carry nothing to hosts that carry anything, and mostly those in between.
MEMORY = st.integers(0, 6000 * MIB) | st.integers(0, 6000).map(lambda n: n * MIB) | st.integers(0, 2**43)
# Mostly nothing runs beside the web.
PARTS = (
    st.just(())
    | st.just(())
    | st.lists(
        st.builds(
            Part,
            st.sampled_from(("worker", "beat", "cleanup")),
            st.integers(1, 400).map(lambda n: n * MIB),
            st.integers(1, 9),
        ),
        max_size=3,
        unique_by=lambda part: part.name,
    ).map(tuple)
)
CAPACITIES = st.builds(
    Capacity,
    st.sampled_from((0.1, 0.5, 1.5, 3.999)) | st.integers(1, 128),
    st.just("affinity"),
    MEMORY,
    st.just("MemTotal"),
    OWN,
    beside=PARTS,
    others=PARTS,
)
SIZES = st.integers(1, 3000 * MIB) | st.integers(1, 1200).map(lambda n: n * MIB)
DEMANDS = st.builds(
    Demand,
    workload=st.sampled_from(WORKLOADS),
    workers=st.none() | st.integers(-2, 40),
    worker_memory=SIZES,
    memory_max=st.none() | SIZES,
    strategy=st.sampled_from(STRATEGIES),
    db_pool_size=st.integers(0, 30),
    db_max_connections=st.integers(0, 200),
)


SENSIBLE = st.tuples(
    st.builds(
        Demand,
        workload=st.sampled_from(WORKLOADS),
        worker_memory=st.integers(16, 400).map(lambda n: n * MIB),
        strategy=st.sampled_from(STRATEGIES),
        db_pool_size=st.integers(0, 8),
        db_max_connections=st.integers(16, 100),
    ),
    st.builds(host, st.integers(2000, 20000), st.integers(1, 64)),
)


def fixed(question: tuple[Demand, Capacity]) -> tuple[Demand, Capacity]:
    demand, capacity = question
    for problem in find_problems(demand, capacity):
        demand, capacity = fix(problem, demand, capacity)
    return demand, capacity


# What can be planned: inputs fixed until they just pass, which is where bounds are felt, and roomy ones.
PLANNABLE = st.tuples(DEMANDS, CAPACITIES).map(fixed) | SENSIBLE


def plan_or_none(demand: Demand, capacity: Capacity) -> Plan | None:
    try:
        return make_plan(demand, capacity)
    except Refusal:
        return None


def problems_of(demand: Demand, capacity: Capacity) -> list[PlanProblem]:
    with pytest.raises(Refusal) as caught:
        make_plan(demand, capacity)
    return caught.value.problems


# The figures, by hand.


def test_the_defaults_on_a_small_server():
    plan = make_plan(Demand(), host(4096, 2))
    assert (plan.workers, plan.bound_by, plan.strategy) == (2, "cpu", "swap")
    # 4096 - 409.6 for the system; (3686.4 - 64) / 150; half of that for each slot.
    assert (plan.caps.cpu, plan.caps.memory, plan.caps.database) == (2, 24, None)
    assert (plan.worker_memory, plan.memory_max, plan.memory_worst_case) == (150 * MIB, 1843 * MIB, 3686 * MIB)
    assert plan.explanation == (
        "2 workers for 2 CPUs (affinity); memory would allow 24 of 150M each. "
        "Releases take over by swap: two slots need 728M, and the host can give 3686M."
    )


@pytest.mark.parametrize(
    ("workload", "cpus", "workers"),
    [("io", 4, 4), ("cpu", 4, 4), ("mixed", 4, 5), ("io", 1.5, 1), ("mixed", 1.5, 2), ("io", 0.2, 1), ("cpu", 0.2, 1)],
)
def test_workers_from_cpus(workload, cpus, workers):
    plan = make_plan(Demand(workload=workload), host(16384, cpus))
    assert (plan.workers, plan.bound_by) == (workers, "cpu")
    assert (", one more because" in plan.explanation) == (workload == "mixed")
    assert plan.explanation.startswith("1 worker for" if workers == 1 else f"{workers} workers for")


@pytest.mark.parametrize(
    ("memory", "kept"), [(0, 0), (256, 128), (512, 256), (1000, 256), (2560, 256), (4000, 400), (40960, 4096)]
)
def test_what_is_kept_for_the_system(memory, kept):
    assert reserve(memory * MIB) == kept * MIB


def test_memory_caps_workers_and_then_a_restart_takes_the_place_of_a_swap():
    plan = make_plan(Demand(), host(1024, 8))
    # 768 available: four workers and the arbiter take 664, twice that is too much.
    assert (plan.workers, plan.bound_by, plan.strategy) == (4, "memory", "restart")
    assert plan.memory_max == 768 * MIB
    assert "no more of 150M each fit in the 768M" in plan.explanation
    assert "two slots need 1328M, and the host can give 768M" in plan.strategy_reason


def test_a_swap_that_was_asked_for_halves_the_memory():
    plan = make_plan(Demand(strategy="swap"), host(1024, 8))
    assert (plan.workers, plan.bound_by, plan.strategy) == (2, "memory", "swap")
    assert (plan.memory_max, plan.memory_worst_case) == (384 * MIB, 768 * MIB)


def test_a_memory_max_caps_workers_too_and_is_kept():
    plan = make_plan(Demand(memory_max=400 * MIB), host(4096, 8))
    assert (plan.workers, plan.bound_by, plan.strategy, plan.memory_max) == (2, "memory", "swap", 400 * MIB)
    assert "fit in fastapi_memory_max 400M" in plan.explanation
    # Two slots of that cap don't fit, though two of what is needed would.
    assert make_plan(Demand(memory_max=400 * MIB), host(1000, 1)).strategy == "restart"


def test_a_database_caps_workers():
    plan = make_plan(Demand(db_pool_size=10, db_max_connections=35), host(16384, 8))
    assert (plan.workers, plan.bound_by, plan.caps.database, plan.strategy) == (3, "database", 3, "restart")
    assert "two slots would open 60 connections of fastapi_db_max_connections 35" in plan.strategy_reason
    assert make_plan(Demand(db_pool_size=10, db_max_connections=35, strategy="swap"), host(16384, 8)).workers == 1
    assert make_plan(Demand(db_pool_size=10, db_max_connections=160), host(16384, 8)).strategy == "swap"
    assert make_plan(Demand(db_pool_size=10), host(16384, 8)).caps.database is None


SMALL = replace(host(1024, 2), beside=(Part("worker", 150 * MIB, 2), Part("cleanup", 50 * MIB)))


def test_what_runs_beside_the_web_has_its_part_first():
    plan = make_plan(Demand(), SMALL)
    # Of 768M that the host can give 350M are theirs.
    assert (plan.workers, plan.strategy, plan.memory_max) == (2, "restart", 418 * MIB)
    assert "two slots need 728M, and the host can give 418M" in plan.strategy_reason
    assert "a host of 1334M could swap" in plan.strategy_reason
    assert plan.explanation.endswith("Planned beside the web: worker 2 x 150M, cleanup 50M.")


def test_another_app_has_its_part_and_leaves_the_limit_as_it_is():
    alone, shared = make_plan(Demand(), host(4096, 2)), replace(host(4096, 2), others=(Part("blog", 3000 * MIB),))
    plan = make_plan(Demand(), shared)
    assert (alone.strategy, plan.strategy) == ("swap", "restart")
    assert plan.explanation.endswith("Planned beside the web: app blog 3000M.")
    few = make_plan(Demand(), replace(host(4096, 2), others=(Part("blog", 1000 * MIB),)))
    assert (few.strategy, few.memory_max) == ("swap", alone.memory_max)


def test_an_app_that_serves_is_not_refused_because_another_has_grown():
    crowded = replace(host(1024, 2), others=(Part("blog", 700 * MIB),))
    with pytest.raises(Refusal):
        make_plan(Demand(workers=2), crowded)
    assert make_plan(Demand(workers=2), crowded, settled=True).workers == 2
    assert make_plan(Demand(), crowded, settled=True).workers == 1
    # A limit that somebody wrote is held against the host alone.
    assert (
        make_plan(Demand(memory_max=600 * MIB), replace(host(1024, 2), others=(Part("blog", 300 * MIB),))).workers == 2
    )


def test_what_takes_no_size_is_not_told_to_take_less():
    """A timer has no memory_max."""
    capacity = replace(host(512, 1), beside=(Part("cleanup", 150 * MIB, fixed=True),))
    assert [problem.variable for problem in find_problems(Demand(), capacity)] != ["fastapi_processes"]


def test_processes_that_leave_no_room_are_told_how_much_they_may_take():
    capacity = replace(host(1024, 2), beside=(Part("worker", 400 * MIB, 2), Part("beat", 50 * MIB)))
    (problem,) = find_problems(Demand(), capacity)
    assert problem.variable == "fastapi_processes"
    assert "take 850M (worker 800M, beat 50M; twice where" in problem.sentence
    assert "Write memory_max: 252M for worker" in problem.sentence
    assert "or give the host 1320M." in problem.sentence
    assert find_problems(Demand(), fix(problem, Demand(), capacity)[1]) == []


def test_processes_open_connections_too():
    beside = replace(host(16384, 8), beside=(Part("worker", 50 * MIB, 2),))
    plan = make_plan(Demand(db_pool_size=10, db_max_connections=55), beside)
    assert (plan.workers, plan.bound_by, plan.strategy) == (3, "database", "restart")
    assert "two slots would open 60 connections" in plan.strategy_reason
    assert "beside those of processes and timers" in plan.strategy_reason
    (problem,) = find_problems(Demand(db_pool_size=10, db_max_connections=25), beside)
    assert "and 2 of fastapi_processes and fastapi_timers, would open 30 connections" in problem.sentence
    assert "Write fastapi_db_pool_size: 8 or less." in problem.sentence


def test_a_number_is_taken_as_it_is():
    plan = make_plan(Demand(workers=7), host(16384, 2))
    assert (plan.workers, plan.bound_by) == (7, "workers")
    assert "as fastapi_workers says; auto would be 2" in plan.explanation


def test_a_quota_counts_and_not_the_96_cpus_of_the_machine_around_it():
    plan = make_plan(Demand(), Capacity(2.0, "cgroup v2 quota at /", 1024 * MIB, "cgroup v2 memory.max at /"))
    assert plan.workers == 2
    assert "2 CPUs (cgroup v2 quota at /)" in plan.explanation


def test_a_reload_provides_for_old_and_new_workers_in_one_slot():
    plan = make_plan(Demand(strategy="reload"), host(4096, 2))
    assert (plan.strategy, plan.memory_worst_case) == ("reload", plan.memory_max)
    assert plan.memory_max == 3686 * MIB
    tight = make_plan(Demand(strategy="reload"), host(1024, 4))
    assert tight.memory_max == 768 * MIB


def test_a_limit_of_the_app_s_own_slice_is_all_the_app_s():
    """systemctl set-property system-hello.slice MemoryMax=300M: nothing of it is the system's."""
    plan = make_plan(Demand(), replace(host(4096, 2), own=300 * MIB))
    assert (plan.workers, plan.bound_by, plan.strategy, plan.memory_max) == (1, "memory", "restart", 300 * MIB)
    (problem,) = problems_of(Demand(workers=2), replace(host(4096, 2), own=300 * MIB))
    assert "more than the 300M that the limit of the app's own slice leaves" in str(problem)
    # The smaller one counts.
    assert make_plan(Demand(), replace(host(1024, 8), own=2048 * MIB)).workers == 4
    (problem,) = problems_of(Demand(), replace(host(), own=70 * MIB))
    assert "Give its slice" in str(problem)


@pytest.mark.parametrize(
    ("memory", "cpus", "taken", "workers", "strategy", "cap"),
    [
        # A model of 700 MB in each worker, on 4 GB: 880M are planned for each.
        (4096, 2, 700, 2, "swap", 1843),
        (4096, 4, 700, 4, "restart", 3686),
        (4096, 8, 700, 4, "restart", 3686),
        # Less than was assumed is no reason for more workers.
        (1024, 8, 40, 4, "restart", 768),
        # What serves with one worker is planned again, however little is left.
        (1024, 2, 690, 1, "restart", 768),
    ],
)
def test_the_next_plan_goes_by_what_a_worker_has_taken(memory, cpus, taken, workers, strategy, cap):
    capacity = host(memory, cpus)
    plan = make_plan(learn(Demand(), taken * MIB, capacity), capacity)
    assert (plan.workers, plan.strategy, plan.memory_max // MIB) == (workers, strategy, cap)
    assert (f"A worker has taken up to {taken}M. " in plan.explanation) == (taken > 150)


def test_a_restart_is_told_with_the_host_that_could_swap():
    reason = make_plan(Demand(), host(512, 1)).strategy_reason
    assert reason == (
        "Releases take over by restart, because two slots need 428M, and the host can give 256M: requests wait in the "
        "socket's queue meanwhile, and none is lost; a host of 684M could swap."
    )
    assert make_plan(Demand(), host(684, 1)).strategy == "swap"


# Refusals.


@pytest.mark.parametrize(
    ("demand", "capacity", "expected"),
    [
        (Demand(workers=0), host(), [("fastapi_workers", 0, 1)]),
        (Demand(workers=-3), host(), [("fastapi_workers", -3, 1)]),
        (Demand(workers=30), host(1024), [("fastapi_workers", 30, 4)]),
        (Demand(workers=30, memory_max=400 * MIB), host(), [("fastapi_workers", 30, 2)]),
        (Demand(workers=5, db_pool_size=5, db_max_connections=12), host(), [("fastapi_workers", 5, 2)]),
        (Demand(workers=3, strategy="swap"), host(1024), [("fastapi_workers", 3, 2)]),
        (Demand(worker_memory=150), host(), [("fastapi_worker_memory", "150", "16M")]),
        (Demand(worker_memory=900 * MIB), host(1024), [("fastapi_worker_memory", "900M", "704M")]),
        (Demand(), host(200), [("fastapi_worker_memory", "150M", "36M")]),
        (Demand(), host(128), [(HOST_MEMORY, "128M", "428M")]),
        (Demand(strategy="swap"), host(640), [("fastapi_strategy", "swap", "restart")]),
        (Demand(memory_max=100 * MIB), host(), [("fastapi_memory_max", "100M", "214M")]),
        (Demand(memory_max=4096 * MIB), host(1024), [("fastapi_memory_max", "4G", "768M")]),
        (Demand(memory_max=700 * MIB, strategy="swap"), host(1024), [("fastapi_memory_max", "700M", "384M")]),
        (Demand(db_pool_size=20, db_max_connections=9), host(), [("fastapi_db_pool_size", 20, 9)]),
        (Demand(workers=4, db_pool_size=20, db_max_connections=9), host(), [("fastapi_db_pool_size", 20, 2)]),
        (
            Demand(strategy="swap", db_pool_size=3, db_max_connections=1),
            host(),
            [("fastapi_db_max_connections", 1, 6)],
        ),
        (
            Demand(workers=9, memory_max=100 * MIB),
            host(),
            [("fastapi_memory_max", "100M", "214M"), ("fastapi_workers", 9, 1)],
        ),
    ],
)
def test_refusals(demand, capacity, expected):
    problems = problems_of(demand, capacity)
    assert [(problem.variable, problem.value, problem.passing_value) for problem in problems] == expected
    for problem in problems:
        assert f"{problem.variable} is {problem.value}" in str(problem) or problem.variable == HOST_MEMORY
        assert str(problem.passing_value) in str(problem).rpartition(". ")[2]


def test_a_refusal_word_for_word():
    assert str(problems_of(Demand(workers=9, db_pool_size=5, db_max_connections=20), host(1024))[0]) == (
        "fastapi_workers is 9: they and the arbiter take 1414M, more than the 768M that this host can give (1024M by "
        "MemTotal, less 256M for the system), and they open 45 connections, more than fastapi_db_max_connections 20. "
        "Write fastapi_workers: 4 or less, or auto."
    )


# Laws.


# Mostly a little less or more: much less carries no plan, and much more carries any, so that both would prove nothing.
STEPS = st.integers(1, 600 * MIB) | st.integers(1, 2**41)


# The cheapest laws to break by a few bytes, so looked for longer.
@settings(max_examples=500)
@given(PLANNABLE, STEPS)
def test_never_more_workers_when_memory_shrinks(question, less):
    demand, capacity = question
    plan = make_plan(demand, capacity)
    smaller = plan_or_none(demand, replace(capacity, memory=max(0, capacity.memory - less)))
    event(f"the smaller host carries a plan: {smaller is not None}")
    if smaller is not None:
        assert smaller.workers <= plan.workers


@settings(max_examples=500)
@given(PLANNABLE, STEPS)
def test_what_can_be_planned_can_be_planned_with_more_memory(question, more):
    demand, capacity = question
    bigger = replace(capacity, memory=capacity.memory + more)
    assert make_plan(demand, bigger).workers >= make_plan(demand, capacity).workers


@given(st.integers(0, 2**43), STEPS)
@example(512 * MIB - 1, 1)
@example(2560 * MIB - 1, 1)
def test_more_memory_is_never_less_for_the_app(memory, more):
    assert available(memory) <= available(memory + more) <= memory + more


@given(PLANNABLE, st.integers(0, 4000 * MIB))
@example((Demand(workers=2), host(1024)), 700 * MIB)
@example((Demand(strategy="swap"), host(1024)), 700 * MIB)
@example((Demand(memory_max=400 * MIB), host()), 700 * MIB)
def test_what_was_measured_never_refuses_a_plan_nor_adds_workers(question, taken):
    demand, capacity = question
    before, after = make_plan(demand, capacity), make_plan(learn(demand, taken, capacity), capacity)
    event(f"learned: {before != after}")
    assert after.workers <= before.workers
    # Nor does it move the limit, but for where two slots fit no more.
    assert after.strategy != before.strategy or after.memory_max == before.memory_max


@given(PLANNABLE, st.integers(0, 200))
def test_never_fewer_workers_with_more_cpus(question, more):
    demand, capacity = question
    faster = replace(capacity, cpus=capacity.cpus + more)
    assert make_plan(demand, faster).workers >= make_plan(demand, capacity).workers


@given(PLANNABLE)
@example((Demand(strategy="swap"), host(684)))
def test_a_plan_fits(question):
    demand, capacity = question
    plan = make_plan(demand, capacity)
    event(f"{plan.strategy}, bound by {plan.bound_by}")
    room = room_of(capacity)
    slots = 2 if plan.strategy == "swap" else 1
    assert plan.workers >= 1
    assert demand.workers is None or plan.workers == demand.workers
    assert demand.memory_max is None or plan.memory_max == demand.memory_max
    assert demand.strategy in ("auto", plan.strategy)
    assert demand.need(plan.workers) <= plan.memory_max
    # The limit doesn't follow the other apps, which come and go; what is planned does.
    assert slots * plan.memory_max == plan.memory_worst_case <= room_of(replace(capacity, others=()))
    assert slots * demand.need(plan.workers) <= room or demand.memory_max
    if demand.has_database and (plan.strategy == "swap" or demand.strategy != "auto"):
        beside = demand.db_pool_size * sum(part.count for part in capacity.beside)
        assert demand.slots * plan.workers * demand.db_pool_size + beside <= demand.db_max_connections
    if demand.has_database:
        assert plan.workers * demand.db_pool_size * slots <= demand.db_max_connections


@given(PLANNABLE)
def test_auto_is_restart_only_where_two_slots_don_t_fit(question):
    demand, capacity = replace(question[0], strategy="auto"), question[1]
    plan = make_plan(demand, capacity)
    two_slots = plan_or_none(replace(demand, strategy="swap", workers=plan.workers), capacity)
    event(plan.strategy)
    assert (plan.strategy == "swap") == (two_slots is not None)


@given(PLANNABLE)
def test_auto_takes_the_most_that_fit(question):
    demand, capacity = replace(question[0], workers=None), question[1]
    plan = make_plan(demand, capacity)
    event(plan.bound_by)
    assert make_plan(replace(demand, workers=plan.workers), capacity).workers == plan.workers
    if plan.bound_by != "cpu":
        assert plan_or_none(replace(demand, workers=plan.workers + 1), capacity) is None


@given(st.tuples(DEMANDS, CAPACITIES) | SENSIBLE)
def test_a_refusal_or_at_least_one_worker(question):
    plan = plan_or_none(*question)
    assert plan is None or plan.workers >= 1


@given(DEMANDS, CAPACITIES)
def test_every_refusal_names_values_that_pass(demand, capacity):
    problems = find_problems(demand, capacity)
    event(f"problems: {len(problems)}")
    for problem in problems:
        assert problem.variable in str(problem) or problem.variable == HOST_MEMORY
        assert str(problem.value) in str(problem) or problem.variable == HOST_MEMORY
        assert str(problem.passing_value) in str(problem)
        demand, capacity = fix(problem, demand, capacity)
    assert make_plan(demand, capacity).workers >= 1


@given(PLANNABLE, st.integers(1, 50))
def test_too_many_workers_are_refused_with_the_most_that_pass(question, more):
    demand, capacity = replace(question[0], workers=None), question[1]
    caps = make_plan(demand, capacity).caps
    most = min(cap for cap in (caps.memory, caps.database) if cap is not None)
    (problem,) = problems_of(replace(demand, workers=most + more), capacity)
    assert (problem.variable, problem.passing_value) == ("fastapi_workers", most)
    assert make_plan(fix(problem, demand, capacity)[0], capacity).workers == most


@given(st.integers(0, 2**43))
@example(0)
@example(256 * MIB)
@example(2304 * MIB)
# Available from 2999M exactly, to the byte.
@example(2830211482)
def test_the_memory_proposed_for_a_host_is_the_least_in_megabytes(wanted):
    memory = memory_for(wanted)
    assert available(memory) >= wanted
    assert memory < MIB or available(memory - MIB) < wanted
