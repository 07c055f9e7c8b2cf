# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sees through a shell around an app server, where it does nothing but go somewhere and set variables. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from .._hand import unit_text
from .._hand.options import program_of

_SHELLS = ("sh", "bash", "dash")
_NUMBERS = re.compile(r"[0-9]{1,5}|[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]{1,5})?")
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


def see_through(
    words: list[str], read: Callable[[str], str], directory: str, environment: Mapping[str, str]
) -> Seen | None:
    """None where no shell and no script is begun.

    :param read: a file's text.
    :param directory: the working directory.
    :param environment: what the script is begun with. The server's own words are filled in with it; of what the script
        sets, which is told, only with ports, numbers and addresses: a file of the environment may hold secrets.
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
            return _lines(lines, "the line in -c", directory, text, environment)
        words = rest
    path = os.path.normpath(os.path.join(directory or "/", words[0])) if words else ""
    text = read(path)
    # A program is no script, and a shell is named in a script's first line.
    if not re.match(r"#!.*\b(sh|bash|dash)\b", text) and not path.endswith(".sh"):
        return None
    lines = list(unit_text.logical_lines(text))
    return _lines(lines, path, directory, text, environment)


def _lines(lines: list[tuple[int, str]], path: str, directory: str, text: str, environment: Mapping[str, str]) -> Seen:
    serves = bool(re.search(r"\b(gunicorn|uvicorn|hypercorn|granian|fastapi\s+run)\b", text))
    seen = Seen(directory=directory)
    for number, line in lines:
        place = f"{path}:{number}" if path.startswith("/") else path
        line = re.sub(r"\s+#.*$", "", line).strip()
        if not line or _SKIPPED.fullmatch(line):
            if line:
                seen.steps.append((place, line, "skip"))
            continue
        known = {name: value for name, value in environment.items() if not value or _NUMBERS.fullmatch(value)}
        known |= seen.environment
        hidden = environment.keys() - known.keys()
        # NAME=${NAME:-4} leaves NAME as it is where the script is begun with one.
        stays = [name for name in environment if environment[name] and name not in seen.environment]
        kept = re.compile(rf"({'|'.join(map(re.escape, stays)) or '(?!)'})=\$(?:\1|\{{\1(:-[^}}]*)?\}})")
        written = unit_text.words(line)
        assigned = written[1:] if written[:1] == ["export"] else written
        words = [each for word in written for each in _filled(word, known, hidden)]
        assignments = [each for word in assigned if not kept.fullmatch(word) for each in _filled(word, known, hidden)]
        if words[:1] == ["cd"] and len(words) == 2 and "$" not in words[1]:
            seen.directory = os.path.normpath(os.path.join(seen.directory or "/", words[1]))
        elif assigned and all(re.fullmatch(r"[A-Za-z_]\w*=[^$`]*", word, re.S) for word in assignments):
            seen.environment |= {name: value for name, _sign, value in (word.partition("=") for word in assignments)}
        elif not seen.words and program_of(words)[0] and not re.search(r"[|&`]|\$\(|<|>(?!\s*/dev/)", line):
            all_of_it = {**environment, **seen.environment}
            words = [each for word in written for each in _filled(word, all_of_it)]
            seen.words = [word for word in words if word != "exec"]
            continue
        else:
            raise Opaque(f"a shell script, and {place} can't be seen through: it begins with {_first(words)}", serves)
        # Names alone: any value may be a secret.
        told = f"export {' '.join(word.partition('=')[0] for word in assigned)}" if words[:1] != ["cd"] else line
        seen.steps.append((place, told, "read"))
    if not seen.words:
        raise Opaque(f"{path}, in which no app server is started.", serves)
    return seen


def _first(words: list[str]) -> str:
    """A line's first word, without what it assigns: what comes behind may be a secret."""
    return f"'{words[0].partition('=')[0]}' ..." if words else "nothing"


def _filled(word: str, environment: Mapping[str, str], hidden: Collection[str] = ()) -> list[str]:
    """With the variables that are set, and what the script says where they are empty or aren't.

    :param hidden: names that stay as they are written.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        if name in hidden:
            return match[0]
        return environment.get(name, "" if default else match[0]) or (default[2:] if default else "")

    return [re.sub(r"\$\{(\w+)(:-[^}]*)?\}|\$([A-Za-z_]\w*)", value, word)]
