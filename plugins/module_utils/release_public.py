# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of a release that the proxy serves itself: its user may read these, and nothing else of the release."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence

from ansible_collections.graceful.deploy.plugins.module_utils.release_common import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils.release_shared import Entry, wrong_path


def check(entries: Iterable[Entry], paths: Sequence[str], shared: Sequence[str]) -> None:
    """Raise where the source has no such directory, or one that the app may write to."""
    names = [entry.path for entry in entries]
    for path in paths:
        if wrong := wrong_path([path]):
            raise ReleaseError(f"fastapi_static has {path}: {wrong}")
        for other in shared:
            if f"{path}/".startswith(f"{other}/") or other.startswith(f"{path}/"):
                raise ReleaseError(
                    f"fastapi_static has {path}, and fastapi_shared_paths has {other}: the proxy serves what is in the "
                    "release, and nothing that the app writes. Let the app serve that one."
                )
        if not any(name.startswith(f"{path}/") for name in names):
            raise ReleaseError(
                f"fastapi_static has {path}, and there is no such directory in fastapi_source, or nothing in it. Write "
                "the directory's path in the source, and see that fastapi_exclude doesn't leave it out."
            )


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


def is_open(tree: str) -> bool:
    """Whether a release has such directories."""
    try:
        return bool(os.stat(tree).st_mode & stat.S_IXOTH)
    except OSError:
        return False


def _add(path: str, bits: int) -> None:
    mode = os.lstat(path).st_mode
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode) | bits)
