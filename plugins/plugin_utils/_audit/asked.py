# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a function asks a database, by the names of what it uses. Pure."""

from __future__ import annotations

import ast
import re

from .._source.nodes import name
from .names import Files

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_DATABASES = frozenset("conn connection database db engine pool session sessionmaker".split())
# What only makes one ready counts as much as a question: it connects for that.
_ASKS = frozenset(
    "acquire begin connect connection cursor exec execute fetch fetchone fetchrow fetchval query scalar scalars "
    "session sessionmaker".split()
)
# A client's session with another server, and a browser's with this one.
_NONE = re.compile(r"(aiohttp|fastapi|httpx|requests|starlette)\.|request\.session")


def asks_database(files: Files, path: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """By which name it asks, itself or by what it depends on; '' where it shows nothing of that."""
    given = function.args
    takes: list[ast.expr] = [
        each.annotation for each in (*given.posonlyargs, *given.args, *given.kwonlyargs) if each.annotation
    ]
    takes += [each for each in (*given.defaults, *given.kw_defaults) if each]
    for part in (part for each in takes for part in ast.walk(each)):
        # Depends(get_db), Annotated[Session, ...], or a name that somebody has given that, such as SessionDep.
        if isinstance(part, (ast.Name, ast.Attribute)) and _is_one(files.full(path, part), name(part)):
            return name(part)
    for part in (part for statement in function.body for part in ast.walk(statement)):
        if not isinstance(part, ast.Call):
            continue
        called = _dotted(part.func)
        before, _dot, last = called.rpartition(".")
        asks = last.lower() in _ASKS and (_is_one(called, before) or _is_one(called, last)) if before else False
        if asks or (not before and _is_one(files.full(path, part.func), called)):
            return f"{called}()"
    return ""


def _dotted(node: ast.expr) -> str:
    """A whole dotted name; what is called on the way counts by its own name, as in `engine.connect().execute`."""
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
        return f"{_dotted(node.value)}.{node.attr}"
    return name(node)


def _is_one(full: str, shown: str) -> bool:
    """Whether a name is a database's, by its words.

    :param full: what it stands for; `shown` what the source calls it.
    """
    return not _NONE.search(full) and bool({word.lower() for word in _WORD.findall(shown)} & _DATABASES)
