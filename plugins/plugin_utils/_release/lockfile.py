# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what says what the app needs, and reads pylock.toml (PEP 751), uv.lock and pyproject.toml as requirements."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.files import read_text
from ...module_utils._host.text import mask
from . import extras, locks, pylock, requirements
from .packages import Requirement, canonicalize_name
from .requirements import Requirements
from .trees import at_path

Export = Callable[[str], str]
"""Gives what uv exports of the project in a directory, as a requirements.txt with hashes."""

REQUIREMENTS = (
    "requirements.txt",
    "requirements-prod.txt",
    "requirements-production.txt",
    "requirements/prod.txt",
    "requirements/production.txt",
    "requirements.lock",
    "pylock.toml",
    "uv.lock",
    *locks.TOOLS,
)
"""Names that are looked for where the task names none; then pyproject.toml, if it lists dependencies."""

_LIST = re.compile(
    r"(^|/)requirements([-_.]?(prod|production|base|common))?\.txt$|/requirements/(prod\w*|base|common)\.txt$"
)
_ASIDE = ("node_modules", "tests", "test", "docs", "examples", "frontend", "venv", "env")
"""Directories whose requirements aren't the app's."""

_TOLD = re.compile(
    r"(?m)^\s*\[+\s*(project|build-system|dependency-groups|tool\.(poetry|uv|pdm|hatch|setuptools|flit))\b"
)
"""Tables of a pyproject.toml that say what the app is or needs."""

_COMPILE = "uv pip compile --universal --generate-hashes {} -o requirements.txt"
_CONDA = (
    "Conda's packages are others than those that pip installs. In the environment that the app runs in, run "
    "pip list --format=freeze > requirements.txt, and take out what the app doesn't import"
)
_MAYBE_CONDAS = ("env.yml", "env.yaml", "conda.yml", "conda.yaml")
_CONDAS = re.compile(r"(?m)^(channels|dependencies)\s*:")
"""What tells Conda's environment from another file of such a name."""
_UNSERVED = {
    "conda-lock.yml": _CONDA,
    "pixi.lock": _CONDA,
    "environment.yml": _CONDA,
    "environment.yaml": _CONDA,
    **dict.fromkeys(_MAYBE_CONDAS, _CONDA),
}
"""What says what the app needs to a tool whose packages can't be served."""
_UNLOCKED = {
    "Pipfile": "Run pipenv lock, and commit Pipfile.lock",
    "requirements.in": f"Run {_COMPILE.format('requirements.in')}",
    "setup.py": f"Run {_COMPILE.format('setup.py')}",
    "setup.cfg": f"Run {_COMPILE.format('setup.cfg')}",
}


def find_requirements(source: str, wanted: str, top: str = "") -> str:
    """Name of the requirements file below `source`; raises with what to write where there is none or more than one.

    :param top: a directory above `source` up to which a workspace's uv.lock is looked for, as '../uv.lock'.
    """
    if wanted:
        name = os.path.normpath(wanted)
        if os.path.isabs(name) or name.startswith(".."):
            raise ReleaseError(f"fastapi_requirements is {wanted}: it has to be a path inside fastapi_source.")
        if not os.path.isfile(os.path.join(source, name)):
            raise ReleaseError(
                f"fastapi_requirements is {wanted}, and there is no such file in fastapi_source ({source})."
            )
        return name
    there = {name for name in [*REQUIREMENTS, *_UNSERVED, *_UNLOCKED] if os.path.isfile(os.path.join(source, name))}
    there -= {
        name for name in _MAYBE_CONDAS if name in there and not _CONDAS.search(read_text(os.path.join(source, name)))
    }
    found = [name for name in REQUIREMENTS if name in there]
    # A pylock may have a name in it, such as pylock.prod.toml.
    found += sorted(name for name in os.listdir(source) if re.fullmatch(r"pylock\.[^.]+\.toml", name))
    if len(found) == 1 and not there & {"conda-lock.yml", "pixi.lock"}:
        return found[0]
    pyproject = load_project(source)
    listed = has_dependencies(pyproject)
    unserved = [name for name in _UNSERVED if name in there]
    if found or (listed and unserved):
        found = found or ["pyproject.toml"]
        raise ReleaseError(
            f"fastapi_source ({source}) has {' and '.join([*found, *unserved])}. Write fastapi_requirements: {found[0]}"
        )
    if pyproject and (above := workspace_lock(source, top)):
        return above
    if listed and (is_poetrys(pyproject) or "dependencies" not in project_of(pyproject).get("dynamic", [])):
        return "pyproject.toml"
    if not (listed or there) and (below := _further_down(source)):
        directory, write = os.path.dirname(below[0]), f"fastapi_requirements: {below[0]}"
        if any(
            name.endswith(".py") for _path, _inner, files in os.walk(os.path.join(source, directory)) for name in files
        ):
            write = f"fastapi_source_directory: {directory} where the app is in there, else {write}"
        raise ReleaseError(
            f"fastapi_source is {source}, and nothing at its top says what the app needs. There "
            f"{'are' if below[1:] else 'is'} {' and '.join(below[:2])}. Write {write}"
        )
    advice = next((advice for name, advice in [*_UNSERVED.items(), *_UNLOCKED.items()] if name in there), "")
    if "poetry" in pyproject.get("tool", {}) and not advice:
        advice = "Run poetry lock, and commit poetry.lock"
    elif listed:
        advice = f"Its list of dependencies is made by a program. Run {_COMPILE.format('pyproject.toml')}"
    looked = ", ".join([*REQUIREMENTS, "dependencies in pyproject.toml"])
    raise ReleaseError(
        f"fastapi_source is {source}, and nothing in it that can be served says what the app needs (looked for "
        f"{looked}). {advice or 'Write a requirements.txt with the packages that the app imports, at least fastapi'}. "
        "Or name the file in fastapi_requirements."
    )


def _further_down(source: str) -> list[str]:
    """Requirements files in directories of the source, those for hosts first."""
    found = []
    for directory, inner, files in os.walk(source):
        below = os.path.relpath(directory, source)
        kept = [name for name in inner if not name.startswith(".") and name not in _ASIDE]
        inner[:] = kept if below.count(os.sep) < 1 else []
        found += [os.path.normpath(os.path.join(below, name)) for name in files]
    listed = [path for path in found if _LIST.search(path)]
    return sorted(listed, key=lambda path: ("prod" not in path, path.count(os.sep), len(path), path))


def workspace_lock(source: str, top: str) -> str:
    """A uv.lock above `source` in which its project is, '' where there is none."""
    name = canonicalize_name(str(project_of(load_project(source)).get("name", "")))
    directory = os.path.normpath(source)
    while top and directory not in (os.path.normpath(top), os.sep):
        directory = os.path.dirname(directory)
        if any(package.get("name") == name for package in load(directory, "uv.lock").get("package", [])):
            return os.path.relpath(os.path.join(directory, "uv.lock"), source)
    return ""


def read(source: str, name: str, export: Export | None, wanted: Sequence[str] = ()) -> Requirements:
    """Read the file `name` below `source`, whatever its format; raises with everything that can't be served.

    :param export: without it, of a uv.lock only what can be checked without uv.
    :param wanted: extras of the project that are to be installed too.
    """
    base = os.path.basename(name)
    if base == "uv.lock":
        return _read_uv(source, name, export, wanted)
    if base == "Pipfile.lock":
        extras.check(name, wanted, [])
        return locks.read_pipfile(source, name)
    if base in locks.TOOLS:
        beside = load(source, os.path.join(os.path.dirname(name), "pyproject.toml"))
        return locks.read(name, beside, load(source, name), wanted)
    if wrong := _UNSERVED.get(base) or _UNLOCKED.get(base):
        raise ReleaseError(f"fastapi_requirements is {name}, which isn't read here. {wrong}.")
    if base == "pyproject.toml":
        return _read_pyproject(load(source, name), name, wanted)
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", base):
        return pylock.read(load(source, name), name, wanted)
    return _read_requirements(source, name, wanted)


def _read_requirements(source: str, name: str, wanted: Sequence[str]) -> Requirements:
    """A requirements.txt; a line for the project itself, as `-e .[prod]`, stands for what that needs."""
    found = requirements.read(source, name)
    if found.own is None:
        extras.check(name, wanted, [])
        return found
    head = f"fastapi_requirements is {name}, whose line . stands for the project, and"
    try:
        pyproject = load(source, "pyproject.toml")
    except ReleaseError as error:
        raise ReleaseError(f"{head} {error}") from None
    project, wanted = project_of(pyproject), [*found.own, *wanted]
    if not project or "dependencies" in project.get("dynamic", []):
        raise ReleaseError(
            f"{head} pyproject.toml has no [project] with a list of dependencies. Write that, or name the packages in "
            f"{name} in place of that line."
        )
    extras.check(name, wanted, extras.of_project(pyproject))
    _add_project(found, pyproject, "pyproject.toml", wanted)
    return requirements.whole(found, name)


def names(source: str, name: str, listed: Requirements) -> set[str]:
    """Names of the packages that the app needs, as far as its requirements file tells them; its own isn't among them.

    :param listed: what `read` has read of that file.
    """
    # Which of a uv.lock's packages counts only uv says.
    lock = load(source, name).get("package", []) if os.path.basename(name) == "uv.lock" else []
    found: set[str] = {canonicalize_name(package.get("name", "")) for package in lock}
    found |= {canonicalize_name(Requirement(line).name) for line in (*listed.lines, *listed.constraints)}
    found |= {canonicalize_name(tree.name) for tree in listed.trees if tree.name}
    return found - {canonicalize_name(str(project_of(load_project(source)).get("name", "")))}


def load(source: str, name: str) -> dict[str, Any]:
    """The TOML of a file below `source`; {} where there is none."""
    try:
        with open(os.path.join(source, name), "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{name} in fastapi_source ({source}) can't be read: {error}") from error


def load_project(source: str) -> dict[str, Any]:
    """pyproject.toml at the top of `source`; {} for none, and for one with a mistake that the app doesn't depend on.

    pip never reads it beside a requirements.txt, so a mistake in a formatter's settings may have been there for years.
    """
    try:
        return load(source, "pyproject.toml")
    except ReleaseError as error:
        text = read_text(os.path.join(source, "pyproject.toml"))
        listed = any(name.endswith(".txt") and os.path.isfile(os.path.join(source, name)) for name in REQUIREMENTS)
        if listed and not _TOLD.search(text):
            return {}
        at, lines = re.search(r"line (\d+)", str(error)), text.split("\n")
        if not at or int(at[1]) > len(lines):
            raise
        raise ReleaseError(f"{error}: {mask(lines[int(at[1]) - 1].strip()[:100])}") from error


def project_of(pyproject: dict[str, Any]) -> dict[str, Any]:
    project = pyproject.get("project")
    return project if isinstance(project, dict) else {}


def poetry_dependencies(pyproject: dict[str, Any]) -> dict[str, Any]:
    """Poetry's own table of what the app needs, Python among it."""
    found: Any = pyproject
    for name in ("tool", "poetry", "dependencies"):
        found = found.get(name) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def has_dependencies(pyproject: dict[str, Any]) -> bool:
    """Whether a pyproject.toml says what the app needs; many hold the settings of tools alone."""
    project = project_of(pyproject)
    said = bool(project.get("dependencies")) or "dependencies" in project.get("dynamic", [])
    return said or is_poetrys(pyproject)


def is_poetrys(pyproject: dict[str, Any]) -> bool:
    """Whether Poetry's own table alone says what the app needs."""
    return not project_of(pyproject).get("dependencies") and bool(poetry_dependencies(pyproject).keys() - {"python"})


def _read_uv(source: str, name: str, export: Export | None, wanted: Sequence[str]) -> Requirements:
    found = Requirements()
    # A lock above the source is its workspace's, which has the project by its name.
    directory = "" if name.startswith("../") else os.path.dirname(name)
    beside = os.path.join(directory, "pyproject.toml")
    pyproject = load(source, beside)
    workspace = pyproject.get("tool", {}).get("uv", {}).get("workspace", {})
    if not project_of(pyproject) and workspace:
        member = str((workspace.get("members") or ["backend"])[0]).replace("*", "NAME")
        raise ReleaseError(
            f"fastapi_requirements is {name}, the lock of a workspace whose projects are in directories below it "
            f"({', '.join(map(str, workspace.get('members', [])))}), and one project is served. Write "
            f"fastapi_source_directory: {member}, or whichever is the app's; {name} then holds for it."
        )
    if not project_of(pyproject):
        raise ReleaseError(
            f"fastapi_requirements is {name}, and there is no {beside} with a [project] beside it. uv needs both."
        )
    extras.check(name, wanted, extras.of_project(pyproject))
    if stale := locks.stale_names(project_of(pyproject), load(source, name), wanted):
        raise ReleaseError(
            f"fastapi_requirements is {name}, which was made from another {beside}: {', '.join(stale)} in that "
            "differs. Run uv lock, and commit both."
        )
    if export is not None:
        exported = export(os.path.join(source, directory))
        above = os.path.dirname(name)
        requirements.read_lines(found, source, name, exported, base=above)
        named = {
            os.path.normpath(os.path.join(above, str(path))): package["name"]
            for package in load(source, name).get("package", [])
            for kind, path in package.get("source", {}).items()
            if kind in ("editable", "directory", "virtual")
        }
        found.trees = [replace(tree, name=named.get(tree.path, tree.name)) for tree in found.trees]
        # The lines are those of the export, which nobody sees.
        found.problems = [re.sub(r", line \d+, ", ", ", problem) for problem in found.problems]
    return requirements.whole(found, name)


def _read_pyproject(pyproject: dict[str, Any], name: str, wanted: Sequence[str]) -> Requirements:
    """The dependencies of [project], or Poetry's: ranges, which are resolved when wheels are collected."""
    found = Requirements()
    project = project_of(pyproject)
    extras.check(name, wanted, extras.of_project(pyproject))
    if is_poetrys(pyproject):
        wrong: list[str] = []
        for line in locks.direct(pyproject, wanted, wrong):
            if problem := requirements.add(found, line):
                wrong.append(f"{mask(line)[:100]}: {problem}")
        found.problems += [f"{name}, {each}" for each in wrong]
        return requirements.whole(found, name)
    if not project.get("dependencies") or "dependencies" in project.get("dynamic", []):
        raise ReleaseError(
            f"fastapi_requirements is {name}, whose [project] has no list of dependencies. Write them there, or name "
            "another file."
        )
    _add_project(found, pyproject, name, wanted)
    return requirements.whole(found, name)


def _add_project(found: Requirements, pyproject: dict[str, Any], name: str, wanted: Sequence[str]) -> None:
    sources = pyproject.get("tool", {}).get("uv", {}).get("sources", {})
    sources = {canonicalize_name(key): value for key, value in sources.items()}
    for line in [*project_of(pyproject).get("dependencies", []), *extras.lines_of(pyproject, wanted)]:
        origin = sources.get(_name(line), {})
        elsewhere = {"git", "path", "url", "workspace"} & set(origin if isinstance(origin, dict) else {})
        if elsewhere == {"path"} and not re.search(r"\.(whl|tar\.gz|zip)$", str(origin["path"])):
            found.trees.append(at_path(line, str(origin["path"])))
            continue
        problem = requirements.add(found, line)
        if elsewhere and not problem:
            problem = f"[tool.uv.sources] takes it from a {min(elsewhere)}, and an index has another package or none."
            problem += " Run uv lock, and commit uv.lock: it says which." if "workspace" in elsewhere else ""
        if problem:
            found.problems.append(f"{name}, {mask(line)[:100]}: {problem}")


def _name(line: str) -> str:
    return canonicalize_name(re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0])


def requires_python(source: str) -> str:
    """What pyproject.toml asks of the interpreter, '' where it asks nothing, or in a way that only Poetry reads."""
    table = load_project(source)
    asked = project_of(table).get("requires-python", "")
    return str(asked or _of_poetry(str(poetry_dependencies(table).get("python", ""))))


def _of_poetry(constraint: str) -> str:
    """Poetry's ^3.11, ~3.11 and 3.11.2 in the words of packaging; others are the same in both.

    One that names a single version is taken for its minor one: Debian's is that with years of fixes.
    """
    match = re.fullmatch(r"([\^~]?)\s*(\d+)(?:\.(\d+))?((?:\.\d+)?)", constraint.strip())
    if not match:
        return constraint if re.fullmatch(r"\s*([<>=!]=?\s*[\d.*]+\s*,?\s*)+", constraint) else ""
    sign, major, minor, patch = match[1], int(match[2]), match[3], match[4]
    version = f"{major}.{minor or 0}{patch}"
    if not sign:
        return f"=={major}.{minor}.*" if minor else f"=={major}.*"
    return f">={version},<{major + 1}" if sign == "^" or not minor else f">={version},<{major}.{int(minor) + 1}"
