# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletes what is to go from a host, and nothing that a link leads to."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator

from ansible_collections.graceful.deploy.plugins.module_utils.absent_places import Target


@contextlib.contextmanager
def _parent(target: Target) -> Iterator[tuple[int, str]]:
    """The directory that holds the target, and its name there; no link is followed below the base.

    :raises FileNotFoundError: where it is gone; NotADirectoryError where a link stands in the way.
    """
    *parts, name = target.inside.split("/")
    place = os.open(target.base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        yield place, name
    finally:
        os.close(place)


def remove(target: Target) -> None:
    """Remove a file, a link or a whole directory; a link is removed itself, whatever it leads to."""
    with contextlib.suppress(FileNotFoundError), _parent(target) as (place, name):
        if stat.S_ISDIR(os.lstat(name, dir_fd=place).st_mode):
            shutil.rmtree(name, dir_fd=place)
        else:
            os.unlink(name, dir_fd=place)


def remove_empty(target: Target) -> None:
    """Remove a directory that is empty by now.

    :raises OSError: where something is in it.
    """
    with contextlib.suppress(FileNotFoundError), _parent(target) as (place, name):
        os.rmdir(name, dir_fd=place)
