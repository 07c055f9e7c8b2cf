# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command as the service would, and waits for it."""

from __future__ import annotations

from .._host.journal import readable
from .._host.systemd import CommandFailed, Run
from .command import Place, command_line

LINES = 100
"""The last of what a command printed: a traceback is there whole."""


class Ended(CommandFailed):
    """A command ended with another status than 0.

    :param said: the last that it printed.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"it ended with status {status}.")
        self.said = said


def run(runner: Run, place: Place, unit: str, command: list[str], limit: int) -> str:
    """Run it and wait for it; returns what it printed.

    :param limit: seconds after which it is ended.
    :raises Ended: where its status isn't 0.
    :raises CommandFailed: where an earlier one is still at work.
    """
    status, out, err = runner(command_line(place, unit, command, ["--pipe", "--wait"], [f"RuntimeMaxSec={limit}"]))
    said = "\n".join(readable(line) for line in f"{out}\n{err}".strip().split("\n")[-LINES:]).strip()
    if status and "was already loaded" in err:
        raise CommandFailed(
            f"an earlier run that was cut off has left it running. Wait until it has ended, and run again: "
            f"systemctl status graceful-{place.name}-{unit}"
        )
    if status:
        raise Ended(status, said or "(it said nothing)")
    return said
