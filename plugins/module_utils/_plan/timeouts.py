# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeout ladder: which time-out has to outlast which, and what a value is refused with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._app.words import PREFIX


@dataclass(frozen=True)
class PlanProblem:
    """One value that can't stand, and one that could: write passing_value for variable and this problem is gone. It is
    None where a sentence alone tells what to write.

    Problems are found in order, each with the earlier ones fixed; where two propose a value for the same
    variable, the later one holds.
    """

    variable: str
    value: Any
    passing_value: Any
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Refusal(ValueError):
    """The input can't be planned with. Every problem is in .problems, in the order in which to fix them."""

    def __init__(self, problems: list[PlanProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Rung:
    """upper >= lower + margin, in seconds; an upper value that isn't given is lower + gap, or bounds nothing.

    Costs may name the {supervisor} and its {cap}.
    """

    lower: str
    upper: str
    margin: int
    cost: str
    gap: int | None = None


@dataclass(frozen=True)
class Supervisor:
    """Who stops Gunicorn, and by which values, where they aren't variables of ours.

    :param cap: seconds after which it kills whatever stop_timeout says; None where it keeps to that.
    :param signal: with which it does so, and one with which it doesn't.
    :param seconds: values that are written elsewhere, by their name on the ladder.
    :param names: how they are called there, "--graceful-timeout" or "stop_timeout_secs".
    """

    name: str = "systemd"
    cap: int | None = None
    signal: tuple[str, str] = ("SIGTERM", "SIGTERM")
    seconds: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def called(self, rung: str) -> str:
        return self.names.get(rung, PREFIX + rung)

    def write(self, rung: str, value: object) -> str:
        """As it stands in YAML, on a command line or in TOML."""
        name = self.called(rung)
        between = ": " if name.startswith(PREFIX) else " " if name.startswith("--") else " = "
        return f"{name}{between}{value}"


SYSTEMD = Supervisor()
OXMGR = Supervisor("Oxmgr")
"""With our own oxfile, whose stop signal gets all of the stop timeout."""


# The first margin is a drain of at least one second, and one more between the end of the lifespan shutdown and
# Gunicorn's SIGKILL. From the workers outwards, so that a value fixed on one rung is what the next one is held to.
RUNGS = (
    Rung(
        "lifespan_timeout",
        "graceful_timeout",
        2,
        "no second would be left in which requests could finish, and Gunicorn would kill its workers before their "
        "lifespan shutdown has ended",
    ),
    Rung(
        "graceful_timeout",
        "cap",
        5,
        "after {signal} {supervisor} waits {cap} s at most, whatever {stop_timeout} says, and kills Gunicorn before it "
        "has drained, and the requests in flight with it",
    ),
    Rung(
        "graceful_timeout",
        "stop_timeout",
        5,
        "{supervisor} would kill Gunicorn before it has drained, and cut the requests in flight",
    ),
    Rung(
        "timeout",
        "proxy_timeout",
        1,
        "the proxy would give up with a 504 on a request that the app is still allowed to finish",
        gap=5,
    ),
)


@dataclass(frozen=True)
class Timeouts:
    """All in seconds, from 1; None is worked out from the value below it."""

    timeout: int = 60
    graceful_timeout: int = 30
    lifespan_timeout: int = 5
    stop_timeout: int = 45
    proxy_timeout: int | None = None


def swap_patience(stop_timeout: int) -> int:
    """How long a swap waits for the old slot's queue and workers: longer than systemd lets it drain, or the swap would
    be called failed meanwhile."""
    return stop_timeout + 10


def drain_timeout(graceful_timeout: int, lifespan_timeout: int) -> int:
    """How long Uvicorn may wait for requests, so that the lifespan shutdown still ends before Gunicorn's SIGKILL."""
    return graceful_timeout - lifespan_timeout - 1


def climb(timeouts: Timeouts, supervisor: Supervisor = SYSTEMD) -> tuple[dict[str, int], list[PlanProblem]]:
    """Every time-out with a value, fixed where a rung was broken, and a problem for each rung that was."""
    values: dict[str, Any] = {**vars(timeouts), **supervisor.seconds, "cap": supervisor.cap}
    problems: list[PlanProblem] = []
    fixed: set[str] = set()
    for rung in RUNGS:
        lower, upper = values[rung.lower], values[rung.upper]
        if upper is None:
            if rung.gap is not None:
                values[rung.upper] = lower + rung.gap
            continue
        smallest = lower + rung.margin
        if upper >= smallest:
            continue
        is_lower = f"{supervisor.called(rung.lower)} {'would then be' if rung.lower in fixed else 'is'} {lower}"
        if rung.upper == "cap":
            problems.append(_capped(rung, is_lower, supervisor))
            values["cap"] = None
            continue
        cost = rung.cost.format(supervisor=supervisor.name)
        problems.append(
            PlanProblem(
                supervisor.called(rung.upper),
                upper,
                smallest,
                f"{is_lower} and {supervisor.called(rung.upper)} is {upper}: {cost}. "
                f"Write {supervisor.write(rung.upper, smallest)} or more.",
            )
        )
        values[rung.upper] = smallest
        fixed.add(rung.upper)
    cap = values.pop("cap")
    if cap is not None:
        values["stop_timeout"] = min(values["stop_timeout"], cap)
    return values, problems


def _capped(rung: Rung, is_lower: str, supervisor: Supervisor) -> PlanProblem:
    """No value of the stop timeout helps: a signal without the cap does, or less to wait for."""
    signal, other = supervisor.signal
    cap = supervisor.cap or 0
    stop_timeout = supervisor.called("stop_timeout")
    cost = rung.cost.format(signal=signal, supervisor=supervisor.name, cap=cap, stop_timeout=stop_timeout)
    name = supervisor.called("stop_signal")
    return PlanProblem(
        name,
        signal,
        other,
        f'{is_lower}: {cost}. Write {name} = "{other}", at which Uvicorn\'s workers drain too, '
        f"or {supervisor.write(rung.lower, cap - rung.margin)} or less.",
    )
