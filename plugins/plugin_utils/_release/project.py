# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The app's own project, where it is a package: what installing it in place adds to its environment.

That is what an editable install leaves: metadata, entry points, commands, and a .pth that leads to its code in the
release. None of it holds a path of the host, and none of the project's code is run to make it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ...module_utils._app.releases import ReleaseError
from . import lockfile, pyproject
from .packages import canonicalize_name, canonicalize_version
from .requirements import Requirements, named

# Backends that compile, by their first part.
_COMPILERS = ("maturin", "scikit_build_core", "skbuild", "mesonpy", "sipbuild", "py_build_cmake")
_EXTENSION = re.compile(r"ext_modules|rust_extensions|cffi_modules|cythonize|\bExtension\(")
_ORDER = """\
import os, sys; real = os.path.realpath; top = os.path.dirname(real(sys.prefix)); \
real(os.path.dirname(sys.argv[0])) == f"{top}/.venv/bin" and sys.path.sort(key=lambda path, top=top: \
f"{path}/".startswith(f"{top}/") and not path.startswith(f"{top}/.venv/"))
"""
"""For commands, which have the release on PYTHONPATH: to a package's program the source comes last, as at home, where
it comes not at all or by an editable install. A directory alembic/ of it would be what `alembic` imports. `python` as
such has its own order."""
# As uv writes a script that may be moved with its environment.
_SCRIPT = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/python "$0" "$@"
' '''
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({function}())
"""


@dataclass(frozen=True)
class Project:
    """A package that is to be installed in place.

    :param name: as it is written.
    :param roots: directories of the source that its code is imported from; '' is the top.
    :param entry_points: by group, each with names and references.
    :param fields: what METADATA says besides name and version.
    """

    name: str
    version: str
    roots: list[str]
    entry_points: dict[str, dict[str, str]]
    fields: list[tuple[str, str]]

    @property
    def identity(self) -> list[object]:
        """What of it makes a release another one."""
        return [self.name, self.version, self.roots, self.entry_points, self.fields]

    def files(self, minor: str) -> dict[str, str]:
        """Text by path in the environment of a Python `minor`, such as '3.11'; those below ``bin`` are programs."""
        packages = f"lib/python{minor}/site-packages"
        escaped = canonicalize_name(self.name).replace("-", "_")
        info = f"{packages}/{escaped}-{self.version}.dist-info"
        lines = [("Metadata-Version", "2.1"), ("Name", self.name), ("Version", self.version), *self.fields]
        # A path in a .pth counts from the directory that it is in.
        paths = "".join(f"{os.path.normpath(f'../../../../{root}')}\n" for root in self.roots)
        made = {
            f"{info}/METADATA": "".join(f"{name}: {' '.join(value.split())}\n" for name, value in lines),
            f"{info}/INSTALLER": "graceful.deploy\n",
            f"{packages}/{escaped}.pth": paths,
        }
        if self.entry_points:
            groups = [
                f"[{group}]\n" + "".join(f"{name} = {reference}\n" for name, reference in sorted(entries.items()))
                for group, entries in sorted(self.entry_points.items())
            ]
            made[f"{info}/entry_points.txt"] = "\n".join(groups)
        for group in ("console_scripts", "gui_scripts"):
            for name, reference in self.entry_points.get(group, {}).items():
                if match := pyproject.REFERENCE.match(reference):
                    made[f"bin/{name}"] = _SCRIPT.format(**match.groupdict())
        record = [os.path.relpath(path, packages) for path in (*made, f"{info}/RECORD")]
        return {**made, f"{info}/RECORD": "".join(f"{path},,\n" for path in record)}


def added(project: Project | None, minor: str) -> dict[str, str]:
    """What a release has in its environment besides packages, as ``Project.files``."""
    return {f"lib/python{minor}/site-packages/graceful_order.pth": _ORDER, **(project.files(minor) if project else {})}


def tops(files: Collection[str]) -> list[str]:
    """The same in short, a directory of its own as one."""
    return sorted({re.sub(r"(\.dist-info)/.*", r"\1", path) for path in files})


def find(source: str, name: str, requirements: Requirements, paths: Collection[str]) -> Project | None:
    """The project at the top of the source, if it is a package.

    :param name: path of the requirements file, which tells what installs it.
    :param requirements: what that says. Where the project is among them, its wheel brings it.
    :param paths: of the source's files.
    :raises ReleaseError: where it would have to be compiled, or says something that nothing can be made of.
    """
    table = lockfile.load_project(source)
    try:
        return _found(source, table, name, requirements, paths)
    except (AttributeError, TypeError, IndexError) as error:
        raise ReleaseError(
            f"pyproject.toml in fastapi_source isn't one of a project that can be installed: {error}"
        ) from error


def _found(
    source: str, table: dict[str, Any], file: str, requirements: Requirements, paths: Collection[str]
) -> Project | None:
    name = pyproject.name(table)
    package = pyproject.is_package(table, file, requirements.own is not None)
    if not package or not name or canonicalize_name(name) in named(requirements.lines):
        return None
    _check_pure(source, table, paths)
    project = lockfile.project_of(table)
    roots = pyproject.roots(table, paths)
    found = Project(
        name,
        canonicalize_version(pyproject.version(source, table, roots), strip_trailing_zero=False),
        roots,
        pyproject.entry_points(table),
        [*pyproject.described(project or pyproject.poetry(table)), *pyproject.required(project)],
    )
    for what, value in (("name", name), ("version", found.version)):
        if not pyproject.NAME.fullmatch(value):
            raise ReleaseError(
                f"pyproject.toml in fastapi_source has the {what} {value!r}, which isn't one. Write another."
            )
    return found


def hint(source: str, name: str, requirements: Requirements, found: Project | None, asks: str) -> str:
    """A warning where the build of a package would know more than its pyproject.toml says; '' where it wouldn't.

    :param asks: what of the app asks for that.
    """
    table = lockfile.load_project(source)
    if not asks or not pyproject.is_package(table, name, requirements.own is not None):
        return ""
    if not pyproject.name(table):
        return (
            "pyproject.toml in fastapi_source has a [build-system] and no name: setup.py or setup.cfg has it, and "
            f"neither is read. {asks} finds no version and no command of the project. Write name, version and "
            "scripts into [project] if it needs one."
        )
    if found and found.version == pyproject.UNKNOWN:
        return (
            f"The version of {found.name} is made when it is built, as of git's tags, and it isn't built here: {asks} "
            f"finds {found.version}, and no file that the build writes. If that won't do, write version into [project] "
            "of pyproject.toml."
        )
    return ""


def _check_pure(source: str, table: dict[str, Any], paths: Collection[str]) -> None:
    """Raise where the project compiles code of its own; what was built in place is shipped with the source."""
    backend = str(table.get("build-system", {}).get("build-backend", "setuptools"))
    setuptools = table.get("tool", {}).get("setuptools", {})
    by = ""
    if backend.partition(".")[0] in _COMPILERS:
        by = f"build-backend {backend} in pyproject.toml"
    elif "ext-modules" in setuptools or "setuptools-rust" in table.get("tool", {}):
        by = "setuptools' extension modules in pyproject.toml"
    elif backend.startswith("setuptools") and _EXTENSION.search(pyproject.read(source, "setup.py")):
        by = "the extension modules in its setup.py"
    if by and not any(path.endswith(".so") for path in paths):
        raise ReleaseError(
            f"fastapi_source is a package that compiles code of its own ({by}), and that isn't done here. Build its "
            "wheel for the host (pip wheel --no-deps -w wheels .), and write a requirements.txt with "
            f"{pyproject.name(table)} and --find-links wheels in it, beside what else the app needs."
        )
