# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths that a Python file makes of constants and of its own place. Pure."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable

from .nodes import called, name, text


def constant_path(node: ast.expr, path: str, meaning: Callable[[str], str | None]) -> str | None:
    """The path that an expression makes, from the source's top; None where more than constants is needed.

    :param path: the file that the expression is in, from there too.
    :param meaning: the path that a name stands for.
    """

    def inner(part: ast.expr) -> str | None:
        return constant_path(part, path, meaning)

    def joined(parts: list[ast.expr]) -> str | None:
        paths = [inner(part) for part in parts]
        return None if None in paths else os.path.join("", *filter(None, paths))

    if (written := text(node)) is not None:
        return written
    if (known := name(node)) and (value := path if known == "__file__" else meaning(known)) is not None:
        return value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return joined([node.left, node.right])
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return _above(inner(node.value), 1)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
        number = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return _above(inner(node.value.value), number + 1) if isinstance(number, int) else None
    return _of_call(node, inner, joined) if isinstance(node, ast.Call) else None


def _of_call(
    node: ast.Call, inner: Callable[[ast.expr], str | None], joined: Callable[[list[ast.expr]], str | None]
) -> str | None:
    whole, last = name(node.func), called(node)
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute") and not node.args:
        return inner(node.func.value)
    if whole in ("Path.cwd", "pathlib.Path.cwd", "os.getcwd"):
        return ""
    if whole.endswith(("getenv", "environ.get")):
        # What it is where nobody has said anything else.
        return inner(node.args[1]) if len(node.args) == 2 else None
    if last == "Path" or whole.endswith("path.join"):
        return joined(node.args)
    if last in ("abspath", "realpath", "str", "Field") and node.args:
        return inner(node.args[0])
    return _above(inner(node.args[0]), 1) if last == "dirname" and node.args else None


def _above(path: str | None, steps: int) -> str | None:
    """A directory above; None for one out of the source."""
    parts = path.split("/") if path else []
    return "/".join(parts[:-steps]) if len(parts) >= steps else None
