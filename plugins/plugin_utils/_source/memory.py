# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app keeps in a module's variables and changes with requests: each worker has its own. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .nodes import called, name, text, walk

_MADE = ("Counter", "OrderedDict", "defaultdict", "deque", "dict", "list", "set")
_CHANGES = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove setdefault update".split()
)
# A GET that changes something remembers an answer, say, which each worker may do for itself.
_WRITES = ("delete", "patch", "post", "put")
_CACHE = re.compile(r"(?i)cache|memo")


def stores(tree: ast.Module) -> Iterator[str]:
    """Names of a module's own dictionaries, lists and the like, and of its numbers."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        made = isinstance(value, (ast.Dict, ast.DictComp, ast.List, ast.ListComp, ast.Set)) or called(value) in _MADE
        if (made or isinstance(value, ast.Constant)) and isinstance(target, ast.Name) and not _CACHE.search(target.id):
            yield target.id


def changed(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Names that routes which write change, with the place of each; those of a function alone aren't among them."""
    for function in walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or not any(
            map(_is_write, function.decorator_list)
        ):
            continue
        nodes = [part for statement in function.body for part in walk(statement)]
        shared = {each for part in nodes if isinstance(part, ast.Global) for each in part.names}
        own = {part.id for part in nodes if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        own |= {part.arg for part in walk(function.args) if isinstance(part, ast.arg)}
        for part in nodes:
            local = _changes(part, shared)
            if local and local.partition(".")[0] not in own - shared:
                yield local, part


def _is_write(decorator: ast.expr) -> bool:
    path = text(decorator.args[0]) if isinstance(decorator, ast.Call) and decorator.args else None
    return called(decorator) in _WRITES and path is not None and path[:1] in ("", "/")


def _changes(node: ast.AST, shared: set[str]) -> str:
    """The name whose value a node changes; '' where it changes none."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return name(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
        return name(node.func.value)
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in shared else ""
