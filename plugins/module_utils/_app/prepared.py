# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For which releases fastapi_before_swap was run, and by which lines: those that are written later have to run, too."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

from .._host import files
from .releases import complete

NAME = "prepared.json"
"""Name of the file in the app's directory, which root alone may read."""


def digest(lines: Sequence[str]) -> str:
    """Of the lines, which may hold a secret."""
    return hashlib.sha256(json.dumps(list(lines)).encode()).hexdigest()


def _read(root: str) -> dict[str, str]:
    try:
        found = json.loads(files.read_text(os.path.join(root, NAME)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def by(root: str, release: str) -> str:
    """The digest of the lines that have run for a release; '' for none."""
    return _read(root).get(release, "")


def note(root: str, release: str, lines: Sequence[str]) -> None:
    """Note that all lines have run for a release."""
    there = {*complete(root), release}
    kept = {name: text for name, text in _read(root).items() if name in there}
    text = json.dumps({**kept, release: digest(lines)})
    files.write(os.path.join(root, NAME), text.encode(), 0o600, 0, 0)
