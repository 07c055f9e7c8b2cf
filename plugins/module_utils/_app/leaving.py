# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mark of a host that leaves: while it is there, the proxy answers 503 at the readiness path and serves all else,
so that any balancer takes the host out. Anybody may `touch` it; patch.yml writes into it who patches the host."""

from __future__ import annotations

import contextlib
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from .._host import files

NAME = "leaving"
"""The file's name in the app's directory, as the proxies' templates have it (roles/caddy and roles/nginx, parts.j2)."""
PATCHING = "patch"
"""The kind of its note where patch.yml has written it."""
QUIET = 900.0
"""Seconds after the last word of patch.yml from which on it counts as dead: a reboot has ten minutes."""


def path(root: str) -> str:
    return os.path.join(root, NAME)


def note_in(root: str) -> dict[str, Any]:
    """What the mark says, with ``since`` (UTC, ISO 8601) whoever made it, and ``alive``, whether a patch.yml that wrote
    it may still be under way; empty where there is none."""
    try:
        made = os.lstat(path(root)).st_mtime
    except OSError:
        return {}
    note = {"since": datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "by": "", "phase": ""}
    with contextlib.suppress(ValueError, RecursionError):
        told = json.loads(files.read_text(path(root), 10_000) or "{}")
        if isinstance(told, dict):
            note |= {name: value for name, value in told.items() if isinstance(value, (str, int, float))}
    said = note.get("said", 0.0)
    heard = isinstance(said, (int, float)) and -QUIET < time.time() - said < QUIET
    return {**note, "alive": note.get("kind") == PATCHING and heard}


def patched_by(root: str) -> dict[str, Any]:
    """The note of a patch.yml that is under way on this host; empty where none is, or where it hasn't said anything for
    so long that it must have died."""
    note = note_in(root)
    return note if note.get("alive") else {}


def write(root: str, note: dict[str, Any]) -> None:
    """Mark the host, or say how far its patching is. It outlives a reboot.

    :param note: ``by``, ``since`` and ``phase`` as text, and what else patch.yml has to know when it comes back.
    """
    text = json.dumps({**note, "kind": PATCHING, "said": round(time.time(), 1)}) + "\n"
    files.write(path(root), text.encode(), 0o600)
    files.sync_directory(root)


def remove(root: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path(root))
