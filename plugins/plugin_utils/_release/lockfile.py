# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what says what the app needs, and reads pylock.toml (PEP 751), uv.lock and pyproject.toml as requirements."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from typing import Any

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.text import mask
from . import requirements
from .packages import InvalidRequirement, Requirement, SpecifierSet, canonicalize_name, canonicalize_version
from .requirements import Requirements

Export = Callable[[str], str]
"""Gives what uv exports of the project in a directory, as a requirements.txt with hashes."""

REQUIREMENTS = (
    "requirements.txt",
    "requirements-prod.txt",
    "requirements-production.txt",
    "requirements/prod.txt",
    "requirements/production.txt",
    "pylock.toml",
    "uv.lock",
)
"""Names that are looked for where the task names none; then pyproject.toml, if it lists dependencies."""

_GROUP = re.compile(r"""(['"])(?P<name>[\w.-]+)\1\s+(?P<not>not\s+)?in\s+(?P<of>extras|dependency_groups)""")
_TRUE, _FALSE = "python_version >= '0'", "python_version < '0'"


def find_requirements(source: str, wanted: str) -> str:
    """Name of the requirements file below `source`; raises with what to write where there is none or more than one."""
    if wanted:
        name = os.path.normpath(wanted)
        if os.path.isabs(name) or name.startswith(".."):
            raise ReleaseError(f"fastapi_requirements is {wanted}: it has to be a path inside fastapi_source.")
        if not os.path.isfile(os.path.join(source, name)):
            raise ReleaseError(
                f"fastapi_requirements is {wanted}, and there is no such file in fastapi_source ({source})."
            )
        return name
    found = [name for name in REQUIREMENTS if os.path.isfile(os.path.join(source, name))]
    if len(found) == 1:
        return found[0]
    if found:
        raise ReleaseError(
            f"fastapi_source ({source}) has {' and '.join(found)}. Write fastapi_requirements: {found[0]}"
        )
    if has_dependencies(load(source, "pyproject.toml")):
        return "pyproject.toml"
    for origin, command in {
        "poetry.lock": "poetry export -o requirements.txt",
        "pdm.lock": "pdm export --prod -o requirements.txt",
        "Pipfile.lock": "pipenv requirements --hash > requirements.txt",
        "requirements.in": "uv pip compile --universal --generate-hashes requirements.in -o requirements.txt",
    }.items():
        if os.path.isfile(os.path.join(source, origin)):
            advice = f"Make one from its {origin}: {command}"
            break
    else:
        advice = "Write a requirements.txt with the packages that the app imports, at least fastapi"
    looked = ", ".join([*REQUIREMENTS, "dependencies in pyproject.toml"])
    raise ReleaseError(
        f"fastapi_source is {source}, and nothing in it says what the app needs (looked for {looked}). "
        f"{advice}. Or name the file in fastapi_requirements."
    )


def read(source: str, name: str, export: Export | None) -> Requirements:
    """Read the file `name` below `source`, whatever its format; raises with everything that can't be served.

    :param export: without it, of a uv.lock only what can be checked without uv.
    """
    base = os.path.basename(name)
    if base == "uv.lock":
        return _read_uv(source, name, export)
    if base == "pyproject.toml":
        return _read_pyproject(load(source, name), name)
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", base):
        return read_pylock(load(source, name), name)
    return requirements.read(source, name)


def load(source: str, name: str) -> dict[str, Any]:
    """The TOML of a file below `source`; {} where there is none."""
    try:
        with open(os.path.join(source, name), "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{name} in fastapi_source ({source}) can't be read: {error}") from error


def project_of(pyproject: dict[str, Any]) -> dict[str, Any]:
    project = pyproject.get("project")
    return project if isinstance(project, dict) else {}


def has_dependencies(pyproject: dict[str, Any]) -> bool:
    """Whether a pyproject.toml says what the app needs; many hold the settings of tools alone."""
    project = project_of(pyproject)
    return bool(project.get("dependencies")) or "dependencies" in project.get("dynamic", [])


def _read_uv(source: str, name: str, export: Export | None) -> Requirements:
    found = Requirements()
    beside = os.path.join(os.path.dirname(name), "pyproject.toml")
    pyproject = load(source, beside)
    if not project_of(pyproject):
        raise ReleaseError(
            f"fastapi_requirements is {name}, and there is no {beside} with a [project] beside it. uv needs both."
        )
    if stale := stale_names(project_of(pyproject), load(source, name)):
        raise ReleaseError(
            f"fastapi_requirements is {name}, which was made from another {beside}: {', '.join(stale)} in that "
            "differs. Run uv lock, and commit both."
        )
    if export is not None:
        requirements.read_lines(found, source, name, export(os.path.join(source, os.path.dirname(name))))
        # The lines are those of the export, which nobody sees.
        found.problems = [re.sub(r", line \d+, ", ", ", problem) for problem in found.problems]
    return requirements.whole(found, name)


def stale_names(project: dict[str, Any], lock: dict[str, Any]) -> list[str]:
    """Dependencies of the project that aren't in its lock as they are written, and those that the lock has besides."""
    own = canonicalize_name(str(project.get("name", "")))
    (package, *_none) = [p for p in lock.get("package", []) if p["name"] == own] or [{}]
    locked: dict[str, set[str]] = {}
    for item in package.get("metadata", {}).get("requires-dist", []):
        if "extra ==" not in item.get("marker", ""):
            # From a path, git or a URL there is no version to compare.
            there = "specifier" in item or item.keys() <= {"name", "marker", "extras", "index", "conflict"}
            locked.setdefault(item["name"], set()).add(_range(item.get("specifier", "")) if there else "*")
    if "dependencies" in project.get("dynamic", []):
        return []
    written: dict[str, set[str]] = {}
    for line in project.get("dependencies", []):
        try:
            parsed = Requirement(line)
        except InvalidRequirement:
            return [line]
        written.setdefault(canonicalize_name(parsed.name), set()).add(_range(str(parsed.specifier)))
    differing = written.keys() ^ locked.keys()
    differing |= {name for name in written.keys() & locked.keys() if locked[name] not in (written[name], {"*"})}
    return sorted(differing)


def _range(specifier: str) -> str:
    return ",".join(sorted(str(part) for part in SpecifierSet(specifier)))


def _read_pyproject(pyproject: dict[str, Any], name: str) -> Requirements:
    """The dependencies of [project]: ranges, which are resolved when wheels are collected."""
    found = Requirements()
    project = project_of(pyproject)
    if not project.get("dependencies") or "dependencies" in project.get("dynamic", []):
        raise ReleaseError(
            f"fastapi_requirements is {name}, whose [project] has no list of dependencies. Write them there, or name "
            "another file."
        )
    sources = pyproject.get("tool", {}).get("uv", {}).get("sources", {})
    sources = {canonicalize_name(key): value for key, value in sources.items()}
    for line in project["dependencies"]:
        problem = requirements.add(found, line)
        elsewhere = {"git", "path", "url", "workspace"} & set(sources.get(_name(line), {}))
        if elsewhere and not problem:
            problem = f"[tool.uv.sources] takes it from a {min(elsewhere)}, and an index has another package or none."
        if problem:
            found.problems.append(f"{name}, {mask(line)[:100]}: {problem}")
    return requirements.whole(found, name)


def _name(line: str) -> str:
    return canonicalize_name(re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0])


def read_pylock(lock: dict[str, Any], name: str) -> Requirements:
    """The packages of a lock as exact versions, each with the hashes of its files. Where it says they are isn't read:
    the index settings decide that, and the hashes that it is the same file."""
    found = Requirements()
    version = str(lock.get("lock-version", ""))
    if version.partition(".")[0] != "1":
        raise ReleaseError(
            f"fastapi_requirements is {name}, whose lock-version is {version!r}, and 1.0 is what is known here. Make "
            "it with a tool that writes that."
        )
    for package in lock.get("packages", []):
        # A tool may list the app itself, whose source is shipped.
        if package.get("directory", {}).get("path") == ".":
            continue
        problem = _add_package(found, package, lock.get("default-groups", []))
        if problem:
            found.problems.append(f"{name}, {package['name']}: {problem}")
    return requirements.whole(found, name)


def _add_package(found: Requirements, package: dict[str, Any], groups: list[str]) -> str:
    for kind, text in {
        "vcs": "it is fetched from version control",
        "directory": "it is a directory of whoever made the lock",
        "archive": "it is a URL or a path of its own",
    }.items():
        if kind in package:
            return f"{text}, and has no wheel on an index. Build its wheel, and give its directory by --find-links."
    if "version" not in package:
        return "it has no version."
    files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
    hashes = {str(file["hashes"]["sha256"]).lower() for file in files if "sha256" in file.get("hashes", {})}
    if not hashes:
        return "it has no file with a sha256."
    marker = package.get("marker", "")
    line = f"{package['name']}=={package['version']}" + (f" ; {decide_groups(marker, groups)}" if marker else "")
    if problem := requirements.add(found, line):
        return problem
    key = (canonicalize_name(package["name"]), canonicalize_version(package["version"]))
    found.hashes.setdefault(key, set()).update(hashes)
    return ""


def decide_groups(marker: str, groups: list[str]) -> str:
    """A marker without what only locks know: no extra is installed, and of the groups those that the lock names."""

    def decided(match: re.Match[str]) -> str:
        inside = match["of"] == "dependency_groups" and match["name"] in groups
        return _TRUE if inside != bool(match["not"]) else _FALSE

    return _GROUP.sub(decided, marker)


def requires_python(source: str) -> str:
    """What pyproject.toml asks of the interpreter, '' where it asks nothing."""
    return str(project_of(load(source, "pyproject.toml")).get("requires-python", ""))
