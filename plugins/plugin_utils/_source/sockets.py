# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sources have WebSocket endpoints."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable

from .modules import ASIDE, MOST_BYTES
from .nodes import called, parsed

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
            if _SOCKETS.search(content) and any(map(_is_socket, ast.walk(parsed(content)))):
                return True
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return False


def _is_socket(node: ast.AST) -> bool:
    decorated = isinstance(node, ast.AsyncFunctionDef) and any(
        called(call) in ("websocket", "websocket_route") for call in node.decorator_list
    )
    return decorated or (isinstance(node, ast.Call) and called(node) in _SOCKET_CALLS)
