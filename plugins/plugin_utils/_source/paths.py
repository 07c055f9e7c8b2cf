# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths that a Python file makes of constants and of its own place. Pure."""

from __future__ import annotations

import ast
import itertools
import os
import re
from collections.abc import Callable, Iterable

from .nodes import called, keyword, name, text, walk

SQLITE = re.compile(r"sqlite(?:\+\w+)?:///?(?!/|:memory:|file:)([^\s?]+)(?:\?\S*)?")
"""The URL of a database of SQLite's below the working directory."""
DATABASE = re.compile(r"\.(db|sqlite)\d?$")
"""How the files of such are called."""
_FILES = {
    "sqlite3.connect": "database",
    "aiosqlite.connect": "database",
    "SqliteDatabase": "database",
    "TinyDB": "path",
    "FileHandler": "filename",
    "RotatingFileHandler": "filename",
    "TimedRotatingFileHandler": "filename",
    "WatchedFileHandler": "filename",
    "logger.add": "sink",
    "shelve.open": "filename",
}
"""Calls that write to a file, with what they call its path."""
_SAVES = ("save", "savefig", "imwrite", "to_csv", "to_excel", "to_json", "to_parquet")


def written_file(call: ast.Call, meant: Callable[[str], str]) -> ast.expr | None:
    """The path of the file that a call writes to; None for any other call.

    :param meant: whom a name stands for, as 'module:name'.
    """
    whole = meant(name(call.func)).replace(":", ".") if name(call.func) else ""
    last = called(call) or getattr(call.func, "attr", "")
    first = call.args[0] if call.args else None
    for known, parameter in _FILES.items():
        if whole == known or whole.endswith(f".{known}"):
            return first or keyword(call, parameter)
    if last in _SAVES:
        return first
    if last == "basicConfig":
        return keyword(call, "filename")
    if last in ("write_text", "write_bytes", "touch") and isinstance(call.func, ast.Attribute):
        return call.func.value
    if last == "open":
        # Of a function the second, and of a path's method the first.
        function = isinstance(call.func, ast.Name) or whole in ("aiofiles.open", "io.open")
        place = 1 if function else 0
        mode = text(call.args[place] if len(call.args) > place else keyword(call, "mode"))
        if mode and set(mode) & set("wax+") and set(mode) <= set("rwaxbt+"):
            return (first or keyword(call, "file")) if function else getattr(call.func, "value", None)
    return None


def configured_file(node: ast.Dict | ast.Call) -> ast.expr | None:
    """The path of the file that a dictionary or a call names beside what writes to it: a driver or a log's handler."""
    pairs: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in getattr(node, "keywords", ())}
    if isinstance(node, ast.Dict):
        pairs = {text(key): value for key, value in zip(node.keys, node.values, strict=True)}
    driver = pairs.get("drivername") or (node.args[0] if isinstance(node, ast.Call) and node.args else None)
    if "database" in pairs and (text(driver) or "").startswith("sqlite"):
        return pairs["database"]
    return pairs.get("filename") if "Handler" in (text(pairs.get("class")) or "") else None


def constant_directory(
    node: ast.expr, path: Callable[[ast.expr], str | None], meaning: Callable[[str], ast.expr | None], steps: int = 8
) -> str | None:
    """The directory of constants in which a path of more than constants lies; None where there is none.

    :param path: the path that an expression of constants makes.
    :param meaning: what a name stands for.
    """

    def again(part: ast.expr | None) -> str | None:
        return constant_directory(part, path, meaning, steps - 1) if part is not None and steps else None

    if known := name(node):
        return again(meaning(known))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return again(node.left) if (whole := path(node.left)) is None else whole
    if isinstance(node, (ast.JoinedStr, ast.BinOp)):
        said = ""
        for piece in node.values if isinstance(node, ast.JoinedStr) else (node.left, node.right):
            if (part := path(piece)) is None:
                break
            said += part or "."
        return said.rpartition("/")[0] or None
    if isinstance(node, ast.Call) and (called(node) == "Path" or name(node.func).endswith("path.join")):
        parts = list(itertools.takewhile(lambda part: part is not None, map(path, node.args)))
        return os.path.join("", *filter(None, parts)) if parts else again(node.args[0] if node.args else None)
    return again(node.args[0]) if isinstance(node, ast.Call) and called(node) == "str" and node.args else None


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
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)):
        pieces = node.values if isinstance(node, ast.JoinedStr) else [node.left, node.right]
        # The top itself is no text, and what comes after it may begin with a slash.
        texts = [inner(piece) if (written := text(piece)) is None else written for piece in pieces]
        return None if None in texts else "".join(map(str, (each or "." for each in texts)))
    if isinstance(node, ast.FormattedValue):
        return inner(node.value)
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        # What it is where nobody has said anything else.
        return inner(node.values[-1])
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
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute", "as_posix") and not node.args:
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


def own_attributes(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """What `self.path` stands for, by that name: where it is said once, and of an argument its default."""
    found: dict[str, list[ast.expr]] = {}
    for function in nodes:
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        given = function.args
        pairs = [*zip(reversed(given.args), reversed(given.defaults), strict=False)]
        pairs += [(arg, default) for arg, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default]
        defaults = {arg.arg: default for arg, default in pairs}
        for node in walk(function):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            if isinstance(target, ast.Attribute) and name(target).startswith("self.") and value is not None:
                found.setdefault(name(target), []).append(_by_default(value, defaults))
    return {attribute: values[0] for attribute, values in found.items() if len(values) == 1}


def _by_default(value: ast.expr, defaults: dict[str, ast.expr]) -> ast.expr:
    """An argument's default; of `Path(argument)` too."""
    if isinstance(value, ast.Call) and called(value) in ("Path", "str") and len(value.args) == 1:
        return _by_default(value.args[0], defaults)
    return defaults.get(value.id, value) if isinstance(value, ast.Name) else value
