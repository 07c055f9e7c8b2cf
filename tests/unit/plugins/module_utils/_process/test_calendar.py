"""Schedules: systemd's calendar as it is, cron translated, and what neither knows refused with what to write."""

from __future__ import annotations

import datetime
import itertools
import os
import re
import shutil
import subprocess

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._process.calendar import calendars, parse_span
from ansible_collections.graceful.deploy.plugins.module_utils._process.cron import NotASchedule
from hypothesis import given, settings
from hypothesis import strategies as st

YEAR = [datetime.date(2028, 1, 1) + datetime.timedelta(days=day) for day in range(366)]
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEK = "Mon Tue Wed Thu Fri Sat Sun".split()


@pytest.mark.parametrize(
    "schedule",
    [
        "*-*-* 03:30",
        "03:30",
        "hourly",
        "weekly UTC",
        "*:00/15",
        "Mon..Fri *-*-* 9:00 Europe/Berlin",
        "Sat,Thu,Mon..Wed,Sat..Sun",
        "Mon,Sun 12-*-* 2,1:23",
        "Wed *-1",
        "Wednesday, 17:48",
        "mon,fri *-1/2-1,3 *:30:45",
        "2027-03-05 05:40 UTC",
        "2027-02..04-05",
        "*-*~01 03:30",
        "Mon *-05~07/1",
        "9..11,13:00,30",
        "*:*:45.5",
        "10-15",
    ],
)
def test_systemds_calendar_stays_as_it_is(schedule: str) -> None:
    assert calendars(schedule) == [schedule]


@pytest.mark.parametrize(
    ("cron", "systemd"),
    [
        ("30 3 * * *", ["*-*-* 03:30:00"]),
        ("*/15 * * * *", ["*-*-* *:00/15:00"]),
        ("10-40/10 9-17 * JAN,jul mon-fri", ["Mon..Fri *-01,07-* 09..17:10..40/10:00"]),
        ("0 3 1 * mon", ["*-*-01 03:00:00", "Mon *-*-* 03:00:00"]),
        ("0 3 */2 * 1", ["Mon *-*-01/2 03:00:00"]),
        ("0 3 1 * */2", ["Tue,Thu,Sat,Sun *-*-01 03:00:00"]),
        ("  0  0 * * 7 ", ["Sun *-*-* 00:00:00"]),
        ("0 0 * * fri-sun", ["Fri..Sun *-*-* 00:00:00"]),
        ("0 0 * * 0-6", ["*-*-* 00:00:00"]),
        ("5,*,7 0-23 1-31/3 1-12/1 *", ["*-*-01/3 *:*:00"]),
        ("@hourly", ["*-*-* *:00:00"]),
        ("@daily", ["*-*-* 00:00:00"]),
        ("@midnight", ["*-*-* 00:00:00"]),
        ("@weekly", ["Sun *-*-* 00:00:00"]),
        ("@Monthly", ["*-*-01 00:00:00"]),
        ("@yearly", ["*-01-01 00:00:00"]),
        ("@annually", ["*-01-01 00:00:00"]),
    ],
)
def test_cron_is_translated(cron: str, systemd: list[str]) -> None:
    assert calendars(cron) == systemd


BAD = [
    ("60 * * * *", "minutes go from 0 to 59", "Write 0 to 59 there."),
    ("0 24 * * *", "hours go from 0 to 23", "Write 0 to 23 there."),
    ("0 0 0 * *", "days of the month go from 1 to 31", "Write 1 to 31 there."),
    ("0 0 * 13 *", "months go from 1 to 12", "Write 1 to 12 there."),
    ("0 0 * * 8", "weekdays go from 0 to 7", "Write 0 to 7 there."),
    ("5/10 * * * *", "a step and no range", "Write 5-59/10 for it."),
    ("0 22-2 * * *", "ends before it begins", "Write 22-23,0-2 for it."),
    ("*/90 * * * *", "a step of 90", "Write a step from 1 to 59"),
    ("*/0 * * * *", "a step of 0", "from 1"),
    ("0 0 * * monday", "'monday'", "Write mon for it."),
    ("0 0 * foo *", "'foo'", "Write 1 to 12, or jan for it."),
    ("x 0 * * *", "'x'", "Write 0 to 59 for it."),
    ("0~59 * * * *", "'0~59'", "a range such as 1-5"),
    ("1, 2 * * *", "''", "no blanks"),
    ("0 3 L * *", "~ for it", "Write schedule: '*-*~01 03:00'."),
    ("0 3 L-2 6 *", "~ for it", "Write schedule: '*-06~03 03:00'."),
    ("0 3 15W * *", "nearest", "Write schedule: 'Mon..Fri *-*-15 03:00', which leaves months out"),
    ("0 3 LW * *", "nearest", "Write schedule: 'Mon..Fri *-*~01 03:00', which leaves months out"),
    ("0 3 * * fri#3", "no #", "Write schedule: 'Fri *-*-15..21 03:00'."),
    ("0 3 * * 1#5", "no #", "Write schedule: 'Mon *-*-29..31 03:00'."),
    ("0 3 * * 5L", "no L", "Write schedule: 'Fri *-*~07/1 03:00'."),
    ("0 3 ? * 2", "Quartz", "Write schedule: '0 3 * * 2'."),
    ("0 0 3 * * ?", "these are 6", "Write schedule: '0 3 * * *'."),
    ("30 0 3 * * ?", "these are 6", "Write schedule: '*-*-* 03:00:30'."),
    ("*/10 * * * * *", "these are 6", "Write schedule: '*-*-* *:*:00/10'."),
    ("0 0 3 ? * 2", "these are 6", "'30 3 * * *'"),
    ("0 0 3 * * ? 2027", "these are 7", "'30 3 * * *'"),
    ("0 3 * * * root", "these are 6", "'30 3 * * *'"),
    ("30 3 * * * python -m app", "neither", "'30 3 * * *'"),
    ("30 3 * *", "neither", "'30 3 * * *'"),
    ("every day at 3", "neither", "'30 3 * * *'"),
    ("", "neither", "'30 3 * * *'"),
    ("*-*-* 03:30\nOnBootSec=1", "one line", "'30 3 * * *'"),
    ("@reboot", "goes by the time", "fastapi_processes"),
    ("@every 5m", "there are @hourly", "Write schedule: '@daily'."),
]


@pytest.mark.parametrize(("schedule", "wrong", "advice"), BAD)
def test_what_neither_knows_is_refused_with_what_to_write(schedule: str, wrong: str, advice: str) -> None:
    with pytest.raises(NotASchedule) as caught:
        calendars(schedule)
    assert wrong in caught.value.wrong and advice in caught.value.advice
    assert caught.value.wrong.endswith(".") and caught.value.advice.endswith(".")
    # What is proposed is a schedule.
    for proposed in re.findall(r"schedule: '([^']*)'", caught.value.advice):
        assert calendars(proposed)


@pytest.mark.parametrize("schedule", ["5-59/10 * * * *", "0 22-23,0-2 * * *", "0 0 * * mon", "0 0 * jan *"])
def test_a_part_that_is_proposed_fits_where_the_bad_one_was(schedule: str) -> None:
    assert calendars(schedule)


# ---- cron as crontab(5) says it, beside systemd's words as systemd.time(7) says them


Item = tuple[str, set[int]]


def items(least: int, most: int, words: list[str]) -> st.SearchStrategy[Item]:
    """A part of a field, and the numbers that it means."""

    def ranged(drawn: tuple[int, int, int]) -> Item:
        low, high, step = min(drawn[:2]), max(drawn[:2]), drawn[2]
        return f"{low}-{high}/{step}", set(range(low, high + 1, step))

    number = st.integers(least, most)
    alone = number.map(lambda value: (words[value] if words and value % 2 else str(value), {value}))
    pair = st.tuples(number, number).map(sorted).map(lambda p: (f"{p[0]}-{p[1]}", set(range(p[0], p[1] + 1))))
    stepped = st.integers(1, most).map(lambda step: (f"*/{step}", set(range(least, most + 1, step))))
    return alone | pair | stepped | st.tuples(number, number, st.integers(1, most)).map(ranged)


def fields(least: int, most: int, words: list[str] | None = None) -> st.SearchStrategy[Item]:
    several = st.lists(items(least, most, words or []), min_size=1, max_size=3)
    joined = several.map(lambda parts: (",".join(text for text, _set in parts), set().union(*(p[1] for p in parts))))
    return st.just(("*", set(range(least, most + 1)))) | joined


CRONS_WEEK = [name.lower() for name in WEEK[-1:] + WEEK[:-1]]
LINES = st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12, ["", *MONTHS]), fields(0, 6, CRONS_WEEK))


def cron_fires(line: tuple[Item, ...], day: datetime.date) -> set[tuple[int, int]]:
    (_m, minutes), (_h, hours), (days_text, days), (_mo, months), (week_text, week) = line
    by_day, by_week = day.day in days, day.isoweekday() % 7 in week
    starred = days_text[0] == "*" or week_text[0] == "*"
    if day.month not in months or not (by_day and by_week if starred else by_day or by_week):
        return set()
    return set(itertools.product(hours, minutes))


def systemd_numbers(text: str, least: int, most: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _slash, step = part.partition("/")
        low, dots, high = span.partition("..")
        if span == "*":
            low, dots, high = str(least), "..", str(most)
        end = int(high) if dots else most if step else int(low)
        found |= set(range(int(low), end + 1, int(step or 1)))
    return found


def systemd_fires(expression: str, day: datetime.date) -> set[tuple[int, int]]:
    *week, date, time = expression.split(" ")
    _year, month, number = date.split("-")
    hour, minute, second = time.split(":")
    assert (_year, second) == ("*", "00")
    wanted: set[str] = set()
    for part in week[0].split(",") if week else ["Mon..Sun"]:
        first, _dots, last = part.partition("..")
        wanted |= set(WEEK[WEEK.index(first) : WEEK.index(last or first) + 1])
    if day.month not in systemd_numbers(month, 1, 12) or day.day not in systemd_numbers(number, 1, 31):
        return set()
    if WEEK[day.weekday()] not in wanted:
        return set()
    return set(itertools.product(systemd_numbers(hour, 0, 23), systemd_numbers(minute, 0, 59)))


@given(LINES)
@settings(max_examples=100)
def test_the_translation_fires_in_the_same_minutes_of_a_year(line: tuple[Item, ...]) -> None:
    expressions = calendars(" ".join(text for text, _numbers in line))
    for day in YEAR:
        fired = set().union(*(systemd_fires(expression, day) for expression in expressions))
        assert fired == cron_fires(line, day), (expressions, day)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@given(LINES)
@settings(max_examples=15)
def test_the_real_systemd_reads_it_alike(line: tuple[Item, ...]) -> None:
    for expression in calendars(" ".join(text for text, _numbers in line)):
        command = ["systemd-analyze", "calendar", "--base-time=2028-01-01 00:00", "--iterations=4", "--", expression]
        env = {**os.environ, "TZ": "UTC"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said = re.findall(r"(?:elapse|#\d+): \w+ (\d+-\d+-\d+) (\d+):(\d+):00", done.stdout)
        days = [(str(day), systemd_fires(expression, day)) for day in YEAR]
        expected = [(day, f"{h:02}", f"{m:02}") for day, fired in days for h, m in sorted(fired)]
        # systemd asks for what comes after that moment.
        expected = [moment for moment in expected if moment != ("2028-01-01", "00", "00")]
        assert [moment for moment in said if moment[0] < "2029"] == expected[: len(said)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(90, 90), ("90", 90), ("90s", 90), ("15min", 900), ("15m", 900), ("1h", 3600), ("7d", 604800)],
)
def test_spans_are_seconds(text: object, seconds: int) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", [True, None, 1.5, "", "1 h", "1h30", "h", "-1", "1H", "1w", ["1h"], "1h\n"])
def test_other_spans_are_none(text: object) -> None:
    with pytest.raises(ValueError, match="whole number with s, min, h or d"):
        parse_span(text)
