# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app that runs shows the next plan: what its workers have taken, and the limit of its slice."""

from __future__ import annotations

from .._app import history, tuned
from .._app.roots import roots_by_units
from .._app.slots import App, worker_count
from .._app.words import slice_of
from .._host.memory import most_taken, workers
from .._host.systemd import CommandFailed, Run, Systemd, number
from .._process.generations import held_by
from .capacity import Part
from .demand import ARBITER, Demand
from .flow import NOTHING, Seen
from .sizes import parse_size, with_margin

UNITS = "/etc/systemd/system"


def see(run: Run, name: str, root: str) -> Seen:
    """Of the live slot by the kernel, and of what served before by the history; nothing on a host that is bare."""
    app = App(name, root)
    live = app.live()
    daemon = bool(live and app.under_oxmgr(live))
    units = [slice_of(name), *([app.daemon(live) if daemon else app.service(live)] if live else [])]
    try:
        states = Systemd(run).show(units)
        main = states[units[-1]].get("MainPID", "") if live else ""
        # Of a daemon's children, one of which may be a health check, the arbiter is the one that has some of its own.
        main = next(filter(workers, workers(main)), "") if daemon else main
        now = most_taken(main) if main else 0
        before = history.taken(history.read(root))
    except (CommandFailed, OSError):
        # A host without systemd is refused elsewhere, and so is a run that isn't root's.
        return NOTHING
    others = tuple(_part(App(other, place)) for other, place in sorted(roots_by_units(UNITS).items()) if other != name)
    # What the kernel holds the slice to isn't there before anything runs in it.
    own = number(states[units[0]], "MemoryMax") or None
    return Seen(max(now, before), own, tuple(filter(None, others)), tuned.read(root))


def _part(app: App) -> Part | None:
    """What another app takes: its live slot, its workers as they were measured or else planned, and what it has beside
    them. None for one that serves nothing."""
    live = app.live()
    if not live:
        return None
    terms = app.held(live).get("terms") or {}
    taken = history.taken(history.read(app.root))
    each = with_margin(taken) if taken else terms.get("worker_memory") or Demand.worker_memory
    rest = sum(part.whole for part in beside_of(app))
    return Part(app.name, each * max(1, worker_count(app.configured(live))) + ARBITER + rest)


def beside_of(app: App) -> tuple[Part, ...]:
    """What an app that runs has beside its web workers."""
    beside = held_by(app)
    sizes = [parse_size(row.memory_max) if row.memory_max else Demand.worker_memory for row in beside.processes]
    parts = [Part(row.name, size, row.instances) for size, row in zip(sizes, beside.processes, strict=True)]
    return (*parts, *(Part(row.name, Demand.worker_memory) for row in beside.timers))
