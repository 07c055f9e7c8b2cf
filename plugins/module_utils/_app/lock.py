# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deploy at a time: a lock that the kernel frees with its holder, and a note in it of who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from .._host.files import hold, sync_directory
from . import leaving

NAME = "deploy.lock"
PAUSE = 0.2
"""Seconds between two tries to get a lock that somebody else holds."""
NOTED_WITHIN = 1.0
"""Seconds that who has just got the lock is given to say so in its note, before it is told about without one."""
MEASURING = "tune"
"""The kind of a note, among those of deploys, by whoever holds the lock to measure: it moves nothing."""
MOVES_NOTHING = (MEASURING, leaving.PATCHING)
"""The kinds of notes that nobody has to hear of where their writer was cut off."""
UNREADABLE = dict.fromkeys(("by", "since", "release", "phase"), "unknown")
"""The note of a deploy that a power cut has left half or as zeros: it was cut off, and that is all that is known."""


def now() -> str:
    """The time as the note and the history say it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Held(Exception):
    """Somebody else deploys; carries the holder's note, and for how many seconds its end was waited for."""

    def __init__(self, note: dict[str, Any], waited: float = 0) -> None:
        super().__init__(str(note))
        self.note = note
        self.waited = waited

    def sentence(self, name: str) -> str:
        """Who holds the lock of the app ``name``, and what to do."""
        advice = "Run again when it has ended, or have the run wait for that: -e fastapi_lock_wait=300."
        if self.waited:
            advice = (
                f"This run has waited {self.waited:.0f} s for its end (fastapi_lock_wait). Run again when it has ended."
            )
        if self.note.get("kind") == leaving.PATCHING:
            advice = "Run again when it has ended, or have the run wait for that: -e fastapi_lock_wait=900."
            advice += " Where it has died, the next patch.yml ends it."
            return f"patch.yml is patching this host: {holder(self.note)}. {advice}"
        what = f"Another deploy of {name} is moving traffic on this host"
        if self.note.get("kind") == MEASURING:
            what = f"tune.yml is measuring {name} on this host"
        return f"{what}: {holder(self.note)}. {advice}"


def holder(note: dict[str, Any]) -> str:
    """Who holds the lock, since when, with what and how far."""
    who, since, phase, pid = (note.get(key, "unknown") for key in ("by", "since", "phase", "pid"))
    release = note.get("release")
    what = f" with release {release}" if release else ""
    # Between two of its calls a patch.yml has no process here.
    process = f" (process {pid})" if note.get("kind") != leaving.PATCHING else ""
    return f"{who} began at {since}{what}, and is in phase {phase}{process}"


def note_in(root: str) -> dict[str, Any]:
    """What the lock's file says, whoever wrote it; empty where no deploy is under way or was cut off."""
    try:
        with open(os.path.join(root, NAME), encoding="utf-8", errors="replace") as file:
            text = file.read()
        note = json.loads(text) if text.strip() else {}
    except OSError:
        return {}
    except (ValueError, RecursionError):
        note = None
    if not isinstance(note, dict):
        return dict(UNREADABLE)
    return note if isinstance(note.get("release", ""), str) else {**note, "release": "unknown"}


def is_held(root: str) -> bool:
    """Whether a deploy is under way right now."""
    try:
        descriptor = os.open(os.path.join(root, NAME), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def left_in(root: str) -> dict[str, Any]:
    """The note of a deploy that was cut off; empty where none was, and while one is under way."""
    return {} if is_held(root) else note_in(root)


@contextlib.contextmanager
def beside(root: str, wait: float) -> Iterator[None]:
    """Keep deploys from beginning for a moment, without being one: the note of one that was cut off stays as it is.

    :raises Held: when one is under way, and doesn't end in time.
    :raises FileNotFoundError: where there is no such directory.
    """
    end = time.monotonic() + wait
    while True:
        try:
            descriptor = hold(os.path.join(root, NAME), os.O_RDWR | os.O_CREAT, wait=False)
            break
        except BlockingIOError:
            if time.monotonic() >= end:
                raise Held(note_in(root), wait) from None
            time.sleep(PAUSE)
    try:
        yield
    finally:
        os.close(descriptor)


class DeployLock:
    """The app's deploy lock, held until it is released or this process ends, however it ends.

    :param root: the app's directory.
    :param wait: seconds for which the end of another one that has it is waited for. What was read before, such as what
        is live, may be another by then.
    :param patches: whether this is patch.yml's own, which holds others off between its calls by its note.
    :raises Held: when another process has it.
    :raises FileNotFoundError: where there is no such directory, or there is none any more.
    """

    def __init__(self, root: str, wait: float = 0, patches: bool = False) -> None:
        self.waited = ""
        """For whom it was waited, and how long; empty where it was free."""
        begun = time.monotonic()
        seen: dict[str, Any] | None = None
        # Not inherited by what is started: the kernel frees it with this process, where that doesn't itself.
        while True:
            try:
                self.descriptor = hold(os.path.join(root, NAME), os.O_RDWR | os.O_CREAT, wait=False)
                note = {} if patches else leaving.patched_by(root)
                if not note:
                    break
                os.close(self.descriptor)
                raise BlockingIOError
            except BlockingIOError:
                note, waited = leaving.patched_by(root) or note_in(root), time.monotonic() - begun
                if waited >= wait + (0 if note else NOTED_WITHIN):
                    raise Held(note, wait) from None
                seen = seen or note
                time.sleep(PAUSE)
        if seen is not None:
            which = f", of which then: {holder(seen)}" if seen else ""
            self.waited = f"Waited {time.monotonic() - begun:.0f} s for another deploy{which}."
        # Who may read a file may lock it: the app's own user, say, for ever.
        os.fchmod(self.descriptor, 0o600)
        sync_directory(root)
        self.left = note_in(root)
        """The note of a deploy that was cut off, else empty: one that ended clears its note."""

    def write(self, note: dict[str, Any]) -> None:
        """Say who holds it and how far the deploy is, on the disk when this returns: a power cut has to leave it.

        A full disk doesn't stop a deploy.
        """
        text = (json.dumps(note) + "\n" if note else "").encode()
        try:
            os.pwrite(self.descriptor, text, 0)
            os.ftruncate(self.descriptor, len(text))
            os.fdatasync(self.descriptor)
        except OSError:
            pass

    def clear(self) -> None:
        self.write({})

    def release(self) -> None:
        """Let the next one begin while this process goes on, with nothing that moves anything."""
        self.clear()
        os.close(self.descriptor)
        self.descriptor = -1
