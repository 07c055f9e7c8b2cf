# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules ask of systemd: state by ``systemctl show``, jobs by ``systemctl``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Run = Callable[[list[str]], tuple[int, str, str]]
"""Runs a command without a shell: exit status, standard output, standard error."""


TRIES, PAUSE = 5, 0.2
"""How often systemd is asked before its answer counts as none; the seconds between grow by PAUSE."""


class CommandFailed(Exception):
    """A command that had to succeed did not; the text says which and what it printed."""

    said = ""
    """The last that it printed, where the text leaves that out."""
    more: Mapping[str, Any] = {}
    """What the module's result has beside the text."""


def parse_show(text: str) -> list[dict[str, str]]:
    """Read the output of ``systemctl show UNIT...``: one block of ``Key=value`` lines a unit, blank lines between."""
    blocks: list[dict[str, str]] = [{}]
    # A service may put into its status what others take for the end of a line.
    for line in text.split("\n"):
        if not line:
            blocks.append({})
            continue
        key, separator, value = line.partition("=")
        if separator:
            blocks[-1][key] = value
    return [block for block in blocks if block]


def ending(state: dict[str, str]) -> str:
    """How a service's main process ended, in words; a signal is a success to our unit, see its SuccessExitStatus=."""
    result, status = state.get("Result", ""), state.get("ExecMainStatus", "")
    return f"signal {status}" if result == "success" and status not in ("", "0") else f"{result}, status {status}"


def number(state: dict[str, str], name: str) -> int:
    """A property's number; 0 where it isn't there, or has another word such as infinity."""
    value = state.get(name, "")
    return int(value) if re.fullmatch(r"[0-9]{1,20}", value) else 0


def _epoch(microseconds: int) -> float:
    """Seconds since the epoch for a time of systemd's monotonic clock; 0 for none."""
    if not microseconds:
        return 0.0
    return time.time() - (time.clock_gettime(time.CLOCK_MONOTONIC) - microseconds / 1e6)


class Systemd:
    """systemd as seen through one runner of commands.

    :param run: how to run a command.
    """

    properties: tuple[str, ...] = (
        "Id",
        "LoadState",
        "ActiveState",
        "SubState",
        "Result",
        "Job",
        "UnitFileState",
        "NeedDaemonReload",
        "NRestarts",
        "InvocationID",
        "ExecMainStatus",
        "MainPID",
        "MemoryMax",
        "ControlGroup",
        "StatusText",
        "StateChangeTimestampMonotonic",
        "ActiveEnterTimestampMonotonic",
        "MemoryCurrent",
        "LastTriggerUSec",
        "NextElapseUSecRealtime",
    )

    def __init__(self, run: Run) -> None:
        self.run = run

    def show(self, units: Iterable[str]) -> dict[str, dict[str, str]]:
        """The state of each unit by its name; a unit that isn't there has ``LoadState=not-found``.

        :raises CommandFailed: where systemd doesn't tell, not even asked again.
        """
        names = list(units)
        command = ["systemctl", "show", "--property=" + ",".join(self.properties), "--", *names]
        for attempt in range(TRIES):
            time.sleep(attempt * PAUSE)
            status, out, err = self.run(command)
            blocks = parse_show(out)
            # On a busy host it has answered for fewer units than it was asked for.
            if not status and len(blocks) == len(names):
                return dict(zip(names, blocks, strict=True))
        said = (err or out).strip() if status else f"it told of {len(blocks)} of {len(names)} units"
        raise CommandFailed(f"systemctl show failed {TRIES} times: {said}. Is the host very busy? Run again.")

    def do(self, *arguments: str) -> None:
        """Run ``systemctl`` and wait for its job.

        :raises CommandFailed: with systemctl's own words.
        """
        status, out, err = self.run(["systemctl", *arguments])
        if status:
            raise CommandFailed(f"systemctl {' '.join(arguments)} failed: {(err or out).strip()}")

    def changed_at(self, state: dict[str, str]) -> float:
        """When the unit last started, stopped or reloaded, in seconds since the epoch; 0 when it never did.

        systemd gives the monotonic clock; a reload counts, because the unit passes through ``reloading``.
        """
        return _epoch(number(state, "StateChangeTimestampMonotonic"))

    def entered_at(self, state: dict[str, str]) -> float:
        """When the unit last became active, in seconds since the epoch; 0 when it never did."""
        return _epoch(number(state, "ActiveEnterTimestampMonotonic"))
