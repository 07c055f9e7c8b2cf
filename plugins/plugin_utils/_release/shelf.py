# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an index has of all that an app pins: which of it would have to be compiled for a Python, and what to write.

It is asked where a run fails anyway, and downloads no package.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import ProgramError
from ...module_utils._release.index import Index
from .packages import (
    Requirement,
    Tag,
    Version,
    canonicalize_name,
    canonicalize_version,
    compatible_tags,
    cpython_tags,
    parse_sdist_filename,
    parse_wheel_filename,
)
from .requirements import Requirements
from .target import Target, debians, fitting
from .tools import Tools, fetch

MOST = 200
"""Packages that are asked for; an app of more is told of these."""
_AT_ONCE = 4
_MINORS = range(7, 20)

TWINS = {
    "psycopg2": ("psycopg2-binary", "the same as wheels, imported by the same name"),
    "psycopg-c": ("psycopg-binary", "which psycopg[binary] brings in its place"),
    "pycrypto": ("pycryptodome", "its successor, imported by the same name"),
    "mysqlclient": ("pymysql", "another driver, which has to be named in the app, as in mysql+pymysql://"),
}
"""Packages whose source is compiled and that have no wheels for Linux, with what there is instead."""

_FAILS = {
    "aiofiles": [("0", "0.6.0", 11)],
    "aioredis": [("0", "1.3.1", 11), ("2", "", 11)],
    "jinja2": [("0", "3.0.0", 11)],
    "pydantic": [("1", "1.10.0", 11), ("1", "1.10.16", 13)],
    "sqlalchemy": [("2", "2.0.31", 13)],
}
"""Pure wheels fit every Python by their names. These can't be imported from a minor version of Python 3 on: the first
version, the one from which on they can ('' for none yet), and the Python. Jinja2's is MarkupSafe's fault, which has no
older wheels there."""


def fails_on(name: str, version: str, minor: str) -> bool:
    """Whether a version of a package is known not to run on a Python, such as '3.11'. Pure."""
    own, python = Version(version), int(minor.partition(".")[2])
    return any(
        python >= since and own >= Version(first) and not (good and own >= Version(good))
        for first, good, since in _FAILS.get(name, [])
    )


# No version is chosen, so no file has to be looked into: that takes pip most of the time.
_FILES = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pip._internal.cli.main import main
from pip._internal.index.package_finder import LinkEvaluator, LinkType
seen = {}
def looking(evaluator, link):
    seen.setdefault(evaluator.project_name, {})[link.filename] = None
    return LinkType.format_unsupported, ""
LinkEvaluator.evaluate_link = looking
for name in sys.argv[2:]:
    main(["index", "versions", "-qqq", name])
print("\\n" + json.dumps({name: [*files] for name, files in seen.items()}))
"""


@dataclass(frozen=True)
class Lacking:
    """A pinned package that would have to be compiled.

    :param pythons: minor versions that it has wheels for on the host's platform.
    :param instead: 'name==version' that has a wheel; '' where the index has none.
    :param why: what that is, where it is another package.
    :param fails: whether it has a wheel, and doesn't run there.
    """

    pin: str
    pythons: list[str]
    instead: str = ""
    why: str = ""
    fails: bool = False

    def told(self, target: Target) -> str:
        minor, libc = target.minor, "" if target.libc == "glibc" else f" with {target.libc}"
        none = f"has none for Linux on {target.machine}{libc}"
        has = f"has wheels for Python {_ranges(self.pythons)}" if self.pythons else none
        if self.fails:
            return f"{self.pin} doesn't run on Python {minor}; {self.instead or 'no version'} does."
        if self.why:
            return f"{self.pin} {has}. Write {self.instead}: {self.why}."
        if not self.instead:
            return f"{self.pin} {has}, and no version of it on the index has one for {minor}."
        return f"{self.pin} {has}; {self.instead} has one for {minor}."


def _ranges(pythons: Sequence[str]) -> str:
    """'3.7, 3.9 to 3.12' of '3.7', '3.9' and so on, which are sorted."""
    runs: list[list[int]] = []
    for minor in (int(python.partition(".")[2]) for python in pythons):
        if runs and minor == runs[-1][-1] + 1:
            runs[-1].append(minor)
        else:
            runs.append([minor])
    return ", ".join(f"3.{run[0]}{f' to 3.{run[-1]}' * bool(run[1:])}" for run in runs)


@dataclass(frozen=True)
class Shelf:
    """:param pins: version by name. :param files: names of all files by the name of their package."""

    pins: dict[str, str]
    files: dict[str, list[str]]

    def lacking(self, target: Target) -> list[Lacking]:
        """What would have to be compiled for the target, by name. What has no wheel at all may be pure, and isn't
        among it unless it is known not to be."""
        found = []
        for name, version in sorted(self.pins.items()):
            files = self.files.get(name, [])
            its = [file for file in files if version_of(file, name) == canonicalize_version(version)]
            tags = [parse_wheel_filename(file)[3] for file in its if file.endswith(".whl")]
            known = name in TWINS and bool(its)
            if fails_on(name, version, target.minor):
                found.append(Lacking(f"{name}=={version}", [], nearest(name, version, files, target), fails=True))
                continue
            pure = any(tag.platform == "any" for wheel in tags for tag in wheel)
            if not (tags or known) or pure or any(_takes(target, wheel) for wheel in tags):
                continue
            others = (replace(target, version=f"3.{minor}", abi=f"cp3{minor}") for minor in _MINORS)
            pythons = [other.version for other in others if any(_takes(other, wheel) for wheel in tags)]
            instead, why = nearest(name, version, files, target), ""
            if name in TWINS and not instead:
                twin, why = TWINS[name]
                instead = nearest(twin, version, self.files.get(twin, []), target) or twin
            found.append(Lacking(f"{name}=={version}", pythons, instead, why))
        return found

    def fitting(self, target: Target, wanted: str) -> list[str]:
        """Pythons of the host's platform that the app takes and all pins have wheels for, newest first."""
        others = [replace(target, version=f"3.{minor}.99", abi=f"cp3{minor}") for minor in reversed(_MINORS)]
        return [
            other.minor
            for other in others
            if other.minor != target.minor and fitting(wanted, other.version) and not self.lacking(other)
        ]


def refusal(shelf: Shelf, target: Target, wanted: str, way_out: str, first: str) -> str:
    """All that has no wheel for the target, and what to do: '' where the index tells nothing of it. Pure.

    :param wanted: what the app asks of the Python.
    :param way_out: how it can be built, '' where it can't.
    :param first: what was found without one first.
    """
    lacking = shelf.lacking(target)
    if _canonical(first) not in [_canonical(item.pin) for item in lacking]:
        return ""
    others = f", nor have {len(lacking) - 1} others" if lacking[2:] else ", nor has another" if lacking[1:] else ""
    ways = ["Write what is named here." if all(item.instead for item in lacking) else "Write versions that have one."]
    versions = [item.instead for item in lacking if item.instead and not item.why]
    if len(versions) == len(lacking):
        ways.append(f"Or leave the file as it is, and write fastapi_versions: [{', '.join(versions)}]")
    if not all(item.pythons for item in lacking):
        ways.append("No newer Python by fastapi_python has wheels of all of them either.")
    else:
        ways += _elsewhere(shelf, target, wanted)
    ways += [way_out] if way_out else []
    ways.append(
        "Or build the wheels yourself (pip wheel) and give their directory by a --find-links line in a requirements "
        "file or in pip's configuration."
    )
    told = "".join(f"\n{line}" for line in [*(item.told(target) for item in lacking), *ways])
    return f"and {first} has no wheel for {target}{others}.{told}"


def _elsewhere(shelf: Shelf, target: Target, wanted: str) -> list[str]:
    """Which Pythons have wheels for all that is pinned, a Debian's own first."""
    homes = [
        f"{name} has {its.minor}"
        for name, its in debians(wanted, target.machine).items()
        if its.minor != target.minor and not shelf.lacking(its)
    ]
    pythons = shelf.fitting(target, wanted)
    such = f", such as {pythons[0]}" if pythons else ""
    if homes:
        own = f"Or take a host whose own Python has wheels for all that is pinned: {', '.join(homes)}."
        return [own, f"Or set fastapi_python to such a Python{such}."]
    asked = f", and Python {wanted} by requires-python" if wanted else ""
    return [
        f"No Debian's own Python fits all that is pinned{asked}: else put a Python of your own on the host{such}, and "
        "set fastapi_python to it."
    ]


def _canonical(pin: str) -> tuple[str, str]:
    name, _separator, version = pin.partition("==")
    return canonicalize_name(name), canonicalize_version(version)


def shelf_of(
    requirements: Requirements,
    target: Target,
    tools: Tools,
    index: Index,
    reached: Callable[[list[str]], set[str]],
    first: str = "",
) -> Shelf:
    """Ask the index for what the app pins; an empty one where that can't be told.

    :param reached: names of what the app needs where these pins are left open: a lock has also what is for development.
    :param first: one that is known to be needed.
    """
    needed = pins_of([*requirements.lines, *([first] if first else [])], target)
    pins = dict([*needed.items(), *pins_of(requirements.constraints, target).items()][:MOST])
    names = {*pins, *(TWINS[name][0] for name in pins if name in TWINS)}
    try:
        shelf = Shelf(pins, files_of(sorted(names), tools, index))
        lacking = [item.pin for item in shelf.lacking(target)]
        unsure = {pin.partition("==")[0] for pin in lacking} - needed.keys()
    except (ReleaseError, ProgramError, ValueError):
        return Shelf({}, {})
    try:
        gone = unsure - reached(lacking) if unsure else set()
    except (ProgramError, ValueError):
        gone = unsure
    return Shelf({name: version for name, version in pins.items() if name not in gone}, shelf.files)


def files_of(names: Sequence[str], tools: Tools, index: Index) -> dict[str, list[str]]:
    """Names of all files that the index has of each package."""
    command = [sys.executable, "-I", "-c", _FILES, os.path.dirname(tools.pip[-1])]
    parts = min(_AT_ONCE, os.cpu_count() or 1, max(1, len(names) // 4))

    def part(number: int) -> dict[str, list[str]]:
        said = fetch("Asking the index", [*command, *names[number::parts]], index)
        return {canonicalize_name(name): files for name, files in json.loads(said.splitlines()[-1]).items()}

    with concurrent.futures.ThreadPoolExecutor(parts) as pool:
        return {name: files for found in pool.map(part, range(parts)) for name, files in found.items()}


def nearest(name: str, version: str, files: Iterable[str], target: Target) -> str:
    """The first version after `version` that has a wheel for the target, else the last one before, as 'name==version';
    '' where there is none. Pure."""
    there = {}
    for file in files:
        if file.endswith(".whl") and version_of(file, name) and _takes(target, parse_wheel_filename(file)[3]):
            found = parse_wheel_filename(file)[1]
            if not fails_on(name, str(found), target.minor):
                there[found] = str(found)
    own = Version(version)
    final = sorted(found for found in there if not found.is_prerelease)
    best = next((found for found in final if found >= own), final[-1] if final else None)
    return f"{name}=={there[best]}" if best else ""


def version_of(file: str, name: str) -> str:
    """The version of a file of the package, '' where it is no such file."""
    try:
        found, version = (parse_wheel_filename(file) if file.endswith(".whl") else parse_sdist_filename(file))[:2]
    except ValueError:
        return ""
    return canonicalize_version(str(version)) if found == canonicalize_name(name) else ""


def misfit(wheel: str, target: Target) -> str:
    """What of a wheel's file name doesn't fit the target, in words; '' where all does. Pure."""
    tags = parse_wheel_filename(wheel)[3]
    if _takes(target, tags):
        return ""
    return f"its tag {'-'.join(wheel.removesuffix('.whl').rsplit('-', 3)[1:])} isn't one that {target} takes"


def pins_of(lines: Iterable[str], target: Target) -> dict[str, str]:
    """Version by name of what the lines name exactly, where they count on the target."""
    found: dict[str, str] = {}
    for line in lines:
        try:
            parsed = Requirement(line)
        except ValueError:
            continue
        exact = [pin.version for pin in parsed.specifier if pin.operator == "==" and "*" not in pin.version]
        if exact and not parsed.url and (parsed.marker is None or parsed.marker.evaluate(target.markers)):
            found[canonicalize_name(parsed.name)] = exact[0]
    return found


def _takes(target: Target, tags: Iterable[Tag]) -> bool:
    return not _tags_of(target.minor, target.abi, tuple(target.platforms)).isdisjoint(tags)


@functools.lru_cache(64)
def _tags_of(minor: str, abi: str, platforms: tuple[str, ...]) -> frozenset[Tag]:
    python = tuple(map(int, minor.split(".")))
    # Until 3.7 wheels had an m behind it.
    exact = cpython_tags(python, abis=[abi, f"{abi}m"], platforms=platforms)
    return frozenset([*exact, *compatible_tags(python, abi, platforms)])
