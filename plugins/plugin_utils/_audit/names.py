# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What names in a source stand for, over all of its files. Pure."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from .._source.nodes import name, parsed


class Files:
    """The Python files of an app, parsed.

    :param texts: by path below the source's top.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.trees: dict[str, ast.Module] = {}
        self.unread: list[str] = []
        for path, text in sorted(texts.items()):
            try:
                self.trees[path] = parsed(text.encode())
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self.unread.append(path)
        self.modules = {_module(path): path for path in self.trees}
        self._suffixes = {
            ".".join(parts[start:]): module
            for module in self.modules
            for parts in [module.split(".")]
            for start in range(1, len(parts) - 1)
        }
        self._known: dict[str, str] = {}
        self.imports = {path: self._imports(path) for path in self.trees}

    def _imports(self, path: str) -> dict[str, str]:
        """Local names, and what each stands for: 'requests', or 'sqlalchemy.orm.Session'."""
        found: dict[str, str] = {}
        module = _module(path)
        package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
        for node in ast.walk(self.trees[path]):
            if isinstance(node, ast.Import):
                for each in node.names:
                    found[each.asname or each.name.partition(".")[0]] = (
                        each.name if each.asname else each.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                above = package
                for _step in range(max(0, node.level - 1)):
                    above = above.rpartition(".")[0]
                base = ".".join(part for part in (above if node.level else "", node.module or "") if part)
                for each in node.names:
                    found[each.asname or each.name] = f"{base}.{each.name}"
        return found

    def full(self, path: str, node: ast.expr | None) -> str:
        """The whole dotted name of an expression, as 'time.sleep'; '' for what is no name.

        What this module has of its own is 'MODULE.NAME'.
        """
        dotted = name(node)
        if not dotted:
            return ""
        first, dot, rest = dotted.partition(".")
        meant = self.imports[path].get(first) or f"{_module(path)}.{first}"
        return self._own(f"{meant}{dot}{rest}")

    def _own(self, dotted: str) -> str:
        """By the name that the file itself has: `app.db` is `src.app.db` where that is the file's."""
        if dotted not in self._known:
            self._known[dotted] = self._named(dotted)
        return self._known[dotted]

    def _named(self, dotted: str) -> str:
        parts = dotted.split(".")
        for end in range(len(parts) - 1, 0, -1):
            module = ".".join(parts[:end])
            if module in self.modules:
                return dotted
            # A single name is a library's as easily.
            if end > 1 and module in self._suffixes:
                return ".".join([self._suffixes[module], *parts[end:]])
        return dotted


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
