# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A strict reading of an oxfile, because Oxmgr's isn't: it passes over a key that it doesn't know, and so does
`oxmgr validate`, which then says OK. What it makes of the values is in traps.py. Pure."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .app import App
from .foreign import FOREIGN, WITHOUT
from .keys import KEYS, KINDS, ONLY_IN_APPS, TOP, suggest, written
from .traps import traps


@dataclass(frozen=True)
class Finding:
    """What is wrong in an oxfile, or only worth knowing.

    :param key: where, as `api.stop_timeout_secs`. Values aren't told, for the environment's are among them.
    :param serious: whether Oxmgr refuses the file for it, or does something else than the file says.
    :param passing: a value for this key that would do, where one is known.
    """

    sentence: str
    key: str
    serious: bool = True
    passing: Any = None


@dataclass
class _Reading:
    path: str
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def say(
        self, place: tuple[str | int, ...], key: str, sentence: str, serious: bool = True, passing: Any = None
    ) -> None:
        """:param place: what leads to the key in the file: ("apps", 0, "cwd")."""
        places = [place, ("defaults", *place[2:]), *(place[:end] for end in range(len(place) - 1, 0, -1))]
        line = next((self.lines[known] for known in places if known in self.lines), 0)
        where = f"{self.path}:{line}" if line else self.path
        # Names and words of the file may hold anything.
        sentence = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in sentence)
        self.findings.append(Finding(f"{where}: {sentence}", key, serious, passing))


def read(text: str, path: str = "oxfile.toml") -> tuple[list[App], list[Finding]]:
    """The apps of an oxfile, and what is wrong with it. An app's value that can't be taken is what was meant by it, or
    else the default, so that there is one of the right type in any case.

    :param path: what messages call the file.
    """
    reading = _Reading(path)
    try:
        # With an end to its last line, of which tomllib else tells no number.
        data = tomllib.loads(text + "\n")
    except tomllib.TOMLDecodeError as error:
        match = re.fullmatch(r"(.*) \(at line ([0-9]+), column ([0-9]+)\)", str(error), re.DOTALL)
        where, what = (f"{path}:{match[2]}", match[1]) if match else (path, str(error))
        sentence = f"{where}: this isn't TOML ({what}). Texts stand in quotes, and each table and key once."
        return [], [Finding(sentence, "")]
    reading.lines = _lines(text)
    apps = []
    base = data.get("defaults", {})
    defaults = _section(reading, ("defaults",), "defaults", base)
    given = {key for key in defaults if key in base}
    for place, table in _tables(reading, data):
        apps.append(_app(reading, place, table, defaults, given))
    if not data.get("apps") and not apps:
        reading.say((), "", "there is no app in it. Write [[apps]], and below it name and command.")
    for app, place in apps:
        for key, sentence, serious, passing in traps(app, [other.name for other, _place in apps]):
            reading.say((*place, *key.split(".")), f"{app.name}.{key}", sentence, serious, passing)
    return [app for app, _place in apps], reading.findings


def _lines(text: str) -> dict[tuple[str | int, ...], int]:
    """In which line each table and key is. By the look of the lines, for tomllib doesn't tell."""
    found: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    count = -1
    for number, line in enumerate(text.splitlines(), start=1):
        if head := re.match(r"\s*(\[\[?)\s*([\w.\"'-]+)\s*\]", line):
            names = tuple(head[2].replace('"', "").replace("'", "").split("."))
            if head[1] == "[[" and names == ("apps",):
                count += 1
            table = ("apps", count, *names[1:]) if names[0] == "apps" and count >= 0 else names
            found.setdefault(table, number)
        elif key := re.match(r"\s*([\w\"'-]+(?:\.[\w\"'-]+)*)\s*=", line):
            names = tuple(key[1].replace('"', "").replace("'", "").split("."))
            for end in range(1, len(names) + 1):
                found.setdefault((*table, *names[:end]), number)
    return found


def _tables(reading: _Reading, data: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """The apps' tables, also those that stand where Oxmgr doesn't look for them."""
    if data.get("version", 1) != 1 or isinstance(data.get("version"), bool):
        reading.say(("version",), "version", "there is one version of oxfiles. Write version = 1.", passing=1)
    apps = data.get("apps", [])
    if isinstance(apps, dict) and not (apps and all(isinstance(table, dict) for table in apps.values())):
        reading.say(("apps",), "apps", "[apps] is one table, and Oxmgr refuses the file. Write [[apps]].")
        apps = [apps] if apps else []
    if isinstance(apps, list):
        for number, table in enumerate(apps):
            if isinstance(table, dict):
                yield ("apps", number), table
            else:
                reading.say(("apps",), "apps", "an app is a table: write [[apps]], and below it name and command.")
    for top, value in data.items():
        if top in TOP and not (top == "apps" and isinstance(apps, dict)):
            continue
        named = isinstance(value, dict) and value and all(isinstance(table, dict) for table in value.values())
        if top in ("apps", "processes", "process", "services", "app", "programs") and named:
            for name, table in value.items():
                reading.say(
                    (top, name),
                    name,
                    f"no version of Oxmgr reads [{top}.{name}], a form of some posts, and without [[apps]] it refuses "
                    f'the file ("missing field apps"). Write [[apps]], and below it name = {written(name)}.',
                )
                yield (top, name), {"name": name, **table}
            continue
        near = difflib.get_close_matches(top, TOP, 1)
        write = f" Write {near[0]}, if you mean that." if near else f" There is {', '.join(TOP)}."
        reading.say((top,), top, f"Oxmgr knows no {top} at the top of an oxfile and passes over it.{write}")


def _app(
    reading: _Reading, place: tuple[str | int, ...], table: dict[str, Any], defaults: dict[str, Any], given: set[str]
) -> tuple[App, tuple[str | int, ...]]:
    name, number = table.get("name"), place[1]
    called = name if isinstance(name, str) and name.strip() else f"app {number + 1 if isinstance(number, int) else ''}"
    own = _section(reading, place, called, table)
    for key, what in (("name", "`oxmgr apply` and all who stop it need one"), ("command", "there is nothing to run")):
        if not str(own.get(key) or "").strip():
            reading.say(place, f"{called}.{key}", f'{called} has no {key}: {what}. Write {key} = "…".')
    for profile, inner in own.get("profiles", {}).items():
        _section(reading, (*place, "profiles", profile), f"{called}.profiles.{profile}", inner)
    values = {key: known.default for key, known in KEYS.items()} | defaults | own
    values["env"] = {**defaults.get("env", {}), **own.get("env", {})}
    return App(called, values, frozenset({*given, *table})), place


def _section(reading: _Reading, place: tuple[str | int, ...], called: str, table: Any) -> dict[str, Any]:
    """The keys of [defaults], an app or a profile that have a value to go on with."""
    values: dict[str, Any] = {}
    meant: dict[str, Any] = {}
    if not isinstance(table, dict):
        reading.say(place, called, f"{called} is a table: write [{called}] on a line of its own.")
        return values
    left_out = ONLY_IN_APPS if place == ("defaults",) else ONLY_IN_APPS[:-1] if "profiles" in place else ()
    for key, value in table.items():
        known = KEYS.get(key)
        if known is None or key in left_out:
            meant |= _unknown(reading, (*place, key), f"{called}.{key}", value, left_out)
        elif KINDS[known.kind].fits(value):
            values[key] = value
            if known.least and value < known.least:
                sentence = f"{key} of {called} is {value}. Write {key} = {known.least} or more."
                reading.say((*place, key), f"{called}.{key}", sentence, passing=known.least)
        else:
            values |= _wrong(reading, (*place, key), called, value)
    return {**meant, **values}


def _unknown(
    reading: _Reading, place: tuple[str | int, ...], called: str, value: Any, left_out: tuple[str, ...]
) -> dict[str, Any]:
    """What was meant by a key that Oxmgr doesn't have, as far as that can be told."""
    key = str(place[-1])
    owner = called.removesuffix(f".{key}")
    if key in KEYS:
        sentence = f"{key} isn't read in {owner}, only in [[apps]]. Write it there."
        reading.say(place, called, sentence)
        return {}
    passes = f"{key} of {owner} is no key of Oxmgr's, which passes over it without a word"
    if key in WITHOUT:
        passes += f": {WITHOUT[key]}"
    if meant := FOREIGN.get(key):
        told = meant(value)
        fitting = {name: item for name, item in told.keys.items() if KINDS[KEYS[name].kind].fits(item)}
        lines = ", ".join(f"{name} = {written(item)}" for name, item in fitting.items() if not isinstance(item, dict))
        write = " ".join(part for part in (f"Write {lines}." if lines else "", told.advice) if part)
        reading.say(place, called, f"{passes}. {write}")
        return fitting
    names = [name for name in KEYS if name not in left_out]
    near = difflib.get_close_matches(key, names, 1) or [name for name in names if name.startswith(key + "_")][:1]
    write = f"Write {near[0]}, if you mean that." if near else "Take it out."
    reading.say(place, called, f"{passes}. {write}")
    return {near[0]: value} if near and KINDS[KEYS[near[0]].kind].fits(value) else {}


def _wrong(reading: _Reading, place: tuple[str | int, ...], owner: str, value: Any) -> dict[str, Any]:
    """What was meant by a value of a wrong type."""
    key = str(place[-1])
    kind = KEYS[key].kind
    called = f"{owner}.{key}"
    if kind in ("texts", "logs") and isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(item, str):
                said = (
                    f"{name} in {key} of {owner} isn't a text, and Oxmgr refuses the file. Write its value in quotes."
                )
                reading.say((*place, name), f"{called}.{name}", said)
        return {key: {name: item for name, item in value.items() if isinstance(item, str)}}
    passing = suggest(kind, value)
    write = f"Write {key} = {written(passing)}." if passing is not None else f"Write {KINDS[kind].words}."
    shown = "a table" if isinstance(value, dict) else written(value)
    sentence = f"{key} of {owner} is {shown}, and Oxmgr refuses the file: it has to be {KINDS[kind].words}. {write}"
    reading.say(place, called, sentence, passing=passing)
    return {} if passing is None else {key: passing}
