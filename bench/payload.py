# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of the collection is sent to a host with each call of a module: the module and all that it imports.

Called by bench/run; `python bench/payload.py` prints it alone.
"""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"


def closure(path: Path, seen: set[Path] | None = None) -> set[Path]:
    """A file and all files of the collection that it imports, as Ansible finds them: also those inside functions."""
    seen = set() if seen is None else seen
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for found in (base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)):
                closure(found, seen)
    return seen


def payload(module: str) -> tuple[int, int, int]:
    """Number of files, bytes of source, bytes as they are sent (Ansible compresses them)."""
    files = closure(PLUGINS / "modules" / f"{module}.py")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.write(path, path.relative_to(PLUGINS))
    return len(files), sum(path.stat().st_size for path in files), packed.tell()


def table() -> str:
    """A line a module."""
    rows = [(path.stem, *payload(path.stem)) for path in sorted((PLUGINS / "modules").glob("*.py"))]
    form = "    {:16} {:3} files, {:6.1f} kB, {:5.1f} kB sent"
    lines = [form.format(name, files, size / 1000, sent / 1000) for name, files, size, sent in rows]
    return "\n".join(["==> Payload of each module, without Ansible's own part", *lines])


if __name__ == "__main__":
    print(table())
