# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a swap may do: which releases there are, where a rollback goes, what a reload can't bring."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from .._app import history
from .._app.releases import complete
from .._app.slots import GUNICORN, WORKERS, App, Snapshot, worker_count
from .._host.systemd import CommandFailed
from .._plan.sizes import format_size, parse_size, round_down

_LIMIT = re.compile(r"^MemoryMax=([0-9]+[KMGT]?)$", re.MULTILINE)


def reload_refusal(wanted: Snapshot, held: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> str:
    """Why a reload can't bring the wanted snapshot, '' where it can: SIGHUP keeps all but the app's own modules.

    :param held: what slot.json says of the live slot.
    :param old: release.json of the live release; `new` of the wanted one.
    """
    was = held.get("parts") or {}
    changed = [name for name in sorted({*was, *wanted.parts}) if was.get(name) != wanted.parts.get(name)]
    if not new.get("environment") or old.get("environment") != new.get("environment"):
        changed.append("the dependencies")
    if not changed:
        return ""
    return (
        "fastapi_strategy is reload, which takes changes of code alone, and this deploy also changes "
        f"{', '.join(changed)}: processes keep those from their start. Write fastapi_strategy: auto for this deploy."
    )


def fewer_workers(wanted: Snapshot) -> Snapshot | None:
    """The same with half of the workers; None where there is one alone."""
    settings = wanted.files.get(GUNICORN, "")
    half = worker_count(settings) // 2
    changed = WORKERS.sub(f"workers = {half}", settings)
    return replace(wanted, files={**wanted.files, GUNICORN: changed}) if half else None


def with_workers(snapshot: Snapshot, count: int) -> Snapshot:
    """The same with so many workers.

    :raises CommandFailed: where its settings don't say how many it has.
    """
    settings, changed = WORKERS.subn(f"workers = {count}", snapshot.files.get(GUNICORN, ""))
    if changed != 1:
        raise CommandFailed(
            "The live slot doesn't say how many workers it has: it was deployed by an earlier version of "
            "graceful.deploy. Nothing was changed. Deploy once by release.yml, then run this again."
        )
    return replace(snapshot, files={**snapshot.files, GUNICORN: settings})


def with_room(wanted: Snapshot, room: int) -> Snapshot | None:
    """The same with so many bytes as the unit's memory limit, as a plan without a second slot writes them.

    None where it has as many, or where that can't be read.
    """
    match = _LIMIT.search(wanted.unit)
    if not match or parse_size(match[1]) >= round_down(room):
        return None
    return replace(wanted, unit=_LIMIT.sub(f"MemoryMax={format_size(round_down(room))}", wanted.unit))


def rollback_release(app: App, asked: str, live: str | None) -> str:
    """The release that a rollback goes to.

    :param asked: the id that was asked for; '' is the last that served well.
    :raises CommandFailed: with what there is to choose from.
    """
    entries, there = history.read(app.root), complete(app.root)
    bad = history.marked(entries)
    good = ", ".join(r for r in there if r not in bad and r != live) or "none"
    if not asked:
        found = history.rollback_target(entries, there, live)
        if found is None:
            raise CommandFailed(
                f"There is no release of {app.name} to roll back to: none but the live one ({live}) served well and "
                f"is still there. On the host: {', '.join(there) or 'none'}. Deploy a good one instead."
            )
        return found
    if asked not in there:
        raise CommandFailed(
            f"fastapi_release is {asked}, and the host has no such release. Write one of those that it has: {good}."
        )
    if asked in bad:
        raise CommandFailed(
            f"fastapi_release is {asked}, which is known to be bad ({bad[asked]}). Write one of the others: {good}. "
            "If it was not the release's fault, deploy it again."
        )
    return asked


def comes_back(left: str) -> str:
    """What to say after a rollback, whose source is no other one than before.

    :param left: the release that was live.
    """
    return (
        f"Where your source is still that of {left}, the next site.yml or release.yml brings it back: change the "
        "source first, or fastapi_version."
    )


def stood_in(paths: list[str], first: bool) -> str:
    """What to say of an app that lacks its liveness or readiness path, and was answered for.

    :param first: whether nothing of the app was live before: the whole is said once.
    """
    variables = " or ".join(f"fastapi_{path.strip('/')}_path" for path in paths)
    answered = f"The app has no {' and no '.join(paths)}, so its server answers there"
    if not first:
        return f"{answered}, and can't see what the app needs (docs/your-app.md)."
    return (
        f"{answered}: the app has started, and answers. That "
        "can't see a database that is away, or whatever else the app needs. If the app has such a path under another "
        f"name, write {variables}; else add it, in the ten lines that docs/your-app.md shows."
    )


def broken(sentence: str) -> str:
    """What to say of a command before a release that what serves doesn't bear; '' where all is well."""
    if not sentence:
        return ""
    return (
        f"{sentence.rstrip('.')}. Its requests may fail until the new release has the traffic, to which this run goes "
        "on, because that is made for the database as it is now. Next time first bring a release that works with both, "
        "and take away what the old one needs with the one after that (docs/deploys.md)."
    )
