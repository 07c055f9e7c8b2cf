# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an app's environment goes on, what of it is secret, and what is left behind. Pure."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field

from ...module_utils._app.secrets import secrets_in
from .._inputs.env_file import RESERVED, problems, render

_GONE = {
    "PATH": "each release has its own environment first in its PATH",
    "WEB_CONCURRENCY": "it is in fastapi_workers",
    "GUNICORN_CMD_ARGS": "what it says is in the variables",
    "PYTHONDONTWRITEBYTECODE": "releases can't be written to anyway",
}
_SECRET = re.compile(r"(?i)secret|passw|passphrase|pwd|key|token|credential|salt|private|dsn|auth|(_|^)pass(_|$)")


@dataclass
class Environment:
    """:param plain: and `secret`: values by name, for the two files.
    :param left: names that don't go on, with why.
    """

    plain: dict[str, str] = field(default_factory=dict)
    secret: dict[str, str] = field(default_factory=dict)
    left: list[tuple[str, str]] = field(default_factory=list)


def sort(
    given: t.Mapping[str, str],
    files: t.Mapping[str, t.Mapping[str, str] | None],
    directory: str,
    dotenv: t.Mapping[str, t.Mapping[str, str] | None] | None = None,
) -> Environment:
    """:param given: what the unit itself sets.
    :param files: the variables of each environment file, None for one that isn't there. They win, and all are secret.
    :param dotenv: the same of files that the app reads by itself, over which all others win, and the first of them.
    """
    found = Environment()
    of_files: dict[str, str] = {}
    for values in reversed([*(dotenv or {}).values()]):
        of_files |= values or {}
    of_files = {name: value for name, value in of_files.items() if name not in given}
    for path, values in files.items():
        if values is None:
            found.left.append((path, "there is no such file on the host"))
        of_files |= values or {}
    for name, value in {**given, **of_files}.items():
        if name in _GONE or name in RESERVED:
            found.left.append((name, _GONE.get(name) or RESERVED[name].rstrip(".")))
            continue
        if name == "PYTHONPATH":
            value = within(value, directory)
            if not value:
                found.left.append((name, "the source's own directory is on the path by itself"))
                continue
        if wrong := problems({name: value}):
            found.left.append((name, f"{wrong[0].wrong} {wrong[0].write}"))
        elif name in of_files or is_secret(name, value):
            found.secret[name] = value
        else:
            found.plain[name] = value
    return found


def within(value: str, directory: str) -> str:
    """A path for modules with what is in the app's directory written from there."""
    parts = []
    for part in value.split(":"):
        relative = os.path.relpath(part, directory) if part.startswith("/") else os.path.normpath(part)
        if relative != ".":
            parts.append(part if relative.startswith("..") else relative)
    return ":".join(parts)


def is_secret(name: str, value: str) -> bool:
    """Whether a value may be one: rather too often than once too seldom."""
    if not value or name in RESERVED:
        return False
    if problems({name: value}):
        return True
    return bool(_SECRET.search(name) or "@" in value or secrets_in(render({name: value}), {}))
