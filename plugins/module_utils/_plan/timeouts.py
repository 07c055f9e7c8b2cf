# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeout ladder: which time-out has to outlast which, and what a value is refused with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._app.words import PREFIX


@dataclass(frozen=True)
class PlanProblem:
    """One value that can't stand, and one that could: write passing_value for variable and this problem is gone.

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
    """upper >= lower + margin, in seconds; an upper value that isn't given is lower + gap."""

    lower: str
    upper: str
    margin: int
    cost: str
    gap: int | None = None


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
        "stop_timeout",
        5,
        "systemd would kill Gunicorn before it has drained, and cut the requests in flight",
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


def climb(timeouts: Timeouts) -> tuple[dict[str, int], list[PlanProblem]]:
    """Every time-out with a value, fixed where a rung was broken, and a problem for each rung that was."""
    values: dict[str, Any] = dict(vars(timeouts))
    problems: list[PlanProblem] = []
    fixed: set[str] = set()
    for rung in RUNGS:
        lower, upper = values[rung.lower], values[rung.upper]
        if upper is None and rung.gap is not None:
            values[rung.upper] = lower + rung.gap
            continue
        smallest = lower + rung.margin
        if upper >= smallest:
            continue
        would = "would then be" if rung.lower in fixed else "is"
        problems.append(
            PlanProblem(
                PREFIX + rung.upper,
                upper,
                smallest,
                f"{PREFIX}{rung.lower} {would} {lower} and {PREFIX}{rung.upper} is {upper}: {rung.cost}. "
                f"Write {PREFIX}{rung.upper}: {smallest} or more.",
            )
        )
        values[rung.upper] = smallest
        fixed.add(rung.upper)
    return values, problems
