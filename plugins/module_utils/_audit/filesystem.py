# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a process as it sees them: its own root may be a container's."""

from __future__ import annotations

import glob

from .._host.reading import read_text
from .bounds import Budget

MOST = 1 << 22
"""Bytes that are read of one file."""


class Files:
    """A file system, and how much of it one configuration may have.

    :param root: the directory that the process sees as /, without a slash at its end; '' for the host's.
    """

    def __init__(self, root: str = "", budget: Budget | None = None) -> None:
        self._root = root
        self.budget = budget or Budget()

    def text(self, path: str) -> str:
        """:raises TooMuch: where it is one file too many."""
        self.budget.file()
        return read_text(self._root + path, MOST)

    def matching(self, pattern: str) -> list[str]:
        """The paths that a shell pattern has there, sorted."""
        found = glob.glob(glob.escape(self._root) + pattern)
        return sorted(path.removeprefix(self._root) for path in found)
