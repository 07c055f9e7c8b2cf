# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive that the control node makes of a release: what it says, what it needs, and how it is unpacked.

Nothing in it is trusted that its manifest doesn't confirm.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from typing import IO, Any, TypedDict

from .._app.releases import ReleaseError
from .._host.text import megabytes

FORMAT = 1
"""Goes into every id: raise it when the same input should become another release."""

VENV_TIME = 1577836800
"""Seconds since the epoch, 2020: the time of all files in an environment that was shipped. Bytecode is valid only with
the time that its source had when it was compiled."""

MANIFEST = "manifest.json"
_BLOCK = 1 << 20


class File(TypedDict):
    sha256: str
    executable: bool


class Manifest(TypedDict):
    """What the archive's first member says: what is in it, what it becomes, and what the host has to have room for."""

    format: int
    release: str
    built: int
    """Seconds since the epoch: the time of the release's files."""
    files: dict[str, File]
    """By path in the archive, of all that is sent."""
    links: dict[str, str]
    clone: str
    """The release that has an equal environment on the host; empty where it is made anew."""
    parts: dict[str, str]
    """SHA-256 by path in the archive of every wheel that the environment is made with, sent or not."""
    archive_bytes: int
    unpacked_bytes: int
    unpacked_files: int
    record: dict[str, Any]
    """What release.json will say, but for what the host adds."""


def space_needed(manifest: Manifest) -> int:
    """Bytes: the archive's content once, what it unpacks to twice, because bytecode is about as large as its source."""
    return manifest["archive_bytes"] + 2 * manifest["unpacked_bytes"]


def check_space(releases: str, free: int, needed: int) -> None:
    """Raise where the directory of releases has less than `needed` bytes free."""
    if free < needed:
        raise ReleaseError(
            f"{releases} has {megabytes(free)} free, and building the release needs {megabytes(needed)}. "
            "Nothing was changed. Free some space, or lower fastapi_keep_releases."
        )


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


def read_manifest(archive: str) -> Manifest:
    """The manifest, which is the archive's first member."""
    try:
        with tarfile.open(archive, "r:*") as tar:
            first = tar.next()
            content = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
            if content is None:
                raise ReleaseError("The archive doesn't begin with a manifest.")
            manifest: Manifest = json.loads(content.read())
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        raise ReleaseError(f"The archive can't be read: {error}") from error
    if manifest.get("format") != FORMAT:
        raise ReleaseError("The archive was made by another version of graceful.deploy.")
    return manifest


def unpack(archive: str, manifest: Manifest, into: str) -> None:
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


def _unpack_files(archive: str, files: dict[str, File], into: str) -> None:
    """Takes what it writes out of `files`."""
    with tarfile.open(archive, "r:*") as tar:
        tar.next()
        for member in iter(tar.next, None):
            wanted = files.pop(member.name, None)
            content = tar.extractfile(member) if member.isreg() else None
            if wanted is None or content is None:
                raise ReleaseError(f"The archive has a member that its manifest doesn't name: {member.name!r}")
            path = os.path.join(into, member.name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            if _write(content, path, 0o750 if wanted["executable"] else 0o640) != wanted["sha256"]:
                raise ReleaseError(f"The archive's {member.name!r} isn't what its manifest says.")


def _write(content: IO[bytes], path: str, mode: int) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        while block := content.read(_BLOCK):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()
