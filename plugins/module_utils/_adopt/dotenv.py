# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The .env beside an app's code that it reads by itself, by load_dotenv() or pydantic's env_file: no unit names it.

It is read as the app does: as its user, and as python-dotenv takes it, which is not as systemd does.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping

from .programs import Host

LIMIT = 1 << 20
"""Bytes that are read at most."""
_LINE = re.compile(
    r"""[^\S\n]*(?:export[^\S\n]+)?(?P<name>[^=\#\s'"]+|'[^']+')[^\S\n]*
    (?:=[^\S\n]*(?:'(?P<single>(?:\\.|[^'\\])*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>[^\n]*)))?[^\n]*""",
    re.X | re.S,
)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REFERENCE = re.compile(r"\$\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?\}")


def parse(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The assignments of a file as python-dotenv reads it: quotes, ``export``, comments behind a value, ``${NAME}``.

    :param environment: what the app has besides; it wins where a value refers to a name.
    """
    found: dict[str, str] = {}
    position = 0
    text = re.sub(r"\r\n?", "\n", text)
    while position < len(text):
        match = _LINE.match(text, position)
        if not match:
            # A comment or an empty line.
            position = (text.find("\n", position) + 1) or len(text)
            continue
        position = match.end() + 1
        if match["single"] is not None:
            value = re.sub(r"\\([\\'])", r"\1", match["single"])
        elif match["double"] is not None:
            value = re.sub(r"\\([\\'\"abfnrtv])", lambda each: _ESCAPES.get(each[1], each[1]), match["double"])
        elif match["bare"] is not None:
            value = re.sub(r"\s+#.*", "", match["bare"]).rstrip()
            value = "" if value.startswith("#") else value
        else:
            continue
        found[match["name"].strip("'")] = _filled(value, {**found, **environment})
    return found


def _filled(value: str, known: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda each: known.get(each["name"], each["default"] or ""), value)


def files(program_directory: str, directory: str) -> list[str]:
    """Where a library looks for one: where the app is started, and beside its code."""
    return list(dict.fromkeys(f"{place.rstrip('/')}/.env" for place in (program_directory, directory) if place))


def read(host: Host, path: str, user: str, group: str) -> str | None:
    """A file's text, read with the rights of the app's user; None where that can't, and so the app can't either.

    :param user: '' for root; ``group`` '' for the user's own.
    """
    if os.geteuid() != 0 or user in ("", "root"):
        text = host.try_read(path)
        return None if text is None or "\ufffd" in text else text
    as_user = ["runuser", "-u", user, *(["-g", group] if group else []), "--"]
    # A pipe would be waited for.
    command = ["timeout", "10", "head", "-c", str(LIMIT), "--", host.top + path]
    status, out, _err = host.run([*as_user, *command])
    try:
        size = len(out.encode())
    except UnicodeEncodeError:
        return None
    return None if status or size >= LIMIT else out


def owner(path: str) -> str:
    try:
        return pwd.getpwuid(os.lstat(path).st_uid).pw_name
    except (OSError, KeyError):
        return "nobody"


def look(
    host: Host, paths: list[str], user: str, group: str, environment: Mapping[str, str]
) -> dict[str, dict[str, str] | None]:
    """The variables of each that is there, None for one that can't be read. The first one wins, as for a library."""
    found: dict[str, dict[str, str] | None] = {}
    for path in paths:
        if os.path.lexists(host.top + path):
            text = read(host, path, user, group)
            if text is None and user not in ("", "root"):
                # The unit may name no user that lasts; who owns the directory has written it.
                text = read(host, path, owner(os.path.dirname(host.top + path)), "")
            found[path] = None if text is None else parse(text, environment)
    return found
