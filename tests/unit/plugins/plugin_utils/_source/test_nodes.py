"""Questions to a syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

from ansible_collections.graceful.deploy.plugins.plugin_utils._source import code, nodes


def test_all_nodes_are_walked_in_pythons_own_order() -> None:
    tree = ast.parse(Path(code.__file__).read_text())
    wanted = [node for node in ast.walk(tree) if not isinstance(node, ast.expr_context)]
    assert list(nodes.walk(tree)) == wanted
