# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packs what a release is made of into one archive: source, wheels, lock, installers, and a manifest of them all."""

from __future__ import annotations

import contextlib
import getpass
import gzip
import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import BinaryIO

from ansible_collections.graceful.deploy.plugins.module_utils.release_common import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils.release_environment import Environment
from ansible_collections.graceful.deploy.plugins.module_utils.release_source import Entry
from ansible_collections.graceful.deploy.plugins.module_utils.release_target import Target
from ansible_collections.graceful.deploy.plugins.module_utils.release_unpack import MANIFEST
from ansible_collections.graceful.deploy.plugins.module_utils.release_wheels import Wheel


@dataclass(frozen=True)
class Contents:
    """What goes into the archive.

    :param source: directory of the source, which `entries` are relative to.
    :param installers: paths of the wheels that install on the host.
    :param record: what the host's release.json will say.
    :param lock: requirements with hashes that name exactly what is installed.
    :param ready: the environment, where it is shipped whole.
    :param environment: digest of all that decides the virtual environment.
    """

    release: str
    source: str
    entries: list[Entry]
    wheels: list[Wheel]
    installers: list[str]
    record: dict[str, object]
    lock: str
    ready: Environment | None = None
    environment: str = ""

    @property
    def members(self) -> dict[str, tuple[str, Entry]]:
        """Path in the archive of every file and link of the release -> its directory here, and what it is."""
        top = {f"source/{entry.path}": (self.source, entry) for entry in self.entries}
        ready = self.ready
        venv = {f"source/.venv/{entry.path}": (ready.directory, entry) for entry in ready.entries} if ready else {}
        return top | venv

    @property
    def parts(self) -> dict[str, str]:
        """Path in the archive of every wheel that makes the environment -> its path here."""
        wheels = {f"wheels/{os.path.basename(wheel.path)}": wheel.path for wheel in self.wheels}
        return wheels | {f"tools/{os.path.basename(path)}": path for path in self.installers}


@dataclass
class _Hashing:
    """A file that is written once from start to end and hashed on the way."""

    file: BinaryIO
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, block: bytes) -> int:
        self.digest.update(block)
        return self.file.write(block)


def write_archive(contents: Contents, manifest: dict, path: str) -> str:
    """Write the archive, the same bytes for the same input; returns its SHA-256.

    It is compressed where it isn't wheels, which are already. Times and owners are left to the host.
    """
    members = {
        **{name: os.path.join(place, entry.path) for name, (place, entry) in contents.members.items()},
        **contents.parts,
    }
    with open(path, "xb") as file:
        archive = _Hashing(file)
        packed: BinaryIO | _Hashing = archive
        with contextlib.ExitStack() as stack:
            if not set(contents.parts) & set(manifest["files"]):
                packed = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=3, fileobj=archive, mtime=0))
            tar = stack.enter_context(tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT))
            _add(tar, MANIFEST, io.BytesIO(json.dumps(manifest, sort_keys=True).encode()))
            if "lock.txt" in manifest["files"]:
                _add(tar, "lock.txt", io.BytesIO(contents.lock.encode()))
            for name in sorted(set(manifest["files"]) - {"lock.txt"}):
                try:
                    with open(members[name], "rb") as member:
                        seen = _add(tar, name, member)
                except OSError as error:
                    raise ReleaseError(f"{members[name]} can't be packed: {error.strerror}.") from error
                if seen != manifest["files"][name]["sha256"]:
                    raise ReleaseError(
                        f"{members[name]} changed while it was packed. Run again when nothing writes to it."
                    )
    return archive.digest.hexdigest()


def _add(tar: tarfile.TarFile, name: str, content: BinaryIO) -> str:
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    reading = _Reading(content)
    tar.addfile(info, reading)
    return reading.digest.hexdigest()


@dataclass
class _Reading:
    """A file that is hashed while it is read."""

    file: BinaryIO
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def read(self, size: int) -> bytes:
        block = self.file.read(size)
        self.digest.update(block)
        return block


def record_of(
    source: str, digest: str, requirements: str, target: Target, packages: dict[str, str]
) -> dict[str, object]:
    """What release.json says besides what the host adds. None of it changes the id.

    :param source: as the task names it, for the revision and for people.
    """
    return {
        "digest": digest,
        "source": {"name": os.path.basename(os.path.abspath(source)), "revision": revision(source)},
        "requirements": requirements,
        "python": target.version,
        "platform": target.family,
        "packages": packages,
        "built_by": {"user": _user(), "host": socket.gethostname()},
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def revision(source: str) -> str:
    """The git revision of a checkout, '-dirty' where files differ from it, '' where git has none. Read only."""
    # Optional locks: status would otherwise rewrite the index. fsmonitor: the checkout could name a program to run.
    git = ["git", "-C", source, "-c", "core.fsmonitor=false"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    said = []
    for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."]):
        try:
            done = subprocess.run(
                [*git, *command], capture_output=True, text=True, timeout=30, check=True, env=environment
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        said.append(done.stdout.strip())
    return said[0] + ("-dirty" if said[1] else "")
