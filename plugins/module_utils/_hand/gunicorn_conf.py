# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads Gunicorn's configuration file by its syntax tree; nothing of it is run. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One statement of the file that may set something.

    :param name: what it assigns to; '' for another statement.
    :param told: what it is, without its values: any may be a secret.
    :param known: whether its value is, which only running the file would tell else.
    """

    name: str
    line: int
    told: str
    value: object = None
    known: bool = False


class _Unknown(Exception):
    pass


def statements(text: str, environment: Mapping[str, str] | None = None, cpus: int = 0) -> Iterator[Statement]:
    """All of a file's top but imports and comments.

    :param environment: and `cpus`: what the file may ask for; None and 0 where what it asks for isn't known.
    :raises SyntaxError: and ValueError, MemoryError, RecursionError: where it is no Python that can be read.
    """
    names: dict[str, object] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        target = node.target if isinstance(node, ast.AnnAssign) and node.value else target
        if not isinstance(target, ast.Name) or not isinstance(node, (ast.Assign, ast.AnnAssign)) or not node.value:
            yield Statement("", node.lineno, _told(node))
            continue
        told = f"{target.id} = ..."
        try:
            value = names[target.id] = _value(node.value, names, environment, cpus)
        except (_Unknown, ArithmeticError, TypeError, ValueError, MemoryError, RecursionError):
            names.pop(target.id, None)
            yield Statement(target.id, node.lineno, told)
        else:
            yield Statement(target.id, node.lineno, told, value, True)


def _told(node: ast.stmt) -> str:
    """What a statement is, without its values: any may be a secret."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        return f"def {node.name}({', '.join(names)}): ..."
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return f"{', '.join(map(_target, targets))} = ..."
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return f"{_target(node.value.func)}(...)"
    return f"{type(node).__name__.lower()} ..."


def _target(node: ast.expr) -> str:
    """A name, with the key that it is asked for, where that is plain."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_target(node.value)}.{node.attr}"
    if isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else ...
        return f"{_target(node.value)}[{key!r}]" if isinstance(key, str) else f"{_target(node.value)}[...]"
    return "..."


def _value(node: ast.expr, names: Mapping[str, object], environment: Mapping[str, str] | None, cpus: int) -> object:
    """What an expression comes to, where it is made of literals, os.environ, the number of CPUs and sums of these."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(each, names, environment, cpus) for each in node.elts]
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.FormattedValue) else each for each in node.values]
        return "".join(str(_value(each, names, environment, cpus)) for each in parts)
    if isinstance(node, ast.BinOp):
        left, right = (_value(each, names, environment, cpus) for each in (node.left, node.right))
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            operators = {ast.Add: left + right, ast.Mult: left * right, ast.Sub: left - right}
            if type(node.op) in operators:
                return operators[type(node.op)]
        if isinstance(left, str) and isinstance(right, str) and isinstance(node.op, ast.Add):
            return left + right
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        found = [_value(each, names, environment, cpus) for each in node.values]
        return next((each for each in found if each), found[-1])
    if isinstance(node, ast.Call) and not node.keywords:
        return _call(ast.unparse(node.func), node.args, names, environment, cpus)
    if isinstance(node, ast.Subscript) and environment and ast.unparse(node.value) == "os.environ":
        name = str(_value(node.slice, names, environment, cpus))
        if name in environment:
            return environment[name]
    raise _Unknown


def _call(
    called: str, args: list[ast.expr], names: Mapping[str, object], environment: Mapping[str, str] | None, cpus: int
) -> object:
    given = [_value(each, names, environment, cpus) for each in args]
    if called.rpartition(".")[2] in ("cpu_count", "process_cpu_count") and cpus and not given:
        return cpus
    if called in ("os.environ.get", "os.getenv", "getenv", "environ.get") and environment is not None and given:
        return environment.get(str(given[0]), given[1] if len(given) > 1 else None)
    if called in ("int", "str", "float") and len(given) == 1 and isinstance(given[0], (str, int, float)):
        return {"int": int, "str": str, "float": float}[called](given[0])
    numbers = [each for each in given if isinstance(each, (int, float))]
    if called in ("min", "max") and numbers and len(numbers) == len(given):
        return (min if called == "min" else max)(numbers)
    raise _Unknown
