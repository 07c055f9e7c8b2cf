# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sources have WebSocket endpoints, and which keep their connections in memory."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator

from .modules import ASIDE, MOST_BYTES
from .nodes import called, name, parsed, walk

_SOCKET_CALLS = ("WebSocketRoute", "APIWebSocketRoute", "add_websocket_route", "add_api_websocket_route")
_SOCKETS = re.compile(rb"\.websocket(_route)?\s*\(|WebSocketRoute|websocket_route")


def has_sockets(top: str, paths: Iterable[str]) -> bool:
    """Whether a Python file among `paths` hangs a WebSocket endpoint on something, by whatever name that has."""
    for path in paths:
        if not path.endswith(".py") or ASIDE.search(path):
            continue
        try:
            with open(os.path.join(top, path), "rb") as file:
                content = file.read(MOST_BYTES)
            if _SOCKETS.search(content) and any(map(_is_socket, walk(parsed(content)))):
                return True
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return False


def _is_socket(node: ast.AST) -> bool:
    decorated = isinstance(node, ast.AsyncFunctionDef) and any(
        called(call) in ("websocket", "websocket_route") for call in node.decorator_list
    )
    return decorated or (isinstance(node, ast.Call) and called(node) in _SOCKET_CALLS)


_KEPT = re.compile(r"(?i)\b(list|set|dict|defaultdict|mutable\w+)\b.*\bWebSocket\b")
_ADDS = ("add", "append", "appendleft", "setdefault", "update")


def keeping(tree: ast.Module) -> Iterator[ast.AST]:
    """Where connections are kept for other requests: each worker has its own. A list, set or dict that says so, or to
    which a function adds a WebSocket that it was given, as `self.active[user] = websocket`."""
    for node in walk(tree):
        if isinstance(node, ast.AnnAssign) and node.value is not None and _KEPT.search(ast.unparse(node.annotation)):
            yield node
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = node.args
            arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            sockets = {each.arg for each in arguments if name(each.annotation).rpartition(".")[2] == "WebSocket"}
            own = {part.id for part in walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
            for part in walk(node) if sockets else ():
                kept, values = _added(part)
                if kept and kept.partition(".")[0] not in own and any(_holds(value, sockets) for value in values):
                    yield part


def _added(node: ast.AST) -> tuple[str, list[ast.expr]]:
    """What a node adds to, and what it adds; '' where it adds to nothing that outlives a call."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return _outer(node.targets[0].value), [node.value]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ADDS:
        return _outer(node.func.value), node.args
    return "", []


def _outer(node: ast.expr) -> str:
    """The variable in which something is, as `self.rooms` of `self.rooms[room].setdefault(user, [])`."""
    while not isinstance(node, ast.Name) and not name(node):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return ""
    return name(node)


def _holds(value: ast.expr, sockets: set[str]) -> bool:
    """Whether a connection is in it, alone or in a tuple, a dict or an object that is made for it."""
    if isinstance(value, ast.Name):
        return value.id in sockets
    if isinstance(value, (ast.Tuple, ast.List, ast.Set)):
        return any(_holds(each, sockets) for each in value.elts)
    if isinstance(value, ast.Dict):
        return any(_holds(each, sockets) for each in value.values)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id[:1].isupper():
        return any(_holds(each, sockets) for each in (*value.args, *(each.value for each in value.keywords)))
    return False
