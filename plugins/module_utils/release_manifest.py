# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is sent to one host, which has some of it already: the manifest of an archive, and the room that it needs."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import replace

from ansible_collections.graceful.deploy.plugins.module_utils.release_bundle import Contents
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import FORMAT, sha256_of
from ansible_collections.graceful.deploy.plugins.module_utils.release_target import Target
from ansible_collections.graceful.deploy.plugins.module_utils.release_tools import digest_of


def identified(contents: Contents, target: Target, python: str, method: str) -> Contents:
    """The same with the environment's digest and its wheels in the record.

    :param python: path of the host's interpreter, which the environment links to.
    """
    digests = {wheel.path: wheel.sha256 for wheel in contents.wheels}
    wheels = {name: digests.get(path) or sha256_of(path) for name, path in contents.parts.items()}
    environment = digest_of([FORMAT, method, target.minor, python, target.family, contents.lock])
    record = {**contents.record, "method": method, "environment": environment, "wheels": wheels}
    return replace(contents, environment=environment, record=record)


def manifest_of(contents: Contents, known: dict, built: int) -> dict[str, object]:
    """The manifest: every file that is sent with its hash, every link, and what the host has to have room for.

    :param contents: of identified().
    :param known: `environments` and `wheels` that the host has, as `release_facts.query` says it.
    :param built: seconds since the epoch, the time of the release's files.
    """
    clone = known["environments"].get(contents.environment, "")
    wheels, lock = ([], b"") if clone else (contents.wheels, contents.lock.encode())
    parts = {} if clone else contents.record["wheels"]
    sent = {name: sha256 for name, sha256 in parts.items() if sha256 not in known["wheels"]}
    files = {name: _file(sha256) for name, sha256 in sent.items()}
    if not clone:
        files["lock.txt"] = _file(hashlib.sha256(lock).hexdigest())
    members = replace(contents, ready=None if clone else contents.ready).members
    entries = {name: entry for name, (_place, entry) in members.items()}
    for name, entry in entries.items():
        if not entry.target:
            files[name] = _file(entry.sha256, entry.executable)
    source_size = sum(entry.size for entry in entries.values())
    packed = source_size + len(lock) + sum(os.path.getsize(contents.parts[name]) for name in sent)
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


def space_needed(manifest: dict) -> int:
    """Bytes that the host needs free: the archive's content once, what it unpacks to twice."""
    return int(manifest["archive_bytes"]) + 2 * int(manifest["unpacked_bytes"])


def _file(sha256: str, executable: bool = False) -> dict[str, object]:
    return {"sha256": sha256, "executable": executable}


def _unpacked(wheel: str) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(item.file_size for item in archive.infolist())
