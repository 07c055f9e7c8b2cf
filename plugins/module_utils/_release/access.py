# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may read and write what of a release: its group, the app in what outlives it, the proxy."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Collection, Sequence

from .._app.releases import ReleaseError


def link_shared(root: str, tree: str, final: str, paths: Sequence[str], files: Collection[str] = ()) -> None:
    """Links in the release `tree`, which will be at `final`. They are relative: an app may be moved as a whole.

    What the release has there was the beginning alone.

    :param files: the paths that are a file each, which lies in a directory of its name.
    """
    for path in paths:
        place = os.path.join(tree, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shared = os.path.join(root, "shared", path, *([os.path.basename(path)] if path in files else []))
        if os.path.isdir(place):
            shutil.rmtree(place)
        elif os.path.lexists(place):
            os.unlink(place)
        os.symlink(os.path.relpath(shared, os.path.dirname(os.path.join(final, path))), place)


def make_root(root: str) -> None:
    """The app's directory, which all may pass, where it isn't there yet."""
    if not os.path.isdir(root):
        os.makedirs(root)
        os.chmod(root, 0o755)


def make_shared(
    root: str, paths: Sequence[str], uid: int, gid: int, tree: str = "", files: Collection[str] = ()
) -> None:
    """Make the directories that aren't there: the last part of a path is the app's to write, what leads to it isn't.

    The app may have put links below what it owns, so no part of a path is ever followed where it is one.

    :param tree: the release, whose files are what a path begins with where it isn't there yet.
    :param files: the paths that are a file each. It lies in a directory of its name, which is the app's too: SQLite
        writes its journal beside a database.
    """
    if not paths:
        return
    make_root(root)
    for path in paths:
        parts = ["shared", *path.split("/")]
        place = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for number, part in enumerate(parts, start=1):
                inner = _step(place, part, os.path.join(root, *parts[:number]))
                os.close(place)
                place = inner
                found = os.fstat(place)
                # Just made, or left half-made by a run that died. What anybody gave other rights since keeps them.
                if (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), 0o700):
                    if number == len(parts) and tree:
                        _fill(place, os.path.join(tree, path), uid, gid)
                    os.fchown(place, uid if number == len(parts) else -1, gid)
                    os.fchmod(place, 0o750)
                elif number < len(parts) and (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), 0o750):
                    # An app that was here before had another group, and this one's couldn't pass.
                    os.fchown(place, -1, gid)
            if path in files and os.path.isfile(seed := os.path.join(tree, path)):
                _begin(place, parts[-1], seed, uid, gid)
        finally:
            os.close(place)


def _step(place: int, name: str, path: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=place)
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
    except OSError as error:
        file = f" A file of fastapi_shared_paths lies in a directory of its name: move it to {path}/{name}." * (
            "." in name
        )
        raise ReleaseError(
            f"{path} isn't a directory on the host. Move it away, or change fastapi_shared_paths.{file}"
        ) from error


def _fill(place: int, seed: str, uid: int, gid: int) -> None:
    """Copy what is in the directory `seed` into `place`, where nobody but root may go yet."""
    for directory, names, files in os.walk(seed):
        into = os.path.join(f"/proc/self/fd/{place}", os.path.relpath(directory, seed))
        for name in (*names, *files):
            target = os.path.join(into, name)
            if name in names:
                os.makedirs(target, exist_ok=True)
            else:
                shutil.copyfile(os.path.join(directory, name), target)
            os.chown(target, uid, gid)
            os.chmod(target, 0o750 if name in names else 0o640)


def _begin(place: int, name: str, seed: str, uid: int, gid: int) -> None:
    """Copy a file into the directory `place` unless it has one of that name. Whole or not at all: it is never copied
    again. The app may write there meanwhile."""
    if name in os.listdir(place):
        return
    new = f".{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new, dir_fd=place)
    into = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place)
    with open(seed, "rb") as source, os.fdopen(into, "wb") as target:
        shutil.copyfileobj(source, target)
        os.fchown(into, uid, gid)
        os.fchmod(into, 0o640)
        target.flush()
        os.fsync(into)
    with contextlib.suppress(FileExistsError):
        os.link(new, name, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
    os.unlink(new, dir_fd=place)


def hand_over(tree: str, gid: int, cloned: bool) -> None:
    """Readable for the group, writable for root alone, nothing for others.

    :param cloned: whether the environment has all that already, in files that another release has as well.
    """
    for directory, names, files in os.walk(tree):
        if cloned and directory == tree:
            names.remove(".venv")
        for name in ["", *(name for name in names if os.path.islink(os.path.join(directory, name))), *files]:
            path = os.path.join(directory, name) if name else directory
            mode = os.lstat(path).st_mode
            os.chown(path, os.geteuid(), gid, follow_symlinks=False)
            if not stat.S_ISLNK(mode):
                os.chmod(path, 0o750 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o640)


def open_up(tree: str, paths: Sequence[str]) -> None:
    """Let everybody on the host read these directories, and pass those that lead there, which can't be listed."""
    for path in paths:
        parts = path.split("/")
        for number in range(len(parts)):
            _add(os.path.join(tree, *parts[:number]), stat.S_IXOTH)
        for place, _names, files in os.walk(os.path.join(tree, path)):
            _add(place, stat.S_IROTH | stat.S_IXOTH)
            for name in files:
                _add(os.path.join(place, name), stat.S_IROTH)


def _add(path: str, bits: int) -> None:
    mode = os.lstat(path).st_mode
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode) | bits)
