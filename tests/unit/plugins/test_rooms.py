"""The rooms of plugins/: which of them may use which, by their imports alone."""

from __future__ import annotations

import ast
import graphlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PRIVATE = ("module_utils", "plugin_utils")


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """What a file imports from this collection, as paths below plugins/: ('module_utils', '_app', 'slots')."""
    package = path.relative_to(PLUGINS).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            base = tuple(part for part in base if part)
            for alias in node.names:
                whole = (*base, alias.name)
                yield whole if PLUGINS.joinpath(*whole).with_suffix(".py").exists() else base
        elif isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("ansible_collections"), f"{path}: imports here are relative"


FILES = {path.relative_to(PLUGINS): list(imported(path)) for path in sorted(PLUGINS.rglob("*.py"))}


def room(parts: tuple[str, ...]) -> str:
    return "/".join(parts[:2]) if parts[0] in PRIVATE else parts[0]


def test_no_room_depends_on_itself_by_way_of_another():
    uses: dict[str, set[str]] = defaultdict(set)
    for path, found in FILES.items():
        uses[room(path.parts)] |= {room(parts) for parts in found} - {room(path.parts)}
    # Raises CycleError, whose text names the rooms.
    assert list(graphlib.TopologicalSorter(uses).static_order())


def test_no_file_depends_on_itself_by_way_of_another():
    uses = {"/".join(path.with_suffix("").parts): {"/".join(parts) for parts in found} for path, found in FILES.items()}
    assert list(graphlib.TopologicalSorter(uses).static_order())


def test_what_runs_on_a_host_uses_nothing_of_the_control_nodes():
    """Ansible wouldn't send it."""
    for path, found in FILES.items():
        if path.parts[0] in ("modules", "module_utils"):
            assert not [parts for parts in found if parts[0] not in ("module_utils",)], path


def test_each_file_is_used():
    """A file that nothing imports is dead; modules, actions and filters are what Ansible calls."""
    used = {parts for found in FILES.values() for parts in found}
    unused = [path for path in FILES if path.parts[0] in PRIVATE and path.with_suffix("").parts not in used]
    # The service that deploys what was pushed runs it by `python -m`.
    assert unused == [Path("plugin_utils/_push/deploys.py")]


def test_what_is_in_a_room_is_private():
    """A leading underscore is how Ansible's collection requirements mark it."""
    assert [path for path in FILES if path.parts[0] in PRIVATE and not path.parts[1].startswith("_")] == []
