# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of releases as runs beside each other leave it: complete releases, and what is being built."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator

from .._app.releases import BUILDING, ReleaseError, created, record_of, records_in, standing, to_prune
from . import store


def paths(root: str, release: str) -> tuple[str, str]:
    """The directory of releases, and the one of this release."""
    releases = os.path.join(root, "releases")
    return releases, os.path.join(releases, release)


def lock_of(releases: str) -> str:
    """The lock of the directory of releases: root's alone. What the app's group may open, the app could hold."""
    return os.path.join(os.path.dirname(releases), "build.lock")


@contextlib.contextmanager
def locked(path: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file or directory, which ends with the process that holds it, however that ends."""
    descriptor = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR | os.O_CREAT, 0o600)
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
def building(releases: str, release: str) -> Iterator[str]:
    """A locked directory to build in, gone afterwards. Those of other live runs are left alone, the rest cleared."""
    with contextlib.ExitStack() as stack:
        # Made and locked under the lock of its parent: no other run can see it unlocked and take it for a leftover.
        with locked(lock_of(releases)):
            clear_leftovers(releases)
            build = tempfile.mkdtemp(prefix=f"{BUILDING}{release}-", dir=releases)
            stack.callback(shutil.rmtree, build, ignore_errors=True)
            stack.enter_context(locked(build))
        yield build


def clear_leftovers(releases: str) -> None:
    for entry in os.scandir(releases):
        if entry.name.startswith(BUILDING) and entry.is_dir(follow_symlinks=False):
            with locked(entry.path, wait=False) as dead:
                if dead:
                    shutil.rmtree(entry.path, ignore_errors=True)


def put_in_place(root: str, release: str, tree: str) -> bool:
    """Rename the release to its name. False where a run beside this one was first with the same release."""
    releases, final = paths(root, release)
    with locked(lock_of(releases)):
        if os.path.lexists(final):
            if record_of(root, release):
                return False
            raise ReleaseError(f"{final} is there without a record of its own: something else made it. Remove it.")
        os.rename(tree, final)
        descriptor = os.open(releases, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return True


def prune(root: str, release: str, keep: int) -> list[str]:
    """Remove old releases, and the wheels that were theirs alone.

    Renamed first: a release is complete or has no release's name, also while it goes.
    """
    releases, _path = paths(root, release)
    with locked(lock_of(releases)):
        records, _incomplete = records_in(root)
        stand = standing(root, records)
        protected = {*stand["protected"], release}
        old = to_prune(created(records), stand["served"], protected, keep)
        for name in old:
            grave = tempfile.mkdtemp(prefix=f"{BUILDING}{name}-", dir=releases)
            os.rename(os.path.join(releases, name), os.path.join(grave, name))
            shutil.rmtree(grave, ignore_errors=True)
        stay = [record for name, record in records.items() if name not in old]
        store.prune(root, {sha256 for record in stay for sha256 in record.get("wheels", {}).values()})
    return old
