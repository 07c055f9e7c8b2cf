# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may read and write what of a release: its group, the app in directories that outlive it, the proxy."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence

from .._app.releases import ReleaseError


def link_shared(root: str, tree: str, final: str, paths: Sequence[str]) -> None:
    """Links in the release `tree`, which will be at `final`. They are relative: an app may be moved as a whole."""
    for path in paths:
        place = os.path.join(tree, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        target = os.path.relpath(os.path.join(root, "shared", path), os.path.dirname(os.path.join(final, path)))
        os.symlink(target, place)


def make_root(root: str) -> None:
    """The app's directory, which all may pass, where it isn't there yet."""
    if not os.path.isdir(root):
        os.makedirs(root)
        os.chmod(root, 0o755)


def make_shared(root: str, paths: Sequence[str], uid: int, gid: int) -> None:
    """Make the directories that aren't there: the last part of a path is the app's to write, what leads to it isn't.

    The app may have put links below what it owns, so no part of a path is ever followed where it is one.
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
                    os.fchown(place, uid if number == len(parts) else -1, gid)
                    os.fchmod(place, 0o750)
        finally:
            os.close(place)


def _step(place: int, name: str, path: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=place)
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
    except OSError as error:
        raise ReleaseError(
            f"{path} isn't a directory on the host. Move it away, or change fastapi_shared_paths."
        ) from error


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
