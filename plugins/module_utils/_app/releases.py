# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases that a host has: what makes one complete, and which of them have to stay."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from . import history, slots
from .words import BUILDING, GENERATIONS

ON_ITS_WAY = 3600.0
"""Seconds for which a release that nobody has tried is kept for its deploy, which may wait for as long for another."""

RECORD = "release.json"
"""Name of the file that is written last and makes a release complete."""


class ReleaseError(Exception):
    """A refusal or a failed step, in sentences for the person who deploys."""


def to_prune(
    created: Mapping[str, str],
    served: Mapping[str, int],
    protected: Iterable[str],
    keep: int,
    on_their_way: Collection[str] = (),
) -> list[str]:
    """Ids of the releases that go, the first to go first.

    A release that never served well goes before any that did, however new it is: a week of failing deploys must not
    push out what a rollback needs.

    :param created: id of every complete release -> when it was made, as release.json says it (UTC, ISO 8601).
    :param served: id of a release that served well -> when it last did; higher is later.
    :param protected: ids that stay in any case: those of slots, what a rollback goes to, the one just made.
    :param keep: how many stay in all; more where more are protected.
    :param on_their_way: ids that stay for their deploy, see untried(). Nothing that has served goes for one of these.
    """
    created = {release: made for release, made in created.items() if release not in on_their_way}
    first_to_go = sorted(created, key=lambda release: (served.get(release, -1), created[release], release))
    goers = [release for release in first_to_go if release not in set(protected)]
    return goers[: max(0, min(len(goers), len(created) - keep))]


def record_of(root: str, release: str) -> dict[str, Any]:
    """A complete release's own record; empty where it isn't complete, which its record says: it is written last."""
    try:
        with open(os.path.join(root, "releases", release, RECORD), encoding="utf-8") as file:
            record = dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}
    return record if record.get("id") == release and record.get("created") else {}


def records_in(root: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The records of the complete releases by id, and names beside them that are neither complete nor ours to clear.

    :raises ReleaseError: where something else than a directory is in their place.
    """
    records: dict[str, dict[str, Any]] = {}
    incomplete: list[str] = []
    try:
        names = sorted(os.listdir(os.path.join(root, "releases")))
    except FileNotFoundError:
        return records, incomplete
    except NotADirectoryError as error:
        raise ReleaseError(
            f"{error.filename} is not a directory on the host. Move it away, or set fastapi_root."
        ) from error
    for name in names:
        if name.startswith(BUILDING):
            continue
        if record := record_of(root, name):
            records[name] = record
        else:
            incomplete.append(name)
    return records, incomplete


def complete(root: str) -> list[str]:
    """Ids of the complete releases."""
    return sorted(records_in(root)[0])


def created(records: dict[str, dict[str, Any]]) -> dict[str, str]:
    """When each release was made: UTC, ISO 8601."""
    return {release: str(record["created"]) for release, record in records.items()}


def untried(entries: Iterable[history.HistoryEntry], created: Mapping[str, str], now: float) -> set[str]:
    """Releases that were made within the last hour and of which no deploy is on record: one may be on its way, or wait
    for another. That other one has made a release too, and would take one that has never served first.

    :param created: as in to_prune().
    :param now: seconds since the epoch.
    """
    tried = {entry["release"] for entry in entries}
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now - ON_ITS_WAY))
    return {release for release, made in created.items() if release not in tried and made >= since}


def standing(root: str, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What to_prune() decides by: ``served``, ``protected`` and ``untried``, but for the release just made."""
    entries = history.read(root)
    bad = history.marked(entries)
    held = _held(os.path.join(root, "slots"))
    live = held.get(slots.App("", root).live() or "", {}).get("release")
    held |= _held(os.path.join(root, GENERATIONS))
    target = history.rollback_target(entries, records, live)
    protected = {release for slot in held.values() for release in slot.values()} | ({target} if target else set())
    waiting = untried(entries, created(records), time.time()) - protected
    served = {release: last for release, last in history.last_served(entries).items() if release not in bad}
    return {"served": served, "protected": sorted(protected), "untried": sorted(waiting)}


def _held(directory: str) -> dict[str, dict[str, str]]:
    return {name: releases_of(os.path.join(directory, name)) for name in _names(directory)}


def releases_of(slot: str) -> dict[str, str]:
    """Releases that a slot or generation holds, by the name of the link: what it runs, and what a reload left there."""
    links = {name: os.path.join(slot, name) for name in ("release", "booted")}
    return {
        name: os.path.basename(os.readlink(link).rstrip("/")) for name, link in links.items() if os.path.islink(link)
    }


def _names(path: str) -> list[str]:
    return os.listdir(path) if os.path.isdir(path) else []
