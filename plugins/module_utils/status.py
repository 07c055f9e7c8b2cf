# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one app is doing on this host, as data and as a table for people; changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.graceful.deploy.plugins.module_utils import deploy_lock, history
from ansible_collections.graceful.deploy.plugins.module_utils.probe import Door, ask
from ansible_collections.graceful.deploy.plugins.module_utils.sizes import human_size
from ansible_collections.graceful.deploy.plugins.module_utils.slots import SLOTS, App
from ansible_collections.graceful.deploy.plugins.module_utils.swap_flow import complete, record_of
from ansible_collections.graceful.deploy.plugins.module_utils.swap_watch import workers
from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import Systemd

READY_LIMIT = 5.0
"""Seconds that the readiness question may take."""


def look(systemd: Systemd, app: App) -> dict[str, Any]:
    """Everything that status knows of the app."""
    entries = history.read(app.root)
    live = app.live()
    slots = {slot: _slot(systemd, app, slot, live) for slot in SLOTS}
    note, held = deploy_lock.note_in(app.root), deploy_lock.is_held(app.root)
    return {
        "name": app.name,
        "live": live,
        "release": slots[live]["release"] if live else None,
        "slots": slots,
        "releases": _releases(app, entries, slots),
        "history": entries,
        "deploying": note if held else {},
        # One that ended just now has cleared it.
        "cut_off": note if not held and note == deploy_lock.note_in(app.root) else {},
    }


def _slot(systemd: Systemd, app: App, slot: str, live: str | None) -> dict[str, Any]:
    unit = app.service(slot)
    state = systemd.show([unit])[unit]
    held = app.held(slot)
    terms = held.get("terms") or {}
    main = state.get("MainPID", "0")
    pids = sorted(workers(main), key=int)
    ready = ""
    if slot == live and terms:
        answer = ask(Door(terms["host"], unix=app.socket(slot)), terms["ready_path"], READY_LIMIT)
        ready = f"{terms['ready_path']} answers {answer}"
    return {
        "state": "live"
        if slot == live
        else "stopped"
        if state.get("ActiveState") in ("inactive", "failed")
        else "standby",
        "service": f"{state.get('ActiveState')} ({state.get('SubState')})",
        "release": held.get("release"),
        "since": int(systemd.entered_at(state)),
        "workers": len(pids),
        "restarts": int(state.get("NRestarts") or 0),
        "memory": sum(filter(None, map(pss, [main, *pids]))) if pids else 0,
        "memory_max": int(state["MemoryMax"]) if state.get("MemoryMax", "").isdigit() else None,
        "enabled": state.get("UnitFileState") == "enabled",
        "note": state.get("StatusText", "") if "unexpectedly" in state.get("StatusText", "") else "",
        "ready": ready,
    }


def pss(pid: str) -> int:
    """Bytes of a process, with what it shares divided among those that share it; 0 where it is gone."""
    try:
        with open(f"/proc/{int(pid)}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def _releases(app: App, entries: Sequence[history.Entry], slots: dict[str, Any]) -> list[dict[str, Any]]:
    """The complete releases, the one that served last first, those that never did by their age behind them."""
    served, bad = history.last_served(entries), history.marked(entries)
    held = {slots[slot]["release"]: slots[slot]["state"] for slot in SLOTS}
    found = []
    for release in complete(app):
        record = record_of(app, release)
        state = "live" if held.get(release) == "live" else "good" if release in served else "never live"
        found.append(
            {
                "release": release,
                "state": "bad" if release in bad and state != "live" else state,
                "why": bad.get(release, "") if state != "live" else "",
                "revision": record.get("source", {}).get("revision", ""),
                "built": record.get("created", ""),
                "size": record.get("size", 0),
            }
        )
    return sorted(found, key=lambda row: (served.get(row["release"], -1), row["built"]), reverse=True)


def age(seconds: float) -> str:
    """A duration for people: its largest unit alone."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(max(seconds, 0))} s"


def table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def render(facts: dict[str, Any], now: float, deploys: int) -> str:
    """The facts as a person reads them.

    :param now: seconds since the epoch.
    :param deploys: how many of the last deploys are shown.
    """
    live = facts["live"]
    if not live:
        lines = [f"{facts['name']}: nothing is live."]
    else:
        slot = facts["slots"][live]
        lines = [f"{facts['name']}: release {slot['release']} is live in slot {live}, {slot['ready']}"]
    if facts["deploying"]:
        note = facts["deploying"]
        lines.append(
            f"  A deploy of release {note.get('release')} is under way: {note.get('by')}, since {note.get('since')}, "
            f"in phase {note.get('phase')}."
        )
    if facts["cut_off"]:
        note = facts["cut_off"]
        lines.append(
            f"  A deploy of release {note.get('release')} was cut off in phase {note.get('phase')}: {note.get('by')}, "
            f"begun at {note.get('since')}. What runs may not be what a slot names: deploy again."
        )
    lines += [
        "",
        *table([["slot", "state", "service", "release", "since", "workers", "memory (PSS)"], *_slots(facts, now)]),
    ]
    lines += [f"  {slot}: {row['note']}" for slot, row in facts["slots"].items() if row["note"]]
    if facts["releases"]:
        rows = [
            [r["release"], r["state"], r["built"][:16].replace("T", " "), r["revision"][:12], r["why"][:60]]
            for r in facts["releases"]
        ]
        lines += ["", *table([["release", "state", "built (UTC)", "revision", ""], *rows])]
    if facts["history"]:
        rows = [
            [
                e.get("started", "")[:16].replace("T", " "),
                e.get("kind", ""),
                e["release"],
                e.get("strategy", ""),
                f"{e.get('seconds', 0):.1f} s",
                e.get("outcome", ""),
                e.get("by", ""),
                e.get("reason", "")[:60],
            ]
            for e in reversed(facts["history"][-deploys:])
        ]
        head = ["last deploys (UTC)", "kind", "release", "by way of", "took", "outcome", "who", ""]
        lines += ["", *table([head, *rows])]
    return "\n".join(lines)


def _slots(facts: dict[str, Any], now: float) -> list[list[str]]:
    rows = []
    for slot, row in facts["slots"].items():
        most = f" of {human_size(row['memory_max'])}" if row["memory_max"] else ""
        running = row["workers"] > 0
        rows.append(
            [
                slot,
                row["state"],
                row["service"],
                row["release"] or "-",
                f"{age(now - row['since'])}" if running else "-",
                str(row["workers"]) if running else "-",
                f"{human_size(row['memory'])}{most}" if running else "-",
            ]
        )
    return rows


def report(systemd: Systemd, app: App, deploys: int) -> dict[str, Any]:
    """Facts and text in one."""
    facts = look(systemd, app)
    return {**facts, "text": render(facts, time.time(), deploys)}
