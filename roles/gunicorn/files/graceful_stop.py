# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends what serves in a slot, before systemd ends the rest: ``ExecStop=`` and ``ExecStopPost=`` of its unit.

systemd tells all processes of a unit at once, and a request that waits for another one (a converter) would be answered
with 500. So the arbiter and its workers are told here, and waited for; when this returns nobody waits for the others.
It has no limit of its own: systemd ends it, and all that is left, after the stop timeout.

    graceful_stop.py [MAIN_PID]     without it the arbiter has died, and its workers are told

Root runs it, with the system's Python and outside of the sandbox: in there it would see none of the app's processes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterable


def read(pid: int, name: str) -> str:
    """A file of a process in /proc; empty where that one has ended."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def members() -> dict[int, int]:
    """The processes of this unit but this one, with their parents. systemd runs its commands in the unit's cgroup."""
    group, found = read(os.getpid(), "cgroup"), {}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        if pid != os.getpid() and group and read(pid, "cgroup") == group:
            # The name of the program, in brackets, may hold any of the others.
            rest = read(pid, "stat").rpartition(")")[2].split()
            if rest and rest[0] != "Z":
                found[pid] = int(rest[1])
    return found


def serving(found: dict[int, int], main: int) -> set[int]:
    """The arbiter and its workers, or the workers that have outlived it, whose parent is none of the unit's. Pure.

    :param found: the unit's processes, with their parents.
    :param main: the arbiter, 0 for none.
    """
    if main in found:
        return {main} | {pid for pid, parent in found.items() if parent == main}
    return {pid for pid, parent in found.items() if parent not in found}


def end(pids: Iterable[int]) -> None:
    """Tell processes of this unit to end, and wait until they have."""
    poll, group = select.poll(), read(os.getpid(), "cgroup")
    running = set()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            running.add(handle)
            poll.register(handle, select.POLLIN)
            # By the handle, which is the process that was asked, whoever gets its number.
            if read(pid, "cgroup") == group:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                signal.pidfd_send_signal(handle, signal.SIGCONT)
    while running:
        for handle, _event in poll.poll():
            poll.unregister(handle)
            os.close(handle)
            running.remove(handle)


def main(arbiter: int) -> None:
    # An arbiter that was just replacing a worker may have begun another one.
    while pids := serving(members(), arbiter):
        end(pids)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else 0)
