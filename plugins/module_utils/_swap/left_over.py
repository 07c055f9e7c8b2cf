# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Oxmgr had of an app that has gone back to systemd: taken away once no slot can need it."""

from __future__ import annotations

import contextlib
import os
import shutil

from .._app.slots import SLOTS, App
from .._app.words import is_ours
from .._host.files import read_text
from .._host.systemd import Systemd
from .._preflight import oxmgr

SAYS = "What Oxmgr had of it is gone from the host."


class OfOxmgr:
    """The daemons' unit, their state, the program and the command.

    :param top: the host's own root directory; another one than ``/`` in tests.
    """

    def __init__(self, systemd: Systemd, app: App, top: str = "") -> None:
        self.systemd = systemd
        self.app = app
        self.top = top

    @property
    def paths(self) -> list[str]:
        """All of it. None while a slot is filled for Oxmgr: it serves, finishes its requests, or starts again. And none
        where no deploy has written the unit."""
        unit = self.app.daemons_file
        if any(self.app.under_oxmgr(slot) for slot in SLOTS) or not is_ours(read_text(unit)):
            return []
        command = f"{self.top}/usr/local/bin/{self.app.name}-oxmgr"
        # The unit last: where this is cut off, the next run knows by it that something is left.
        mine = [command] * is_ours(read_text(command))
        return [*mine, *(self.top + path for path in oxmgr.places(self.app.name, self.top)), unit]

    def remove(self) -> None:
        """Nothing runs of it, unless somebody has started it by hand."""
        units = [self.app.daemon(slot) for slot in SLOTS]
        for order in ("stop", "disable", "reset-failed"):
            self.systemd.run(["systemctl", "--quiet", order, "--", *units])
        # All are in directories that only root can write to.
        for path in self.paths:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        self.systemd.do("daemon-reload")
