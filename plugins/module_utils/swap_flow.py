# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``swap``: what is wanted, whether it may be, the lock, the steps, and the history of it."""

from __future__ import annotations

import grp
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.graceful.deploy.plugins.module_utils import history
from ansible_collections.graceful.deploy.plugins.module_utils import preflight_names as shapes
from ansible_collections.graceful.deploy.plugins.module_utils.deploy_lock import DeployLock, Held
from ansible_collections.graceful.deploy.plugins.module_utils.slots import App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils.swap import Failed, Swap, Terms
from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import CommandFailed, Run, Systemd

Warn = Callable[[str], None]


def record_of(app: App, release: str) -> dict[str, Any]:
    """A release's own record; empty where the release isn't complete."""
    try:
        with open(os.path.join(app.release_directory(release), "release.json"), encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}


def complete(app: App) -> list[str]:
    """Ids of the releases that are there."""
    try:
        names = os.listdir(os.path.join(app.root, "releases"))
    except FileNotFoundError:
        return []
    return sorted(name for name in names if record_of(app, name).get("id") == name)


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


def rollback_release(app: App, asked: str, live: str | None) -> str:
    """The release that a rollback goes to.

    :param asked: the id that was asked for; '' is the last that served well.
    :raises CommandFailed: with what there is to choose from.
    """
    entries, there = history.read(app.root), complete(app)
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


class Deploy:
    """One run of the module.

    :param params: its options.
    :param warn: takes a sentence that doesn't fail the run.
    """

    def __init__(self, params: dict[str, Any], check: bool, run: Run, warn: Warn) -> None:
        self.params = params
        self.check = check
        self.systemd = Systemd(run)
        self.warn = warn
        self.app = App(params["name"], params["root"])
        self.gid = 0 if check else grp.getgrnam(params["group"]).gr_gid

    def result(self) -> dict[str, Any]:
        """Do it; returns the module's result.

        :raises CommandFailed: where it may not be, or failed.
        """
        if problem := shapes.name("name", self.params["name"]):
            raise CommandFailed(problem.sentence)
        lock = None if self.check else self._lock()
        swap = self._swap()
        self._may(swap)
        failure = None
        seconds = 0.0
        if swap.steps and lock:
            begun, at = time.monotonic(), _now()
            note = {"by": self.params["by"], "since": at, "pid": os.getpid(), "release": swap.wanted.release}
            swap.told = lambda phase: lock.write({**note, "phase": phase})
            try:
                swap.apply()
            except (Failed, CommandFailed) as error:
                failure = error
            seconds = round(time.monotonic() - begun, 2)
            if failure or not swap.commands:
                self._write_history(swap, at, seconds, failure)
            lock.clear()
        elif lock and not swap.commands:
            # What a run that was cut off at its very end has left.
            self.app.clear()
        if failure:
            raise CommandFailed(str(failure)) from failure
        return self._told(swap, seconds)

    def _lock(self) -> DeployLock:
        try:
            lock = DeployLock(self.app.root)
        except FileNotFoundError:
            raise CommandFailed(
                f"There is no {self.app.root} on this host: nothing of {self.app.name} was ever deployed to it. "
                "Mend fastapi_name or fastapi_root, or run site.yml first."
            ) from None
        except Held as held:
            note = held.note
            who, since, phase = (note.get(key, "unknown") for key in ("by", "since", "phase"))
            raise CommandFailed(
                f"Another deploy of {self.app.name} is moving traffic on this host: {who} began at {since} with "
                f"release {note.get('release')}, and is in phase {phase} (process {note.get('pid')}). "
                "Run again when it has ended."
            ) from held
        if lock.left:
            entry = {"kind": "deploy", "previous": None, "phases": {}, "reason": "", **lock.left}
            # Cut off when its watch was over: it has served since, and may be gone back to.
            live = self.app.held(self.app.live() or "").get("release") == lock.left.get("release")
            served = live and lock.left.get("phase") in ("disable", "drain", "done")
            entry |= {"started": lock.left.get("since"), "outcome": history.LIVE if served else history.INTERRUPTED}
            entry["reason"] = f"cut off in phase {lock.left.get('phase')}"
            self._append({key: value for key, value in entry.items() if key not in ("since", "pid", "phase")})
            lock.clear()
        return lock

    def _swap(self) -> Swap:
        params, app = self.params, self.app
        if params["rollback"]:
            return self._rollback()
        if not self.check and not record_of(app, params["release"]):
            raise CommandFailed(f"Release {params['release']} is not complete under {app.root}/releases.")
        wanted = Snapshot(params["release"], params["environment"], params["files"], params["unit"])
        fields = {name: params[name] for name in Terms.__dataclass_fields__}
        terms = Terms(**{**fields, "writable": tuple(params["writable"])})
        return Swap(self.systemd, app, wanted, terms, params["before"])

    def _rollback(self) -> Swap:
        """The wanted release with the configuration and the terms of the live slot."""
        app, slot = self.app, self.app.live()
        held = app.held(slot) if slot else {}
        if not slot or not held.get("terms"):
            raise CommandFailed(f"Nothing of {app.name} is live on this host: there is nothing to roll back from.")
        release = rollback_release(app, self.params["release"], held.get("release"))
        entries = history.read(app.root)
        if entries and entries[-1].get("outcome") in (history.FAILED, history.BACK):
            self.warn(
                f"The last deploy, of release {entries[-1]['release']}, failed and left {held['release']} live. "
                f"This rollback goes behind that one, to {release}, and marks it as bad."
            )
        kept = {name: value for name, value in held["terms"].items() if name in Terms.__dataclass_fields__}
        # A release that has served well isn't watched: at night each second counts, and what it would go back to is
        # worse. A reload of it would be no faster, and trusts more.
        strategy = "restart" if kept["strategy"] == "reload" else kept["strategy"]
        terms = replace(Terms(**{**kept, "writable": tuple(kept["writable"])}), bake=0, strategy=strategy)
        return Swap(self.systemd, app, app.configuration(slot, release), terms, [])

    def _may(self, swap: Swap) -> None:
        """Refuse a reload that can't be, before the commands that come before it."""
        if not (swap.steps and swap.reloads) or self.params["rollback"]:
            return
        old = record_of(self.app, str(swap.before))
        # In check mode it may not be built, and what it depends on is not known.
        new = record_of(self.app, swap.wanted.release) or (old if self.check else {})
        if said := reload_refusal(swap.wanted, self.app.held(swap.slot), old, new):
            raise CommandFailed(f"{said} Release {swap.before} serves as before.")

    def _write_history(self, swap: Swap, at: str, seconds: float, failure: Exception | None) -> None:
        outcome = history.LIVE
        if failure and not (isinstance(failure, CommandFailed) and swap.moved):
            outcome = history.BACK if isinstance(failure, Failed) and failure.moved_back else history.FAILED
        why = failure.why if isinstance(failure, Failed) else str(failure or "")
        self._append(
            {
                "started": at,
                "release": swap.wanted.release,
                "previous": swap.before,
                "slot": swap.slot,
                "strategy": swap.strategy,
                "kind": "rollback" if self.params["rollback"] else "deploy",
                "by": self.params["by"],
                "revision": record_of(self.app, swap.wanted.release).get("source", {}).get("revision", ""),
                "phases": swap.phases,
                "seconds": seconds,
                "outcome": outcome,
                "blames": bool(isinstance(failure, Failed) and failure.blames),
                # The table has the release in a column of its own.
                "reason": why.partition("\n")[0].removeprefix(f"Release {swap.wanted.release} "),
            }
        )

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            history.append(self.app.root, entry, self.gid)
        except OSError as error:
            self.warn(f"What became of this deploy could not be written to {history.path(self.app.root)}: {error}")

    def _told(self, swap: Swap, seconds: float) -> dict[str, Any]:
        release, before = swap.wanted.release, swap.before or "nothing"
        said = swap.sentences()
        msg = f"Release {release} is live in slot {swap.slot}."
        if said and swap.commands:
            count = f"{len(swap.commands)} command(s)"
            msg = f"{count} {'would run' if self.check else 'ran'} for release {release}."
            release = before
        elif said and self.check:
            msg = f"Release {release} would be live in slot {swap.slot}, by {swap.strategy}."
        elif said:
            times = ", ".join(f"{name} {spent:.1f} s" for name, spent in swap.phases.items() if spent >= 0.05)
            way = f"by {swap.strategy} in {seconds:.1f} s ({times}). {self.params['reason']}"
            msg = f"Release {release} is live in slot {swap.slot}, {way}".rstrip()
        diff = {"before": f"live: {before}\n", "after": f"live: {release}\n" + "".join(f"# {s}\n" for s in said)}
        return {
            "changed": bool(said),
            "slot": swap.slot,
            "release": release,
            "previous": swap.before,
            "strategy": swap.strategy,
            "steps": said,
            "phases": swap.phases,
            "seconds": seconds,
            "commands": swap.notes,
            "msg": msg,
            "diff": ([diff] if said else [])
            + ([swap.unit.diff()] if said and swap.unit.differs and not swap.commands else []),
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
