# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes one release directory from an archive: built beside, complete with its record, then renamed into place."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import grp
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.graceful.deploy.plugins.module_utils import release_facts, release_unpack, release_venv
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import (
    BUILDING,
    RECORD,
    ReleaseError,
    megabytes,
    sha256_of,
    to_prune,
)


@dataclass(frozen=True)
class Order:
    """What to install and where; the names are those of the task's options."""

    name: str
    root: str
    group: str
    python: str
    keep: int
    archive: str
    sha256: str
    release: str

    @property
    def releases(self) -> str:
        return os.path.join(self.root, "releases")


def install(order: Order) -> dict[str, object]:
    """Install the archive's release unless it is there already; returns what the task reports."""
    gid = group_id(order.group)
    make_releases_directory(order, gid)
    if sha256_of(order.archive) != order.sha256:
        raise ReleaseError("The archive came over damaged: its SHA-256 isn't the one it was sent with. Run again.")
    manifest = release_unpack.read_manifest(order.archive)
    if manifest["release"] != order.release:
        raise ReleaseError(f"The archive holds release {manifest['release']}, not {order.release}.")
    check_space(order, manifest)
    with building(order) as build:
        tree = os.path.join(build, "source")
        os.mkdir(tree, 0o750)
        release_unpack.unpack(order.archive, manifest, build)
        set_times(tree, int(manifest["built"]))
        final = os.path.join(order.releases, order.release)
        installer = release_venv.make(build, tree, final, order.python, order.name)
        broken = release_venv.compile_source(order.python, build, tree)
        record = write_record(tree, manifest, installer)
        hand_over(tree, gid)
        # On the disk before it has its name, so that a power cut leaves no complete-looking release with holes.
        release_venv.run("Writing the release to disk", ["sync", "--file-system", tree], build)
        changed = put_in_place(order, tree, final)
    return {
        "changed": changed,
        "installer": installer,
        "not_compiled": broken,
        "size": record["size"],
        "pruned": prune(order),
    }


def group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ReleaseError(
            f"There is no group {group} on the host. Role deploy_user makes it; run that first."
        ) from None


def make_releases_directory(order: Order, gid: int) -> None:
    if os.path.isdir(order.releases):
        return
    os.makedirs(order.root, mode=0o755, exist_ok=True)
    os.mkdir(order.releases, 0o700)
    os.chown(order.releases, -1, gid)
    os.chmod(order.releases, 0o750)


def check_space(order: Order, manifest: dict) -> None:
    """The archive's content once, what it unpacks to twice: bytecode is about as large as its source."""
    needed = int(manifest["archive_bytes"]) + 2 * int(manifest["unpacked_bytes"])
    free = release_facts.free_bytes(order.releases)
    if free < needed:
        raise ReleaseError(space_sentence(order.releases, free, needed))
    inodes = os.statvfs(order.releases)
    files = 2 * int(manifest["unpacked_files"])
    if inodes.f_files and inodes.f_favail < files:
        raise ReleaseError(f"{order.releases} has {inodes.f_favail} inodes free, and the release needs {files}.")


def space_sentence(path: str, free: int, needed: int) -> str:
    return (
        f"{path} has {megabytes(free)} free, and building the release needs {megabytes(needed)}. "
        "Nothing was changed. Free some space, or lower fastapi_keep_releases."
    )


@contextlib.contextmanager
def locked(path: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a directory, which ends with the process that holds it, however that ends."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def building(order: Order) -> Iterator[str]:
    """A locked directory to build in, gone afterwards. A locked one of another run is left alone; the rest is cleared."""
    with contextlib.ExitStack() as stack:
        # Made and locked under the lock of its parent: no other run can see it unlocked and take it for a leftover.
        with locked(order.releases):
            clear_leftovers(order.releases)
            build = tempfile.mkdtemp(prefix=f"{BUILDING}{order.release}-", dir=order.releases)
            stack.callback(shutil.rmtree, build, ignore_errors=True)
            stack.enter_context(locked(build))
        yield build


def clear_leftovers(releases: str) -> None:
    for entry in os.scandir(releases):
        if entry.name.startswith(BUILDING) and entry.is_dir(follow_symlinks=False):
            with locked(entry.path, wait=False) as dead:
                if dead:
                    shutil.rmtree(entry.path, ignore_errors=True)


def set_times(tree: str, when: int) -> None:
    """One time for all files, the release's own: static files' ETags are made of time and size, so a changed file of
    the same size has to differ in time from the release before."""
    for directory, _names, files in os.walk(tree):
        for name in files:
            os.utime(os.path.join(directory, name), (when, when), follow_symlinks=False)


def write_record(tree: str, manifest: dict, installer: str) -> dict[str, object]:
    """Write release.json, the last file of a release."""
    size = sum(os.lstat(os.path.join(place, name)).st_size for place, _names, files in os.walk(tree) for name in files)
    created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    record = {"id": manifest["release"], "created": created, **manifest["record"], "installer": installer, "size": size}
    with open(os.path.join(tree, RECORD), "x", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    return record


def hand_over(tree: str, gid: int) -> None:
    """Readable for the group, writable for root alone, nothing for others."""
    for directory, names, files in os.walk(tree):
        for name in ["", *(name for name in names if os.path.islink(os.path.join(directory, name))), *files]:
            path = os.path.join(directory, name) if name else directory
            mode = os.lstat(path).st_mode
            os.chown(path, os.geteuid(), gid, follow_symlinks=False)
            if not stat.S_ISLNK(mode):
                os.chmod(path, 0o750 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o640)


def put_in_place(order: Order, tree: str, final: str) -> bool:
    """Rename the release to its name. False where a run beside this one was first with the same release."""
    with locked(order.releases):
        if os.path.lexists(final):
            if order.release in release_facts.releases(order.root)[0]:
                return False
            raise ReleaseError(f"{final} is there without a record of its own: something else made it. Remove it.")
        os.rename(tree, final)
        descriptor = os.open(order.releases, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return True


def prune(order: Order) -> list[str]:
    """Remove old releases. Renamed first: a release is complete or has no release's name, also while it goes."""
    with locked(order.releases):
        created, _incomplete = release_facts.releases(order.root)
        old = to_prune(created, {*release_facts.protected(order.root), order.release}, order.keep)
        for release in old:
            grave = tempfile.mkdtemp(prefix=f"{BUILDING}{release}-", dir=order.releases)
            os.rename(os.path.join(order.releases, release), os.path.join(grave, release))
            shutil.rmtree(grave, ignore_errors=True)
    return old
