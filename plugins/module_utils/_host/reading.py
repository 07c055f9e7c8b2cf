# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads files of which anybody may be the owner: a pipe in an app's directory must not hold root back for ever."""

from __future__ import annotations

import os
import stat

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
