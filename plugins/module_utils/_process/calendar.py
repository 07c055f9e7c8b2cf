# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a timer runs: systemd's calendar (systemd.time(7)) as it is, or cron's five fields translated. Pure."""

from __future__ import annotations

import re

from .cron import DAY, FIELDS, HOUR, MINUTE, MONTH, SECOND, NotASchedule, number, numbers, weekdays

_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# Not the whole grammar: systemd itself is asked, on the host. This keeps out what it could never mean.
_DAY = r"(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
_DAYS = rf"{_DAY}(?:(?:\.\.|-|,){_DAY})*,?"
_DATE = r"[0-9*,./]+(?:[-~][0-9*,./]+){1,2}"
_TIME = r"[0-9*,./]+(?::[0-9*,./]+){1,2}"
_NAMED = r"minutely|hourly|daily|weekly|monthly|quarterly|semi-?annually|annually|yearly"
_SYSTEMD = re.compile(
    rf"(?:{_NAMED}|{_DAYS}(?: +{_DATE})?(?: +{_TIME})?|{_DATE}(?: +{_TIME})?|{_TIME})(?: +[A-Z][A-Z0-9_+/-]*)?",
    re.ASCII | re.IGNORECASE,
)
_SPAN = re.compile(r"([0-9]{1,7})(s|m|min|h|d)?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def write(schedule: str) -> str:
    return f"Write schedule: '{schedule}'."


EXAMPLE = "Write schedule: '*-*-* 03:30' for half past three each night, or the same in cron's words: '30 3 * * *'."


def calendars(schedule: str) -> list[str]:
    """The OnCalendar= expressions that together mean `schedule`.

    Two where cron's day and weekday are both restricted: cron then fires when either matches.

    :raises NotASchedule: for anything that is neither form, or that only one of cron's successors knows.
    """
    if not schedule.isprintable():
        raise NotASchedule("it has to be on one line, without tabs.", EXAMPLE)
    words = schedule.split()
    text = " ".join(words)
    if text.startswith("@"):
        words = _spelled_out(text.lower()).split()
    elif _SYSTEMD.fullmatch(text):
        return [text]
    if len(words) in (6, 7):
        raise _too_many(words)
    if len(words) != len(FIELDS):
        wrong = "it is neither systemd's calendar nor the five fields of cron (minute, hour, day, month, weekday)."
        raise NotASchedule(wrong, EXAMPLE)
    return _translate(words)


def parse_span(value: object) -> int:
    """Seconds from 90, "90", "90s", "15min" or "15m", "1h" and "2d". Raises ValueError for anything else."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("it has to be seconds, or a whole number with s, min, h or d.")
    return int(match[1]) * _SECONDS[(match[2] or "s")[0]]


def _spelled_out(word: str) -> str:
    if word in _SHORT:
        return _SHORT[word]
    if word == "@reboot":
        wrong = "a timer goes by the time, and @reboot has none."
        advice = "What has to run for as long as the host does is a process: write it into fastapi_processes. What a "
        raise NotASchedule(wrong, advice + "release needs done once goes into fastapi_before_swap.")
    raise NotASchedule(f"there is no {word}; there are {', '.join(_SHORT)}.", write("@daily"))


def _translate(words: list[str]) -> list[str]:
    """systemd's words for five fields of cron's."""
    minute, hour, day, month, weekday = words
    _refuse_quartz(words)
    date = f"*-{numbers(month, MONTH)}-"
    time = f"{numbers(hour, HOUR)}:{numbers(minute, MINUTE)}:00"
    days, week = numbers(day, DAY), weekdays(weekday)
    # By its first character, as cron does it: */2 isn't a restriction in this sense.
    if day.startswith("*") or weekday.startswith("*"):
        return [f"{week}{date}{days} {time}"]
    return [f"{date}{days} {time}", f"{week}{date}* {time}"]


def _refuse_quartz(words: list[str]) -> None:
    """What Java's schedulers have beside cron, with systemd's words for it where there are some."""
    minute, hour, day, month, weekday = (word.lower() for word in words)
    if "?" in "".join(words):
        plain = " ".join(words).replace("?", "*")
        raise NotASchedule("cron has no ?, which is Quartz's.", write(plain))
    last = re.fullmatch(r"l(?:-([0-9]|[12][0-9]|30))?", day)
    near = re.fullmatch(r"(l|[0-9]{1,2})w", day)
    nth = re.fullmatch(r"(?:([a-z]{3}|[0-7])#([1-5])|([a-z]{3}|[0-7])l)", weekday)
    if not (last or near or nth):
        return
    months, time = numbers(month, MONTH), f"{numbers(hour, HOUR)}:{numbers(minute, MINUTE)}"
    if last:
        wrong = "cron has no L for the last day of a month, and systemd has ~ for it."
        raise NotASchedule(wrong, write(f"*-{months}~{int(last[1] or 0) + 1:02} {time}"))
    if near:
        date = "~01" if near[1] == "l" else f"-{number(near[1], DAY):02}"
        wrong = "neither cron nor systemd has W, the weekday that is nearest."
        advice = f"{write(f'Mon..Fri *-{months}{date} {time}')[:-1]}, which leaves months out with a weekend there."
        raise NotASchedule(wrong, advice)
    if nth:
        count = int(nth[2] or 0)
        date = f"-{count * 7 - 6:02}..{min(count * 7, 31):02}" if count else "~07/1"
        wrong = f"cron has no {'#' if count else 'L'} for one weekday of a month, and systemd has the days for it."
        raise NotASchedule(wrong, write(f"{weekdays(nth[1] or nth[3])}*-{months}{date} {time}"))


def _too_many(words: list[str]) -> NotASchedule:
    """Six or seven fields: with seconds first, and perhaps a year last. What is proposed means the same."""
    wrong = f"cron has five fields (minute, hour, day, month, weekday), and these are {len(words)}."
    fields = [word.replace("?", "*") for word in words[1:6]]
    try:
        second, found = numbers(words[0], SECOND), _translate(fields)
    except NotASchedule:
        return NotASchedule(wrong, EXAMPLE)
    # Where Sunday is 1, as in Quartz, and where it is 0, nobody can see.
    if len(words) == 7 or re.search("[0-9]", fields[-1]) or len(found) > 1:
        return NotASchedule(wrong, EXAMPLE)
    return NotASchedule(wrong, write(" ".join(fields) if second == "00" else found[0][:-2] + second))
