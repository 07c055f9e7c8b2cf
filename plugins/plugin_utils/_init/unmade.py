# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an app's migrations fill an empty database: those that were made beside create_all() often don't."""

from __future__ import annotations

import ast
import os
import typing as t

from ...module_utils._host.files import names_in, read_text
from .._source.nodes import called, name, parsed, text

_USES = {
    "drop_table": 0,
    "add_column": 0,
    "alter_column": 0,
    "drop_column": 0,
    "batch_alter_table": 0,
    "create_index": 1,
}
"""Alembic's operations on a table that has to be there, with the place of its name among what they are given."""
_ANYTHING = frozenset({"execute", "create_all", "run_sync", "rename_table", "get_bind", "inspect"})
"""What may make any table, or tell whether it is there."""


class _Script(t.NamedTuple):
    file: str
    revision: str
    before: str
    tree: ast.Module


def unmade(top: str, versions: str) -> tuple[str, str] | None:
    """The first migration that needs a table which none before it has made, and the table; None where all go with an
    empty database, or where that can't be told: of SQL of its own, of functions of its own, of branches.

    :param versions: the directory of the migrations, from `top`.
    """
    scripts: dict[str, _Script] = {}
    for file in sorted(names_in(os.path.join(top, versions))):
        script = _script(top, f"{versions}/{file}") if file.endswith(".py") else None
        if script and script.before in scripts:
            return None
        if script:
            scripts[script.before] = script
    made, at = set[str](), ""
    while at in scripts:
        script = scripts.pop(at)
        at = script.revision
        upgrade = next((n for n in script.tree.body if isinstance(n, ast.FunctionDef) and n.name == "upgrade"), None)
        for call in _calls(upgrade):
            what, place = called(call), _USES.get(called(call), 0)
            if what in _ANYTHING or (isinstance(call.func, ast.Name) and what.islower()):
                return None
            table = text(call.args[place]) if len(call.args) > place else None
            if what == "create_table" and table:
                made.add(table)
            elif what in _USES and table and table not in made:
                return script.file, table
    return None


def _script(top: str, path: str) -> _Script | None:
    try:
        tree = parsed(read_text(os.path.join(top, path), 1 << 20).encode())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    said: dict[str, t.Any] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            said[name(target)] = value.value
    if not said.get("revision") or "down_revision" not in said:
        return None
    return _Script(path, str(said["revision"]), str(said["down_revision"] or ""), tree)


def _calls(upgrade: ast.FunctionDef | None) -> list[ast.Call]:
    found = [node for node in ast.walk(upgrade) if isinstance(node, ast.Call)] if upgrade else []
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))
