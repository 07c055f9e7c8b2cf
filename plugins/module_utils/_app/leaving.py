# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mark of a host that leaves: while it is there, the proxy answers 503 at the readiness path and serves all else,
so that any balancer takes the host out. Anybody may `touch` it. Beside it is the note of a patch.yml that patches the
host: how far it is, which a mark made by hand changes nothing about."""

from __future__ import annotations

import contextlib
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from .._host import files
from . import words

PATCHING = "patch"
"""The kind of that note, and of a mark that patch.yml has made."""
QUIET = 900.0
"""Seconds after the last word of patch.yml from which on it counts as dead: a reboot has ten minutes."""


def path(root: str) -> str:
    return os.path.join(root, words.LEAVING)


def note_path(root: str) -> str:
    return os.path.join(root, words.PATCH_NOTE)


def _told(place: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        told = json.loads(files.read_text(place, 10_000) or "{}")
        if isinstance(told, dict):
            return {name: value for name, value in told.items() if isinstance(value, (str, int, float))}
    return {}


def is_by_hand(root: str) -> bool:
    """Whether somebody else than patch.yml has marked the host: that mark stays."""
    return os.path.lexists(path(root)) and _told(path(root)).get("kind") != PATCHING


def patching_in(root: str) -> dict[str, Any]:
    """The note of a patch.yml, with ``alive``, whether that may still be under way; empty where there is none."""
    note = _told(note_path(root))
    if note.get("kind") != PATCHING:
        return {}
    said = note.get("said", 0.0)
    heard = isinstance(said, (int, float)) and -QUIET < time.time() - said < QUIET
    return {"since": "", "by": "", "phase": "", **note, "alive": heard}


def note_in(root: str) -> dict[str, Any]:
    """What there is to say of a host that leaves: ``since`` when (UTC, ISO 8601) whoever made the mark, and patch.yml's
    note where there is one; empty where it doesn't leave."""
    try:
        made = os.lstat(path(root)).st_mtime
    except OSError:
        return {}
    since = datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    note = {"since": since, "by": "", "phase": "", "alive": False, **patching_in(root)}
    return {**note, "since": since} if is_by_hand(root) else note


def patched_by(root: str) -> dict[str, Any]:
    """The note of a patch.yml that is under way on this host; empty where none is, or where it hasn't said anything for
    so long that it must have died."""
    note = patching_in(root)
    return note if note.get("alive") else {}


def write(root: str, note: dict[str, Any]) -> None:
    """Mark the host, or say how far its patching is. Both outlive a reboot.

    :param note: ``by``, ``since`` and ``phase`` as text, and what else patch.yml has to know when it comes back.
    """
    text = json.dumps({**note, "kind": PATCHING, "said": round(time.time(), 1)}) + "\n"
    # The note first: a mark without one would be somebody's own.
    files.write(note_path(root), text.encode(), 0o600)
    if not os.path.lexists(path(root)):
        files.write(path(root), (json.dumps({"kind": PATCHING}) + "\n").encode(), 0o600)
    files.sync_directory(root)


def remove(root: str) -> None:
    """End a patching: its mark goes, one made by hand doesn't."""
    gone = [note_path(root)] if is_by_hand(root) else [path(root), note_path(root)]
    for each in gone:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(each)
