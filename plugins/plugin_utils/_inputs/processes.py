# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs of an app beside its web: the rules for fastapi_processes and fastapi_timers. Pure.

Secrets are in it, so the value as a whole is never shown, nor a command or anything of an environment.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from ...module_utils._app import names
from ...module_utils._app.problems import HIDDEN, Problem, show, write
from ...module_utils._app.words import PREFIX
from ...module_utils._process.calendar import calendars, parse_span
from ...module_utils._process.cron import NotASchedule
from . import env_file, rules

# What systemd, journal and status already call so.
TAKEN = frozenset({"web", "blue", "green"})
SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGWINCH")
LONGEST_RUN = 7 * 86400
DEFAULT_HOSTS = {"processes": "all", "timers": "first"}
SAMPLES = {
    "processes": ("worker", "{command: celery -A app.tasks worker}"),
    "timers": ("cleanup", "{command: python -m app.cleanup, schedule: '*-*-* 03:30'}"),
}
# What others call the keys, where the nearest one by letters would be another one, or none.
SYNONYMS = {
    **dict.fromkeys(("cmd", "exec", "run", "program", "script"), "command"),
    **dict.fromkeys(("replicas", "count", "numprocs", "concurrency", "workers"), "instances"),
    **dict.fromkeys(("stopwaitsecs", "grace", "graceful_timeout"), "stop_timeout"),
    **dict.fromkeys(("signal", "stopsignal", "kill_signal"), "stop_signal"),
    **dict.fromkeys(("memory", "memory_limit"), "memory_max"),
    **dict.fromkeys(("environment", "env_vars"), "env"),
    **dict.fromkeys(("cron", "calendar", "on_calendar", "when", "at", "every"), "schedule"),
}
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""")


def line(variable: str, value: t.Any) -> Problem | None:
    """A command for the shell."""
    if not isinstance(value, str) or not value.strip():
        return Problem(variable, HIDDEN, "it has to be text, and not empty.", "Write what is to run, in quotes.")
    if re.search(r"[\x00-\x1f\x7f]", value):
        wrong = "it has to be on one line, without tabs."
        return Problem(variable, HIDDEN, wrong, "Put it on one line, behind >- where it is long, or into a script.")
    if re.search(r"""["'\\]""", _QUOTED.sub("", value)):
        wrong = "a quote in it doesn't close, or a backslash ends it."
        return Problem(
            variable, HIDDEN, wrong, "Close the quote, or put a backslash before one that stands for itself."
        )
    return None


def program(variable: str, value: t.Any) -> Problem | None:
    """One program and its words: the signal to stop goes to what was started, which a shell wouldn't pass on."""
    if problem := line(variable, value):
        return problem
    bare = _QUOTED.sub("", value)
    if found := re.search(r"[;&|<>()`]|(?<!\S)#", bare):
        wrong = (
            f"it has {show(found[0])} outside of quotes, and takes one program with its words: with a shell between, "
        )
        wrong += "the signal to stop wouldn't reach the program."
        advice = (
            "Put it in quotes where it stands for itself; else write a script that ends with exec and the program, "
        )
        return Problem(variable, HIDDEN, wrong, f"{advice}and that script here.")
    if setting := re.match(r"\s*([A-Za-z_]\w*)=", value, re.ASCII):
        wrong = f"it begins with {setting[1]}=, where the program has to be."
        return Problem(variable, HIDDEN, wrong, f"Write env: {{{setting[1]}: '...'}} beside it, and the program first.")
    if value.split()[0] == "exec":
        return Problem(variable, HIDDEN, "it begins with exec, which is put before it anyway.", "Leave exec out.")
    return None


def instances(variable: str, value: t.Any) -> Problem | None:
    problem = rules.number(1, 64, 1)(variable, value)
    if problem is None:
        return None
    means = " Left out, one runs, and in a deploy that of the old release may still end its jobs beside it. Written, 1 "
    means += "means that there are never two: the old one is stopped first."
    return dataclasses.replace(
        problem, wrong=problem.wrong + means, advice=f"{problem.advice} To run none, take it out."
    )


def env(variable: str, value: t.Any) -> Problem | None:
    for name, wrong, advice in env_file.problems(value):
        return Problem(variable, HIDDEN, f"{name} in it: {wrong}" if name else wrong, advice)
    return None


def schedule(variable: str, value: t.Any) -> Problem | None:
    if problem := rules.text(variable, value):
        return problem
    try:
        calendars(value)
    except NotASchedule as error:
        return Problem(variable, value, error.wrong, error.advice)
    return None


def span(variable: str, value: t.Any) -> Problem | None:
    try:
        if 1 <= parse_span(value) <= LONGEST_RUN:
            return None
    except ValueError:
        pass
    wrong = "it has to be seconds, or a whole number with s, min, h or d, from 1s to 7d."
    near = re.match(r"\s*([1-9][0-9]{0,5})\s*([smhd]?)", str(value).lower())
    guess = f"{near[1]}{near[2].replace('m', 'min')}" if near else "1h"
    return Problem(variable, value, wrong, write(variable, guess if parse_span(guess) <= LONGEST_RUN else "7d"))


KEYS: dict[str, dict[str, rules.Rule]] = {
    "processes": {
        "command": program,
        "instances": instances,
        "stop_timeout": rules.number(1, 86400, 30, "seconds"),
        "stop_signal": rules.one_of(SIGNALS),
        "memory_max": rules.size,
        "env": env,
        "writable_paths": rules.writable_paths,
        "hosts": rules.one_of(("all", "first")),
    },
    "timers": {"command": line, "schedule": schedule, "timeout": span, "hosts": rules.one_of(("first", "all"))},
}
REQUIRED = ("command", "schedule")


def entries(variable: str, value: t.Any) -> Problem | None:
    """The rule for `processes` and for `timers`, which have other keys."""
    name, sample = SAMPLES[variable]
    if not isinstance(value, dict):
        wrong = "it has to be a mapping of names to what each runs."
        return Problem(variable, HIDDEN, wrong, write(variable, f"{{{name}: {sample}}}"))
    for name, entry in value.items():
        found = _name(variable, name) or _shape(variable, name, entry) or _values(variable, name, entry)
        if found:
            return found
    return None


def _name(variable: str, name: t.Any) -> Problem | None:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", name):
        wrong = (
            f"{show(name)} becomes part of a unit's name, and has to be 1 to 31 lower-case letters, digits, _ and -, "
        )
        near = names.fitting(name, 31, TAKEN) or SAMPLES[variable][0]
        return Problem(variable, HIDDEN, f"{wrong}with a letter first.", f"Name it {near}.")
    if name in TAKEN:
        wrong = f"{name} is what status and logs call a part of the app's web."
        return Problem(variable, HIDDEN, wrong, f"Name it {name}-{SAMPLES[variable][0]}.")
    return None


def _shape(variable: str, name: str, entry: t.Any) -> Problem | None:
    """Which keys an entry has."""
    known, example = KEYS[variable], f"Write {name}: {SAMPLES[variable][1]}."
    needed = [key for key in REQUIRED if key in known]
    if not isinstance(entry, dict):
        wrong = f"{name} has to be a mapping with {' and '.join(needed)}."
        return Problem(variable, HIDDEN, wrong, example)
    for key in entry:
        if key in known:
            continue
        folded = str(key).lower().replace("-", "_")
        near = [SYNONYMS.get(folded, folded), *difflib.get_close_matches(folded, known, 1, 0.6)]
        meant = next((word for word in near if word in known and word not in entry), "")
        other = "timers" if variable == "processes" else "processes"
        advice = f"Write {meant} for it." if meant else "Take it out."
        if not meant and near[0] in KEYS[other]:
            advice = f"Take it out: that is for {PREFIX}{other}."
        if entry[key] is None:
            # {command: celery worker -Q a,b} ends at the comma.
            advice = "If it belongs to a command with a comma in it, put the command in quotes; else take it out."
        wrong = f"{name} has {show(key)}, and there are only {', '.join(known)}."
        return Problem(variable, HIDDEN, wrong, advice)
    if missing := [key for key in needed if key not in entry]:
        return Problem(variable, HIDDEN, f"{name} has no {' and no '.join(missing)}.", example)
    return None


def _values(variable: str, name: str, entry: dict[str, t.Any]) -> Problem | None:
    for key, rule in KEYS[variable].items():
        problem = rule(key, entry[key]) if key in entry else None
        if problem:
            shown = "" if problem.value is HIDDEN else f" is {show(problem.value)}"
            # The rules speak of whole variables.
            advice = problem.advice.replace(PREFIX + key, key)
            return Problem(variable, HIDDEN, f"{key} of {name}{shown}: {problem.wrong}", advice)
    return None


def same_names(values: dict[str, t.Any]) -> list[Problem]:
    """A problem for each timer that is called like a process."""
    return [
        Problem(
            "timers",
            HIDDEN,
            f"{name} is in {PREFIX}processes as well, and logs, units and status go by the name.",
            f"Give one of them another name, such as {name[:25]}-timer.",
        )
        for name in values.get("timers") or {}
        if name in (values.get("processes") or {})
    ]


def is_here(kind: str, entry: dict[str, t.Any], first: bool) -> bool:
    """Whether a host has this process or timer.

    :param first: whether the host is the first of the app's.
    """
    return first or entry.get("hosts", DEFAULT_HOSTS[kind]) == "all"


def left_out(values: dict[str, t.Any], first: str, taken: t.Collection[str]) -> list[Problem]:
    """A problem for each process and timer of the app's first host alone, where the run leaves that host out.

    :param first: the first of the app's hosts, whatever --limit says.
    :param taken: the hosts of the run.
    """
    if first in taken:
        return []
    found = []
    for kind in KEYS:
        for name in [name for name, entry in (values.get(kind) or {}).items() if not is_here(kind, entry, False)]:
            wrong = (
                f"{name} runs on {first} alone, the first host of {values['name']}, and --limit leaves that out: it "
            )
            advice = f"Take {first} into --limit, or run without --limit."
            found.append(Problem(kind, HIDDEN, f"{wrong}would stay on the old release.", advice))
    return found


def for_host(values: dict[str, t.Any], first: bool) -> dict[str, t.Any]:
    """What the host is told of what it has of these: each process's writable paths and each timer's calendars.

    Commands and environments stay on the control node.
    """
    here = {
        kind: {name: entry for name, entry in (values.get(kind) or {}).items() if is_here(kind, entry, first)}
        for kind in KEYS
    }
    return {
        "processes": {name: entry.get("writable_paths") or [] for name, entry in here["processes"].items()},
        "timers": {name: calendars(entry["schedule"]) for name, entry in here["timers"].items()},
    }


def planned(values: dict[str, t.Any], first: bool) -> dict[str, dict[str, t.Any]]:
    """What the plan counts beside the web, by name: how many at once, and what each may take.

    Two releases overlap in a deploy, but for what may never run twice.
    """
    found = {}
    for name, entry in (values.get("processes") or {}).items():
        if is_here("processes", entry, first):
            instances = int(entry.get("instances", 1))
            count = instances if instances == 1 and "instances" in entry else 2 * instances
            found[name] = {"count": count, "memory": entry.get("memory_max", "")}
    for name, entry in (values.get("timers") or {}).items():
        if is_here("timers", entry, first):
            found[name] = {"count": 1, "memory": "", "fixed": True}
    return found
