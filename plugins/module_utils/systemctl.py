# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules ask of systemd: state by ``systemctl show``, jobs by ``systemctl``, lines by ``journalctl``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

Run = Callable[[list[str]], tuple[int, str, str]]
"""Runs a command without a shell: exit status, standard output, standard error."""


class CommandFailed(Exception):
    """A command that had to succeed did not; the text says which and what it printed."""


def parse_show(text: str) -> list[dict[str, str]]:
    """Read the output of ``systemctl show UNIT...``: one block of ``Key=value`` lines a unit, blank lines between."""
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        if not line:
            blocks.append({})
            continue
        key, separator, value = line.partition("=")
        if separator:
            blocks[-1][key] = value
    return [block for block in blocks if block]


def good_request(line: str) -> bool:
    """Whether a log line says no more than that a request was answered, or taken up: under load most of them do."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    if not isinstance(record, dict) or record.get("event") != "request":
        return False
    # The app's own lines may call anything a status.
    status = record.get("status") or 0
    return isinstance(status, int) and status < 500


def readable_log(line: str) -> str:
    """Make one JSON log line a person's: the message, then the traceback on lines of its own. Other lines pass.

    Bytes that aren't UTF-8 are spelled out: Ansible refuses a result that has any, with all that it says. So are
    control characters, which a client may have brought into the log.
    """
    # Only where something failed: every module has this file, and few need the reader.
    from ansible_collections.graceful.deploy.plugins.module_utils.log_reader import CONTROL

    return _told(line).encode(errors="backslashreplace").decode().translate(CONTROL)


def _told(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    if record.get("event") == "request" and {"method", "path", "status"} <= record.keys():
        return f"{record['method']} {record['path']} {record['status']}"
    text = str(record.get("message") or record.get("msg") or record.get("event") or line)
    trace = record.get("exception") or record.get("exc_info")
    return f"{text}\n{trace}".rstrip() if isinstance(trace, str) else text


def _epoch(monotonic: str | None) -> float:
    """Seconds since the epoch for a time of systemd's monotonic clock, in microseconds; 0 for none."""
    microseconds = int(monotonic or 0)
    if not microseconds:
        return 0.0
    return time.time() - (time.clock_gettime(time.CLOCK_MONOTONIC) - microseconds / 1e6)


class Systemd:
    """systemd as seen through one runner of commands.

    :param run: how to run a command.
    """

    properties = (
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
        "MemoryHigh",
        "MemoryMax",
        "ControlGroup",
        "StatusText",
        "StateChangeTimestampMonotonic",
        "ActiveEnterTimestampMonotonic",
    )

    def __init__(self, run: Run) -> None:
        self.run = run

    def show(self, units: Iterable[str]) -> dict[str, dict[str, str]]:
        """The state of each unit by its name; a unit that isn't there has ``LoadState=not-found``."""
        names = list(units)
        status, out, err = self.run(["systemctl", "show", "--property=" + ",".join(self.properties), "--", *names])
        if status:
            raise CommandFailed(f"systemctl show failed: {(err or out).strip()}")
        return dict(zip(names, parse_show(out), strict=True))

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
        return _epoch(state.get("StateChangeTimestampMonotonic"))

    def entered_at(self, state: dict[str, str]) -> float:
        """When the unit last became active, in seconds since the epoch; 0 when it never did."""
        return _epoch(state.get("ActiveEnterTimestampMonotonic"))

    def last_lines(self, namespace: str, unit: str, since: float, count: int = 30) -> str:
        """The last lines that a unit logged after ``since`` (seconds since the epoch), for a failure's text."""
        self.run(["journalctl", f"--namespace={namespace}", "--sync"])
        # With --since alone --lines counts from the beginning.
        command = ["journalctl", f"--namespace={namespace}", "--quiet", "--output=cat", "--no-pager", "--reverse"]
        out = self.run([*command, f"--lines={20 * count}", f"--since=@{int(since)}", f"--unit={unit}"])[1]
        telling = [line for line in out.splitlines() if not good_request(line)][:count]
        said: list[str] = []
        for text in map(readable_log, reversed(telling)):
            # A release that can't be imported says so with a traceback for each worker.
            said.append(f"{text.splitlines()[0]} (as above)" if "\n" in text and text in said else text)
        return "\n".join(said).strip()
