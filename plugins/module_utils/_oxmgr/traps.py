# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Oxmgr 0.5.0 makes of an app's values otherwise than they look. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .app import CAP, App, signal_name, split
from .keys import FOR_EVER, LOGS, SIGNALS, written

# A word of which a shell would make something else, and the first words that only a shell knows.
_OPERATORS = ("&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1")
_BUILTINS = (".", "cd", "exec", "export", "source", "ulimit", "umask")
_SHELLS = ("sh", "bash", "dash")
_QUICK = {
    "SIGQUIT": "Uvicorn's workers go on until graceful_timeout and are then killed, without a lifespan shutdown",
    "SIGHUP": "Gunicorn reloads on it and doesn't end, so that it is killed",
    "SIGUSR1": "Gunicorn reopens its logs on it and doesn't end, so that it is killed",
    "SIGKILL": "requests in flight are cut at once",
}
"""What a signal other than SIGTERM and SIGINT does to Gunicorn and its workers."""


class Trap(NamedTuple):
    """What is wrong with a key, or (not serious) only worth knowing, and a value that would do."""

    key: str
    sentence: str
    serious: bool = True
    passing: Any = None


def traps(app: App, names: list[str]) -> Iterator[Trap]:
    """:param names: of all apps of the file."""
    for look in (_name, _commands, _stop, _restarts, _expanded, _health, _limits, _rest):
        yield from look(app, names)


def _name(app: App, names: list[str]) -> Iterator[Trap]:
    name = app.values["name"]
    if not name:
        return
    if not re.fullmatch("[A-Za-z0-9_-]+", name) or name == "all":
        fit = re.sub("[^A-Za-z0-9_-]+", "-", name).strip("-")
        fit = fit if fit and fit != "all" else "api"
        why = "the word for all apps" if name == "all" else "a name of other characters than letters, digits, _ and -"
        said = f"name {written(name)} is refused by the daemon: it is {why}. `oxmgr validate` doesn't say so."
        yield Trap("name", f"{said} Write name = {written(fit)}.", passing=fit)
    if names.count(name) > 1:
        yield Trap("name", f"{names.count(name)} apps are called {name}, and Oxmgr refuses that. Name one otherwise.")
    for other in app.values["depends_on"]:
        if other not in names:
            yield Trap(
                "depends_on", f"{name} depends on {other}, and there is no such app. Write one of {', '.join(names)}."
            )


def _commands(app: App, _names: list[str]) -> Iterator[Trap]:
    for key in ("command", "health_cmd"):
        text = app.values[key]
        if not text:
            continue
        words = split(text)
        by_shell = f"{key} = \"/bin/sh -c '… exec COMMAND'\""
        strange = [word for word in words if word in _OPERATORS] + [word for word in words[:1] if word in _BUILTINS]
        open_ended = [word for word in words if re.match(r"~(/|$)|.*\$\{?[A-Za-z_]", word)]
        if not words:
            yield Trap(key, f"{key} of {app.name} can't be split into words: a quote isn't closed, or it is empty.")
        elif strange:
            said = f"{key} of {app.name} has {strange[0]}, a shell's word, and Oxmgr runs it without one."
            yield Trap(key, f"{said} Write {by_shell}, or cwd and [apps.env].")
        # What a shell in the command reads is its own.
        elif open_ended and posixpath.basename(words[0]) not in _SHELLS:
            yield Trap(key, f"{key} of {app.name} has {open_ended[0]}, which stays as it is: no shell. Write it out.")
    words = app.argv
    if words and "/" in words[0] and not words[0].startswith("/") and not app.values["cwd"]:
        said = f"command of {app.name} begins with {words[0]}, a path from cwd, and there is none. Write cwd."
        yield Trap("command", said)


def _stop(app: App, _names: list[str]) -> Iterator[Trap]:
    text, seconds = app.values["stop_signal"], app.stop_timeout
    if signal_name(text) is None:
        said = f"stop_signal of {app.name} is {written(text)}, which Oxmgr takes for SIGTERM without a word."
        yield Trap("stop_signal", f"{said} Write one of {', '.join(SIGNALS)}.", passing="SIGTERM")
    if app.signal == "SIGTERM" and seconds > CAP and "stop_timeout_secs" in app.given:
        yield Trap(
            "stop_timeout_secs",
            f"{app.name} has {CAP} s to stop and not {seconds}: after SIGTERM Oxmgr waits {CAP} at most. For more "
            'write stop_signal = "SIGINT", which has all of stop_timeout_secs.',
            serious=False,
        )
    if not app.is_gunicorn:
        return
    if cost := _QUICK.get(app.signal):
        said = f'stop_signal of {app.name} is {app.signal}: {cost}. Write stop_signal = "SIGINT".'
        yield Trap("stop_signal", said, passing="SIGINT")
    if app.signal == "SIGUSR2":
        yield Trap(
            "stop_signal",
            f"stop_signal of {app.name} is SIGUSR2: Gunicorn starts itself a second time, and its workers die. Write "
            'stop_signal = "SIGINT", unless a configuration of yours makes a stop of it.',
            serious=False,
        )


def _restarts(app: App, _names: list[str]) -> Iterator[Trap]:
    most = app.values["max_restarts"]
    if app.values["restart_policy"] == "never":
        return
    if most == 0:
        said = f"max_restarts of {app.name} is 0, which is never and not for ever: it stays down after its first crash."
        yield Trap("max_restarts", f"{said} Write max_restarts = {FOR_EVER}.", passing=FOR_EVER)
    elif most < 1000:
        yield Trap(
            "max_restarts",
            f"{app.name} is restarted {most} times in its life, not in some time: the next crash, a year later too, is "
            f"its last. Write max_restarts = {FOR_EVER}; crash_restart_limit bounds those of five minutes.",
            serious=False,
        )


def _expanded(app: App, _names: list[str]) -> Iterator[Trap]:
    """Values that are expanded and encoded anew when the oxfile is read."""
    places = {"cwd": app.values["cwd"]}
    places |= {f"env.{name}": value for name, value in app.values["env"].items()}
    places |= {f"logs.{name}": value for name, value in app.values["logs"].items()}
    for key, value in places.items():
        # Without the value, which may be a secret.
        of = f"{key} of {app.name}"
        if not value:
            continue
        if not value.isascii():
            said = f"{of} has other characters than ASCII, of which Oxmgr makes two each (ü becomes Ã¼)."
            yield Trap(key, f"{said} Write it in ASCII, or set it where the app starts.")
        if re.search(r"\$\{?[A-Za-z_]", value.replace("$$", "")):
            yield Trap(
                key,
                f"{of} has a $ before a name, for which Oxmgr puts in a variable of who applies the file, or prints "
                "the whole value and refuses it. Write $$ for a $.",
                serious=False,
            )
        if re.match("~(/|$)", value):
            said = f"{of} begins with ~, the home of whoever applies the file. Write the path from /."
            yield Trap(key, said, serious=False)
    for name in app.values["logs"].keys() - set(LOGS):
        said = f"logs of {app.name} has {name}, which Oxmgr passes over. Write one of {', '.join(LOGS)}."
        yield Trap(f"logs.{name}", said)
    cwd = app.values["cwd"]
    if cwd and not cwd.startswith(("/", "~", "$")):
        said = f"cwd of {app.name} is {written(cwd)}, which is sought from the oxfile's directory or the daemon's."
        yield Trap("cwd", f"{said} Write the path from /.", serious=False)


def _health(app: App, _names: list[str]) -> Iterator[Trap]:
    if app.values["health_cmd"]:
        return
    if app.values["wait_ready"]:
        yield Trap(
            "wait_ready", f"wait_ready of {app.name} has nothing to ask, and Oxmgr refuses it. Write health_cmd."
        )
    given = [key for key in ("health_interval_secs", "health_timeout_secs", "health_max_failures") if key in app.given]
    if given:
        yield Trap(given[0], f"{app.name} has {given[0]} and no health_cmd: nothing is asked. Write health_cmd.")


def _limits(app: App, _names: list[str]) -> Iterator[Trap]:
    for key in ("max_memory_mb", "max_cpu_percent"):
        if key in app.given and (app.values[key] or 0) > 0 and app.is_gunicorn:
            yield Trap(
                key,
                f"{key} of {app.name} looks at one process, the arbiter, and not at the workers. Limit the daemon's "
                "unit: MemoryMax=, CPUQuota=.",
                serious=False,
            )
    if app.values["cluster_mode"]:
        yield Trap("cluster_mode", f"cluster_mode of {app.name} is for Node.js alone. Take it out.", passing=False)
    if app.values["reuse_port"]:
        said = f"reuse_port of {app.name} opens no socket, it sets two variables that Gunicorn doesn't read."
        yield Trap("reuse_port", f"{said} Write --reuse-port into command.", serious=False)
    if app.values["instances"] > 1 and app.is_gunicorn:
        said = f"instances of {app.name} are copies of one command, which can't all have its address."
        yield Trap("instances", f"{said} Write instances = 1, and --workers into command.", passing=1)


# Of chrono's format::strftime, as 0.5.0 was tried with them: %#z is one that reads and doesn't write.
_DATE = re.compile(r"%(?:[-_0]?[YCyqmbBhdeaAwuUWGgVjDxFvHkIlPpMSfRTXrZzc+stn%]|\.[369]?f|[369]f|:{1,3}z)")


def _rest(app: App, _names: list[str]) -> Iterator[Trap]:
    cron, form = app.values["cron_restart"], app.values["log_date_format"]
    if cron is not None and not cron.startswith("@"):
        fields = cron.split()
        if len(fields) in (6, 7):
            said = f"cron_restart of {app.name} restarts what runs then, by UTC; a job that has ended isn't started."
            yield Trap("cron_restart", said, serious=False)
        else:
            said = f"cron_restart of {app.name} has {len(fields)} fields, and Oxmgr's has six, seconds first: never."
            passing = f"0 {cron}" if len(fields) == 5 else None
            yield Trap(
                "cron_restart", f"{said} Write cron_restart = {written(passing or '0 0 4 * * *')}.", passing=passing
            )
    if form is not None and (bad := re.search("%.?", _DATE.sub("", form))):
        said = (
            f"log_date_format of {app.name} has {written(bad[0])}, which ends the whole daemon at the app's first line."
        )
        passing = "%Y-%m-%dT%H:%M:%S%z"
        yield Trap("log_date_format", f"{said} Write log_date_format = {written(passing)}.", passing=passing)
