# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The extras of a project: what it needs besides, where somebody asks for it by name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ...module_utils._app.releases import ReleaseError
from .packages import InvalidRequirement, Requirement, canonicalize_name
from .requirements import PINS, named

TRUE, FALSE = "python_version >= '0'", "python_version < '0'"
"""Markers that hold everywhere and nowhere."""

_EXTRA = re.compile(r"""extra\s*(?P<sign>==|!=)\s*(['"])(?P<name>[\w.-]+)\2""")
_FOR_HOSTS = ("prod", "production", "deploy", "deployment", "server", "serve", "web", "api")
"""What extras are called that a host needs."""


def of_project(pyproject: dict[str, Any]) -> list[str]:
    """The names of a project's extras."""
    project, poetry = pyproject.get("project", {}), pyproject.get("tool", {}).get("poetry", {})
    return [*dict.fromkeys([*project.get("optional-dependencies", {}), *poetry.get("extras", {})])]


def check(name: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raise where an extra is asked for that there isn't.

    :param name: of the requirements file.
    """
    known = {canonicalize_name(extra) for extra in there}
    unknown = [extra for extra in wanted if canonicalize_name(extra) not in known]
    if not unknown:
        return
    head = f"fastapi_extras is {list(wanted)!r}, and fastapi_requirements is {name}, "
    if not there:
        raise ReleaseError(f"{head}which has no extras. Take fastapi_extras out, and name there what it was to bring.")
    raise ReleaseError(f"{head}whose project has no extra {unknown[0]}. It has {', '.join(sorted(there))}.")


def lines_of(pyproject: dict[str, Any], wanted: Iterable[str]) -> list[str]:
    """What the extras of [project] list; one that names another of the same project brings that too."""
    project = pyproject.get("project", {})
    tables = {canonicalize_name(name): lines for name, lines in project.get("optional-dependencies", {}).items()}
    own = canonicalize_name(str(project.get("name", "")))
    left, seen, found = [canonicalize_name(extra) for extra in wanted], set(), []
    while left:
        if (extra := left.pop(0)) in seen:
            continue
        seen.add(extra)
        for line in tables.get(extra, []):
            try:
                parsed = Requirement(line)
            except InvalidRequirement:
                parsed = None
            if parsed and canonicalize_name(parsed.name) == own:
                left += [canonicalize_name(inner) for inner in parsed.extras]
            else:
                found.append(line)
    return found


def decided(marker: str, wanted: Iterable[str]) -> str:
    """A lock's marker without its questions for extras, answered."""
    names = {canonicalize_name(extra) for extra in wanted}

    def answer(match: re.Match[str]) -> str:
        return TRUE if (canonicalize_name(match["name"]) in names) == (match["sign"] == "==") else FALSE

    return _EXTRA.sub(answer, marker)


def hint(pyproject: dict[str, Any], wanted: Sequence[str], lines: Iterable[str]) -> str:
    """A warning where an extra is called as what a host needs, none is asked for, and it would bring something.

    :param lines: what is asked for without it.
    """
    if wanted:
        return ""
    has = {*PINS, *named(lines)}
    for extra in of_project(pyproject):
        if canonicalize_name(extra) in _FOR_HOSTS:
            names = {re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0] for line in lines_of(pyproject, [extra])}
            names |= set(pyproject.get("tool", {}).get("poetry", {}).get("extras", {}).get(extra, []))
            if brought := sorted(name for name in names if canonicalize_name(name) not in has):
                return (
                    f"pyproject.toml has an extra {extra} ({', '.join(brought[:5])}), and fastapi_extras asks for no "
                    f"extra, so it isn't installed. If the app needs it, write fastapi_extras: [{extra}]"
                )
    return ""
