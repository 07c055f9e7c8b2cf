# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is installed for an app, by the files that say what it needs: which one counts, its day, its Debian."""

from __future__ import annotations

import datetime
import os
import re
import typing as t
from dataclasses import dataclass, replace

from ...module_utils._app.releases import ReleaseError
from ...module_utils._app.words import PREFIX
from ...module_utils._host.files import read_text
from .._inputs.rules import TODO
from .._release import lockfile, locks
from .._release.instead import served
from .._release.listed import fitting_debian, fitting_pins, packages_of
from .._release.packages import canonicalize_version
from .._release.raised import Files, bare, lacking
from .._release.requirements import Requirements, named
from .._release.shelf import Lacking, version_of
from .._release.target import Target, debians
from .written import Written


@dataclass(frozen=True)
class Asked:
    """What an index says; of none by itself.

    :param files: gives the names of all files of what is pinned, by package; {} where it can't be asked.
    :param versions: gives versions in place of those that have no wheel for a Python; none where none go together.
    """

    files: t.Callable[[Requirements], Files] = lambda _listed: {}
    versions: t.Callable[[Requirements, list[Lacking], Files, Target], list[str]] = lambda *_asked: []


UNASKED = Asked()

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


def _is_locked_with(top: str, name: str, package: str) -> bool:
    return is_locked(top, name, package, required_by(top, name))


def requirements_of(out: Written, top: str, whole: str, recipes: str, needs: t.Collection[str]) -> str:
    try:
        return lockfile.find_requirements(top, "", whole)
    except ReleaseError as error:
        several = re.search(rf"(?:has|There are|There is) (.*)\. Write {PREFIX}requirements: (\S+)", str(error))
        if several:
            chosen, why = _better(top, several[1].split(" and "), recipes, needs)
            there = f"There {'are' if ' and ' in several[1] else 'is'} {several[1]}. {why}".rstrip()
            out.line("requirements", chosen or several[2], there)
            return chosen or several[2]
        said = str(error).replace(f"{PREFIX}source is {top}, and nothing in it ", "Nothing in the source ")
        said = said.replace(f"{PREFIX}source is {top}, and nothing at its top ", "Nothing at the source's top ")
        out.line("requirements", TODO, said.replace(top, "the source"))
        return ""


def _better(top: str, named: t.Sequence[str], recipes: str, needs: t.Collection[str]) -> tuple[str, str]:
    """Of several files that say what the app needs the one that its own recipes install, or a lock that goes with
    pyproject.toml; and why. ('', '') where the first is as good.

    :param needs: packages that what the app imports needs, which are added to what isn't locked.
    """
    readable = []
    for name in named:
        try:
            if {"fastapi", "starlette"} & lockfile.names(top, name, lockfile.read(top, name, None)):
                readable.append(name)
        except ReleaseError:
            continue
    said = [name for name in readable if re.search(_INSTALLS.get(name, rf"\b{re.escape(name)}(?![\w.])"), recipes)]
    if for_hosts := [name for name in readable if "prod" in name]:
        return for_hosts[0], f"{for_hosts[0]} is for hosts, by its name."
    if len(said) == 1:
        return said[0], f"{said[0]} is what the source's own recipes install."
    locks = [
        name
        for name in readable
        if name.endswith((".lock", ".toml")) and all(_is_locked_with(top, name, needed) for needed in needs)
    ]
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


def is_open(top: str, requirements: str) -> bool:
    """Whether a run adds to what is listed what the code needs besides: a lock stays as it is."""
    listed = _listed(top, requirements)
    return bool(listed.lines) and not listed.hashes and not requirements.endswith(".lock")


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
    loose, names = len(listed.loose), {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in listed.lines}
    # pip freeze has these two, which FastAPI brings.
    written = requirements.endswith((".txt", ".in")) and not listed.hashes and not {"starlette", "anyio"} <= names
    if loose or (listed.lines and written):
        what = f"{loose} of the {len(listed.lines)} requirements name no exact version"
        what = what if loose else "nothing names the versions of what the requirements bring along"
        bound = max(day, _PYTHON_313)
        then = "is of that day" if bound == day else f"is of {day}; this is when both Debians' Pythons had their wheels"
        out.line(
            "packages_until",
            bound,
            f"{what}, and the last commit {then}: what "
            "is newer may not go with the app, and what was fixed since then, holes in security too, is missing. To "
            "move on, take this line out and test.",
        )


def which_debian(out: Written, top: str, requirements: str, day: str, recipes: str, index: Asked) -> None:
    """Which Debian the app fits, on the screen too: who has rented the other one begins anew."""
    wanted, project = lockfile.requires_python(top), lockfile.load_project(top)
    try:
        lock = lockfile.load(top, requirements) if requirements.endswith((".lock", ".toml")) else {}
    except ReleaseError:
        lock = {}
    told, known = fitting_debian(requirements, lock, project, wanted), False
    if not lock or told.startswith("No Debian"):
        listed = _listed(top, requirements)
        if lock:
            # A lock has what is for development, too.
            kept = packages_of(lock, project).keys()
            listed = replace(listed, constraints=[line for line in listed.constraints if named([line]) <= kept])
        files = index.files(listed)
        known = bool(files)
        for name, versions in packages_of(lock, project).items() if lock and known else ():
            # What came later has a hash that the lock doesn't list.
            own = [*map(canonicalize_version, versions)]
            others = [file for file in files.get(name, []) if version_of(file, name) not in own]
            files[name] = [*others, *(file for its in versions.values() for file in its)]
        told = _of_index(out, requirements, listed, files, wanted, index) if known else told
    if not told and not known and requirements.endswith(".txt"):
        told = _by_day(top, requirements, day, recipes)
    if told:
        out.comment(told)
        out.notes.append(told)


def _of_index(out: Written, requirements: str, listed: Requirements, files: Files, wanted: str, index: Asked) -> str:
    """The same by what an index has. Where no Debian fits, later versions of what it lacks are written."""
    try:
        there = debians(wanted, "x86_64")
    except ReleaseError:
        return ""
    taken = {debian: bare(listed, requirements, files, its) for debian, its in there.items()}
    missing = {debian: lacking(taken[debian], files, its) for debian, its in there.items()}
    for debian in sorted(missing, key=lambda each: len(missing[each])) if all(missing.values()) else ():
        if versions := index.versions(taken[debian], missing[debian], files, there[debian]):
            minor = there[debian].minor
            out.line(
                "versions",
                versions,
                f"Taken in place of what {requirements} names: of that, no Debian's own Python has all wheels. These "
                f"are the first later versions for {debian}'s, and go with the rest; nobody has tried the app with "
                f"them. To have the named ones, put a Python that has wheels of them on the host, see {PREFIX}python.",
            )
            return (
                f"The app wants {debian}, which has Python {minor}, and {len(versions)} newer versions than "
                f"{requirements} names: they are in {PREFIX}versions. Try the app with them."
            )
    return fitting_pins(requirements, missing, wanted)


def _by_day(top: str, requirements: str, day: str, recipes: str) -> str:
    """The same by the Python of the source's own recipes, or by how old it is, where nothing else tells."""
    pinned = len(re.findall(r"(?m)^[^#\n]+==\s*\d", read_text(os.path.join(top, requirements))))
    own = "\n".join(read_text(os.path.join(top, name)) for name in (".python-version", "runtime.txt"))
    python = re.search(r"(?m)^(?:python-)?3\.(\d+)", own) or re.search(r"(?im)^FROM\s+\S*python:?3\.(\d+)", recipes)
    newer = python and int(python[1]) > 12
    if not pinned or not (python or (day and day < _PYTHON_313)):
        return ""
    why = f"its own recipes have Python 3.{python[1]}" if python else f"its last commit is of {day}"
    return (
        f"The app most likely fits {'Debian 13' if newer else 'Debian 12'}: {why}, and {pinned} of its requirements "
        "name an exact version, which may have no wheel for the other's. Debian 12 has Python 3.11, and Debian 13 has "
        "3.13."
    )


def unread(out: Written, top: str) -> None:
    """A pyproject.toml that is left alone: what else could it say?"""
    try:
        lockfile.load(top, "pyproject.toml")
    except ReleaseError as error:
        wrong = str(error).rpartition("can't be read: ")[2]
        out.comment(f"pyproject.toml isn't TOML: {wrong}. Only tools' settings are in it, so it is left alone.")
