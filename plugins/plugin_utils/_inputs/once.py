# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the app's code once a run, and not once for each host: a second of the control node's for a megabyte of it."""

from __future__ import annotations

import hashlib
import os
import pickle
import typing as t

from ...module_utils._release.place import mutex
from .._source.code import read_code
from .._source.shown import Code


def code_of(top: str, paths: t.Iterable[str], run_directory: str) -> Code:
    """As read_code, or what it said of the same files for another host of this run.

    :param run_directory: this run's own, which nobody else may write to: what is kept there is believed.
    """
    paths = sorted(paths)
    kept = os.path.join(run_directory, f"graceful-code-{_digest(top, paths)}")
    # Hosts are asked at once, and all but the first wait here.
    with mutex(f"{kept}.lock"):
        if os.path.exists(kept):
            with open(kept, "rb") as file:
                found: Code = pickle.load(file)
            return found
        found = read_code(top, paths)
        with open(f"{kept}.new", "wb") as file:
            pickle.dump(found, file)
        os.rename(f"{kept}.new", kept)
        return found


def _digest(top: str, paths: t.Iterable[str]) -> str:
    """Of all that read_code may look at: which files there are, and what is in those with code or requirements."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path}\0".encode(errors="surrogateescape"))
        if path.endswith((".py", ".toml", ".txt", ".in")):
            try:
                with open(os.path.join(top, path), "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except OSError:
                digest.update(b"unread")
    return digest.hexdigest()
