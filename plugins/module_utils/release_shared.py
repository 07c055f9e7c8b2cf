# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories that outlive releases: each release has links to them, and their place is ``shared`` beside releases."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from ansible_collections.graceful.deploy.plugins.module_utils.release_common import RECORD, ReleaseError


class Entry(Protocol):
    """A file or a link of the source, by its path."""

    @property
    def path(self) -> str: ...


_E = TypeVar("_E", bound=Entry)
_PLACEHOLDERS = (".gitkeep", ".keep")


def directory(root: str) -> str:
    return os.path.join(root, "shared")


def wrong_path(paths: Sequence[str]) -> str:
    """What is wrong with the first bad one, as a sentence without its subject; '' where all are good. Pure."""
    for path in paths:
        parts = path.split("/")
        if not path or any(part in ("", ".", "..") for part in parts) or not path.isprintable():
            return f"{path!r} in it has to be a directory below the release, such as media or var/uploads."
        if parts[0] in (".venv", RECORD):
            return f"{path!r} in it is the release's own."
        if paths.count(path) > 1:
            return f"{path!r} is in it twice."
        for other in paths:
            if path.startswith(f"{other}/"):
                return f"{path!r} in it lies in {other!r}, which is shared as a whole."
    return ""


def without_shared(entries: Iterable[_E], paths: Sequence[str]) -> list[_E]:
    """The source's entries without placeholders for shared directories; raises where it has something else there."""
    if wrong := wrong_path(paths):
        raise ReleaseError(f"fastapi_shared_paths is {list(paths)!r}: {wrong}")
    stay = []
    for entry in entries:
        shared = next((path for path in paths if f"{entry.path}/".startswith(f"{path}/")), "")
        blocked = next((path for path in paths if path.startswith(f"{entry.path}/")), "")
        if blocked:
            raise ReleaseError(
                f"fastapi_shared_paths has {blocked}, and {entry.path} in fastapi_source is no directory. Rename one."
            )
        if not shared:
            stay.append(entry)
        elif os.path.basename(entry.path) not in _PLACEHOLDERS or entry.path == shared:
            raise ReleaseError(
                f"fastapi_shared_paths has {shared}, and fastapi_source has {entry.path}, which nobody would see "
                f"behind the shared directory. Move it elsewhere, or leave it out: add {shared} to fastapi_exclude."
            )
    return stay


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
