# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small questions to Python's syntax tree. Pure."""

from __future__ import annotations

import ast
import functools
import warnings
from collections import deque
from collections.abc import Iterator


@functools.lru_cache(1000)
def parsed(content: bytes) -> ast.Module:
    """A file's tree, which nobody may change: several look at the same source in one task. What Python warns of in it,
    such as an escape that is none, is for its author.

    :raises SyntaxError: and ValueError, RecursionError, MemoryError, where it is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(content)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """What ast.walk finds, in its order and in half its time, but for whether a name is read or written: that is in its
    `ctx`. Of a large source this is most of what reading it takes."""
    found = deque([node])
    while found:
        each = found.popleft()
        yield each
        for field in each._fields:
            value = getattr(each, field, None)
            if isinstance(value, list):
                found.extend(item for item in value if isinstance(item, ast.AST))
            elif isinstance(value, ast.AST) and field != "ctx":
                found.append(value)


def text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def called(node: ast.expr | None) -> str:
    """The last part of the name that is called; '' for what is no call."""
    return name(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def name(node: ast.expr | None) -> str:
    """A dotted name, as 'router' or 'users.router'; '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := name(node.value)):
        return f"{before}.{node.attr}"
    return ""


def keyword(call: ast.Call, wanted: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == wanted), None)
