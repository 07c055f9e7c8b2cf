# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release shares: directories that outlive it, which the app writes to, and those that the proxy reads."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence

from .._app.releases import ReleaseError


def directory(root: str) -> str:
    return os.path.join(root, "shared")


def link(root: str, tree: str, final: str, paths: Sequence[str]) -> None:
    """Links in the release `tree`, which will be at `final`. They are relative: an app may be moved as a whole."""
    for path in paths:
        place = os.path.join(tree, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        target = os.path.relpath(os.path.join(directory(root), path), os.path.dirname(os.path.join(final, path)))
        os.symlink(target, place)


def make(root: str, paths: Sequence[str], uid: int, gid: int) -> None:
    """Make the directories that aren't there: the last part of a path is the app's to write, what leads to it isn't.

    The app may have put links below what it owns, so no part of a path is ever followed where it is one.
    """
    if not paths:
        return
    os.makedirs(root, mode=0o755, exist_ok=True)
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
            f"{path} isn't a directory on the host. Move it away, or mend fastapi_shared_paths."
        ) from error


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
