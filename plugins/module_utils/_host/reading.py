# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads files of which anybody may be the owner: a pipe in an app's directory must not hold root back for ever."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

MOST = 1 << 20


def read_text(path: str, limit: int = MOST, follow: bool = True) -> str:
    """The first `limit` bytes of a regular file as text; empty where it is none, or can't be read.

    :param follow: whether the path may be a symbolic link.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            return file.read(limit).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def read_led(path: str, limit: int = MOST) -> str | None:
    """The whole text of a regular file of at most `limit` bytes; None for anything else.

    Links on the way count where root has made them, or who owns the file: an app's user could else have root read
    anybody's.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            found = os.readlink(f"/proc/self/fd/{file.fileno()}")
            if found != os.path.normpath(path):
                led = _Way()
                makers = set(led.walk(path))
                if led.here != found or not makers <= {0, status.st_uid}:
                    return None
            content = file.read(limit + 1)
            return content.decode("utf-8", "replace") if len(content) <= limit else None
    except (OSError, ValueError):
        return None


def directory_led(path: str) -> str:
    """Where a directory is, links on the way included, of which read_led() tells whose count; '' where it is none."""
    way = _Way()
    try:
        makers = set(way.walk(path))
        status = os.lstat(way.here)
    except OSError:
        return ""
    return way.here if stat.S_ISDIR(status.st_mode) and makers <= {0, status.st_uid} else ""


class _Way:
    """Goes to a file link by link. ``here`` is where it has come to."""

    def __init__(self) -> None:
        self.here = "/"

    def walk(self, path: str) -> Iterator[int]:
        """The owner of each link on the way.

        :raises OSError: where it doesn't come to an end.
        """
        parts, links = os.path.abspath(path).split("/"), 0
        while parts:
            part = parts.pop(0)
            if part in ("", "."):
                continue
            place = os.path.normpath(os.path.join(self.here, part))
            status = os.lstat(place)
            if not stat.S_ISLNK(status.st_mode):
                self.here = place
                continue
            links += 1
            if links > 40:
                raise OSError(f"{path} leads nowhere")
            yield status.st_uid
            target = os.readlink(place)
            self.here = "/" if target.startswith("/") else self.here
            parts = [*target.split("/"), *parts]
