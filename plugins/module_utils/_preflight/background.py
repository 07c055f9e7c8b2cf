# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes and timers of an app on a host: what is in their way there, and when the timers will run."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Callable, Sequence

from .._app.problems import HIDDEN, Problem
from .._app.words import is_ours
from .._host.files import names_in, read_text

RUNS = 3
"""How many of a timer's next runs are told."""
Run = Callable[[list[str]], tuple[int, str, str]]


def read_background(params: dict[str, t.Any], run: Run, unit_directories: Sequence[str]) -> dict[str, t.Any]:
    """What `judge_background` asks for: all of it empty, and nothing asked, where the app has its web alone."""
    told = params.get("background") or {"processes": {}, "timers": {}}
    names = [*told["processes"], *told["timers"]]
    foreign = {name: foreign_units(f"{params['name']}.{name}.", unit_directories) for name in names}
    paths = {name: [path for path in each if not os.path.isdir(path)] for name, each in told["processes"].items()}
    timers = {name: [ask(run, calendar) for calendar in each] for name, each in told["timers"].items()}
    return {"foreign": foreign, "missing_paths": paths, "timers": timers}


def foreign_units(start: str, directories: Sequence[str]) -> list[str]:
    """Units whose names begin so, and that this collection didn't write. A drop-in's directory is no unit."""
    found: dict[str, str] = {}
    for directory in directories:
        for entry in names_in(directory):
            path = os.path.join(directory, entry)
            if entry.startswith(start) and not os.path.isdir(path) and not is_ours(read_text(path, 4096)):
                # /lib is a link to /usr/lib on Debian; name each unit once.
                found.setdefault(os.path.join(os.path.realpath(directory), entry), path)
    return sorted(found.values())


def ask(run: Run, calendar: str) -> dict[str, t.Any]:
    """What the host's systemd makes of a calendar. In the host's time zone, as the timer has it."""
    code, output, error = run(["systemd-analyze", "calendar", f"--iterations={RUNS}", "--", calendar])
    if code:
        return {"calendar": calendar, "problem": (error.strip() or output.strip()).rstrip("."), "next": []}
    return {"problem": "", **parse_calendar(output, calendar)}


def parse_calendar(output: str, calendar: str) -> dict[str, t.Any]:
    """How systemd writes the calendar, and its next times as systemd prints them."""
    normal = re.search(r"^ *Normalized form: (.+)$", output, re.M)
    times = re.findall(r"^ *(?:Next elapse|Iter\. #[0-9]+|Iteration #[0-9]+): (\w{3} [0-9]{4}-.+)$", output, re.M)
    return {"calendar": normal[1].strip() if normal else calendar, "next": [time.strip() for time in times]}


def judge_background(params: dict[str, t.Any], found: dict[str, t.Any]) -> tuple[list[Problem], list[str]]:
    """What is wrong with a host for the app's processes and timers, and what is worth a warning."""
    problems, warnings = [], []
    for name, units in found["foreign"].items():
        variable = "timers" if name in found["timers"] else "processes"
        if units:
            wrong = f"{name} would have units that the host has by somebody else: {' and '.join(units)}."
            advice = f"Give {name} another name, or remove what brought {'them' if len(units) > 1 else 'that'}."
            problems.append(Problem(variable, HIDDEN, wrong, advice))
    for name, path in [(name, path) for name, paths in found["missing_paths"].items() for path in paths]:
        wrong = f"writable_paths of {name}: {path} isn't a directory on the host, and without it {name} doesn't start."
        advice = f"Make it there: install -d -o {params['user']} -g {params['group']} {path}."
        problems.append(Problem("processes", HIDDEN, wrong, advice))
    for name, asked in found["timers"].items():
        for each in [each for each in asked if each["problem"]]:
            wrong = f"schedule of {name}: the host's systemd doesn't take it: {each['problem']}."
            advice = "Write schedule: '*-*-* 03:30' for half past three each night; systemd.time(7) has all forms."
            problems.append(Problem("timers", HIDDEN, wrong, advice))
        if not any(each["problem"] or each["next"] for each in asked):
            # No refusal: one that has had its only run keeps no release from being deployed.
            forms = " and ".join(each["calendar"] for each in asked)
            warnings.append(
                f"fastapi_timers: {name} never runs: {forms} doesn't come any more. Change it or take it out."
            )
    return problems, warnings


def summary_of_timers(found: dict[str, t.Any]) -> dict[str, dict[str, list[str]]]:
    """Each timer's calendars and next times, for the result."""
    summary = {}
    for name, asked in found["timers"].items():
        # As 'Mon 2026-11-30 03:30:00 UTC': the date first, and what two calendars name alike once.
        times = sorted({time for each in asked for time in each["next"]}, key=lambda time: time.split()[1:3])
        summary[name] = {"schedule": [each["calendar"] for each in asked], "next": times[:RUNS]}
    return summary


def lines(timers: dict[str, dict[str, list[str]]]) -> list[str]:
    """A line for a person about each timer of `summary_of_timers`."""
    return [
        f"Timer {name}: {' and '.join(timer['schedule'])}, next {', '.join(timer['next']) or 'never'}."
        for name, timer in timers.items()
    ]
