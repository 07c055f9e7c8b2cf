# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wheels that a host keeps for one app, named by their SHA-256, so that a deploy sends only those that are new."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Mapping

from .._host.files import sha256_of

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


def link_or_copy(source: str, target: str) -> None:
    """A second name for a file's content; a copy with its times where the filesystem has no such thing."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(source, target)


def directory(root: str) -> str:
    return os.path.join(root, "wheels")


def kept(root: str) -> list[str]:
    """SHA-256 digests of the wheels that are there, by their names alone: take() looks at the content."""
    try:
        return sorted(name for name in os.listdir(directory(root)) if len(name) == 64)
    except FileNotFoundError:
        return []


def add(root: str, path: str, sha256: str) -> None:
    """Keep a wheel whose content was checked. It is whole or absent: a link is made in one step."""
    os.makedirs(directory(root), mode=0o700, exist_ok=True)
    final = os.path.join(directory(root), sha256)
    beside = f"{final}.{os.getpid()}"
    try:
        link_or_copy(path, beside)
        os.rename(beside, final)
    finally:
        if os.path.lexists(beside):
            os.unlink(beside)


def take(root: str, sha256: str, target: str) -> bool:
    """Put a kept wheel at `target`; False where it isn't there or isn't what its name says, and then it goes."""
    source = os.path.join(directory(root), sha256)
    try:
        link_or_copy(source, target)
    except FileNotFoundError:
        return False
    if sha256_of(target) == sha256:
        return True
    os.unlink(target)
    os.unlink(source)
    return False


def complete(root: str, build: str, parts: Mapping[str, str], sent: Iterable[str]) -> list[str]:
    """Keep the wheels that were sent, and take those that weren't; returns the names of what is nowhere.

    :param build: where the archive was unpacked.
    :param parts: SHA-256 by path below `build`, of every wheel that the release is made with.
    """
    sent, missing = set(sent), []
    for name, sha256 in parts.items():
        path = os.path.join(build, name)
        if name in sent:
            add(root, path, sha256)
            continue
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if not take(root, sha256, path):
            missing.append(name)
    return missing


def prune(root: str, wanted: Iterable[str]) -> None:
    """Remove what no release is made of, and what a run that died left."""
    wanted = set(wanted)
    for name in os.listdir(directory(root)) if os.path.isdir(directory(root)) else []:
        if name not in wanted:
            os.unlink(os.path.join(directory(root), name))
