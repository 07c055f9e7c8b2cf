# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of each deploy of an app, one JSON object a line in ``history.jsonl``, and what follows from it."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from .._host import files

HistoryEntry = dict[str, Any]
"""One deploy: ``started`` (UTC, ISO 8601), ``release``, ``previous``, ``slot``, ``strategy``, ``kind``, ``by``,
``revision``, ``phases`` (seconds by name), ``seconds``, ``outcome``, ``reason``, ``blames`` (whether a failure is the
release's own), ``ill`` (what was wrong with the previous one when it was left, mostly nothing), ``worker_memory`` (the
most bytes that one of its workers, or of those before it, had taken by then), ``began`` (``started`` as seconds since
the epoch, with a fraction), and of a deploy that failed ``tried``, which is equal for equal tries (a few digits of a
digest, from which no setting can be read). Where prove.yml has counted what clients noticed, ``proved`` has ``sent``,
``lost``, ``late``, ``doubled`` (None where nobody knows), and ``before`` and ``after``, the 99th percentile of answers
in milliseconds. Where the release had a part of the requests first, ``canary`` has ``share`` (percent), ``seconds``,
``requests``, ``errors`` and ``p95`` (milliseconds), and as ``live_...`` those of the release beside it.
What ``fastapi_before_swap`` ran for a release is an entry of its own, with ``commands``: those of
which nothing says that they changed nothing."""

NAME = "history.jsonl"
_TEXTS = ("previous", "started", "slot", "strategy", "kind", "by", "revision", "outcome", "reason", "ill", "tried")
_FIRST = ("previous", None)
KEPT = 500
"""Lines that stay when the file is cut; it is cut at twice as many."""

LOOKED_BACK = 5
"""Deploys whose memory counts for the next plan."""

LIVE, FAILED, BACK, INTERRUPTED = "live", "failed", "moved back", "interrupted"
RAN = "ran"
"""The outcome of commands before a release, which move nothing."""
AGAIN = "again"
"""The kind of a deploy that brought the live release to the traffic anew."""
PATCHED, DONE = "patched", "done"
"""The kind and the outcome of what patch.yml did to the host. Where that was rebooted, it has ``down``, the seconds in
which nobody was served, at most."""


def path(root: str) -> str:
    return os.path.join(root, NAME)


def parse(text: str) -> list[HistoryEntry]:
    """The entries, oldest first. A line that a power cut left half, or that nobody can read, is passed over."""
    entries = []
    # A reason may hold what others take for the end of a line.
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("release"), str):
            entries.append(_told(entry))
    return entries


def _told(entry: HistoryEntry) -> HistoryEntry:
    """The entry without what isn't of its type: the tables and the rules rely on that."""
    odd = [key for key in _TEXTS if not isinstance(entry.get(key, ""), str) and (key, entry[key]) != _FIRST]
    seconds = entry.get("seconds", 0)
    odd += [] if isinstance(seconds, (int, float)) and abs(seconds) < 1e9 else ["seconds"]
    taken = entry.get("worker_memory", 0)
    odd += [] if isinstance(taken, int) and 0 <= taken < 1 << 50 else ["worker_memory"]
    ran = entry.get("commands", [])
    odd += [] if isinstance(ran, list) and all(isinstance(line, str) for line in ran) else ["commands"]
    odd += [] if isinstance(entry.get("began", 0.0), (int, float)) else ["began"]
    odd += [] if isinstance(entry.get("down", 0.0), (int, float)) else ["down"]
    for name in ("proved", "canary"):
        counted = entry.get(name, {})
        whole = isinstance(counted, dict) and all(
            isinstance(each, (int, float, type(None))) for each in counted.values()
        )
        odd += [] if whole else [name]
    return {key: value for key, value in entry.items() if key not in odd}


def read(root: str) -> list[HistoryEntry]:
    try:
        with open(path(root), encoding="utf-8", errors="replace", newline="\n") as file:
            return parse(file.read())
    except FileNotFoundError:
        return []


def append(root: str, entry: HistoryEntry, gid: int) -> None:
    """Add one entry, and cut a file that has grown long. The caller holds the deploy lock.

    :raises OSError: when the disk is full, say; the deploy itself isn't undone for that.
    """
    line = json.dumps(entry) + "\n"
    descriptor = os.open(path(root), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        os.fchown(file.fileno(), -1, gid)
        os.fchmod(file.fileno(), 0o640)
        size = os.fstat(descriptor).st_size
        # A line that a full disk or a power cut left half must not take this one with it.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        file.write("\n" + line if torn else line)
        file.flush()
        os.fsync(file.fileno())
    entries = read(root)
    if len(entries) > 2 * KEPT:
        kept = "".join(json.dumps(entry) + "\n" for entry in entries[-KEPT:])
        files.write(path(root), kept.encode(), 0o640, gid=gid)


def amend(root: str, began: float, more: HistoryEntry) -> bool:
    """Add to the entry of the deploy that began then; whether it is there. The caller holds the deploy lock.

    :raises OSError: when the disk is full, say; the file is as it was then.
    """
    with open(path(root), encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        lines, found = file.read().split("\n"), os.fstat(file.fileno())
    for number in range(len(lines) - 1, -1, -1):
        try:
            entry = json.loads(lines[number])
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("began") == began:
            lines[number] = json.dumps({**entry, **more})
            text = "\n".join(lines).encode(errors="surrogateescape")
            files.write(path(root), text, 0o640, found.st_uid, found.st_gid)
            return True
    return False


def last_served(entries: Sequence[HistoryEntry]) -> dict[str, int]:
    """Releases that have been live, with the position of the entry that says so last: higher is later."""
    return {entry["release"]: number for number, entry in enumerate(entries) if entry.get("outcome") == LIVE}


def taken(entries: Sequence[HistoryEntry]) -> int:
    """The most bytes that a worker had taken by the last deploys that went live; 0 where none has told. Of several, so
    that the next plan isn't another one for a quiet day; and not of all, for an app may have become smaller."""
    told = [entry.get("worker_memory", 0) for entry in entries if entry.get("outcome") == LIVE]
    return max(told[-LOOKED_BACK:], default=0)


def marked(entries: Sequence[HistoryEntry]) -> dict[str, str]:
    """Releases that are known to be bad, with the reason: the last try failed, a rollback left it, or it was ill when
    another took its place. That it had gone live is no longer said for it then: it died after it was watched.

    A run that was cut off says nothing about its release. A release that goes live again is good again.
    """
    return {release: why for release, (why, _number) in _marks(entries).items()}


def _marks(entries: Sequence[HistoryEntry]) -> dict[str, tuple[str, int]]:
    """Of each such release the reason, and the position of the entry that marks it."""
    bad: dict[str, tuple[str, int]] = {}
    for number, entry in enumerate(entries):
        outcome, release, previous = entry.get("outcome"), entry["release"], entry.get("previous")
        if outcome == LIVE:
            bad.pop(release, None)
            if not previous or previous == release:
                continue
            if entry.get("kind") == "rollback":
                bad[previous] = f"a rollback left it at {entry.get('started')}", number
            elif entry.get("ill"):
                bad[previous] = f"{entry['ill']} when {release} took its place", number
        elif outcome in (FAILED, BACK) and release != previous and entry.get("blames", True):
            # A failed try with a new configuration doesn't mark the release that was live and stayed so.
            bad[release] = str(entry.get("reason") or outcome), number
    return bad


def once_more(entries: Sequence[HistoryEntry], release: str, tried: str) -> str:
    """What to warn of before a release is brought to the traffic that is known to be bad; '' where there is nothing.

    After a try that failed, whoever has changed a setting since, or had a command run that changed something, does
    what the failure asked for.
    """
    why, number = _marks(entries).get(release, ("", 0))
    if not why:
        return ""
    if entries[number]["release"] != release:
        return (
            f"Release {release} is known to be bad ({why}), and this run brings it to the traffic once more. If that "
            "isn't meant, fix the source, or go back: rollback.yml."
        )
    if entries[number].get("tried") != tried or ran_since(entries[number:], release):
        return ""
    return (
        f"Release {release} failed before ({why}), and this run tries the same once more: neither the source nor a "
        "setting has changed. That helps where the reason was outside of them, such as a database that was down."
    )


def last_telling(entries: Sequence[HistoryEntry]) -> HistoryEntry:
    """The last entry that says what there is to go back from; empty where none does. A rollback that failed for the
    host's sake, on a full disk, say, left all as it was."""
    for entry in reversed(entries):
        failed = entry.get("outcome") in (FAILED, BACK)
        if failed and entry.get("kind") == "rollback" and not entry.get("blames", True):
            continue
        # What serves was started anew: there is as much to go back from as before.
        if entry.get("kind") in (AGAIN, PATCHED):
            continue
        if entry.get("outcome") != RAN:
            return entry
    return {}


def ran_since(entries: Sequence[HistoryEntry], release: str) -> list[str]:
    """What was run before newer releases since this one was last live: what a rollback to it doesn't undo."""
    since = last_served(entries).get(release, -1) + 1
    return [line for entry in entries[since:] if entry.get("outcome") == RAN for line in entry.get("commands", [])]


def rollback_target(entries: Sequence[HistoryEntry], there: Iterable[str], live: str | None) -> str | None:
    """The release that a rollback goes to: the last that served well, is still there, and isn't the live one."""
    bad, there = marked(entries), set(there)
    good = [(number, release) for release, number in last_served(entries).items() if release not in bad]
    fits = [pair for pair in good if pair[1] in there and pair[1] != live]
    return max(fits)[1] if fits else None


def deployer() -> str:
    """Who deploys, as the control node knows them: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
