# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the files of a source are imported: the directory that each is found in, and the name that it has there. Pure."""

from __future__ import annotations

import re

# Files that say nothing of the app itself.
ASIDE = re.compile(
    r"(^|/)(tests?|testing|docs?|examples?|benchmarks?|versions|migrations|node_modules)/"
    r"|(^|/)(test_\w+|\w+_test|conftest)\.py$|^setup\.py$"
)
MOST_BYTES = 1 << 20
# What is imported as src.main isn't below a directory src that is on the path.
OF_SRC = re.compile(rb"(?m)^\s*(from|import)\s+src\b")
DOTTED = re.compile(rb"(?m)^\s*(?:from|import)\s+([A-Za-z_][\w.]*)(?:\s+import\s+\(?\s*(\w+))?")
IMPORTS = re.compile(rb"(?m)^\s*(?:from|import)\s+([A-Za-z_]\w*)")


def module_of(
    path: str, packages: set[str], projects: set[str], own: dict[str, set[str]], imported: set[str]
) -> tuple[str, str]:
    """The directory that has to be on the path for a file to be imported, and the name that it is imported by.

    :param own: by directory, what can be imported with that on the path.
    :param imported: what the file imports by full names. Where most of it is found tells more than where packages
        begin, and of two such places the nearer one.
    """
    parts = path.removesuffix(".py").split("/")
    found = [len(imported & own.get("/".join(parts[:depth]), set())) for depth in range(len(parts))]
    if parts[-1] == "__init__":
        parts.pop()
    least = max((i for i in range(len(parts)) if "/".join(parts[:i]) in projects), default=0)
    # What no import can name, such as fastapi-ml, is put on the path.
    least = max([least, *(i + 1 for i, part in enumerate(parts[:-1]) if not part.isidentifier())])
    below_src = least + int(len(parts) > least + 1 and parts[least] == "src")
    first = next((i for i in range(least, len(parts)) if "/".join(parts[: i + 1]) in packages), below_src)
    for depth in range(least, len(parts)):
        # In a package, one name alone may be a library's, after which a module is called too.
        inside = "/".join(parts[:depth]) in packages
        if inside and (found[first] or found[depth] < 2):
            continue
        # A file that names the directory it is in has said where the path begins.
        nearer = depth > first and parts[first] not in imported
        if found[depth] > found[first] or (nearer and found[depth] == found[first] > 0):
            first = depth
    return "/".join(parts[:first]), ".".join(parts[first:])


def no_packages(packages: set[str], python: list[str], contents: dict[str, bytes]) -> set[str]:
    """Directories that have an __init__.py, and whose files import one another as if they were on the path."""
    there = {path.removesuffix(".py").removesuffix("/__init__") for path in python}
    found = set[str]()
    for package in packages:
        name, inside, outside = package.rpartition("/")[2], 0, 0
        for path, content in contents.items():
            if not path.startswith(f"{package}/"):
                continue
            for match in DOTTED.finditer(content):
                module, imported = match[1].decode(), (match[2] or b"").decode()
                outside += module.partition(".")[0] == name
                # A directory may be called as a library, whose modules it hasn't got.
                parts = [package, *module.split("."), *filter(None, [imported])]
                inside += any("/".join(parts[:end]) in there for end in range(3, len(parts) + 1))
        if inside > outside:
            found.add(package)
    return found


def is_imported(path: str, contents: dict[str, bytes]) -> bool:
    name = re.escape(path.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]).encode()
    importing = re.compile(rb"(?m)^[ \t]*(from[ \t]+[\w.]*\b%b[ \t]+import|.*\bimport\b[^#\n]*\b%b\b)" % (name, name))
    return any(importing.search(content) for other, content in contents.items() if other != path)
