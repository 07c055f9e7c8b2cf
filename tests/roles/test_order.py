"""Which host is the first one: Ansible's filters of sets forget the order of the inventory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for top in ("roles", "playbooks") for path in (TOP / top).rglob("*") if path.suffix in (".yml", ".j2")
)
SETS = re.compile(r"\|\s*(?:symmetric_)?(?:difference|union)\(")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TOP)))
def test_no_list_of_hosts_is_made_by_a_filter_of_sets(path: Path) -> None:
    """With `difference` another host than the first ran the migrations, by chance."""
    lines = [line for line in path.read_text().splitlines() if SETS.search(line)]
    assert [line for line in lines if "hosts" in line.lower() and "length" not in line] == []
