# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person writes for ``prove``, and what of it can't be. Pure."""

from __future__ import annotations

import difflib
import math
import typing as t
from dataclasses import asdict, dataclass

from ...module_utils._prove.client import MOST_RATE, MOST_SECONDS
from .._inputs.paths import Asked, PathsError, read

AGAIN = ("swap", "restart", "reload")
"""Ways in which the live release is brought to the traffic anew."""
DURING = ("deploy", "rollback", *AGAIN, "nothing")
SECONDS, QUIET_SECONDS = 300.0, 30.0


class OptionsError(Exception):
    """What is wrong, and what to write; a sentence or two for the user."""


@dataclass(frozen=True)
class Number:
    """An option that is a number: what it counts, its least, its most, and what it is where nobody says."""

    unit: str
    least: float
    most: float
    default: float
    why: str = ""


NUMBERS = {
    "rate": Number(
        "requests a second", 0.1, MOST_RATE, 20, "More would be a load test, and your users would notice it."
    ),
    "seconds": Number("seconds", 10, MOST_SECONDS, SECONDS),
    "before": Number("seconds", 2, 60, 5),
    "late": Number("seconds", 0.01, 60, 1),
    "timeout": Number("seconds", 1, 120, 30),
    "fail_on_lost": Number("requests, and 0 for never", 0, 1_000_000, 0),
}


@dataclass(frozen=True)
class Options:
    during: str
    asked: tuple[Asked, ...]
    rate: float
    seconds: float
    before: float
    late: float
    timeout: float
    fail_on_lost: int

    @property
    def kinds(self) -> list[str]:
        return [str(each) for each in self.asked]

    @property
    def writes(self) -> list[str]:
        """The requests that may change something."""
        return [str(each) for each in self.asked if each.method not in ("GET", "HEAD", "OPTIONS")]

    def for_host(self) -> dict[str, t.Any]:
        """What the host is told."""
        told = {name: getattr(self, name) for name in ("during", "rate", "seconds", "before", "late", "timeout")}
        return {**told, "asked": [asdict(each) for each in self.asked]}


def checked(given: dict[str, t.Any]) -> Options:
    """
    :param given: as it was written; an empty text is nothing.
    :raises OptionsError: it can't be.
    """
    during = str(given.get("during") or "").strip()
    if not during:
        raise OptionsError(f"during says nothing. Write what to count clients by: -e during={'|'.join(DURING)}.")
    if during not in DURING:
        near = difflib.get_close_matches(during, DURING, 1)
        raise OptionsError(
            f"during is {during!r}, which isn't known. There are {', '.join(DURING)}."
            + (f" Write: -e during={near[0]}" if near else "")
        )
    try:
        asked = tuple(read(given.get("paths") or ""))
    except PathsError as error:
        raise OptionsError(str(error)) from None
    numbers = {name: _number(name, given.get(name), number) for name, number in NUMBERS.items()}
    if during == "nothing" and given.get("seconds") in (None, ""):
        numbers["seconds"] = QUIET_SECONDS
    if numbers["seconds"] <= numbers["before"]:
        raise OptionsError(
            f"seconds is {numbers['seconds']:g}, and the steady stretch before takes {numbers['before']:g} of them. "
            f"Write more: -e seconds={numbers['before'] + 30:g}"
        )
    # Each kind has to be asked in the steady stretch, to be known there.
    turns = sum(each.share for each in asked) / min(each.share for each in asked)
    if numbers["rate"] * numbers["before"] < turns:
        need = math.ceil(turns / numbers["rate"])
        raise OptionsError(
            f"With {numbers['rate']:g} requests a second the rarest of the paths isn't asked within the "
            f"{numbers['before']:g} s before. Write a higher rate, or -e before={need} (60 at most), or fewer paths."
        )
    count = numbers.pop("fail_on_lost")
    if count != int(count):
        raise OptionsError(f"fail_on_lost is {count:g}. It is a whole number of requests: -e fail_on_lost=1")
    return Options(during, asked, fail_on_lost=int(count), **numbers)


def _number(name: str, value: object, number: Number) -> float:
    if value is None or value == "":
        return float(number.default)
    try:
        found = float(str(value))
    except ValueError:
        found = math.nan
    if math.isnan(found) or not number.least <= found <= number.most:
        raise OptionsError(
            f"{name} is {value}. It has to be {number.least:g} to {number.most:g} ({number.unit})."
            + (f" {number.why}" if number.why and found > number.most else "")
            + f" Write: -e {name}={_near(found, number):g}"
        )
    return found


def _near(found: float, number: Number) -> float:
    return number.default if math.isnan(found) else min(max(found, number.least), number.most)
