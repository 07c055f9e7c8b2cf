# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads systemd's units and the environment files that they name, as systemd does. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """One assignment of a unit: its section, name and value, and where it stands."""

    section: str
    name: str
    value: str
    place: str

    @property
    def text(self) -> str:
        return f"{self.name}={self.value}"


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with what a backslash continues, without comments; the number of the first of each."""
    kept, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith(("#", ";")):
            continue
        first = first or number
        if line.endswith("\\"):
            kept += line[:-1] + " "
            continue
        if kept + line:
            yield first, (kept + line).strip()
        kept, first = "", 0


def parse_unit(text: str, file: str) -> list[Setting]:
    section, found = "", []
    for number, line in logical_lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            name, _sign, value = line.partition("=")
            found.append(Setting(section, name.strip(), value.strip(), f"{file}:{number}"))
    return found


def in_force(settings: list[Setting]) -> list[Setting]:
    """Without those that a later empty assignment takes back."""
    found: list[Setting] = []
    for each in settings:
        if each.value:
            found.append(each)
        else:
            found = [other for other in found if (other.section, other.name) != (each.section, each.name)]
    return found


def values(settings: list[Setting], name: str) -> list[Setting]:
    return [each for each in settings if each.name == name and each.section != "Unit"]


def last(settings: list[Setting], name: str, default: str = "") -> str:
    found = values(settings, name)
    return found[-1].value if found else default


def specified(value: str, unit: str) -> str:
    """With the specifiers that name the unit itself filled in."""
    stem = unit.rpartition(".")[0] or unit
    prefix, _at, instance = stem.partition("@")
    known = {"%": "%", "n": unit, "N": stem, "p": prefix, "i": instance, "I": instance.replace("-", "/")}
    return re.sub(r"%(.)", lambda match: known.get(match[1], match[0]), value)


def words(value: str) -> list[str]:
    """The words of a command line; those of one whose quotes don't match by its blanks."""
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()


def environment(settings: list[Setting], unit: str) -> dict[str, str]:
    """What Environment= assigns."""
    rows = [word.partition("=") for each in values(settings, "Environment") for word in words(each.value)]
    return {name: specified(value, unit) for name, sign, value in rows if sign}


def environment_files(settings: list[Setting], unit: str) -> list[str]:
    return [specified(each.value.removeprefix("-"), unit) for each in values(settings, "EnvironmentFile")]


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def parse_environment(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The assignments of a file as EnvironmentFile= reads them (systemd's src/basic/env-file.c): values may be in
    quotes of either kind, over several lines too; and the lines that systemd passes over, by number. No value is in
    what is returned of those."""
    found: dict[str, str] = {}
    odd: list[tuple[int, str]] = []
    position = 0
    while position < len(text):
        number = text.count("\n", 0, position) + 1
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end]
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            position = end + 1
            continue
        name, sign, _rest = line.partition("=")
        value, after = _value(text, position + len(name) + 1) if sign else ("", end + 1)
        name = name.strip()
        # A dotenv library takes `export NAME=`; systemd passes over it, and says so in the journal.
        if sign and _NAME.fullmatch(name):
            found[name] = value
        else:
            odd.append((number, name[:40]))
        position = after
    return found, odd


def _value(text: str, position: int) -> tuple[str, int]:
    """A value from here on, and where the next line begins."""
    parts: list[str] = []
    quote = ""
    while position < len(text):
        char = text[position]
        position += 1
        if not quote and char == "\n":
            break
        if char == "\\" and quote != "'" and position < len(text):
            after = text[position]
            position += 1
            if after == "\n":
                continue
            # Between double quotes it escapes four characters, and stands for itself before others.
            parts.append(after if not quote or after in '"\\`$' else "\\" + after)
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'" and not "".join(parts).strip():
            quote, parts = char, []
        else:
            parts.append(char)
    value = "".join(parts)
    return (value if text[position - 2 : position - 1] in ("'", '"') else value.strip()), position
