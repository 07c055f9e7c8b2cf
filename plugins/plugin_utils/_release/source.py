# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The app's source on the control node: which files are shipped, what they hash to, what is wrong with them."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ...module_utils._app.releases import RECORD, ReleaseError
from ...module_utils._host.files import sha256_of
from ...module_utils._release.common import FORMAT
from . import lockfile

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


@dataclass(frozen=True)
class Entry:
    """One file or symlink of the source.

    :param path: relative, with slashes.
    :param target: where a symlink points; empty for a file.
    """

    path: str
    executable: bool
    size: int
    sha256: str
    target: str = ""


def excluded(path: str, is_directory: bool, patterns: Iterable[str]) -> bool:
    """Whether a pattern names this path.

    A pattern without a slash is matched against the last part of the path, so at any depth; one with a slash inside or
    in front, against the path from the top; one that ends in a slash, against directories alone.
    """
    for pattern in patterns:
        if pattern.endswith("/") and not is_directory:
            continue
        plain = pattern.strip("/")
        subject = path if "/" in pattern.rstrip("/") else path.rpartition("/")[2]
        if fnmatch.fnmatchcase(subject, plain):
            return True
    return False


def scan(source: str, patterns: Iterable[str]) -> list[Entry]:
    """Every file and link that is shipped, sorted. Raises with every problem found."""
    problems: list[str] = []
    entries = list(_walk(source, "", list(patterns), problems))
    problems += [
        f"{entry.path}: the release keeps its own {entry.path} there. Rename it, or add it to fastapi_exclude."
        for entry in entries
        if entry.path in (RECORD, ".venv") or entry.path.startswith(".venv/")
    ]
    if problems:
        raise ReleaseError(f"fastapi_source is {source}, and can't be shipped:\n" + "\n".join(problems[:20]))
    return sorted(entries, key=lambda entry: os.fsencode(entry.path))


def _walk(source: str, below: str, patterns: list[str], problems: list[str]) -> Iterator[Entry]:
    top = os.path.realpath(source)
    with os.scandir(os.path.join(source, below)) as listing:
        for item in listing:
            path = f"{below}{item.name}"
            is_directory = item.is_dir(follow_symlinks=False)
            if excluded(path, is_directory, patterns):
                continue
            if item.is_symlink():
                target = os.readlink(item.path)
                real = os.path.realpath(item.path)
                if os.path.isabs(target) or (not real.startswith(top + os.sep) and real != top):
                    problems.append(f"{path} is a symlink to {target}, out of the source: it would point to nothing.")
                yield Entry(path, False, 0, "", target)
            elif is_directory:
                # A virtual environment by whatever name: it is made for this machine, not for the host.
                if not os.path.exists(os.path.join(item.path, "pyvenv.cfg")):
                    yield from _walk(source, path + "/", patterns, problems)
            elif item.is_file(follow_symlinks=False):
                try:
                    info = item.stat(follow_symlinks=False)
                    yield Entry(path, bool(info.st_mode & stat.S_IXUSR), info.st_size, sha256_of(item.path))
                except OSError as error:
                    problems.append(f"{path} can't be read: {error.strerror}.")
            else:
                problems.append(f"{path} is neither a file, a directory nor a symlink. Add it to fastapi_exclude.")


def release_id(entries: Iterable[Entry], header: dict[str, object]) -> tuple[str, str]:
    """The id and the whole digest: of the files and of `header`, which holds what else makes a release another one."""
    digest = hashlib.sha256(json.dumps({"format": FORMAT, **header}, sort_keys=True).encode())
    for entry in entries:
        fields = [
            os.fsencode(entry.path),
            b"x" if entry.executable else b"-",
            entry.sha256.encode(),
            os.fsencode(entry.target),
        ]
        digest.update(b"\0".join([b"", *fields, b"\n"]))
    whole = digest.hexdigest()
    return whole[:12], whole


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
    if lockfile.has_dependencies(lockfile.load(source, "pyproject.toml")):
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


def check_app(entries: Iterable[Entry], app: str) -> None:
    """Raise where the app's top package is in the source and its module isn't. Else it may be an installed one."""
    module = app.partition(":")[0]
    path, paths = module.replace(".", "/"), {entry.path for entry in entries}
    package = path.partition("/")[0]
    there = any(p in paths for p in (f"{path}.py", f"{path}/__init__.py")) or any(
        p.startswith(path + ".") for p in paths
    )
    if not there and any(p.startswith(package + "/") and p.endswith(".py") for p in paths):
        near = sorted(p for p in paths if p.startswith(path.rpartition("/")[0]) and p.endswith(".py"))[:5]
        raise ReleaseError(
            f"fastapi_app is {app}, and fastapi_source has {package}/ but no {path}.py. It has {', '.join(near)}."
        )


def requires_python(source: str) -> str:
    """What pyproject.toml asks of the interpreter, '' where it asks nothing."""
    return str(lockfile.project_of(lockfile.load(source, "pyproject.toml")).get("requires-python", ""))


def check_python(wanted: str, version: str) -> None:
    try:
        fits = not wanted or SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier:
        raise ReleaseError(f"requires-python in pyproject.toml is {wanted!r}, which isn't a version range.") from None
    if not fits:
        raise ReleaseError(
            f"The app needs Python {wanted} (requires-python in its pyproject.toml), and the host's is {version}. "
            "Set fastapi_python to one that fits, or widen requires-python if the app runs there."
        )
