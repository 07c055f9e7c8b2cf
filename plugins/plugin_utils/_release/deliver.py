# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a release's contents to a host: packed once for all hosts that lack the same, sent, installed, and told."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.files import sha256_of
from ...module_utils._host.text import megabytes
from ...module_utils._release.archive import check_space, space_needed
from . import bundle
from .target import Target
from .tools import cache_directory, digest_of, making


@dataclass(frozen=True)
class Ways:
    """The ways to the host, and to the person who watches.

    :param query: one trip: what `facts.query` of the host's half says.
    :param install: the archive's path, its SHA-256, the release's id and the interpreter's path -> what
        `install.install` of the host's half says: ``missing`` alone, where the host lacks something that wasn't sent.
    :param say: one line of progress, said only when there is real work.
    :param build: where the task is delegated to the build host: archive, SHA-256 and directory -> the wheel's path.
    """

    query: Callable[[], dict[str, Any]]
    install: Callable[[str, str, str, str], dict[str, Any]]
    say: Callable[[str], None]
    build: Callable[[str, str, str], str]


def deliver(
    params: dict[str, Any], contents: bundle.Contents, facts: dict[str, Any], ways: Ways, target: Target
) -> dict[str, Any]:
    """Pack what the host lacks, send it and install."""
    python = facts["interpreter"]["path"]
    contents = bundle.identified(contents, target, python, params["method"])
    contents.record["shared_paths"] = params["shared_paths"]
    contents.record["public_paths"] = params["public_paths"]
    releases = os.path.join(params["root"], "releases")
    nothing: dict[str, Any] = {"environments": {}, "wheels": []}
    for known in (facts, nothing):
        packed = pack(contents, known)
        check_space(releases, facts["free"], packed.needed)
        size = packed.size
        ways.say(f"Sending {megabytes(size)}…")
        done = ways.install(packed.path, packed.sha256, contents.release, python)
        if not done.get("missing"):
            break
        # Pruned or damaged since the host was asked.
        ways.say(done["missing"])
    else:
        raise ReleaseError(f"The host still says, though everything was sent: {done['missing']}")
    how = f"installed by {done['installer']}" if not done["cloned"] else f"environment of {done['cloned']}"
    installed = f"{len(contents.record['packages'])} packages for {target}, {megabytes(size)} sent, {how}"
    pruned = f" Removed {', '.join(done['pruned'])}." if done["pruned"] else ""
    broken = done["not_compiled"]
    path = os.path.join(releases, contents.release)
    return {
        "changed": done["changed"],
        "packages": contents.record["packages"],
        "pruned": done["pruned"],
        "sent_bytes": size,
        "warnings": [f"{len(broken)} files of the source don't compile, such as {broken[0]}."] if broken else [],
        "msg": f"Release {contents.release} of {params['name']} is in {path}: {installed}.{pruned}",
    }


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


def pack(contents: bundle.Contents, known: dict[str, Any]) -> Pack:
    """The archive for a host that has what `known` says; packed unless it is in the cache."""
    packs = os.path.join(cache_directory(), "packs")
    os.makedirs(packs, mode=0o700, exist_ok=True)
    manifest = bundle.manifest_of(contents, known, built(packs, contents.release))
    place = os.path.join(packs, f"{contents.release}-{digest_of(manifest)}")
    if os.path.isdir(place) and not _is_whole(place):
        shutil.rmtree(place)
    with making(place) as new:
        if new is not None:
            forget_unused(packs)
            sha256 = bundle.write_archive(contents, manifest, _archive(new))
            with open(os.path.join(new, "sha256"), "w", encoding="ascii") as file:
                file.write(sha256)
    os.utime(place)
    return Pack(_archive(place), _noted(place), space_needed(manifest))


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
