# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpacks the archive that the control node made, and trusts nothing in it that its manifest doesn't confirm."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from typing import BinaryIO

from .._app.releases import ReleaseError
from .common import FORMAT

MANIFEST = "manifest.json"
_BLOCK = 1 << 20


def is_safe_path(path: str) -> bool:
    """Whether a path stays below the directory that it is joined to."""
    parts = path.split("/")
    return bool(path) and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def is_safe_link(path: str, target: str) -> bool:
    """Whether a symlink at `path` points to something below the same top, by its text alone."""
    if not target or target.startswith("/") or "\0" in target:
        return False
    inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return inside != ".." and not inside.startswith("../")


def read_manifest(archive: str) -> dict[str, object]:
    """The manifest, which is the archive's first member."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            first = tar.next()
            content = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
            if content is None:
                raise ReleaseError("The archive doesn't begin with a manifest.")
            manifest = json.loads(content.read())
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        raise ReleaseError(f"The archive can't be read: {error}") from error
    if manifest.get("format") != FORMAT:
        raise ReleaseError("The archive was made by another version of graceful.deploy.")
    return manifest


def unpack(archive: str, manifest: dict, into: str) -> None:
    """Write every file and link of the manifest below `into`; raises where the archive holds more, less or else.

    Links come after all files, so that nothing is ever written through one.
    """
    files, links = dict(manifest["files"]), dict(manifest["links"])
    odd = [p for p in (*files, *links) if not is_safe_path(p)] + [
        p for p, to in links.items() if not is_safe_link(p, to)
    ]
    if odd:
        raise ReleaseError(f"The archive's manifest has a path that leads out of it: {odd[0]!r}")
    try:
        _unpack_files(archive, files, into)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ReleaseError(f"The archive can't be read: {error}") from error
    if files:
        raise ReleaseError(f"The archive lacks {min(files)!r}, which its manifest names.")
    for path, target in links.items():
        os.makedirs(os.path.dirname(os.path.join(into, path)), mode=0o700, exist_ok=True)
        os.symlink(target, os.path.join(into, path))


def _unpack_files(archive: str, files: dict[str, dict], into: str) -> None:
    """Takes what it writes out of `files`."""
    with tarfile.open(archive, "r:*") as tar:
        tar.next()
        for member in iter(tar.next, None):
            wanted = files.pop(member.name, None)
            content = tar.extractfile(member) if wanted is not None and member.isreg() else None
            if content is None:
                raise ReleaseError(f"The archive has a member that its manifest doesn't name: {member.name!r}")
            path = os.path.join(into, member.name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            if _write(content, path, 0o750 if wanted["executable"] else 0o640) != wanted["sha256"]:
                raise ReleaseError(f"The archive's {member.name!r} isn't what its manifest says.")


def _write(content: BinaryIO, path: str, mode: int) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        while block := content.read(_BLOCK):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()
