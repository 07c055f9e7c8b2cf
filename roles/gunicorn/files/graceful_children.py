# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets the programs that requests wait for live as long as these: a converter, a pool of processes.

systemd sends its signals to the whole control group, so they are ones that don't end such a program. The unit's
``ExecStop=`` tells the arbiter alone to stop. What is left when the last of arbiter and workers goes, nobody waits for;
it is told to end by that one, and killed by systemd where it doesn't.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import signal
import time
from typing import Any

STOP_SIGNAL = signal.SIGURG  # KillSignal= in the unit: ignored by every program that doesn't ask for it
WATCHDOG_SIGNAL = signal.SIGSTKFLT  # WatchdogSignal= in the unit: deadly, and used by nobody
LAST_WAIT = 0.5  # seconds that the arbiter gives the workers which it has just killed, to be gone

# Made when the arbiter loads its configuration, and inherited. Arbiter and workers each hold a lock on it, which the
# kernel takes back however they end; no fork inherits it.
_alive = os.memfd_create("graceful-alive")
_arbiter = 0  # pid; 0 where it isn't a service of its own, as at a shell


def begin() -> None:
    """In the arbiter, before it has workers: take the unit's signal for SIGTERM, and clean up at the end."""
    global _arbiter
    # Python's handlers are inherited by workers, and nobody else there uses this signal. Whatever SIGTERM does at the
    # moment is what has to be done.
    signal.signal(STOP_SIGNAL, _stop)
    if os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()):
        _arbiter = os.getpid()
        _hold()
        atexit.register(leave)


def _stop(_sig: int, _frame: Any) -> None:
    signal.raise_signal(signal.SIGTERM)


def _hold() -> None:
    fcntl.lockf(_alive, fcntl.LOCK_SH)


def leave() -> None:
    """The last of arbiter and workers tells what is left of the service to end; called when a process has done all.

    A recycled worker isn't the last, so what it leaves behind is left alone.
    """
    if not _arbiter:
        return
    limit = time.monotonic() + (LAST_WAIT if os.getpid() == _arbiter else 0)
    fcntl.lockf(_alive, fcntl.LOCK_UN)
    while True:
        try:
            fcntl.lockf(_alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() >= limit:
                return
            time.sleep(0.01)
    told = {os.getpid()}
    while left := _members() - told:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        told |= left


def _members() -> set[int]:
    """The processes of this one's control group, wherever it is mounted."""
    mine = _group("self")
    return {int(name) for name in os.listdir("/proc") if name.isdecimal() and _group(name) == mine}


def _group(process: str) -> bytes:
    """Its control groups; empty for one that is gone."""
    try:
        with open(f"/proc/{process}/cgroup", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _care_for_forks() -> None:
    """A forked process has the handlers of what it came from, which are of no use to it."""
    arbiter, worker = os.getpid(), False

    def before() -> None:
        nonlocal worker
        worker = os.getpid() == arbiter
        if worker:
            # Until Worker.init_signals() it has the arbiter's handlers, which queue its SIGTERM for nobody.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after_in_parent() -> None:
        if worker:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def after_in_child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if worker:
            # Its children inherit that it is ignored. The worker itself is told by STOP_SIGNAL: the arbiter is dead.
            signal.signal(WATCHDOG_SIGNAL, signal.SIG_IGN)
            if _arbiter:
                _hold()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        else:
            # One of the app's, such as a pool's. What its signals write into the parent's wakeup pipe, the parent takes
            # for its own.
            signal.set_wakeup_fd(-1)
            signal.signal(STOP_SIGNAL, signal.SIG_DFL)

    os.register_at_fork(before=before, after_in_parent=after_in_parent, after_in_child=after_in_child)


_care_for_forks()
