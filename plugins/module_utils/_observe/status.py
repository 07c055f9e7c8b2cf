# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one app is doing on this host, as data; changes nothing."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from .._app import command, history, leaving, lock
from .._app.by_oxmgr import supervisor_of
from .._app.hidden import hider
from .._app.names import missing
from .._app.releases import records_in
from .._app.slots import SLOTS, App
from .._app.supervisor import State, Supervisor
from .._host.certificate import served
from .._host.door import Door
from .._host.journal import last_lines
from .._host.memory import group_of, use_of, workers
from .._host.probe import STANDS_IN, ask
from .._host.systemd import Systemd, ending, number
from .._plan.sizes import human_size, with_margin
from .._process import units
from .._process.generations import Generations
from .._push.pushes import known
from .stalls import of_last_day
from .text import render

READY_LIMIT = 5.0
"""Seconds that the readiness question may take."""
LAST_LINES = 10
"""So many lines of a service that was given up."""
COMMANDS = 5
"""So many of the last commands."""
PUSHES = 8
"""So many of the last pushes, where this host takes them."""
LOOK_BACK = 60
"""Seconds before its end from which on they are."""


def look(systemd: Systemd, app: App) -> dict[str, Any]:
    """Everything that status knows of the app."""
    supervisor = supervisor_of(systemd, app)
    entries = history.read(app.root)
    live = app.live()
    slots = {slot: _slot(supervisor, app, slot, live) for slot in SLOTS}
    note, held = lock.note_in(app.root), lock.is_held(app.root)
    told = note.get("kind") not in lock.MOVES_NOTHING
    facts = {
        "name": app.name,
        "root": app.root,
        "live": live,
        "release": slots[live]["release"] if live else None,
        "slots": slots,
        "certificate": _certificate(app, live),
        "stalls": _stalls(systemd, app) if live else {},
        "processes": _processes(systemd, app),
        "timers": _timers(systemd, app),
        "releases": _releases(app, entries, slots),
        "history": entries,
        "commands": command.last(app.root, COMMANDS),
        "pushes": [dataclasses.asdict(push) for push in known(app.name)[-PUSHES:]],
        "maintenance": os.path.exists(os.path.join(app.root, "maintenance")),
        "leaving": leaving.note_in(app.root),
        "deploying": note if held else {},
        # One that ended just now has cleared it.
        "cut_off": note if not held and note == lock.note_in(app.root) and told else {},
    }
    return _without_secrets(facts, hider(app.root))


def _certificate(app: App, live: str | None) -> dict[str, Any]:
    terms = (app.held(live).get("terms") or {}) if live else {}
    shown = served(terms["host"]) if terms.get("scheme") == "https" else {}
    return {key: shown[key] for key in ("ends", "names") if key in shown}


def _stalls(systemd: Systemd, app: App) -> dict[str, Any]:
    return of_last_day(systemd.run, app.name, [unit(slot) for slot in SLOTS for unit in (app.service, app.daemon)])


def _without_secrets(facts: dict[str, Any], hide: Callable[[str], str]) -> dict[str, Any]:
    """The facts as they may be shown: an app's words, now or at the time of a deploy, may quote its environment."""
    for row in [
        *facts["slots"].values(),
        *facts["releases"],
        *facts["history"],
        *facts["commands"],
        *facts["pushes"],
        *facts["processes"],
        *facts["timers"],
        facts["stalls"],
    ]:
        row |= {key: hide(row[key]) for key in ("note", "ready", "why", "reason", "command", "where") if row.get(key)}
    return facts


def _slot(supervisor: Supervisor, app: App, slot: str, live: str | None) -> dict[str, Any]:
    state = supervisor.state(slot)
    held = app.held(slot)
    terms = held.get("terms") or {}
    pids = sorted(workers(state.main), key=int)
    uses = [use for use in map(use_of, pids) if use]
    arbiter = use_of(state.main) if pids else None
    plan = terms.get("worker_memory") or None
    ready = ""
    if slot == live and terms:
        door = Door(terms["host"], unix=app.socket(slot), scheme=terms.get("scheme", "http"))
        answer = ask(door, terms["ready_path"], READY_LIMIT)
        ready = f"{terms['ready_path']} answers {answer}"
        if answer.text.startswith(STANDS_IN):
            ready = f"{terms['ready_path']} answers {answer.status}, by the worker: the app has no such path"
    others = "stopped" if state.stopped else "draining" if state.draining else "standby"
    what = "live" if slot == live else others
    since = int(state.changed if what == "draining" else state.since)
    return {
        "state": what,
        "service": state.word,
        "release": held.get("release"),
        "since": since,
        "workers": len(pids),
        "restarts": state.restarts,
        "memory": sum(use.now for use in [*uses, *([arbiter] if arbiter else [])]),
        "worker_memory": [use.now for use in uses],
        "worker_memory_planned": plan,
        # What the kernel holds it to: systemd's word for it may be a minute ahead.
        "memory_max": group_of(state.group).limit or state.limit,
        "enabled": state.boots,
        "note": _note(supervisor, slot, state),
        "advice": advice([use.peak for use in uses], plan, time.time() - since),
        "ready": ready,
    }


def _note(supervisor: Supervisor, slot: str, state: State) -> str:
    """What somebody has to know of the service beside its state: it was given up, or ended without having been told."""
    by, restarts = supervisor.by(slot), state.restarts
    if state.overdue:
        return f"its end took longer than fastapi_stop_timeout, and {by} killed what was left"
    if state.given_up:
        given_up = f"{by} has given it up after {restarts} restarts" if restarts else "it failed"
        lines = supervisor.lines(slot, state.changed - LOOK_BACK, LAST_LINES)
        said = f"Its last lines:\n{lines}\n" if lines else f"Why says {supervisor.where_lines(slot)}.\n"
        return f"{given_up} ({state.how}). {said}When the cause is fixed: {supervisor.start_again(slot)}, or deploy."
    notes = [f"{by} has restarted it {restarts} time(s): {supervisor.where_lines(slot)}"] if restarts else []
    if state.died:
        notes.append(state.told)
    return "; ".join(notes)


def _processes(systemd: Systemd, app: App) -> list[dict[str, Any]]:
    """What runs beside the web workers, of the live generation and of those that finish their last jobs."""
    store = Generations(app)
    live = store.live()
    rows = [
        (n, each, unit)
        for n in reversed(store.numbers())
        for each in store.held(n).processes
        for unit in units.instances(app.name, each, n)
    ]
    states = systemd.show([unit for _n, _each, unit in rows]) if rows else {}
    found = []
    for n, process, unit in rows:
        state = states[unit]
        active = state.get("ActiveState", "")
        if n != live and active in ("inactive", "failed"):
            continue
        what = "live" if n == live else "finishing" if active == "deactivating" else "left behind"
        found.append(
            {
                "process": process.name,
                "unit": unit,
                "state": what,
                "service": f"{active} ({state.get('SubState')})",
                "release": store.record(n).get("release"),
                "since": int(systemd.changed_at(state) if what == "finishing" else systemd.entered_at(state)),
                "restarts": number(state, "NRestarts"),
                "memory": number(state, "MemoryCurrent"),
                "memory_max": group_of(state.get("ControlGroup", "")).limit or number(state, "MemoryMax") or None,
                "command": process.command,
                "note": _process_note(systemd, app, unit, state) if n == live else "",
            }
        )
    return found


def _process_note(systemd: Systemd, app: App, unit: str, state: dict[str, str]) -> str:
    restarts, name = number(state, "NRestarts"), unit.split(".")[1]
    if state.get("ActiveState") == "active":
        return f"systemd has restarted it {restarts} time(s): {app.name}-logs -P {name}" if restarts else ""
    if state.get("SubState") != "auto-restart":
        return f"it doesn't run: systemctl start {unit}, or deploy."
    since = systemd.changed_at(state) - LOOK_BACK
    lines = last_lines(systemd.run, app.name, unit, since, LAST_LINES)
    return f"it ends again and again ({ending(state)}), {restarts} restart(s) so far.\n{lines}".rstrip()


def _timers(systemd: Systemd, app: App) -> list[dict[str, Any]]:
    store = Generations(app)
    timers = store.held(store.live()).timers
    names = [unit for each in timers for unit in (units.timer(app.name, each.name), units.run(app.name, each.name))]
    states = systemd.show(names) if names else {}
    found = []
    for each in timers:
        timer, run = (states[name(app.name, each.name)] for name in (units.timer, units.run))
        failed = run.get("ActiveState") == "failed"
        running = run.get("ActiveState") in ("activating", "active", "deactivating")
        last = timer.get("LastTriggerUSec", "").removeprefix("n/a")
        outcome = "running" if running else ending(run) if failed else "ended well" if last else "never"
        note = "" if timer.get("ActiveState") == "active" else f"the timer is {timer.get('ActiveState')}: deploy."
        if failed:
            since = systemd.changed_at(run) - LOOK_BACK
            lines = last_lines(systemd.run, app.name, units.run(app.name, each.name), since, LAST_LINES)
            note = f"its last run failed ({ending(run)}).\n{lines}".rstrip()
        found.append(
            {
                "timer": each.name,
                "calendars": list(each.calendars),
                "last": last,
                "outcome": outcome,
                "next": timer.get("NextElapseUSecRealtime", "").removeprefix("n/a"),
                "command": each.command,
                "note": note,
            }
        )
    return found


def _releases(app: App, entries: Sequence[history.HistoryEntry], slots: dict[str, Any]) -> list[dict[str, Any]]:
    """The complete releases, the one that served last first, those that never did by their age behind them."""
    served, bad = history.last_served(entries), history.marked(entries)
    live = {slots[slot]["release"] for slot in SLOTS if slots[slot]["state"] == "live"}
    found = []
    for release, record in records_in(app.root)[0].items():
        state = "live" if release in live else "good" if release in served else "never live"
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


def report(systemd: Systemd, app: App, deploys: int) -> dict[str, Any]:
    """Facts and text in one."""
    facts = look(systemd, app)
    # A first deploy may have failed before there was a unit.
    known = any(facts[key] for key in ("live", "releases", "history", "deploying", "cut_off"))
    nothing = "" if known else missing(app.name)
    return {**facts, "text": nothing or render(facts, time.time(), deploys)}


SETTLED = 3600
"""Seconds after which a slot has seen enough to say that its workers take less than planned."""


def advice(peaks: list[int], plan: int | None, age: float) -> str:
    """Which value to set, where the workers take much more or much less than planned; '' where the plan is right.

    :param peaks: bytes of each worker, at most so far.
    :param plan: bytes planned for each.
    :param age: seconds for which the slot has run.
    """
    if not peaks or not plan:
        return ""
    most = max(peaks)
    wanted = with_margin(most)
    said = f"a worker has taken up to {human_size(most)}, and {human_size(plan)} are planned"
    if most > plan:
        return f"{said}: write fastapi_worker_memory: {human_size(wanted)}."
    if most < plan // 2 and age >= SETTLED and wanted < plan:
        return f"{said}: with fastapi_worker_memory: {human_size(wanted)} more of them would fit."
    return ""
