# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is taken in place of a line that can't be served, where nothing of the app's depends on it; it is told. Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from .packages import Requirement, SpecifierSet, Version, canonicalize_name
from .requirements import LOWEST, Requirements, named
from .shelf import nearest, pins_of
from .target import Target

_STANDARD = ("httptools", "python-dotenv", "pyyaml", "uvloop", "websockets")
"""What uvicorn[standard] brings. Named one by one, each may be as old as the app has it."""
SAME = {"psycopg2": "psycopg2-binary"}
"""Packages that are compiled where they are installed, with those that are the same as wheels."""
_OTHERS = frozenset({"datetime"})
"""Packages that are called as a module of Python's, and bring another one: DateTime."""


def served(requirements: Requirements, file: str, markers: Mapping[str, str]) -> tuple[Requirements, list[str]]:
    """The requirements without what can't be served and isn't needed, and a sentence on each change.

    :param file: which says what the app needs.
    :param markers: of the host; with none, all lines count.
    """
    told: list[str] = []
    for change in (_without_standard, _with_servers):
        requirements, sentences = change(requirements, file, markers)
        told += sentences
    return requirements, told


def _without_standard(
    requirements: Requirements, file: str, markers: Mapping[str, str]
) -> tuple[Requirements, list[str]]:
    """Packages of years ago whose modules Python has itself, and finds before them: most break where they are built."""

    def own(line: str) -> bool:
        name = canonicalize_name(Requirement(line).name)
        return name.replace("-", "_") in sys.stdlib_module_names and name not in _OTHERS

    left = [line for line in requirements.lines if own(line)]
    if not left:
        return requirements, []
    names = ", ".join(sorted({Requirement(line).name for line in left}))
    it = "it is" if len(left) == 1 else "they are"
    kept = [line for line in requirements.lines if line not in left]
    told = f"{file} has {names}, which Python brings by itself, so {it} left out. Delete {' and '.join(left)} there."
    return replace(requirements, lines=kept), [told]


def _with_servers(requirements: Requirements, file: str, markers: Mapping[str, str]) -> tuple[Requirements, list[str]]:
    """The oldest Gunicorn and Uvicorn that workers run with, where older ones are asked for: they serve the app, and
    are none of its code."""
    told = []
    for package, lowest in LOWEST.items():
        old = [
            line
            for line in (*requirements.lines, *requirements.constraints)
            if named([line]) == {package} and _counts(line, markers) and _is_below(line, lowest)
        ]
        if not old:
            continue

        def newer(line: str, package: str = package, lowest: str = lowest) -> list[str]:
            if named([line]) != {package}:
                return [line]
            parsed = Requirement(line)
            marker = f" ; {parsed.marker}" if parsed.marker else ""
            specifier = f"=={lowest}" if _is_below(line, lowest) else str(parsed.specifier)
            # Its extras ask for newer ones of what the app may have pinned beside it.
            others = _STANDARD if "standard" in parsed.extras else ()
            return [f"{package}{specifier}{marker}", *(f"{other}{marker}" for other in others)]

        requirements = replace(
            requirements,
            lines=[each for line in requirements.lines for each in newer(line)],
            constraints=[newer(line)[0] for line in requirements.constraints],
        )
        has = next((line for line in old if "==" in line), old[0])
        told.append(
            f"{file} has {has}, and workers need {package} {lowest} or newer: {lowest} is taken in its place. It only "
            "serves the app, whose other packages stay as they are."
        )
    return requirements, told


def _counts(line: str, markers: Mapping[str, str]) -> bool:
    marker = Requirement(line).marker
    return marker is None or not markers or bool(marker.evaluate(dict(markers)))


def _is_below(line: str, lowest: str) -> bool:
    """Whether a line leaves only versions before `lowest`."""
    for pin in Requirement(line).specifier:
        upper = pin.operator in ("==", "===", "~=", "<", "<=")
        if (
            upper
            and not pin.contains(lowest, prereleases=True)
            and Version(pin.version.removesuffix(".*")) <= Version(lowest)
        ):
            return True
    return False


def twin(
    requirements: Requirements, missing: str, nearest: Callable[[str, str], str], wanted: str = ""
) -> tuple[Requirements, str] | None:
    """The requirements with the same code as wheels in place of `missing`, and a sentence; None where there is none.

    :param missing: 'name' or 'name==version' that has no wheel.
    :param nearest: the version of a package that is nearest to another and has a wheel; '' for none.
    :param wanted: which versions other packages ask for, such as '>=2.7', where no line does.
    """
    name = canonicalize_name(missing.partition("==")[0])
    other = SAME.get(name, "")
    if not other or name in named(requirements.overrides):
        return None
    brought = other in named(requirements.lines)
    shown: list[str] = []

    def swapped(line: str) -> list[str]:
        if named([line]) != {name}:
            return [line]
        parsed = Requirement(line)
        exact = next((pin.version for pin in parsed.specifier if pin.operator == "=="), "")
        best = nearest(other, exact) if exact else ""
        # 2.9.5 is 2.9.3 with what was fixed since.
        best = best if best.split(".")[:2] == exact.split(".")[:2] else exact
        new = f"{other}=={best}" if exact else f"{other}{parsed.specifier}"
        shown.append(new)
        return [] if brought else [f"{new} ; {parsed.marker}" if parsed.marker else new]

    changed = replace(
        requirements,
        lines=[each for line in requirements.lines for each in swapped(line)],
        constraints=[each for line in requirements.constraints for each in swapped(line)],
    )
    if name not in named(requirements.lines):
        # Another package asks for it, whose own words can't be changed: what it asks for is passed over.
        changed.overrides = [*requirements.overrides, f"{name} ; sys_platform == 'none'"]
        changed.lines += swapped(f"{name}{'' if shown else wanted}")
    what = f"{other}, which is there too," if brought else max(shown, key=len)
    return changed, f"{missing} has no wheels, and is {other} where it is built: {what} is taken in its place."


def newer_server(
    requirements: Requirements, found: Mapping[str, str], brings: list[str]
) -> tuple[Requirements, str] | None:
    """The requirements with the oldest Uvicorn that workers run with, and a sentence, where none but FastAPI's extras
    ask for an older one: they have it to serve the app. None where somebody's code may be written for that.

    :param found: versions by name of what was resolved.
    :param brings: who asks for Uvicorn.
    """
    lowest, version = LOWEST["uvicorn"], found.get("uvicorn", "")
    if brings != ["fastapi"] or not version or Version(version) >= Version(lowest):
        return None
    lines = [*requirements.lines, *(other for other in _STANDARD if other in found)]
    changed = replace(requirements, lines=lines, overrides=[*requirements.overrides, f"uvicorn=={lowest}"])
    return changed, (
        f"fastapi {found['fastapi']} asks for uvicorn {version} by its extras, and workers need uvicorn {lowest} or "
        f"newer: {lowest} is taken in its place. It only serves the app, whose other packages stay as they are."
    )


def twinned(requirements: Requirements, files: Mapping[str, list[str]], target: Target) -> Requirements:
    """The requirements as a run will take them where it finds psycopg2 without a wheel.

    :param files: names of all files on the index by package.
    """

    def closest(name: str, version: str) -> str:
        return nearest(name, version, files.get(name, []), target).partition("==")[2]

    pins = pins_of([*requirements.constraints, *requirements.lines], target)
    for name, version in pins.items():
        # Other systems may have wheels of it.
        if name in SAME and not closest(name, version):
            changed = twin(requirements, f"{name}=={version}", closest)
            requirements = changed[0] if changed else requirements
    return requirements


def with_versions(requirements: Requirements, versions: Iterable[str], needs: Iterable[str] = ()) -> Requirements:
    """The requirements with other versions than they name.

    :param versions: as 'numpy==1.23.2'; of what the app doesn't need it makes nothing.
    :param needs: packages that the app needs by its code. They are brought, whatever the lock has, or for which Python.
    """
    wanted = {canonicalize_name(Requirement(line).name): line.partition("==")[2].strip() for line in versions}
    if not wanted:
        return requirements

    def changed(line: str) -> str:
        parsed = Requirement(line)
        name = canonicalize_name(parsed.name)
        if name in wanted and not parsed.url:
            parsed.specifier = SpecifierSet(f"=={wanted[name]}")
            return str(parsed)
        return line

    kept = [line for line in requirements.constraints if not named([line]) & wanted.keys()]
    exact = [f"{name}=={version}" for name, version in wanted.items()]
    lines = [changed(line) for line in requirements.lines]
    # A line with a marker may be another Python's.
    always = named(line for line in lines if Requirement(line).marker is None)
    lines += [f"{name}=={wanted[name]}" for name in map(canonicalize_name, needs) if name in wanted.keys() - always]
    return replace(requirements, lines=lines, constraints=[*kept, *exact])
