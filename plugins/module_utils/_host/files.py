# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a host: read, written in one step, linked, exchanged; their digests, and the room beside them."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BESIDE = ".graceful-"
"""Begins the names of files that are being written: what a run that was cut off may leave."""


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
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Room:
    """What a file system has left for an ordinary write; root's reserve isn't counted.

    :param path: the nearest directory that is there.
    :param device: tells two paths on one file system.
    :param free_inodes: None where there is no fixed number, as on btrfs, which says 0 of 0.
    """

    path: str
    device: int
    free_bytes: int
    free_inodes: int | None
    read_only: bool


def room_at(path: str) -> Room:
    """The room where `path` is or would be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    stats = os.statvfs(path)
    inodes = stats.f_favail if stats.f_files else None
    return Room(path, os.stat(path).st_dev, stats.f_bavail * stats.f_frsize, inodes, bool(stats.f_flag & os.ST_RDONLY))


def free_bytes(path: str) -> int:
    return room_at(path).free_bytes


def write(path: str, content: bytes, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Write beside and rename, owner and mode set before the name is there: never half, never readable too early, and
    on the disk before anybody sees it.

    :param uid: and `gid`: -1 leaves the writer's own.
    """
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=BESIDE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def link(target: str, path: str) -> None:
    """Put a symbolic link at ``path``, in the place of whatever link or file is there."""
    temporary = f"{path}.new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)


def exchange(one: str, two: str) -> None:
    """Swap two names (renameat2(2), which Python has no call for)."""
    at_cwd, flag = -100, 2
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(at_cwd, os.fsencode(one), at_cwd, os.fsencode(two), flag):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one)


def hold(path: str, flags: int, wait: bool) -> int:
    """Open a file or directory and take its lock, which the kernel frees with the descriptor that is returned.

    A removal may unlink a file that others are about to lock: who holds what has no name any more holds nothing, so
    the name is opened anew.

    :param flags: of open(2).
    :raises BlockingIOError: where another process holds it, and this one isn't to wait.
    """
    while True:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.lexists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def sync_directory(path: str) -> None:
    """See that the names in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def named(lookup: Callable[[int], Any], number: int) -> str:
    """The name of a user or group; of one that is gone, the number.

    :param lookup: ``pwd.getpwuid`` or ``grp.getgrgid``.
    """
    try:
        return str(lookup(number)[0])
    except (KeyError, OverflowError):
        return str(number)
