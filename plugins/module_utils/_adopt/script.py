# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sees through a shell around an app server, where it does nothing but go somewhere and set variables. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from .._hand import unit_text
from .._hand.options import program_of

_SHELLS = ("sh", "bash", "dash")
_SKIPPED = re.compile(r"set\s+[-+][A-Za-z]+(\s+pipefail)?|(source|\.)\s+\S*bin/activate|:|true")


class Opaque(Exception):
    """A script that can't be seen through: the text names the line. ``serves`` says whether it speaks of a server."""

    def __init__(self, text: str, serves: bool) -> None:
        super().__init__(text)
        self.serves = serves


@dataclass
class Seen:
    words: list[str] = field(default_factory=list)
    directory: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, str, str]] = field(default_factory=list)


def see_through(words: list[str], read: Callable[[str], str], directory: str) -> Seen | None:
    """None where no shell and no script is begun.

    :param read: a file's text.
    :param directory: the working directory.
    :raises Opaque: where a line does more than that.
    """
    words = list(words)
    if not words:
        return None
    if os.path.basename(words[0]) in _SHELLS:
        rest = words[1:]
        while rest and rest[0].startswith("-") and "c" not in rest[0]:
            rest.pop(0)
        if rest and rest[0].startswith("-"):
            text = rest[1] if len(rest) > 1 else ""
            lines = [(1, part.strip()) for part in re.split(r"&&|;|\n", text)]
            return _lines(lines, "the line in -c", directory, text)
        words = rest
    path = os.path.normpath(os.path.join(directory or "/", words[0])) if words else ""
    text = read(path)
    # A program is no script, and a shell is named in a script's first line.
    if not re.match(r"#!.*\b(sh|bash|dash)\b", text) and not path.endswith(".sh"):
        return None
    lines = list(unit_text.logical_lines(text))
    return _lines(lines, path, directory, text)


def _lines(lines: list[tuple[int, str]], path: str, directory: str, text: str) -> Seen:
    serves = bool(re.search(r"\b(gunicorn|uvicorn|hypercorn|granian|fastapi\s+run)\b", text))
    seen = Seen(directory=directory)
    for number, line in lines:
        place = f"{path}:{number}" if path.startswith("/") else path
        line = re.sub(r"\s+#.*$", "", line).strip()
        if not line or _SKIPPED.fullmatch(line):
            if line:
                seen.steps.append((place, line, "skip"))
            continue
        words = [each for word in unit_text.words(line) for each in _filled(word, seen.environment)]
        assignments = words[1:] if words[:1] == ["export"] else words
        if words[:1] == ["cd"] and len(words) == 2 and "$" not in words[1]:
            seen.directory = os.path.normpath(os.path.join(seen.directory or "/", words[1]))
        elif assignments and all(re.fullmatch(r"[A-Za-z_]\w*=[^$`]*", word, re.S) for word in assignments):
            seen.environment |= {name: value for name, _sign, value in (word.partition("=") for word in assignments)}
        elif not seen.words and program_of(words)[0] and not re.search(r"[|&`]|\$\(|<|>(?!\s*/dev/)", line):
            seen.words = [word for word in words if word != "exec"]
            continue
        else:
            raise Opaque(f"a shell script, and {place} can't be seen through: it begins with {_first(words)}", serves)
        # Names alone: any value may be a secret.
        told = f"export {' '.join(word.partition('=')[0] for word in assignments)}" if words[:1] != ["cd"] else line
        seen.steps.append((place, told, "read"))
    if not seen.words:
        raise Opaque(f"{path}, in which no app server is started.", serves)
    return seen


def _first(words: list[str]) -> str:
    """A line's first word, without what it assigns: what comes behind may be a secret."""
    return f"'{words[0].partition('=')[0]}' ..." if words else "nothing"


def _filled(word: str, environment: dict[str, str]) -> list[str]:
    """With the variables that the script has set, and what it says where they aren't."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        return environment.get(name, default[2:] if default else match[0])

    return [re.sub(r"\$\{(\w+)(:-[^}]*)?\}|\$([A-Za-z_]\w*)", value, word)]
