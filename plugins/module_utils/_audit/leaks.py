# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets where others see them: in a command, in a file. Values are never told, names are. Pure."""

from __future__ import annotations

import os
import re
import stat

from .._app.secrets import STARS, secrets_in
from .._host.text import mask

_FLAG = re.compile(
    r"--?[\w-]*(password|passwd|passphrase|secret|token|api-?key|secret-?key|access-?key)$", re.IGNORECASE
)
_SET = re.compile(
    r"((?:^|.*[\W_])(?:password|passwd|passphrase|pass|pwd|secret|token|api_?key|secret_?key|access_?key))=(.+)",
    re.IGNORECASE,
)
_URL = re.compile(r"\w+://[^/\s@:]*:(?![0-9]+/)[^\s@]+@")
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$")


def in_words(argv: list[str]) -> list[str]:
    """What in a command names a secret: '--token', 'DB_PASSWORD', 'a URL with a password'."""
    found = []
    for at, word in enumerate(argv):
        if _URL.search(word):
            found.append("a URL with a password")
        elif match := _SET.fullmatch(word):
            if not match[2].startswith(("/", "$", "{")):
                found.append(match[1])
        elif _FLAG.match(word) and at + 1 < len(argv) and not argv[at + 1].startswith(("-", "/", "$")):
            found.append(word)
    return found


def without_secrets(argv: list[str]) -> list[str]:
    """A command that may be shown."""
    shown, hide = [], False
    for word in argv:
        if hide:
            shown.append(STARS)
        elif match := _SET.fullmatch(word):
            shown.append(f"{match[1]}={STARS}")
        else:
            shown.append(mask(word))
        hide = bool(_FLAG.match(word)) and not hide
    return shown


def values(text: str) -> dict[str, tuple[int, str]]:
    """Line and value by name, of an environment file or anything with NAME=VALUE in its lines."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.match(line)
        if match and not line.lstrip().startswith("#"):
            value = match[2]
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[match[1]] = (number, value)
    return found


def secret_values(named: dict[str, str]) -> set[str]:
    """The secrets among an environment's values."""
    rows = "\n".join(f'{name}="{_quoted(value)}"' for name, value in named.items())
    return secrets_in(rows, {})


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def secret_names(named: dict[str, str]) -> list[str]:
    """Variables that hold a secret, by name or looks."""
    return [name for name, value in named.items() if value and secret_values({name: value})]


def open_to_all(path: str) -> bool:
    """Whether every user of the host can read a file: its mode, and that of each directory above it."""
    real = os.path.realpath(path)
    try:
        if not os.stat(real).st_mode & stat.S_IROTH:
            return False
        above = os.path.dirname(real)
        while True:
            if not os.stat(above).st_mode & stat.S_IXOTH:
                return False
            if above == "/":
                return True
            above = os.path.dirname(above)
    except OSError:
        return False
