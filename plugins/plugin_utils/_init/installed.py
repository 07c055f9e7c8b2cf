# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is installed for an app, by the files that say what it needs: which one counts, its day, its Debian."""

from __future__ import annotations

import datetime
import os
import re
import typing as t

from ...module_utils._app.releases import ReleaseError
from ...module_utils._app.words import PREFIX
from ...module_utils._host.files import read_text
from .._inputs.rules import TODO
from .._release import lockfile, locks
from .._release.instead import served
from .._release.listed import fitting_debian, fitting_pins, packages_of
from .._release.requirements import Requirements
from .written import Written

Files = t.Callable[[Requirements], dict[str, list[str]]]
_OLD = 60
"""Days after which today's versions aren't those that an app was written with."""
_PYTHON_313 = "2024-12-01"
"""When most packages had wheels for it, which came out in October: Debian 13 has it."""
_INSTALLS = {
    "uv.lock": r"\buv\s+sync\b|\buv\.lock\b",
    "poetry.lock": r"\bpoetry\s+(install|sync)\b|\bpoetry\.lock\b",
    "pdm.lock": r"\bpdm\s+(install|sync)\b|\bpdm\.lock\b",
    "Pipfile.lock": r"\bpipenv\s+(install|sync)\b|\bPipfile\.lock\b",
}
"""How the source's own recipes name a lock."""


def requirements_of(out: Written, top: str, whole: str, recipes: str) -> str:
    try:
        return lockfile.find_requirements(top, "", whole)
    except ReleaseError as error:
        several = re.search(rf"(?:has|There are|There is) (.*)\. Write {PREFIX}requirements: (\S+)", str(error))
        if several:
            chosen, why = _better(top, several[1].split(" and "), recipes)
            there = f"There {'are' if ' and ' in several[1] else 'is'} {several[1]}. {why}".rstrip()
            out.line("requirements", chosen or several[2], there)
            return chosen or several[2]
        out.line("requirements", TODO, str(error).replace(top, "the source"))
        return ""


def _better(top: str, named: t.Sequence[str], recipes: str) -> tuple[str, str]:
    """Of several files that say what the app needs the one that its own recipes install, or a lock that goes with
    pyproject.toml; and why. ('', '') where the first is as good."""
    readable = []
    for name in named:
        try:
            if {"fastapi", "starlette"} & lockfile.names(top, name, lockfile.read(top, name, None)):
                readable.append(name)
        except ReleaseError:
            continue
    said = [name for name in readable if re.search(_INSTALLS.get(name, rf"\b{re.escape(name)}(?![\w.])"), recipes)]
    if len(said) == 1:
        return said[0], f"{said[0]} is what the source's own recipes install."
    locks = [name for name in readable if name.endswith((".lock", ".toml"))]
    return (locks[0], f"{locks[0]} is a lock that goes with the project.") if locks else ("", "")


def _listed(top: str, requirements: str) -> Requirements:
    """What the app asks for, of a uv.lock only what it pins; nothing where that can't be read."""
    try:
        listed = lockfile.read(top, requirements, None)
        if os.path.basename(requirements) == "uv.lock":
            name = str(lockfile.project_of(lockfile.load_project(top)).get("name", ""))
            return Requirements(locks.uv_pins(lockfile.load(top, requirements), name))
    except ReleaseError:
        return Requirements()
    return listed


def required_by(top: str, requirements: str) -> set[str]:
    try:
        return lockfile.names(top, requirements, lockfile.read(top, requirements, None))
    except ReleaseError:
        return set()


def is_locked(top: str, requirements: str, name: str, required: t.Collection[str]) -> bool:
    """Whether a lock brings a package to hosts: it may have what is for development, too, and what others need."""
    if requirements.endswith("Pipfile.lock"):
        return name in required
    try:
        lock = lockfile.load(top, requirements) if requirements.endswith((".lock", ".toml")) else {}
        return name in packages_of(lock, lockfile.load_project(top))
    except (ReleaseError, ValueError, KeyError, TypeError, AttributeError):
        return False


def instead(out: Written, top: str, requirements: str) -> None:
    """What each run will say, where another version than the app's is taken."""
    for told in served(_listed(top, requirements), requirements, {})[1]:
        out.comment(told)
        out.notes.append(told)


def until(out: Written, top: str, requirements: str, day: str) -> None:
    """Versions of the days in which the app was written, where nothing names them."""
    today = datetime.datetime.now(datetime.UTC).date()
    if not day or (today - datetime.date.fromisoformat(day)).days < _OLD:
        return
    listed = _listed(top, requirements)
    if loose := len(listed.loose):
        bound = max(day, _PYTHON_313)
        then = "is of this day" if bound == day else f"is of {day}; this is when both Debians' Pythons had their wheels"
        out.line(
            "packages_until",
            bound,
            f"{loose} of the {len(listed.lines)} requirements name no exact version, and the last commit {then}: what "
            "is newer may not go with the app, and what was fixed since then, holes in security too, is missing. To "
            "move on, take this line out and test.",
        )


def which_debian(out: Written, top: str, requirements: str, day: str, recipes: str, files: Files) -> None:
    """Which Debian the app fits, on the screen too: who has rented the other one begins anew."""
    try:
        lock = lockfile.load(top, requirements) if requirements.endswith((".lock", ".toml")) else {}
    except ReleaseError:
        lock = {}
    wanted = lockfile.requires_python(top)
    told, there = fitting_debian(requirements, lock, lockfile.load_project(top), wanted), {}
    if not lock:
        listed = _listed(top, requirements)
        there = files(listed)
        told = fitting_pins(requirements, listed, there, wanted) if there else told
    if not told and not there and requirements.endswith(".txt"):
        pinned = len(re.findall(r"(?m)^[^#\n]+==\s*\d", read_text(os.path.join(top, requirements))))
        own = "\n".join(read_text(os.path.join(top, name)) for name in (".python-version", "runtime.txt"))
        python = re.search(r"(?m)^(?:python-)?3\.(\d+)", own) or re.search(r"(?im)^FROM\s+\S*python:?3\.(\d+)", recipes)
        newer = python and int(python[1]) > 12
        if pinned and (python or (day and day < _PYTHON_313)):
            why = f"its own recipes have Python 3.{python[1]}" if python else f"its last commit is of {day}"
            told = (
                f"The app most likely fits {'Debian 13' if newer else 'Debian 12'}: {why}, and {pinned} of its "
                "requirements name an exact version, which may have no wheel for the other's. Debian 12 has Python "
                "3.11, and Debian 13 has 3.13."
            )
    if told:
        out.comment(told)
        out.notes.append(told)


def unread(out: Written, top: str) -> None:
    """A pyproject.toml that is left alone: what else could it say?"""
    try:
        lockfile.load(top, "pyproject.toml")
    except ReleaseError as error:
        wrong = str(error).rpartition("can't be read: ")[2]
        out.comment(f"pyproject.toml isn't TOML: {wrong}. Only tools' settings are in it, so it is left alone.")
