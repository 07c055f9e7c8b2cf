# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each fastapi_ variable may look like, one pure function a kind: a Problem, or None where the value is good."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import posixpath
import re
import typing as t
import urllib.parse

from ...module_utils._app import names
from ...module_utils._app.command import SETTING
from ...module_utils._app.problems import HIDDEN, Problem, show, write
from ...module_utils._plan.flow import whole_number
from ...module_utils._plan.sizes import parse_size, suggest_size
from .._release.source import wrong_path
from .serial import SerialError, batches
from .specification import seconds

Rule = t.Callable[[str, t.Any], "Problem | None"]
TODO = "TODO"
"""What init.yml writes where it couldn't know a value."""


def unfilled(variable: str, value: t.Any) -> list[Problem]:
    """A problem for each part of a value that init.yml has left open."""
    if isinstance(value, dict):
        return [problem for key, part in value.items() for problem in unfilled(f"{variable}[{str(key)!r}]", part)]
    if value != TODO and not (isinstance(value, list) and TODO in value):
        return []
    advice = "Write [] for plain HTTP under any name." if variable == "domains" else "Write its value."
    return [Problem(variable, TODO, "it still has to be filled in.", advice)]


def text(variable: str, value: object) -> Problem | None:
    if isinstance(value, bool):
        wrong = "YAML reads yes, no, on, off, true and false without quotes as booleans, and this has to be text."
        return Problem(variable, value, wrong, "Put it in quotes.")
    if not isinstance(value, str):
        return Problem(variable, value, "it has to be text.", "Put it in quotes, on one line.")
    return None


def app(variable: str, value: t.Any) -> Problem | None:
    dotted = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
    given = value.strip() if isinstance(value, str) else ""
    module, _colon, attribute = given.partition(":")
    if given == value and re.fullmatch(rf"{dotted}:{dotted}(\(\))?", given, re.ASCII) and not module.endswith(".py"):
        return None
    module = re.sub(r"\.py$", "", module.strip("./ ")).replace("/", ".")
    if not attribute and module.endswith(".app") and module.count(".") > 1:
        module, attribute = module[: -len(".app")], "app"
    factory, bracket, _arguments = attribute.partition("(")
    if bracket and re.fullmatch(rf"{dotted}:{dotted}", f"{module}:{factory.strip()}", re.ASCII):
        wrong = "only a factory without arguments is called."
        advice = "Let it read what it needs from its environment, and write"
        return Problem(variable, value, wrong, f"{advice} fastapi_{variable}: {module}:{factory.strip()}().")
    guess = f"{module}:{attribute or 'app'}"
    guess = guess if re.fullmatch(rf"{dotted}:{dotted}", guess, re.ASCII) else "app.main:app"
    wrong = "it has to be module:attribute, such as main:app for the app in main.py; workers would find nothing to run."
    return Problem(variable, value, wrong, write(variable, guess))


def plain_path(value: object) -> str:
    """The path of a URL in the one spelling that proxy and app read alike: the nearest to `value`, or itself."""
    if not isinstance(value, str):
        return "/health"
    path = re.sub(r"[^A-Za-z0-9._~/-]", "", urllib.parse.unquote(re.sub(r"^[a-z]+://[^/]*", "", value)))
    shortest = posixpath.normpath("/" + path.lstrip("/"))
    return f"{shortest}/" if path.endswith("/") and shortest != "/" else shortest


def url_path(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and value == plain_path(value):
        return None
    wrong = "it has to be the path of a URL: a slash first, then letters, digits and . _ ~ / - only"
    wrong += ", without // and without . or .. between slashes, which proxy and app read differently."
    return Problem(variable, value, wrong, write(variable, plain_path(value)))


_PACKAGE = r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9]+(-[a-z0-9]+)*)?"


def packages(variable: str, value: t.Any) -> Problem | None:
    """Names of Debian packages alone: apt-get also takes orders there, such as curl-, which removes curl."""
    if not isinstance(value, list):
        return words(_PACKAGE, "libpq5")(variable, value)
    for entry in value:
        if not isinstance(entry, str) or not re.fullmatch(_PACKAGE, entry):
            wrong = f"{show(entry)} in it isn't the name of a Debian package, and only names are taken: no version, no "
            wrong += "release, no option, and no - at the end, by which apt-get would remove the package."
            named = re.match(_PACKAGE, entry) if isinstance(entry, str) else None
            return Problem(variable, value, wrong, f"Write {named[0]} for it." if named else "Take it out.")
    return None


def size(variable: str, value: t.Any) -> Problem | None:
    try:
        parse_size(value)
    except ValueError:
        wrong = "it has to be a size above zero: bytes, or a number with K, M, G or T in capitals."
        return Problem(variable, value, wrong, write(variable, suggest_size(value) or "100M"))
    return None


def retention(variable: str, value: t.Any) -> Problem | None:
    """Hours or days: what both journald and Caddy's log roller understand, and mean the same by."""
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,4}[hd]", value, re.ASCII):
        return None
    match = re.match(r"\s*([1-9][0-9]{0,3})\s*(w|mo|y)?", str(value).lower())
    days = int(match[1]) * {"w": 7, "mo": 30, "y": 365}.get(match[2], 1) if match else 14
    wrong = "it has to be a number with d for days or h for hours."
    return Problem(variable, value, wrong, write(variable, f"{min(days, 99999)}d"))


def number(least: int, most: int, fallback: int, unit: str = "") -> Rule:
    """A whole number between two bounds. `fallback` is what to propose where the value gives no hint."""

    def rule(variable: str, value: t.Any) -> Problem | None:
        found = whole_number(value)
        if found is not None and least <= found <= most:
            return None
        hint = re.match(r"\s*([0-9]{1,9})(?:\.0*)?\s*(s|sec|seconds?|m|min|minutes?)?\s*$", str(value))
        guess = int(hint[1]) * (60 if (hint[2] or "s")[0] == "m" and unit else 1) if hint else fallback
        guess = max(least, min(most, guess if found is None else found))
        wrong = f"it has to be a whole number{unit and ' of ' + unit}, from {least} to {most}."
        return Problem(variable, value, wrong, write(variable, guess))

    return rule


def fraction_of_seconds(least: float, most: float, fallback: float) -> Rule:
    """Seconds, perhaps with a fraction, between two bounds; or 0, for never."""

    def rule(variable: str, value: t.Any) -> Problem | None:
        found = seconds(value)
        if found == 0 or (found is not None and least <= found <= most):
            return None
        guess = fallback if found is None else max(least, min(most, found))
        wrong = f"it has to be a number of seconds, from {least:g} to {most:g}, or 0 for never."
        return Problem(variable, value, wrong, write(variable, f"{guess:g}"))

    return rule


def serial(variable: str, value: t.Any) -> Problem | None:
    try:
        batches(["host"], value)
    except SerialError as error:
        return Problem(variable, value, str(error), write(variable, "[1, 100%]"))
    return None


def one_of(allowed: t.Sequence[str]) -> Rule:
    """One of these words, the nearest or the first of which is proposed."""

    def rule(variable: str, value: t.Any) -> Problem | None:
        if value in allowed:
            return None
        near = difflib.get_close_matches(str(value).lower(), [word.lower() for word in allowed], 1, 0.5)
        meant = next((word for word in allowed if word.lower() in near), allowed[0])
        wrong = f"it has to be {'' if len(allowed) == 1 else 'one of '}{', '.join(allowed)}."
        return Problem(variable, value, wrong, write(variable, meant))

    return rule


def unit(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and re.fullmatch(r"([\w.:@-]|%[nNipu])+\.(service|target)", value, re.ASCII):
        return None
    bare = re.sub(r"[^\w.:@-]", "", str(value), flags=re.ASCII).removesuffix(".service").strip(".:@-")
    wrong = "it has to be the name of one unit of systemd's, a .service or a .target."
    return Problem(variable, value, wrong, write(variable, f"{bare or 'mail-me@%n'}.service"))


def worker_class(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value, re.ASCII):
        return None
    wrong = "it has to be module.Class of a worker that serves ASGI; Gunicorn's own (sync, gthread, gevent) can't."
    return Problem(variable, value, wrong, write(variable, "graceful_worker.GracefulWorker"))


def index_url(variable: str, value: t.Any) -> Problem | None:
    """The value may carry a password and is never shown."""
    if isinstance(value, str) and re.fullmatch(r"(https?|file)://[^\s\"'`$\\]+", value):
        return None
    advice = "Write the whole address, such as https://pypi.example.com/simple, or '' for pip's own configuration."
    return Problem(variable, HIDDEN, "it has to be the URL of a package index, http, https or file.", advice)


def day(variable: str, value: t.Any) -> Problem | None:
    """YAML makes a date of it where it has no quotes."""
    with contextlib.suppress(ValueError):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)) and datetime.date.fromisoformat(str(value)):
            return None
    return Problem(variable, value, "it has to be a day, as year-month-day.", write(variable, "'2025-07-14'"))


def shared_paths(variable: str, value: t.Any) -> Problem | None:
    # A bad word is not proposed as the entry of a list.
    listed = value if not isinstance(value, str) or not wrong_path([value]) else None
    if problem := words(r"(?s).*", "media")(variable, listed):
        return Problem(variable, value, problem.wrong, problem.advice)
    wrong = wrong_path(value)
    return Problem(variable, value, wrong, "Fix that entry or take it out.") if wrong else None


def words(shape: str, example: str) -> Rule:
    """A list in which each entry is text that matches `shape`."""

    def rule(variable: str, value: t.Any) -> Problem | None:
        if not isinstance(value, list):
            fits = isinstance(value, str) and value.isprintable() and re.fullmatch(shape, value)
            entry = (value if fits else example).replace("'", "''")  # as YAML quotes it
            return Problem(variable, value, "it has to be a list.", write(variable, f"['{entry}']"))
        for entry in value:
            if not isinstance(entry, str) or not re.fullmatch(shape, entry):
                wrong = f"{show(entry)} in it doesn't fit; each entry has to be text such as {example}."
                return Problem(variable, value, wrong, "Fix that entry or take it out.")
        return None

    return rule


def inventory_host(variable: str, value: t.Any, hosts: t.Collection[str]) -> Problem | None:
    """One of `hosts`, or empty. Any other would be dialled by its name, which nobody meant."""
    if not isinstance(value, str) or not value or value in hosts:
        return None
    near = difflib.get_close_matches(value, hosts, 1, 0.5) or list(hosts)[:1]
    return Problem(variable, value, "the inventory has no such host.", write(variable, (near or [""])[0]))


# ProtectHome= empties these, and nothing below them can be opened again.
_HIDDEN_FROM_APPS = ("/home", "/root", "/run/user")
_NEVER_WRITABLE = frozenset("/ /boot /dev /etc /opt /proc /run /srv /sys /usr /var /var/lib".split())
# systemd's own limit for all credentials of a unit, in bytes.
MOST_CREDENTIALS = 1 << 20


def writable_paths(variable: str, value: t.Any) -> Problem | None:
    if not isinstance(value, list):
        return Problem(variable, value, "it has to be a list.", write(variable, "[/var/lib/hello]"))
    for entry in value:
        if problem := names.path(variable, entry):
            return Problem(variable, value, f"{show(entry)} in it: {problem.wrong}", problem.advice)
        if entry in _NEVER_WRITABLE:
            wrong = f"{entry} is the system's, and an app that may write to all of it may take the host."
            return Problem(variable, value, wrong, f"Write a directory below it, such as {entry.rstrip('/')}/hello.")
        if f"{entry}/".startswith(tuple(f"{top}/" for top in _HIDDEN_FROM_APPS)):
            wrong = f"{entry} is in a place that is hidden from services as a whole."
            return Problem(variable, value, wrong, "Write a directory elsewhere, such as one in /var/lib.")
    return None


def sandbox(variable: str, value: t.Any) -> Problem | None:
    example = write(variable, "{TasksMax: 4000}")
    if not isinstance(value, dict):
        return Problem(variable, value, "it has to be a mapping of systemd's settings to values.", example)
    for name, lines in value.items():
        if not isinstance(name, str) or not SETTING.fullmatch(name):
            return Problem(variable, value, f"{show(name)} is no setting of a sandbox (systemd.exec(5)).", example)
        for line in lines if isinstance(lines, list) else [lines]:
            # A backslash at its end would take the next line in.
            if not isinstance(line, (str, int)) or re.search(r"[\x00-\x1f\x7f\\]", str(line)):
                wrong = f"{name} has to be text on one line, a number, true or false, or a list of them."
                return Problem(variable, value, wrong, example)
    return None


def credentials(variable: str, value: t.Any) -> Problem | None:
    """Secrets by name. No value is ever shown."""
    example = write(variable, "{database_password: '{{ vault_database_password }}'}")
    if not isinstance(value, dict):
        return Problem(variable, HIDDEN, "it has to be a mapping of names to texts.", example)
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name, re.ASCII):
            # Somebody may have taken the secret for the name.
            wrong = "a name in it doesn't fit: each is the name of a file, of letters, digits and . _ - only."
            return Problem(variable, HIDDEN, wrong, example)
        if not isinstance(text, str) or not text:
            wrong = f"{name} has to be text, and not empty."
            return Problem(variable, HIDDEN, wrong, "Put it in quotes, or look it up; encode what isn't text (base64).")
    size = sum(len(name) + len(text.encode(errors="replace")) for name, text in value.items())
    if size > MOST_CREDENTIALS:
        wrong = f"all of it together is {size} bytes, and systemd takes {MOST_CREDENTIALS} for a unit."
        return Problem(variable, HIDDEN, wrong, "Put the largest into a file that the app reads.")
    return None


versions = words(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*==\s*\d[A-Za-z0-9.!+_-]*", "numpy==1.23.2")
"""Packages, each with one version."""
