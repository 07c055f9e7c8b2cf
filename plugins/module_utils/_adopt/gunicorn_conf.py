# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads Gunicorn's configuration file by its syntax tree; nothing of it is run. Pure."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from .server import OURS, Server

_FIELDS = {
    "workers": "workers",
    "worker_class": "worker_class",
    "timeout": "timeout",
    "graceful_timeout": "graceful_timeout",
    "keepalive": "keepalive",
    "chdir": "chdir",
    "user": "user",
    "group": "group",
    "max_requests": "max_requests",
    "max_requests_jitter": "max_requests_jitter",
    "wsgi_app": "app",
    "pythonpath": "pythonpath",
}
_OURS = (
    *("accesslog", "errorlog", "loglevel", "access_log_format", "capture_output", "logger_class", "logconfig_dict"),
    *("proc_name", "pidfile", "worker_tmp_dir", "forwarded_allow_ips", "backlog", "umask", "preload_app"),
    *("worker_connections", "threads", "control_socket_disable", "reload"),
)


class _Unknown(Exception):
    pass


def read(server: Server, text: str, file: str, environment: Mapping[str, str], cpus: int) -> None:
    """Add what the file says to what the command line has, which wins.

    :param environment: what the file may ask for.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        server.unknown.append(f"{file}: it isn't Python that can be read")
        return
    names: dict[str, object] = {}
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        target = node.target if isinstance(node, ast.AnnAssign) and node.value else target
        if not isinstance(target, ast.Name) or not isinstance(node, (ast.Assign, ast.AnnAssign)) or not node.value:
            server.unknown.append(f"{file}:{node.lineno}: {_told(node)}")
            continue
        try:
            value = names[target.id] = _value(node.value, names, environment, cpus)
        except (_Unknown, ArithmeticError, TypeError, ValueError):
            if target.id in {*_FIELDS, *_OURS, "bind", "raw_env"} or target.id.islower():
                server.unknown.append(f"{file}:{node.lineno}: {target.id} = ...")
            continue
        _set(server, target.id, value, f"{file}:{node.lineno}")


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


def _set(server: Server, name: str, value: object, place: str) -> None:
    if name == "bind":
        listed = value if isinstance(value, list) else str(value).split(",")
        server.bind = server.bind or [str(each) for each in listed]
    elif name == "raw_env" and isinstance(value, list):
        for each in value:
            variable, _sign, its = str(each).partition("=")
            server.env.setdefault(variable, its)
    elif name == "wsgi_app":
        server.app = server.app or str(value)
    elif name in _FIELDS:
        server.given.setdefault(_FIELDS[name], str(value))
    elif name in _OURS:
        server.ours.append((f"{place}: {name}", OURS))
    elif name.islower() and not name.startswith("_"):
        # A helper of the file's own has such a name, too; better told than dropped.
        server.unknown.append(f"{place}: {name} = ...")


def _value(node: ast.expr, names: Mapping[str, object], environment: Mapping[str, str], cpus: int) -> object:
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
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
        return environment[str(_known(_value(node.slice, names, environment, cpus), environment))]
    raise _Unknown


def _known(name: object, environment: Mapping[str, str]) -> object:
    if name not in environment:
        raise _Unknown
    return name


def _call(
    called: str, args: list[ast.expr], names: Mapping[str, object], environment: Mapping[str, str], cpus: int
) -> object:
    given = [_value(each, names, environment, cpus) for each in args]
    if called.rpartition(".")[2] in ("cpu_count", "process_cpu_count") and not given:
        return cpus
    if called in ("os.environ.get", "os.getenv", "getenv", "environ.get") and given:
        return environment.get(str(given[0]), given[1] if len(given) > 1 else None)
    if called in ("int", "str", "float") and len(given) == 1 and isinstance(given[0], (str, int, float)):
        return {"int": int, "str": str, "float": float}[called](given[0])
    numbers = [each for each in given if isinstance(each, (int, float))]
    if called in ("min", "max") and numbers and len(numbers) == len(given):
        return (min if called == "min" else max)(numbers)
    raise _Unknown
