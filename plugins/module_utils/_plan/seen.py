# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app that runs shows the next plan: what its workers have taken, and the limit of its slice."""

from __future__ import annotations

from .._app import history
from .._app.slots import App
from .._app.words import slice_of
from .._host.memory import most_taken
from .._host.systemd import CommandFailed, Run, Systemd, number
from .flow import NOTHING, Seen


def see(run: Run, name: str, root: str) -> Seen:
    """Of the live slot by the kernel, and of what served before by the history; nothing on a host that is bare."""
    app = App(name, root)
    live = app.live()
    units = [slice_of(name), *([app.service(live)] if live else [])]
    try:
        states = Systemd(run).show(units)
        now = most_taken(states[units[-1]].get("MainPID", "")) if live else 0
        before = history.taken(history.read(root))
    except (CommandFailed, OSError):
        # A host without systemd is refused elsewhere, and so is a run that isn't root's.
        return NOTHING
    # What the kernel holds the slice to isn't there before anything runs in it.
    return Seen(max(now, before), number(states[units[0]], "MemoryMax") or None)
