# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release that was started and proved ready on each host of a fleet, before anybody's traffic moves: it stands by.

A run that dies then leaves it running, as one that was cut off before its move does, and any deploy ends that.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass

from .._app.by_oxmgr import supervisor_of
from .._app.slots import SLOTS, App
from .._host import files
from .._host.systemd import Systemd
from .units import UnitFiles

_MARK = "ready.json"
"""Name of a slot's file that says so; gone with the move."""


@dataclass(frozen=True)
class Mark:
    """What the call that made a release ready leaves for the one that moves or leaves it.

    :param fingerprint: of what was asked for; fewer workers may have been started.
    :param units: text of the units that it found, by path: what they are put back to.
    """

    fingerprint: str
    units: dict[str, str]


def mark(app: App, slot: str, said: Mark) -> None:
    files.write(os.path.join(app.directory(slot), _MARK), json.dumps(vars(said)).encode(), 0o600)


def unmark(app: App, slot: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(app.directory(slot), _MARK))


def marked(app: App, slot: str) -> Mark | None:
    """None where nothing stands by in the slot."""
    try:
        return Mark(**json.loads(files.read_text(os.path.join(app.directory(slot), _MARK))))
    except (ValueError, TypeError):
        return None


def leave(systemd: Systemd, app: App, check: bool) -> str:
    """Stop what stands by, and leave the host as it was before; the release that stood by, '' where none does.

    The caller holds the deploy lock.
    """
    live = app.live()
    found = [(slot, said) for slot in SLOTS if slot != live and (said := marked(app, slot))]
    if not found:
        return ""
    ((slot, said),) = found
    release = str(app.held(slot).get("release"))
    if check:
        return release
    supervisor = supervisor_of(systemd, app)
    try:
        UnitFiles(supervisor.reread, said.units).write()
    finally:
        supervisor.stop(slot)
        if not app.restore(slot):
            shutil.rmtree(app.directory(slot), ignore_errors=True)
    app.clear()
    return release
