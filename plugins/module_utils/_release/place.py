# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of releases as runs beside each other leave it: complete releases, and what is being built."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

from .._app.command import running_from
from .._app.releases import ReleaseError, created, record_of, records_in, standing, to_prune
from .._app.words import BUILDING
from .._host.files import hold, sync_directory
from . import store


def paths(root: str, release: str) -> tuple[str, str]:
    """The directory of releases, and the one of this release."""
    releases = os.path.join(root, "releases")
    return releases, os.path.join(releases, release)


def mutex_of(releases: str) -> str:
    """The file to hold while the directory of releases is changed: root's alone, for who may open it could hold it."""
    return os.path.join(os.path.dirname(releases), "build.lock")


@contextlib.contextmanager
def mutex(path: str, wait: bool = True) -> Iterator[bool]:
    """One process at a time that holds this file or directory; it is free when its holder ends, however that ends.

    :param wait: without it, False is given where another process holds it.
    """
    try:
        descriptor = hold(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR | os.O_CREAT, wait)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def building(releases: str, release: str) -> Iterator[str]:
    """A directory to build in, held by this run and gone afterwards. Those of dead runs are cleared on the way."""
    with contextlib.ExitStack() as stack:
        # Made and held while the parent is held: no other run can see it free and take it for a leftover.
        with mutex(mutex_of(releases)):
            clear_leftovers(releases)
            build = tempfile.mkdtemp(prefix=f"{BUILDING}{release}-", dir=releases)
            stack.callback(shutil.rmtree, build, ignore_errors=True)
            stack.enter_context(mutex(build))
        yield build


def clear_leftovers(releases: str) -> None:
    for entry in os.scandir(releases):
        if entry.name.startswith(BUILDING) and entry.is_dir(follow_symlinks=False):
            with mutex(entry.path, wait=False) as dead:
                if dead:
                    shutil.rmtree(entry.path, ignore_errors=True)


def put_in_place(root: str, release: str, tree: str) -> bool:
    """Rename the release to its name. False where a run beside this one was first with the same release."""
    releases, final = paths(root, release)
    with mutex(mutex_of(releases)):
        if os.path.lexists(final):
            if record_of(root, release):
                return False
            raise ReleaseError(f"{final} is there without a record of its own: something else made it. Remove it.")
        os.rename(tree, final)
        sync_directory(releases)
    return True


def prune(root: str, release: str, keep: int) -> list[str]:
    """Remove old releases, and the wheels that were theirs alone.

    Renamed first: a release is complete or has no release's name, also while it goes. One that somebody holds stays:
    its deploy waits for another to end (_swap/flow.py).
    """
    releases, _path = paths(root, release)
    with mutex(mutex_of(releases)):
        records, _incomplete = records_in(root)
        stand = standing(root, records)
        protected = {*stand["protected"], *running_from(root), release}
        old = to_prune(created(records), stand["served"], protected, keep, {*stand["untried"]} - protected)
        gone = []
        for name in old:
            with mutex(os.path.join(releases, name), wait=False) as free:
                if not free:
                    continue
                grave = tempfile.mkdtemp(prefix=f"{BUILDING}{name}-", dir=releases)
                os.rename(os.path.join(releases, name), os.path.join(grave, name))
                shutil.rmtree(grave, ignore_errors=True)
                gone.append(name)
        stay = [record for name, record in records.items() if name not in gone]
        store.prune(root, {sha256 for record in stay for sha256 in record.get("wheels", {}).values()})
    return gone
