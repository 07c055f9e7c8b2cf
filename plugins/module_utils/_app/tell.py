# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has a deploy's outcome told to whom fastapi_notify names, by the program that role deploy_user leaves on the host."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any, TypeAlias

from .command import COMMANDS

LIMIT = 10.0
"""Seconds for a program that ends by itself in less than five."""
MOST_REASON = 4000
"""Characters of a reason that are handed on; what is told is shorter."""


Telling: TypeAlias = "subprocess.Popen[str] | OSError | None"
"""What tells, or why it couldn't be started; None where there is nobody to be told."""


def begin(root: str, event: Mapping[str, Any]) -> Telling:
    """Begin to tell of an event. A deploy needn't wait for it before its own end.

    :param root: the app's directory.
    :param event: as roles/deploy_user/files/tell.py reads it: ``event``, and what else is known.
    """
    here = os.path.join(root, COMMANDS)
    if not os.path.exists(os.path.join(here, "notify")):
        return None
    given = {**event, "reason": str(event.get("reason") or "")[:MOST_REASON]}
    command = ["/usr/bin/python3", "-BEsS", os.path.join(here, "tell.py")]
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace")
    except OSError as error:
        return error
    try:
        if process.stdin:
            process.stdin.write(json.dumps(given))
            process.stdin.close()
    except OSError:
        # It has ended already, and end() says so.
        pass
    process.stdin = None
    return process


def end(process: Telling) -> tuple[dict[str, Any], list[str]]:
    """What came of it, as the program says it, and a warning for each target that couldn't be told; never a failure."""
    nothing: dict[str, Any] = {"told": [], "not_told": [], "nobody": "No targets are set: fastapi_notify is empty."}
    if process is None:
        return nothing, []
    if isinstance(process, OSError):
        return nothing, [f"Nobody was told: {process}."]
    err = ""
    try:
        out, err = process.communicate(timeout=LIMIT)
        said = {**nothing, **json.loads(out)}
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return nothing, [f"Nobody was told: what tells was at it for {LIMIT:.0f} s."]
    except (OSError, ValueError, TypeError):
        lines = err.strip().splitlines() or [f"it ended with status {process.returncode}"]
        return nothing, [f"Nobody was told: {lines[-1]}"]
    return said, [f"{row['target']} could not be told: {row['why']}." for row in said["not_told"]]


def of_cut_off(note: Mapping[str, Any]) -> dict[str, Any]:
    """The event of a deploy that was cut off, which is told once, whoever sees it first.

    :param note: what it has left in the lock.
    """
    known = {key: note.get(key) if note.get(key) != "unknown" else None for key in ("by", "release", "previous")}
    key, reason = f"cut off {note.get('since')} {note.get('pid')}", f"in phase {note.get('phase')}"
    return {**known, "event": "cut_off", "key": key, "reason": reason}
