# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends what serves in a slot, and only then what is left of it: ``ExecStop=`` and ``ExecStopPost=`` of its unit.

systemd knows two ways to stop. It tells all processes of the unit at once, and a request that waits for another one
(a converter) is answered with 500. Or it tells the main process alone, and where that one has died the workers are
killed with their requests. So the arbiter and its workers are told here, and waited for; what they have started is
told when they are gone and nobody waits for it any more.

    graceful_stop.py SECONDS [MAIN_PID]     after SECONDS, those that were told and still run are killed

Without MAIN_PID the arbiter has died, and its workers are those whose parent is no process of the unit.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterable

LEFT_WAIT = 2.0  # seconds for what was left behind, until systemd kills it


def read(pid: int, name: str) -> str:
    """A file of a process in /proc; empty where that one has ended or isn't ours."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def members() -> dict[int, int]:
    """The processes of this unit but this one, with their parents."""
    group = read(os.getpid(), "cgroup")
    found = {}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        if pid != os.getpid() and read(pid, "cgroup") == group:
            # The name of the program, in brackets, may hold any of the others.
            rest = read(pid, "stat").rpartition(")")[2].split()
            if rest and rest[0] != "Z":
                found[pid] = int(rest[1])
    return found


def serving(found: dict[int, int], main: int) -> set[int]:
    """The arbiter and its workers, or the workers that have outlived it. Pure.

    :param found: the unit's processes, with their parents.
    :param main: the arbiter, 0 where it has died.
    """
    if main:
        return {main} | {pid for pid, parent in found.items() if parent == main}
    return {pid for pid, parent in found.items() if parent not in found}


def end(pids: Iterable[int], seconds: float) -> set[int]:
    """Tell processes to end and wait for them; who hasn't after ``seconds``."""
    poll = select.poll()
    running: dict[int, int] = {}  # process ids, by the handle of each
    for pid in pids:
        with contextlib.suppress(OSError):
            running[os.pidfd_open(pid)] = pid
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
    for handle in running:
        poll.register(handle, select.POLLIN)
    until = time.monotonic() + seconds
    while running and (left := until - time.monotonic()) > 0:
        for handle, _event in poll.poll(left * 1000):
            poll.unregister(handle)
            os.close(handle)
            del running[handle]
    return set(running.values())


def main(seconds: float, arbiter: int) -> None:
    """
    :param seconds: what serves gets to finish what it is at.
    :param arbiter: process id of Gunicorn's, 0 where it has died.
    """
    for pid in end(serving(members(), arbiter), seconds):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    end(members(), LEFT_WAIT)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else 0)
