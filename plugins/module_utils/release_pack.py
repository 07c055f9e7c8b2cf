# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's archives: packed for the first host of a run, sent as they are to all that lack the same."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass

from ansible_collections.graceful.deploy.plugins.module_utils import release_bundle, release_manifest, release_tools
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import sha256_of

_UNUSED = 24 * 3600
"""Seconds after which the next one to be packed clears an archive away: its run is over by then."""


@dataclass(frozen=True)
class Pack:
    """One archive in the cache.

    :param sha256: of the archive; the host checks with it that all came over.
    :param needed: bytes that the host needs free.
    """

    path: str
    sha256: str
    needed: int

    @property
    def size(self) -> int:
        return os.path.getsize(self.path)


def pack(contents: release_bundle.Contents, known: dict) -> Pack:
    """The archive for a host that has what `known` says; packed unless it is in the cache."""
    packs = os.path.join(release_tools.cache_directory(), "packs")
    os.makedirs(packs, mode=0o700, exist_ok=True)
    manifest = release_manifest.manifest_of(contents, known, built(packs, contents.release))
    place = os.path.join(packs, f"{contents.release}-{release_tools.digest_of(manifest)}")
    if os.path.isdir(place) and not _is_whole(place):
        shutil.rmtree(place)
    with release_tools.making(place) as new:
        if new is not None:
            forget_unused(packs)
            sha256 = release_bundle.write_archive(contents, manifest, _archive(new))
            with open(os.path.join(new, "sha256"), "w", encoding="ascii") as file:
                file.write(sha256)
    os.utime(place)
    return Pack(_archive(place), _noted(place), release_manifest.space_needed(manifest))


def built(packs: str, release: str) -> int:
    """The time of a release's files, seconds since the epoch: one for all hosts, so that static files have one ETag."""
    path = os.path.join(packs, f"{release}.built")
    with open(path, "a", encoding="ascii"):
        # Opened to be there: the first to come sets its time.
        pass
    return int(os.stat(path).st_mtime)


def forget_unused(packs: str) -> None:
    for entry in os.scandir(packs):
        # Another run of Ansible may be done with its own meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if entry.stat().st_mtime < time.time() - _UNUSED:
                if entry.is_dir():
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def _is_whole(place: str) -> bool:
    try:
        return _noted(place) == sha256_of(_archive(place))
    except OSError:
        return False


def _archive(place: str) -> str:
    return os.path.join(place, "release.tar")


def _noted(place: str) -> str:
    with open(os.path.join(place, "sha256"), encoding="ascii") as file:
        return file.read()
