# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts' cgroup files, each host's in one text (record.py says how they are written), laid out again for a test."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.txt"))


def lay_out(tree: str, root: Path) -> str:
    """Writes the files of a tree, by its name or as text, below root and returns root for read_capacity."""
    text = tree if tree.startswith("== ") else (HERE / f"{tree}.txt").read_text("utf-8")
    for part in ("\n" + text).split("\n== ")[1:]:
        name, _newline, content = part.partition("\n")
        path = root / name.lstrip("/")
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.rstrip("\n") + "\n", "utf-8")
    return str(root)
