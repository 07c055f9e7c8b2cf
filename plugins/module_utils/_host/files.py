# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a host: their text and digest, names in a directory, and the room beside them."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO


def read_text(path: str, limit: int = -1) -> str:
    """A file's text, or its first ``limit`` characters; empty where it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""


def names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def sha256_of(path: str) -> str:
    with open(path, "rb") as file:
        return hash_stream(file)


def hash_stream(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: str) -> int:
    """What others than root could still write where `path` is or would be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize
