# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment as systemd's EnvironmentFile= reads it back, value for value.

The syntax is that of parse_env_file_internal() in systemd's src/basic/env-file.c, the same in 252 and 257: between
double quotes a backslash escapes double quote, backslash, backtick and dollar, and everything else stands for itself.
tests/systemd/ compares with the real one. A bad name is dropped by systemd with a line in the journal, and text that
it doesn't take for UTF-8 keeps the unit from starting: both are refused here, before anything changes.

No value ever appears in a message of this file.
"""

from __future__ import annotations

import datetime
import re
import typing as t

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# Linux' MAX_ARG_STRLEN: execve() refuses one assignment longer than this, its name, "=" and NUL included.
MAX_ASSIGNMENT = 131072
# Linux gives arguments and environment together a quarter of the stack limit, 2 MiB by default. Half of that
# leaves room for systemd's own variables and for programs that the app starts with more.
MAX_TOTAL = 1048576

# Each name that would silently win over a decision of the plan, of systemd or of the release, with what to do instead.
RESERVED: dict[str, str] = {
    "WEB_CONCURRENCY": "Gunicorn would take its number of workers from it, past the plan. Set fastapi_workers instead.",
    "GUNICORN_CMD_ARGS": "Gunicorn lets it override the planned configuration. Set the fastapi_ variable for the "
    "setting (fastapi_workers, fastapi_timeout, fastapi_graceful_timeout, fastapi_keepalive) instead.",
    "LISTEN_FDS": "systemd sets it to pass the listening socket. Take it out.",
    "LISTEN_PID": "systemd sets it to pass the listening socket. Take it out.",
    "LISTEN_FDNAMES": "systemd sets it to pass the listening socket. Take it out.",
    "NOTIFY_SOCKET": "systemd sets it so that Gunicorn can say that it has started. Take it out.",
    "WATCHDOG_USEC": "systemd sets it for its own watchdog. Take it out.",
    "WATCHDOG_PID": "systemd sets it for its own watchdog. Take it out.",
    "CREDENTIALS_DIRECTORY": "systemd sets it to where the secrets of fastapi_credentials are. Take it out.",
    "INVOCATION_ID": "systemd sets it for each start of the app, and the journal goes by it. Take it out.",
    "JOURNAL_STREAM": "systemd sets it so that logs can be told from other output. Take it out.",
    "LOG_NAMESPACE": "systemd sets it to the app's own journal. Take it out.",
    "MAINPID": "systemd sets it to the process that it looks after. Take it out.",
    "MANAGERPID": "systemd sets it to its own process. Take it out.",
    "SYSTEMD_EXEC_PID": "systemd sets it to the process that it has started. Take it out.",
    "MEMORY_PRESSURE_WATCH": "systemd sets it to where the app can see that its memory runs short. Take it out.",
    "MEMORY_PRESSURE_WRITE": "systemd sets it to where the app can see that its memory runs short. Take it out.",
    "FDSTORE": "systemd sets it to pass file descriptors. Take it out.",
    "FASTAPI_RELEASE": "it carries the id of the release that runs. Take it out, or give yours another name.",
    "FASTAPI_SLOT": "it says which slot runs, blue or green. Take it out, or give yours another name.",
    "FASTAPI_TOLD": "Oxmgr's watch over the app goes by it. Take it out, or give yours another name.",
    "FASTAPI_PROCESS": "it says which process or timer runs. Take it out, or give yours another name.",
    "FASTAPI_INSTANCE": "it says which instance of a process runs. Take it out, or give yours another name.",
    "FASTAPI_NAME": "it carries fastapi_name. Take it out, or give yours another name.",
    "PYTHONHOME": "Python would look for its standard library there, not in the release's. Take it out, and choose "
    "the interpreter with fastapi_python.",
    "VIRTUAL_ENV": "every release has a virtual environment of its own. Take it out.",
}


class EnvProblem(t.NamedTuple):
    """What is wrong with one variable of the environment: its name ("" for the whole), the fault, what to do."""

    name: str
    wrong: str
    write: str


def as_text(value: object) -> str | None:
    """What a scalar of the inventory becomes in the environment; None for what can't be put there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    return None


def _control_character(text: str) -> str | None:
    for char in text:
        if (char < " " and char != "\t") or char == "\x7f":
            return {"\n": "a newline", "\r": "a carriage return", "\0": "a NUL"}.get(char, f"a U+{ord(char):04X}")
    return None


def _not_a_character(text: str) -> str | None:
    """The first code point that systemd's utf8_is_valid() refuses: surrogates and Unicode's noncharacters."""
    for char in text:
        code = ord(char)
        if 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE:
            return f"U+{code:04X}"
    return None


def _name_problem(name: object) -> EnvProblem | None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        # Somebody may have written "NAME=secret" as the name: show nothing from "=" on.
        shown = str(name).split("=", 1)[0][:40].encode("unicode_escape").decode("ascii")
        fitting = re.sub(r"[^A-Za-z0-9_]", "_", shown).lstrip("0123456789") or "NAME"
        return EnvProblem(
            shown,
            "names are letters, digits and underscores and don't begin with a digit; systemd drops any other, "
            "and the app would start without it.",
            f"Name it {fitting}.",
        )
    if name in RESERVED:
        wrong, _dot, write = RESERVED[name].partition(". ")
        return EnvProblem(name, f"{wrong}.", write)
    return None


def _value_problem(name: str, value: object) -> EnvProblem | None:
    text = as_text(value)
    if value is None:
        return EnvProblem(
            name, "it has no value, and an environment knows no null.", "Write '' for an empty value, or take it out."
        )
    if text is None:
        kind = _kind(value)
        advice = "Write a string: the text itself, or JSON by to_json." if "a " in kind[:2] else "Put it in quotes."
        return EnvProblem(name, f"its value is {kind}, and an environment holds text only.", advice)
    control = _control_character(text)
    if control:
        return EnvProblem(
            name,
            f"its value holds {control}. Programs that read, show or copy an environment take one line a value.",
            "Encode it (base64), put it into a file that the app reads, or, if it only came at the end, cut it off "
            "with the trim filter.",
        )
    odd = _not_a_character(text)
    if odd:
        return EnvProblem(name, f"its value holds {odd}, which is no valid UTF-8 text.", "Encode it (base64).")
    size = len(f"{name}={text}".encode()) + 1
    if size > MAX_ASSIGNMENT:
        return EnvProblem(
            name,
            f"with its value it is {size} bytes long, and Linux starts no program with more than {MAX_ASSIGNMENT} "
            "in one variable.",
            "Put it into a file that the app reads.",
        )
    return None


def _kind(value: object) -> str:
    """What somebody put where text should be. ansible-core hands over subclasses of the usual types."""
    kinds = {dict: "a dictionary", list: "a list", datetime.date: "read as a date by YAML", bytes: "binary"}
    return next((text for kind, text in kinds.items() if isinstance(value, kind)), f"of type {type(value).__name__}")


def problems(env: object) -> list[EnvProblem]:
    """Everything that keeps `env` from reaching the app exactly as it is; empty when nothing does."""
    if not isinstance(env, dict):
        return [EnvProblem("", "it has to be a dictionary of names and values.", "Write it as `NAME: value` lines.")]
    found = []
    for name, value in env.items():
        problem = _name_problem(name) or _value_problem(name, value)
        if problem:
            found.append(problem)
    if not found:
        total = sum(len(f"{name}={as_text(value)}".encode()) + 1 for name, value in env.items())
        if total > MAX_TOTAL:
            wrong = f"all of it together is {total} bytes, and Linux leaves a program about {MAX_TOTAL} for it."
            found.append(EnvProblem("", wrong, "Put the largest values into files that the app reads."))
    return found


def render(env: dict[str, object]) -> str:
    """The file for systemd's EnvironmentFile=: one quoted assignment a line, sorted by name.

    Raises ValueError for an environment that problems() objects to; the message names variables, never values.
    """
    found = problems(env)
    if found:
        raise ValueError(" ".join(f"{p.name or 'The environment'}: {p.wrong} {p.write}" for p in found))
    lines = []
    for name in sorted(env):
        escaped = re.sub(r'(["\\`$])', r"\\\1", as_text(env[name]) or "")
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines)
