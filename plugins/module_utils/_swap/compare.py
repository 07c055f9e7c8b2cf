# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a canary is worse than what serves beside it: counted, and compared so that chance decides nothing. Pure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

CHANCE = 1e-4
"""How probable a difference may be between two that are equal, and count at one of many looks."""
LAST = 0.005
"""The same at the last look, after which all requests go to the release: of errors, and of what isn't answered. By both
together one in a hundred goes back of those that are equal."""
FEWEST_ERRORS = 3
"""Errors that a canary has to have before they count."""
SLOWER_FLOOR = 0.05
"""Seconds by which p95 may always be above the live release's: what no person notices."""
STEP = math.log(1.02)
"""Times are kept in steps of 2 %, so that a long canary on a busy host takes no more memory than a short one."""
SHORTEST = 0.0001
"""Seconds; all that is shorter is one step."""


@dataclass(frozen=True)
class Limits:
    """How a canary goes, and how much worse it may be.

    :param share: percent of the requests that it gets, 1 to 50.
    :param seconds: for how long.
    :param requests: that each side has to have had for their times to be compared.
    :param errors: percentage points by which its part of errors may be above the live release's.
    :param slower: percent by which its p95 may be above the live release's.
    """

    share: int = 10
    seconds: int = 60
    requests: int = 100
    errors: float = 1.0
    slower: float = 50.0

    @classmethod
    def of(cls, given: dict[str, Any]) -> Limits:
        """Those of ``fastapi_canary``, which the control node has checked."""
        known = {name: value for name, value in given.items() if name in cls.__dataclass_fields__}
        known["share"] = int(str(known.get("share", cls.share)).rstrip("% "))
        for name in ("seconds", "requests"):
            known[name] = int(known.get(name, getattr(cls, name)))
        for name in ("errors", "slower"):
            known[name] = float(known.get(name, getattr(cls, name)))
        return cls(**known)


@dataclass
class Side:
    """What one of the two has answered."""

    requests: int = 0
    errors: int = 0
    times: Counter[int] = field(default_factory=Counter)
    """How many answers took so many steps."""

    def add(self, error: bool, seconds: float) -> None:
        self.requests += 1
        self.errors += error
        self.times[_step(seconds)] += 1

    @property
    def rate(self) -> float:
        """The part of its answers that were errors, 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def timed(self) -> int:
        return sum(self.times.values())

    @property
    def p95(self) -> float | None:
        """Seconds within which 95 of 100 answers came; None where there were none."""
        wanted, seen = math.ceil(0.95 * self.timed), 0
        for step in sorted(self.times):
            seen += self.times[step]
            if seen >= wanted:
                return _seconds(step)
        return None

    def above(self, seconds: float) -> int:
        """How many took longer."""
        return sum(count for step, count in self.times.items() if _seconds(step) > seconds)


def _step(seconds: float) -> int:
    return round(math.log(max(seconds, SHORTEST) / SHORTEST) / STEP)


def _seconds(step: int) -> float:
    return SHORTEST * math.exp(step * STEP)


def by_chance(bad: int, of: int, others_bad: int, others: int) -> float:
    """How probable it is that of all that are bad so many or more fall to the one side, where both are equal (Fisher's
    exact test, one-sided)."""
    all_bad, everybody = bad + others_bad, of + others
    whole = _chosen(everybody, of)
    terms = (
        _chosen(all_bad, k) + _chosen(everybody - all_bad, of - k) - whole for k in range(bad, min(of, all_bad) + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def at_least(count: int, of: int, part: float) -> float:
    """How probable it is that so many or more of `of` happen, where each does with this probability."""
    if count <= 0:
        return 1.0
    yes, no = math.log(part), math.log1p(-part)
    return min(1.0, math.fsum(math.exp(_chosen(of, k) + k * yes + (of - k) * no) for k in range(count, of + 1)))


def _chosen(of: int, count: int) -> float:
    """The logarithm of how many ways there are to choose; minus infinity for none."""
    if count < 0 or count > of:
        return -math.inf
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def worse(canary: Side, live: Side, limits: Limits, warm: bool = True, last: bool = False) -> str:
    """What is worse with the canary, with the figures, as the end of a sentence; '' where nothing is that counts.

    :param warm: whether it has served for a while. Before that only errors count.
    :param last: whether nobody looks again.
    """
    chance = LAST if last else CHANCE
    found = _errors(canary, live, limits, chance)
    return found or (_times(canary, live, limits) or _silence(canary, live, limits, chance) if warm else "")


def _errors(canary: Side, live: Side, limits: Limits, chance: float) -> str:
    if canary.errors < FEWEST_ERRORS or canary.rate - live.rate <= limits.errors / 100:
        return ""
    if by_chance(canary.errors, canary.requests, live.errors, live.requests) > chance:
        return ""
    return f"errors {_percent(canary)} of {canary.requests:,} requests against {_percent(live)} of {live.requests:,}"


def _times(canary: Side, live: Side, limits: Limits) -> str:
    mine, theirs = canary.p95, live.p95
    if mine is None or theirs is None or min(canary.timed, live.timed) < limits.requests:
        return ""
    limit = theirs + max(theirs * limits.slower / 100, SLOWER_FLOOR)
    # Were it no slower than that, one in twenty would take longer.
    if mine <= limit or at_least(canary.above(limit), canary.timed, 0.05) > CHANCE:
        return ""
    return (
        f"p95 {_ms(mine)} ms of {canary.timed:,} requests against {_ms(theirs)} ms of {live.timed:,}, where "
        f"{_ms(limit)} ms may be"
    )


def _silence(canary: Side, live: Side, limits: Limits, chance: float) -> str:
    """One that hangs has no times: what it doesn't answer is in no log yet. Of all that were answered its part is drawn
    by lot, so so few are as probable as that all the others fell to the other side."""
    given = live.requests * limits.share / (100 - limits.share)
    answered = canary.requests + live.requests
    # Half, because chance alone would blame it for a part that is a little smaller where there are many.
    if canary.requests >= given / 2 or at_least(live.requests, answered, 1 - limits.share / 100) > chance:
        return ""
    return f"of about {given:,.0f} requests that it was given it has answered {canary.requests:,}"


def tells(canary: Side, live: Side) -> bool:
    """Whether a canary of which all fails would have been seen by so many requests."""
    needed = canary.requests >= FEWEST_ERRORS
    return needed and by_chance(canary.requests, canary.requests, 0, live.requests) <= LAST


def enough(canary: Side, live: Side, limits: Limits) -> bool:
    """Whether there were as many requests as times take to be compared."""
    return min(canary.timed, live.timed) >= limits.requests


def figures(canary: Side, live: Side, share: int, seconds: float) -> dict[str, Any]:
    """For the history: numbers alone, times in milliseconds, None where there are none."""
    row: dict[str, Any] = {"share": share, "seconds": round(seconds, 1)}
    for prefix, side in (("", canary), ("live_", live)):
        p95 = side.p95
        row |= {
            f"{prefix}requests": side.requests,
            f"{prefix}errors": side.errors,
            f"{prefix}p95": None if p95 is None else round(p95 * 1000, 1),
        }
    return row


def said(canary: Side, live: Side, limits: Limits, seconds: float) -> str:
    """What a person reads of a canary that went on."""
    head = f"As a canary with {limits.share} % of the requests for {seconds:.0f} s"
    sides = f"{_of(canary)}; the live release: {_of(live)}."
    if enough(canary, live, limits):
        return f"{head} it was no worse: {sides}"
    if not tells(canary, live):
        return f"{head} it had too few requests to tell whether it is worse. The canary: {sides}"
    return (
        f"{head} it had no more errors than may be, and too few requests came to compare times: each side needs "
        f"{limits.requests} after the first fifth of the time. The canary: {sides}"
    )


def going(canary: Side, live: Side, limits: Limits, seconds: float) -> str:
    """The same while it has its time."""
    left = max(0.0, limits.seconds - seconds)
    head = f"a canary has {limits.share} % of the requests for {left:.0f} s more of {limits.seconds} s"
    return f"{head}: {_of(canary)}; the live release: {_of(live)}"


def _of(side: Side) -> str:
    if not side.requests:
        return "no requests"
    return f"{side.requests:,} requests, errors {_percent(side)}, p95 {_ms(side.p95 or 0)} ms"


def _percent(side: Side) -> str:
    return f"{side.rate * 100:.1f} %"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}"
