# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fields of a line of cron's (crontab(5)), and the numbers in them in systemd's words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ITEM = re.compile(r"(?:(\*)|([0-9]{1,4}|[a-z]+)(?:-([0-9]{1,4}|[a-z]+))?)(?:/([0-9]{1,4}))?", re.ASCII)


class NotASchedule(ValueError):
    """`wrong` says what is wrong with a schedule, without quoting it whole; `advice` what to write."""

    def __init__(self, wrong: str, advice: str) -> None:
        super().__init__(f"{wrong} {advice}")
        self.wrong = wrong
        self.advice = advice


@dataclass(frozen=True)
class Field:
    """One of cron's fields. The number of `words[0]` is `least`."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


SECOND = Field("seconds", 0, 59)
MINUTE = Field("minutes", 0, 59)
HOUR = Field("hours", 0, 23)
DAY = Field("days of the month", 1, 31)
MONTH = Field("months", 1, 12, tuple("jan feb mar apr may jun jul aug sep oct nov dec".split()))
WEEKDAY = Field("weekdays", 0, 7, tuple("sun mon tue wed thu fri sat".split()))
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
# In the order of systemd's week, with cron's numbers.
_WEEK = tuple(zip((1, 2, 3, 4, 5, 6, 0), "Mon Tue Wed Thu Fri Sat Sun".split(), strict=True))

Part = tuple[int, int, int]
"""From, to and step, as `10-40/10`; a number alone is from itself to itself."""


def _parts(text: str, field: Field) -> list[Part]:
    return [_part(item, field) for item in text.lower().split(",")]


def _part(item: str, field: Field) -> Part:
    match = _ITEM.fullmatch(item)
    if match is None:
        wrong = f"'{item}' is nothing that cron's {field.name} can be."
        such = "*, a number, a range such as 1-5 or steps such as */2"
        raise NotASchedule(wrong, f"Write {such}, with commas and no blanks between several.")
    star, first, last, step = match[1], match[2], match[3], int(match[4] or 1)
    if star:
        low, high = field.least, field.most - (field is WEEKDAY)
    else:
        low = number(first, field)
        high = number(last, field) if last else low
        # Sunday is both ends of the week.
        high = 7 if field is WEEKDAY and last and high == 0 < low else high
    if match[4] and not star and not last:
        wrong = f"'{item}' has a step and no range, which each cron reads in another way."
        raise NotASchedule(wrong, f"Write {item.partition('/')[0]}-{field.most}/{match[4]} for it.")
    if low > high:
        wrong = f"'{item}' ends before it begins."
        raise NotASchedule(wrong, f"Write {first}-{field.most},{field.least}-{last} for it.")
    if not 1 <= step <= field.most:
        wrong = f"'{item}' has a step of {step}, and cron counts {field.name} anew from {field.least} each time."
        raise NotASchedule(wrong, f"Write a step from 1 to {field.most}, or a list of numbers.")
    return low, high, step


def number(text: str, field: Field) -> int:
    if text in field.words:
        return field.words.index(text) + field.least
    if not text.isdigit():
        near = [word for word in field.words if text.startswith(word)]
        such = near[0] if near else f"{field.least} to {field.most}"
        wrong = f"'{text}' is nothing that cron's {field.name} can be."
        raise NotASchedule(wrong, f"Write {such}{f', or {field.words[0]}' if field.words and not near else ''} for it.")
    if not field.least <= int(text) <= field.most:
        wrong = f"cron's {field.name} go from {field.least} to {field.most}, and '{text}' is outside."
        raise NotASchedule(wrong, f"Write {field.least} to {field.most} there.")
    return int(text)


def numbers(text: str, field: Field) -> str:
    """A field in systemd's words: *, 05, 10..40/10, 00/15, with commas between several."""
    found = []
    for low, high, step in _parts(text, field):
        if (low, high, step) == (field.least, field.most, 1):
            return "*"
        if low == high:
            found.append(f"{low:02}")
        elif high == field.most and step > 1:
            found.append(f"{low:02}/{step}")
        else:
            found.append(f"{low:02}..{high:02}" + (f"/{step}" if step > 1 else ""))
    return ",".join(found)


def weekdays(text: str) -> str:
    """The weekdays with a blank behind them, as systemd knows no steps there; nothing where it is each day."""
    wanted = {day % 7 for low, high, step in _parts(text, WEEKDAY) for day in range(low, high + 1, step)}
    runs: list[list[str]] = [[]]
    for day, name in _WEEK:
        if day in wanted:
            runs[-1].append(name)
        else:
            runs.append([])
    named = [f"{run[0]}..{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs if run]
    return "" if len(wanted) == len(_WEEK) else ",".join(named) + " "
