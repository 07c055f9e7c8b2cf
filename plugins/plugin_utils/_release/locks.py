# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the locks of Poetry, PDM and Pipenv without those tools: the project says what it needs, and its lock the
versions. Of a uv.lock, which uv reads, it tells whether that is the project's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.text import mask
from . import extras, requirements, trees
from . import poetry as poetry_table
from .packages import InvalidRequirement, Requirement, SpecifierSet, canonicalize_name, canonicalize_version
from .requirements import Requirements

TOOLS = {"poetry.lock": "poetry lock", "pdm.lock": "pdm lock", "Pipfile.lock": "pipenv lock"}
"""What makes each lock anew."""


@dataclass(frozen=True)
class Locked:
    """One package of a lock.

    :param elsewhere: where it comes from if that is no index, in words.
    :param marker: where it counts; '' is everywhere.
    :param commit: of git, as URL@commit.
    :param path: of a directory, counted from the lock's.
    """

    name: str
    version: str
    hashes: set[str] = field(default_factory=set)
    elsewhere: str = ""
    marker: str = ""
    commit: str = ""
    path: str = ""


def read(name: str, pyproject: dict[str, Any], lock: dict[str, Any], wanted: Sequence[str] = ()) -> Requirements:
    """What the project needs, as lines, and the lock's versions as constraints with the hashes of their files.

    :param lock: content of the file `name`, of Poetry or PDM.
    :param wanted: extras of the project.
    :raises ReleaseError: with everything that can't be served, or where the lock isn't this project's.
    """
    extras.check(name, wanted, extras.of_project(pyproject))
    if not (lines := direct(pyproject, wanted)):
        raise ReleaseError(
            f"fastapi_requirements is {name}, and the pyproject.toml beside it lists no dependencies. Commit both."
        )
    poetry = os.path.basename(name) == "poetry.lock"
    packages = list(_poetry(lock, wanted) if poetry else _pdm(lock))
    return _joined(name, lines, packages)


def read_pipfile(source: str, name: str) -> Requirements:
    """The section `default` of a Pipfile.lock, which lists all that is needed."""
    try:
        with open(os.path.join(source, name), encoding="utf-8") as file:
            default = dict(json.load(file)["default"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"fastapi_requirements is {name}, which isn't a lock of Pipenv's: {error!r}.") from error
    packages = []
    for package, item in default.items():
        kind = next((kind for kind in ("git", "path", "file") if kind in item), "")
        digests = {text.removeprefix("sha256:") for text in item.get("hashes", []) if text.startswith("sha256:")}
        version = str(item.get("version", "")).lstrip("=")
        packages.append(Locked(canonicalize_name(package), version, digests, kind, str(item.get("markers", ""))))
    return _joined(name, [_line(package.name, [], package.marker) for package in packages], packages)


def direct(pyproject: dict[str, Any], wanted: Sequence[str] = (), problems: list[str] | None = None) -> list[str]:
    """What the project says that it needs, as requirements; of Poetry's own way of writing, without versions.

    :param wanted: extras that are to be installed too.
    :param problems: where there is no lock: then Poetry's are ranges, and what can't be one is added to these.
    """
    listed = list(pyproject.get("project", {}).get("dependencies", []))
    poetry = pyproject.get("tool", {}).get("poetry", {})
    chosen = {canonicalize_name(extra) for extra in wanted}
    of_extras = [names for extra, names in poetry.get("extras", {}).items() if canonicalize_name(extra) in chosen]
    optional = {canonicalize_name(name) for names in of_extras for name in names}
    lines = [*listed, *extras.lines_of(pyproject, wanted)]
    for name, entries in poetry.get("dependencies", {}).items():
        for entry in entries if isinstance(entries, list) else [entries]:
            table = entry if isinstance(entry, dict) else {}
            counts = canonicalize_name(name) in optional if table.get("optional") else not listed
            if name == "python" or not counts:
                continue
            if problems is None:
                lines.append(_line(name, table.get("extras", []), str(table.get("markers", ""))))
                continue
            said, marker, problem = poetry_table.specified(entry)
            problems += [f"{name}: {problem}"] if problem else []
            lines += [] if problem else [_line(name, table.get("extras", []), marker, said)]
    return lines


def _line(name: str, extras: list[str], marker: str, said: str = "") -> str:
    return name + (f"[{','.join(extras)}]" if extras else "") + said + (f" ; {marker}" if marker else "")


def _poetry(lock: dict[str, Any], wanted: Sequence[str]) -> Iterator[Locked]:
    for package in with_files(lock):
        origin = package.get("source", {})
        kind = str(origin.get("type", "legacy"))
        commit = f"{origin.get('url')}@{origin.get('resolved_reference')}" if kind == "git" else ""
        if commit and origin.get("subdirectory"):
            commit += f"#subdirectory={origin['subdirectory']}"
        marker = package.get("markers", "")
        marker = extras.decided(marker.get("main", "") if isinstance(marker, dict) else marker, wanted)
        elsewhere = kind if kind in ("git", "directory", "file", "url") else ""
        name, path = canonicalize_name(package["name"]), str(origin.get("url", "")) if kind == "directory" else ""
        yield Locked(name, package.get("version", ""), _digests(package), elsewhere, marker, commit, path)


def _pdm(lock: dict[str, Any]) -> Iterator[Locked]:
    for package in lock.get("package", []):
        elsewhere = next((kind for kind in ("git", "path", "url") if kind in package), "")
        name, marker = canonicalize_name(package["name"]), str(package.get("marker", ""))
        commit = f"{package['git']}@{package.get('revision')}" if elsewhere == "git" else ""
        path = str(package.get("path", ""))
        path = "" if path.endswith((".whl", ".gz", ".zip")) else path
        yield Locked(name, package.get("version", ""), _digests(package), elsewhere, marker, commit, path)


def with_files(lock: dict[str, Any]) -> list[dict[str, Any]]:
    """The packages of a lock, each with its files, which Poetry before 1.3 lists at the end for all."""
    apart = lock.get("metadata", {}).get("files", {})
    return [{"files": apart.get(package["name"], []), **package} for package in lock.get("package", [])]


def _digests(package: dict[str, Any]) -> set[str]:
    texts = [str(file.get("hash", "")) for file in package.get("files", [])]
    return {text.removeprefix("sha256:").lower() for text in texts if text.startswith("sha256:")}


def _joined(name: str, lines: list[str], packages: list[Locked]) -> Requirements:
    found = Requirements()
    versions: dict[str, dict[str, Locked]] = {}
    for package in packages:
        versions.setdefault(package.name, {})[package.version] = package
    for line in (_from_git(line, versions) for line in lines):
        if path := _path_of(line, versions):
            found.trees.append(trees.at_path(line, os.path.join(os.path.dirname(name), path)))
            continue
        if problem := _wrong(line, os.path.basename(name), versions) or requirements.add(found, line):
            found.problems.append(f"{name}, {mask(line)[:100]}: {problem}")
    for package in packages:
        if package.elsewhere:
            continue
        # Of several versions each counts where its marker says so.
        marker = f" ; {package.marker}" if len(versions[package.name]) > 1 and package.marker else ""
        constraint = f"{package.name}=={package.version}{marker}"
        if constraint not in found.constraints:
            found.constraints.append(constraint)
        key = (package.name, canonicalize_version(package.version))
        found.hashes.setdefault(key, set()).update(package.hashes)
    return requirements.whole(found, name)


def _from_git(line: str, versions: dict[str, dict[str, Locked]]) -> str:
    """The line with the commit that the lock names for it, where it names one."""
    match, package = trees.NAMED.match(line), _only(line, versions)
    if match is None or package is None:
        return line
    built = f"{match[1]}{match[2] or ''} @ git+{package.commit}" + (f" {match[3]}" if match[3] else "")
    return built if requirements.COMMIT.fullmatch(built) else line


def _path_of(line: str, versions: dict[str, dict[str, Locked]]) -> str:
    """The directory that the lock names for a line, '' where it names none."""
    package = _only(line, versions)
    return package.path if package else ""


def _only(line: str, versions: dict[str, dict[str, Locked]]) -> Locked | None:
    """What the lock has for a line, where that is one version."""
    match = trees.NAMED.match(line)
    locked = list(versions.get(canonicalize_name(match[1]), {}).values()) if match else []
    return locked[0] if len(locked) == 1 else None


def _wrong(line: str, lock: str, versions: dict[str, dict[str, Locked]]) -> str:
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        return ""
    if requirements.COMMIT.fullmatch(line):
        return ""
    there = versions.get(canonicalize_name(wanted.name), {})
    for package in there.values():
        if package.elsewhere:
            return (
                f"the lock takes it from a {package.elsewhere}, and an index has another package or none. Build its "
                "wheel (pip wheel), and name it and its directory (--find-links) in a requirements.txt."
            )
    if not any(wanted.specifier.contains(version, prereleases=True) for version in there):
        has = f"has {' and '.join(sorted(there))}" if there else "hasn't got it"
        return f"the lock {has}: it was made from another project. Run {TOOLS[lock]}, and commit both."
    return ""


def uv_pins(lock: dict[str, Any], project: str) -> list[str]:
    """What a uv.lock has for the project, without what is for development, as requirements. All extras of its packages
    count: it is for sentences, and no more."""
    packages: dict[str, dict[str, Any]] = {package.get("name", ""): package for package in lock.get("package", [])}
    found: dict[str, str] = {}
    waiting = [(canonicalize_name(project), "")]
    while waiting:
        name, marker = waiting.pop()
        package = packages.get(name, {})
        if name in found or not package:
            continue
        found[name] = "" if "registry" not in package.get("source", {}) else f"{name}=={package.get('version')}{marker}"
        of_extras = package.get("optional-dependencies", {}) if name != canonicalize_name(project) else {}
        for item in [*package.get("dependencies", []), *(one for its in of_extras.values() for one in its)]:
            waiting.append((item["name"], f" ; {item['marker']}" if item.get("marker") else marker))
    return [line for line in found.values() if line]


def stale_names(project: dict[str, Any], lock: dict[str, Any], wanted: Sequence[str] = ()) -> list[str]:
    """Dependencies of the project that aren't in its lock as they are written, and those that the lock has besides.

    :param wanted: extras that count too.
    """
    own = canonicalize_name(str(project.get("name", "")))
    (package, *_none) = [p for p in lock.get("package", []) if p["name"] == own] or [{}]
    locked: dict[str, set[str]] = {}
    for item in package.get("metadata", {}).get("requires-dist", []):
        marker = extras.decided(item.get("marker", ""), wanted)
        if extras.FALSE not in marker and item["name"] != own:
            # From a path, git or a URL there is no version to compare.
            there = "specifier" in item or item.keys() <= {"name", "marker", "extras", "index", "conflict"}
            locked.setdefault(item["name"], set()).add(_range(item.get("specifier", "")) if there else "*")
    if "dependencies" in project.get("dynamic", []):
        return []
    written: dict[str, set[str]] = {}
    for line in [*project.get("dependencies", []), *extras.lines_of({"project": project}, wanted)]:
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
