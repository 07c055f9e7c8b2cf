# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packs what makes a release into one archive: source, wheels, locked requirements, installers, and a manifest."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile
from dataclasses import dataclass, field, replace
from typing import IO, Any

from ...module_utils._app.history import deployer
from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.files import sha256_of
from ...module_utils._host.run import CONTROL_NODE, ProgramError, environment_without, run
from ...module_utils._release.archive import FORMAT, MANIFEST, File, Manifest
from .methods import Environment
from .source import Entry
from .target import Target
from .tools import digest_of
from .wheels import Wheel


@dataclass(frozen=True)
class Contents:
    """What goes into the archive.

    :param source: directory of the source, which `entries` are relative to.
    :param installers: paths of the wheels that install on the host.
    :param record: what the host's release.json will say.
    :param locked: requirements with hashes that name exactly what is installed.
    :param ready: the environment, where it is shipped whole.
    :param project: what the app's own project adds to the environment.
    :param environment: digest of all that decides the virtual environment.
    """

    release: str
    source: str
    entries: list[Entry]
    wheels: list[Wheel]
    installers: list[str]
    record: dict[str, Any]
    locked: str
    ready: Environment | None = None
    project: Environment | None = None
    environment: str = ""

    @property
    def members(self) -> dict[str, tuple[str, Entry]]:
        """Path in the archive of every file and link of the release -> its directory here, and what it is."""
        top = {f"source/{entry.path}": (self.source, entry) for entry in self.entries}
        ready = self.ready
        venv = {f"source/.venv/{entry.path}": (ready.directory, entry) for entry in ready.entries} if ready else {}
        own = self.project
        project = {f"project/{entry.path}": (own.directory, entry) for entry in own.entries} if own else {}
        return top | venv | project

    @property
    def parts(self) -> dict[str, str]:
        """Path in the archive of every wheel that makes the environment -> its path here."""
        wheels = {f"wheels/{os.path.basename(wheel.path)}": wheel.path for wheel in self.wheels}
        return wheels | {f"tools/{os.path.basename(path)}": path for path in self.installers}


def write_archive(contents: Contents, manifest: Manifest, path: str) -> str:
    """Write the archive, the same bytes for the same input; returns its SHA-256.

    It is compressed where it isn't wheels, which are already. Times and owners are left to the host.
    """
    members = {
        **{name: os.path.join(place, entry.path) for name, (place, entry) in contents.members.items()},
        **contents.parts,
    }
    with contextlib.ExitStack() as stack:
        packed: IO[bytes] | gzip.GzipFile = stack.enter_context(open(path, "xb"))
        if not set(contents.parts) & set(manifest["files"]):
            packed = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=3, fileobj=packed, mtime=0))
        tar = stack.enter_context(tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT))
        _add(tar, MANIFEST, io.BytesIO(json.dumps(manifest, sort_keys=True).encode()))
        if "lock.txt" in manifest["files"]:
            _add(tar, "lock.txt", io.BytesIO(contents.locked.encode()))
        for name in sorted(set(manifest["files"]) - {"lock.txt"}):
            try:
                with open(members[name], "rb") as member:
                    seen = _add(tar, name, member)
            except OSError as error:
                raise ReleaseError(f"{members[name]} can't be packed: {error.strerror}.") from error
            if seen != manifest["files"][name]["sha256"]:
                raise ReleaseError(f"{members[name]} changed while it was packed. Run again when nothing writes to it.")
    return sha256_of(path)


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> str:
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    reading = _Reading(content)
    tar.addfile(info, reading)
    return reading.digest.hexdigest()


@dataclass
class _Reading:
    """A file that is hashed while it is read."""

    file: IO[bytes]
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def read(self, size: int = -1, /) -> bytes:
        block = self.file.read(size)
        self.digest.update(block)
        return block


def record_of(source: str, digest: str, requirements: str, target: Target, packages: dict[str, str]) -> dict[str, Any]:
    """What release.json says besides what the host adds. None of it changes the id.

    :param source: as the task names it, for the revision and for people.
    """
    user, _at, machine = deployer().rpartition("@")
    return {
        "digest": digest,
        "source": {"name": os.path.basename(os.path.abspath(source)), "revision": revision(source)},
        "requirements": requirements,
        "python": target.version,
        "platform": target.family,
        "packages": packages,
        "built_by": {"user": user, "host": machine},
    }


def revision(source: str) -> str:
    """The git revision of a checkout, '-dirty' where files differ from it, '' where git has none, as of a directory
    that is in somebody else's checkout and no part of it. Read only."""
    # Optional locks: status would otherwise rewrite the index. fsmonitor: the checkout could name a program to run.
    git = ["git", "-C", source, "-c", "core.fsmonitor=false"]
    environment = environment_without("GIT_") | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        commit, held, changes = (
            run("Asking git", [*git, *command], environment, CONTROL_NODE, limit=30).strip()
            for command in (["rev-parse", "HEAD"], ["ls-tree", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except ProgramError:
        return ""
    if not held:
        return ""
    return commit + ("-dirty" if changes else "")


def identified(contents: Contents, target: Target, python: str, method: str) -> Contents:
    """The same with the environment's digest and its wheels in the record.

    :param python: path of the host's interpreter, which the environment links to.
    """
    digests = {wheel.path: wheel.sha256 for wheel in contents.wheels}
    wheels = {name: digests.get(path) or sha256_of(path) for name, path in contents.parts.items()}
    environment = digest_of([FORMAT, method, target.minor, python, target.family, contents.locked])
    record = {**contents.record, "method": method, "environment": environment, "wheels": wheels}
    return replace(contents, environment=environment, record=record)


def manifest_of(contents: Contents, known: dict[str, Any], built: int) -> Manifest:
    """The manifest: every file that is sent with its hash, every link, and what the host has to have room for.

    :param contents: of identified().
    :param known: `environments` and `wheels` that the host has, as `facts.query` of the host's half says it.
    :param built: seconds since the epoch, the time of the release's files.
    """
    clone = known["environments"].get(contents.environment, "")
    wheels, locked = ([], b"") if clone else (contents.wheels, contents.locked.encode())
    parts: dict[str, str] = {} if clone else contents.record["wheels"]
    sent = {name: sha256 for name, sha256 in parts.items() if sha256 not in known["wheels"]}
    files = {name: _file(sha256) for name, sha256 in sent.items()}
    if not clone:
        files["lock.txt"] = _file(hashlib.sha256(locked).hexdigest())
    members = replace(contents, ready=None if clone else contents.ready).members
    entries = {name: entry for name, (_place, entry) in members.items()}
    for name, entry in entries.items():
        if not entry.target:
            files[name] = _file(entry.sha256, entry.executable)
    source_size = sum(entry.size for entry in entries.values())
    packed = source_size + len(locked) + sum(os.path.getsize(contents.parts[name]) for name in sent)
    return {
        "format": FORMAT,
        "release": contents.release,
        "built": built,
        "files": files,
        "links": {name: entry.target for name, entry in entries.items() if entry.target},
        "clone": clone,
        "parts": parts,
        # The installers are unpacked beside their wheels, and go when the release is made.
        "archive_bytes": packed + (0 if clone else sum(_unpacked(path) for path in contents.installers)),
        "unpacked_bytes": source_size + sum(wheel.unpacked for wheel in wheels),
        "unpacked_files": len(entries) + sum(wheel.files for wheel in wheels),
        "record": contents.record,
    }


def _file(sha256: str, executable: bool = False) -> File:
    return {"sha256": sha256, "executable": executable}


def _unpacked(wheel: str) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(item.file_size for item in archive.infolist())
