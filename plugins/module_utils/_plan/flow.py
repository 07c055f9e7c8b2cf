# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a module's parameters to a plan: for worker_plan, and for whoever wants a plan in the same trip."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._app.tuned import Tuned
from .._app.words import PREFIX
from .capacity import Capacity, Part, read_capacity, service_affinity
from .demand import STRATEGIES, WORKLOADS, Demand, learn
from .plan import make_plan
from .sizes import format_size, parse_size, suggest_size, with_margin
from .timeouts import OXMGR, SYSTEMD, PlanProblem, Refusal, Supervisor, Timeouts, climb, drain_timeout, swap_patience

SUPERVISORS = {"systemd": SYSTEMD, "oxmgr": OXMGR}
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "workload": {"type": "str", "choices": list(WORKLOADS), "default": "io"},
    # raw, so that YAML's yes is refused and not taken for a number or a word.
    "workers": {"type": "raw", "default": "auto"},
    # auto: what the workers have taken, and Demand.worker_memory before they have run.
    "worker_memory": {"type": "str", "default": "auto"},
    "memory_max": {"type": "str", "default": ""},
    "strategy": {"type": "str", "choices": list(STRATEGIES), "default": "auto"},
    "db_pool_size": {"type": "int", "default": 0},
    "db_max_connections": {"type": "int", "default": 0},
    "timeout": {"type": "int", "default": 60},
    "graceful_timeout": {"type": "int", "default": 30},
    "lifespan_timeout": {"type": "int", "default": 5},
    "stop_timeout": {"type": "int", "default": 45},
    "proxy_timeout": {"type": "int", "default": 0},
    "beside": {"type": "dict", "default": {}},
    "supervisor": {"type": "str", "choices": list(SUPERVISORS), "default": "systemd"},
}


@dataclass(frozen=True)
class Seen:
    """What was seen of an app that runs, or has run.

    :param taken: the most bytes that one of its workers has taken; 0 where that isn't known.
    :param own: bytes that systemd gives to the slice of the app; None where that has no limit.
    :param others: the host's other apps.
    :param tuned: what tune.yml has measured; None where it hasn't.
    """

    taken: int = 0
    own: int | None = None
    others: tuple[Part, ...] = ()
    tuned: Tuned | None = None


NOTHING = Seen()


@dataclass(frozen=True)
class Oxfile:
    """What a hand-made oxfile says of an app: how it is stopped, and what is wrong with the file."""

    supervisor: Supervisor
    problems: tuple[PlanProblem, ...] = ()


class _Reader:
    """Reads single values; one that can't be read becomes a problem and its default."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.problems: list[PlanProblem] = []

    def _refuse(self, name: str, passing: object, sentence: str) -> None:
        variable = PREFIX + name
        self.problems.append(PlanProblem(variable, self._value(name), passing, f"{variable} {sentence}"))

    def _value(self, name: str) -> Any:
        value = self.params.get(name)
        return ARGUMENT_SPEC[name]["default"] if value is None else value

    def choice(self, name: str) -> str:
        value, spec = self._value(name), ARGUMENT_SPEC[name]
        if value in spec["choices"]:
            return str(value)
        choices = ", ".join(spec["choices"])
        self._refuse(name, spec["default"], f"is {reprlib.repr(value)}, and it can be one of: {choices}.")
        return str(spec["default"])

    def number(self, name: str, least: int, what: str) -> int:
        number = whole_number(self._value(name))
        if number is not None and number >= least:
            return number
        passing: int = ARGUMENT_SPEC[name]["default"]
        is_value = f"is {reprlib.repr(self._value(name))}"
        self._refuse(name, passing, f"{is_value}: write a whole number of {what}, {least} or more, such as {passing}.")
        return passing

    def workers(self) -> int | None:
        value = self._value("workers")
        number = whole_number(value)
        if number is None and value != "auto":
            self._refuse("workers", "auto", f"is {reprlib.repr(value)}: write auto, or a whole number, 1 or more.")
        return number

    def size(self, name: str) -> int | None:
        value = self._value(name)
        if value in ("", "auto"):
            return None
        try:
            return parse_size(value)
        except ValueError as error:
            passing = suggest_size(value) or ("150M" if name == "worker_memory" else ARGUMENT_SPEC[name]["default"])
            self._refuse(name, passing, f"can't be read: {error}.")
            return parse_size(passing) if passing else None


def whole_number(value: object) -> int | None:
    """4 from 4 or "4"; None from anything else, booleans among it."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_params(params: dict[str, Any]) -> tuple[Demand, Timeouts, Supervisor, list[PlanProblem]]:
    """What was asked, with defaults for what is missing, None or (then there is a problem) can't be read."""
    read = _Reader(params)
    demand = Demand(
        workload=read.choice("workload"),
        workers=read.workers(),
        worker_memory=read.size("worker_memory") or Demand.worker_memory,
        memory_max=read.size("memory_max"),
        strategy=read.choice("strategy"),
        db_pool_size=read.number("db_pool_size", 0, "connections"),
        db_max_connections=read.number("db_max_connections", 0, "connections"),
    )
    timeouts = Timeouts(
        timeout=read.number("timeout", 1, "seconds"),
        graceful_timeout=read.number("graceful_timeout", 1, "seconds"),
        lifespan_timeout=read.number("lifespan_timeout", 1, "seconds"),
        stop_timeout=read.number("stop_timeout", 1, "seconds"),
        proxy_timeout=read.number("proxy_timeout", 0, "seconds") or None,
    )
    return demand, timeouts, SUPERVISORS[read.choice("supervisor")], read.problems


def plan_from_params(
    params: dict[str, Any],
    fs_root: str = "/",
    affinity: Callable[[], int] = service_affinity,
    seen: Seen = NOTHING,
    oxfile: Oxfile | None = None,
) -> dict[str, Any]:
    """The plan for this host as plain values, sizes as systemd writes them and again in bytes.

    Takes the options of worker_plan; others are left alone. Raises Refusal with every problem of values, plan and
    ladder together, and CapacityError on what isn't a Linux host.
    """
    capacity = read_capacity(fs_root, affinity, str(params.get("name") or ""))
    if seen.own is not None:
        capacity = replace(capacity, own=min(seen.own, capacity.own or seen.own))
    capacity = replace(capacity, beside=_beside(params.get("beside") or {}), others=seen.others)
    return plan_for(params, capacity, seen.taken, oxfile, seen.tuned)


def _beside(rows: dict[str, dict[str, Any]]) -> tuple[Part, ...]:
    """What runs beside the web, by name: ``count`` at once, of ``memory`` each."""
    return tuple(
        Part(
            name,
            parse_size(row["memory"]) if row.get("memory") else Demand.worker_memory,
            int(row.get("count", 1)),
            bool(row.get("fixed")),
        )
        for name, row in sorted(rows.items())
    )


def _rows(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [asdict(part) for part in parts]


def _as_tuned(demand: Demand, tuned: Tuned | None, capacity: Capacity, auto_memory: bool) -> tuple[Demand, str]:
    """The demand with what was measured, where nobody has written another number; and a sentence, with a blank before
    it, where the host isn't any more what it was measured on."""
    if not tuned or demand.workers is not None:
        return demand, ""
    if tuned.cpus != capacity.cpus:
        return demand, (
            f" tune.yml has measured {tuned.workers} worker(s) to be right on {tuned.day}, with {tuned.cpus:g} CPU(s) "
            "where there are others now: run it again."
        )
    # Under that load they had much to do, so this isn't an assumption, also where it is less than the usual one.
    each = with_margin(tuned.worker_memory) if auto_memory else 0
    return replace(demand, tuned=tuned.workers, tuned_on=tuned.day, worker_memory=each or demand.worker_memory), ""


def plan_for(
    params: dict[str, Any],
    capacity: Capacity,
    taken: int = 0,
    oxfile: Oxfile | None = None,
    tuned: Tuned | None = None,
) -> dict[str, Any]:
    """plan_from_params for a capacity that is known already.

    :param taken: the most bytes that a worker of the app has taken; 0 where that isn't known.
    :param tuned: what tune.yml has measured.
    """
    demand, timeouts, supervisor, problems = read_params(params)
    if oxfile is not None:
        supervisor = oxfile.supervisor
        problems += oxfile.problems
    auto_memory = params.get("worker_memory") in (None, "", "auto")
    demand, stale = _as_tuned(demand, tuned, capacity, auto_memory)
    if taken and auto_memory:
        demand = learn(demand, taken, capacity)
    plan = None
    try:
        plan = make_plan(demand, capacity, settled=taken > 0)
    except Refusal as refusal:
        problems += refusal.problems
    seconds, broken = climb(timeouts, supervisor)
    problems += broken
    if problems or plan is None:
        raise Refusal(problems)
    result = asdict(plan)
    result["explanation"] += stale
    for name in ("worker_memory", "memory_max", "memory_worst_case"):
        result[name + "_bytes"] = result[name]
        result[name] = format_size(result[name])
    result["memory_available_bytes"] = result.pop("memory_available")
    return {
        **result,
        "timeout": seconds["timeout"],
        "graceful_timeout": seconds["graceful_timeout"],
        "lifespan_timeout": seconds["lifespan_timeout"],
        "drain_timeout": drain_timeout(seconds["graceful_timeout"], seconds["lifespan_timeout"]),
        "stop_timeout": seconds["stop_timeout"],
        "proxy_timeout": seconds["proxy_timeout"],
        "swap_patience": swap_patience(seconds["stop_timeout"]),
        "capacity": {**asdict(capacity), "beside": _rows(capacity.beside), "others": _rows(capacity.others)},
    }
