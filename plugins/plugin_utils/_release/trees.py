# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that lie beside the app in its repository, as the members of a workspace do: packed as they are, so that an
equal tree is an equal archive, and built like any other source."""

from __future__ import annotations

import gzip
import os
import re
import stat
import tarfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from ...module_utils._app.releases import ReleaseError
from .source import scan
from .tools import digest_of, forget_unused, making

TREE = re.compile(
    r"(?P<name>[\w.-]+)\s*(?P<extras>\[[^\]]*\])?\s*@\s*tree:(?P<path>[^\s#]+)#(?P<digest>[0-9a-f]{20})(?P<marker>\s*;.*)?"
)
"""A package of such a directory, as a requirement: the digest names its archive."""

_LINE = re.compile(
    r"((-e|--editable)[ =]*)?((?P<name>[\w.-]+)\s*(?P<with>\[[^\]]*\])?\s*@\s*)?(file:)?(?P<path>[^\s\[;:]+)"
    r"(?P<extras>\[[^\]]*\])?(?P<marker>\s*;.*)?"
)
NAMED = re.compile(r"\s*([\w.-]+)\s*(\[[^\]]*\])?[^;]*(;.*)?")
"""A requirement of any form: name, extras and marker."""
# What was made in it, and no part of it.
_MADE = ("__pycache__", "*.pyc", "*.egg-info", ".venv", ".tox", ".*_cache")


@dataclass(frozen=True)
class Tree:
    """A directory that a requirement names.

    :param path: counted from the app's directory.
    :param name: of the package; '' where the line doesn't say it.
    :param extras: in brackets, or ''.
    :param marker: with its semicolon, or ''.
    """

    path: str
    name: str = ""
    extras: str = ""
    marker: str = ""


def tree_of(line: str, source: str, *bases: str) -> Tree | None:
    """The directory that a line of a requirements file names: '-e ./libs/lib', 'lib @ file:libs/lib', '../lib[fast]'.

    :param bases: directories that a path may count from, themselves counted from `source`.
    """
    match = _LINE.fullmatch(line.strip())
    if match is None or not ("/" in match["path"] or match[1] or match["name"]):
        return None
    # The app's own project is installed in place, and what has a path of the control node isn't the repository's.
    if os.path.normpath(match["path"]) == "." or os.path.isabs(match["path"]):
        return None
    for base in bases:
        path = os.path.normpath(os.path.join(base, match["path"]))
        if os.path.isdir(os.path.join(source, path)):
            return Tree(path, match["name"] or "", match["extras"] or match["with"] or "", match["marker"] or "")
    return None


def at_path(line: str, path: str) -> Tree:
    """A requirement that a lock or a tool's table says lies at a path."""
    match = NAMED.match(line)
    if match is None:
        return Tree(os.path.normpath(path))
    return Tree(os.path.normpath(path), match[1], match[2] or "", f" {match[3]}" if match[3] else "")


def lines_of(trees: Iterable[Tree], source: str, top: str, cache: str) -> list[str]:
    """A requirement for each, whose archive is in the cache from then on.

    :param source: the app's directory; `top`, at it or above, holds all that fastapi_source has.
    :raises ReleaseError: for one that is outside of that, or can't be packed.
    """
    lines = []
    for tree in dict.fromkeys(trees):
        directory = os.path.normpath(os.path.join(source, tree.path))
        whole = os.path.realpath(top)
        if not os.path.realpath(directory).startswith(whole + os.sep):
            above = os.path.commonpath([os.path.realpath(source), os.path.realpath(directory)])
            raise ReleaseError(
                f"fastapi_requirements has {tree.path}, which is outside of fastapi_source ({source}). Write "
                f"fastapi_source: {above} and fastapi_source_directory: {os.path.relpath(source, above)}."
            )
        if not os.path.isdir(directory):
            raise ReleaseError(f"fastapi_requirements has {tree.path}, and there is no such directory. Commit it.")
        name = tree.name or _name_in(directory)
        if not name:
            raise ReleaseError(
                f"fastapi_requirements has {tree.path}, and no pyproject.toml there says what that package is called. "
                f"Write NAME @ file:{tree.path}."
            )
        lines.append(f"{name}{tree.extras} @ tree:{quote(tree.path)}#{_packed(directory, name, cache)}{tree.marker}")
    return lines


def archive_of(line: re.Match[str], cache: str) -> str:
    """The archive of a line that TREE matches."""
    return os.path.join(cache, "trees", line["digest"], f"{_stem(line['name'], line['digest'])}.tar.gz")


def _stem(name: str, digest: str) -> str:
    """What an archive and the directory in it are called."""
    return f"{name}-tree{digest[:12]}"


def _name_in(directory: str) -> str:
    try:
        with open(os.path.join(directory, "pyproject.toml"), "rb") as file:
            pyproject = tomllib.load(file)
    except (OSError, ValueError):
        return ""
    poetry = pyproject.get("tool", {}).get("poetry", {})
    return str(pyproject.get("project", {}).get("name") or poetry.get("name") or "")


def _packed(directory: str, name: str, cache: str) -> str:
    """The digest of the tree, whose archive is in the cache then."""
    entries = scan(directory, _MADE)
    digest = digest_of([name, [[entry.path, entry.executable, entry.sha256, entry.target] for entry in entries]])
    place = os.path.join(cache, "trees", digest)
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    with making(place) as new:
        if new is not None:
            stem = _stem(name, digest)
            pack(directory, [entry.path for entry in entries], os.path.join(new, f"{stem}.tar.gz"), stem)
            forget_unused(os.path.dirname(place))
    os.utime(place)
    return digest


def pack(directory: str, paths: Iterable[str], archive: str, top: str) -> None:
    """Write an archive of what is at the paths below the directory; the same bytes for the same files.

    :param top: the directory in the archive that they are in.
    """

    def plain(item: tarfile.TarInfo) -> tarfile.TarInfo:
        item.mtime = item.uid = item.gid = 0
        item.uname = item.gname = ""
        item.mode = 0o755 if item.isdir() or item.mode & stat.S_IXUSR else 0o644
        return item

    with (
        open(archive, "wb") as file,
        gzip.GzipFile("", "wb", 1, file, 0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in paths:
            tar.add(os.path.join(directory, path), os.path.normpath(os.path.join(top, path)), filter=plain)
