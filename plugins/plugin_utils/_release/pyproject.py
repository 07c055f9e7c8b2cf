# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pyproject.toml says of the package that its project is, by any of the usual tools and backends. Each function
takes its whole table."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from typing import Any

from ...module_utils._app.releases import ReleaseError
from ...module_utils._release.archive import is_safe_path
from . import lockfile

UNKNOWN = "0+unknown"
"""The version of a project that has it from its build, as from git's tags, and names no other for that case."""

NAME = re.compile(r"\w[\w.+!-]*", re.ASCII)
REFERENCE = re.compile(r"(?P<module>[A-Za-z_][\w.]*)\s*:\s*(?P<function>(?P<first>[A-Za-z_]\w*)[\w.]*)")
_VERSION = re.compile(r"""(?mi)^(?:__version__|version)\s*(?::\s*\w+\s*)?=\s*(['"])v?(?P<version>.+?)\1""")


def is_package(pyproject: dict[str, Any], requirements: str, itself: bool = False) -> bool:
    """Whether the tool that the requirements file belongs to would install the project itself. Pure.

    :param itself: whether that file names the project.
    """
    tool = pyproject.get("tool", {})
    settings = (("uv", "package"), ("poetry", "package-mode"), ("pdm", "distribution"))
    said = [bool(tool[name][key]) for name, key in settings if key in tool.get(name, {})]
    if said and not itself:
        return all(said)
    # uv asks for a [build-system]; Poetry and PDM install what says nothing, as pip does. A bare [project] is mostly a
    # list of dependencies: of those, what has commands or plugins is meant to be installed.
    base = os.path.basename(requirements)
    meant = lockfile.project_of(pyproject).keys() & {"scripts", "gui-scripts", "entry-points"}
    own = base == "pyproject.toml" and lockfile.is_poetrys(pyproject)
    asked = itself or own or base in ("poetry.lock", "pdm.lock") or (meant and base != "uv.lock")
    return "build-system" in pyproject or bool(name(pyproject) and asked)


def poetry(pyproject: dict[str, Any]) -> dict[str, Any]:
    table = pyproject.get("tool", {}).get("poetry", {})
    return table if isinstance(table, dict) else {}


def name(pyproject: dict[str, Any]) -> str:
    return str(lockfile.project_of(pyproject).get("name") or poetry(pyproject).get("name") or "")


def read(source: str, path: str) -> str:
    """The text of a file of the source; '' where there is none."""
    path = os.path.normpath(path)
    if not is_safe_path(path):
        return ""
    try:
        with open(os.path.join(source, path), encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""


def roots(pyproject: dict[str, Any], paths: Collection[str]) -> list[str]:
    """Where the project's code is, by what its backend is told, else by the usual layouts."""
    python = {path for path in paths if path.endswith(".py")}
    told = [os.path.normpath(root).removeprefix(".") for root in _told(pyproject)]
    there = [root for root in dict.fromkeys(told) if not root or any(path.startswith(f"{root}/") for path in python)]
    in_src = any(path.startswith("src/") for path in python) and "src/__init__.py" not in python
    return there or (["src"] if in_src else [""])


def _told(pyproject: dict[str, Any]) -> Iterator[str]:
    tool = pyproject.get("tool", {})
    setuptools = tool.get("setuptools", {})
    yield from filter(None, [setuptools.get("package-dir", {}).get("")])
    packages = setuptools.get("packages", {})
    if isinstance(packages, dict):
        yield from packages.get("find", {}).get("where", [])
    for item in poetry(pyproject).get("packages", []):
        yield item.get("from", "")
    hatch = tool.get("hatch", {}).get("build", {})
    for table in (hatch, hatch.get("targets", {}).get("wheel", {})):
        yield from map(os.path.dirname, table.get("packages", []))
        yield from table.get("sources", [])
    yield from filter(None, [tool.get("uv", {}).get("build-backend", {}).get("module-root")])
    yield from filter(None, [tool.get("pdm", {}).get("build", {}).get("package-dir")])


def version(source: str, pyproject: dict[str, Any], below: list[str]) -> str:
    """The version that is written, in pyproject.toml or where that says it is; UNKNOWN where a program makes it."""
    project, tool = lockfile.project_of(pyproject), pyproject.get("tool", {})
    if written := project.get("version") or poetry(pyproject).get("version"):
        return str(written)
    hatch, pdm = tool.get("hatch", {}).get("version", {}), tool.get("pdm", {}).get("version", {})
    dynamic = tool.get("setuptools", {}).get("dynamic", {}).get("version", {})
    backend = str(pyproject.get("build-system", {}).get("build-backend", ""))
    if "file" in dynamic:
        files = dynamic["file"]
        return read(source, files if isinstance(files, str) else files[0]).strip() or UNKNOWN
    places: list[str] = [str(table["path"]) for table in (hatch, pdm) if "path" in table]
    attribute = str(dynamic.get("attr", ""))
    module = attribute.rpartition(".")[0]
    if backend.startswith("flit"):
        module = str(tool.get("flit", {}).get("module", {}).get("name", project.get("name", "").replace("-", "_")))
    if module:
        stem = module.replace(".", "/")
        places += [os.path.join(root, f"{stem}{end}") for root in below for end in (".py", "/__init__.py")]
    variable = re.escape(attribute.rpartition(".")[2])
    patterns = [re.compile(rf"(?m)^{variable}\s*(?::\s*\w+\s*)?=\s*(['\"])(?P<version>.+?)\1")] if variable else []
    for place in places:
        for pattern in (*patterns, _VERSION):
            if match := pattern.search(read(source, place)):
                return str(match["version"])
    scm = [tool.get(name, {}) for name in ("setuptools_scm", "setuptools-scm")]
    fallbacks = [hatch.get("fallback-version"), hatch.get("raw-options", {}).get("fallback_version")]
    fallbacks += [pdm.get("fallback_version"), *(table.get("fallback_version") for table in scm)]
    return next((str(version) for version in fallbacks if version), UNKNOWN)


def entry_points(pyproject: dict[str, Any]) -> dict[str, dict[str, str]]:
    project, own = lockfile.project_of(pyproject), poetry(pyproject)
    found: dict[str, dict[str, str]] = {}

    def add(group: str, entries: dict[str, Any]) -> None:
        for name, value in entries.items():
            table = value if isinstance(value, dict) else {"reference": value}
            if table.get("type", "console") != "console":
                continue
            reference = str(table.get("reference") or table.get("callable"))
            if group.endswith("_scripts") and not (NAME.fullmatch(name) and REFERENCE.match(reference)):
                raise ReleaseError(
                    f"pyproject.toml in fastapi_source has the command {name} = {reference!r}, which isn't one. Write "
                    "it as name = 'module:function'."
                )
            found.setdefault(group, {})[name] = reference

    add("console_scripts", {**own.get("scripts", {}), **project.get("scripts", {})})
    add("gui_scripts", project.get("gui-scripts", {}))
    for group, entries in {**own.get("plugins", {}), **project.get("entry-points", {})}.items():
        add(group, entries)
    return found


def described(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if table.get("description"):
        yield "Summary", str(table["description"])
    for author in table.get("authors", []):
        text = author if isinstance(author, str) else str(author.get("name", ""))
        if isinstance(author, dict) and author.get("email"):
            text = f"{text} <{author['email']}>" if text else str(author["email"])
        yield ("Author-email" if "@" in text else "Author"), text


def required(project: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if project.get("requires-python"):
        yield "Requires-Python", str(project["requires-python"])
    for line in project.get("dependencies", []):
        yield "Requires-Dist", str(line)
    for extra, lines in project.get("optional-dependencies", {}).items():
        yield "Provides-Extra", str(extra)
        for line in lines:
            what, _semicolon, marker = (part.strip() for part in str(line).partition(";"))
            yield "Requires-Dist", f"{what} ; {f'({marker}) and ' if marker else ''}extra == '{extra}'"
