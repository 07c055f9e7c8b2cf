# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a host's text files that may not be there. Keeps to Python 3.8, for hosts that are about to be refused."""

from __future__ import annotations


def read_text(path: str, limit: int = -1) -> str:
    """A file's text, or its first ``limit`` characters; empty where it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""
