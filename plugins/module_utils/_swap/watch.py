# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches a slot that was started: is it ready, does it stay alive and healthy, and if not, what was seen."""

from __future__ import annotations

import functools
import re
import time
from dataclasses import dataclass

from .._app.slots import App
from .._host.journal import last_lines
from .._host.probe import Answer, Door, ask, ask_watching, wait_until_good
from .._host.systemd import Systemd, number
from .._plan.sizes import human_size
from .steps import Terms

READY_IN_A_ROW = 3
CRASHES_AT_START = 2
"""Workers that may end unexpectedly before a start is given up: one may be bad luck, a row of them isn't."""
HEALTH_PATIENCE = 2.5
"""Seconds that a question for the health path may take while a new release is watched."""
BAD_PATIENCE = 2.0
"""Seconds to wait for the queue of a slot that failed or was left behind: it may never answer."""
LATE = 0.1
"""Seconds after the link has moved in which a proxy that had read it just before may still dial the old slot."""
SETTLE = 0.5
"""Seconds after SIGHUP in which the old workers close their listeners."""


def crashes(status_text: str) -> int:
    """How many workers ended unexpectedly, as the arbiter tells systemd (graceful_worker.child_exit)."""
    match = re.match(r"([0-9]{1,9}) worker\(s\) ended unexpectedly", status_text)
    return int(match[1]) if match else 0


def illness(state: dict[str, str], seconds: float) -> str:
    """Why a service doesn't serve well, '' where nothing tells so: it is down, or dies again and again.

    One that a person has stopped isn't ill, nor is one that died some day, or once in a reload that failed. Workers
    that died tell nothing: they may have been those of such a reload.

    :param seconds: how long it has been active.
    """
    if state.get("ActiveState") in ("failed", "activating", "deactivating"):
        return "was down"
    return "kept dying" if number(state, "NRestarts") > 2 and seconds < 60 else ""


@dataclass(frozen=True)
class Start:
    """One start of a unit: what tells it from the next, what had gone wrong before, and when it was (epoch)."""

    invocation: str
    crashes: int
    oom_kills: int
    since: float


class Watch:
    """Asks one slot's service, over its own socket as the proxy hands on what clients ask, and over systemd."""

    def __init__(self, systemd: Systemd, app: App, slot: str, terms: Terms) -> None:
        self.systemd = systemd
        self.app = app
        self.unit = app.service(slot)
        self.door = Door(terms.host, unix=app.socket(slot), scheme=terms.scheme)

    def state(self) -> dict[str, str]:
        return self.systemd.show([self.unit])[self.unit]

    def begin(self, since: float) -> Start:
        """Take the service as it is now for a new start."""
        state = self.state()
        kills = oom_kills(state.get("ControlGroup", ""))
        return Start(state.get("InvocationID", ""), crashes(state.get("StatusText", "")), kills, since)

    def lost(self, start: Start, tolerated: int = 0) -> str | None:
        """Why the service won't do any more: it ended, systemd had to start it again, or its workers die."""
        state = self.state()
        memory = ""
        if oom_kills(state.get("ControlGroup", "")) > start.oom_kills or state.get("Result") == "oom-kill":
            most = human_size(number(state, "MemoryMax")) if number(state, "MemoryMax") else "infinity"
            memory = f" The kernel killed it for memory: MemoryMax is {most} (fastapi_memory_max)."
        # "deactivating": the arbiter is dead and its workers drain, which may take as long as a drain may.
        dead = ("failed", "inactive", "deactivating")
        ended = state.get("ActiveState") in dead or state.get("SubState") == "auto-restart"
        if ended or state.get("InvocationID") != start.invocation:
            hung = " Its arbiter had hung (watchdog)." if state.get("Result") == "watchdog" else ""
            return f"{self.unit} ended ({state.get('Result')}, status {state.get('ExecMainStatus')}).{hung}{memory}"
        died = crashes(state.get("StatusText", "")) - start.crashes
        if died > tolerated:
            return f"{died} worker(s) of {self.unit} ended unexpectedly.{memory}"
        return None

    def ready(self, start: Start, path: str, limit: float) -> str | None:
        """Wait until the readiness path answers several times in a row; returns what was seen instead, or None."""
        lost = functools.partial(self.lost, start, CRASHES_AT_START)
        advice = (
            "The app of this release has no such path: add it, or set fastapi_ready_path to one that it has. "
            "A rollback asks by the path of what is live, and needs a release that has it."
        )
        answer = wait_until_good(self.door, path, limit, READY_IN_A_ROW, lost, pause=0.05, not_there=advice)
        return None if isinstance(answer, Answer) else answer

    def stays_well(self, start: Start, path: str, seconds: float) -> str | None:
        """Ask the health path for `seconds`; returns the first thing that is wrong, or None.

        A bad answer is asked for once more, so that a single one doesn't undo a deploy; a service that ended doesn't
        come back, and is believed at once.
        """
        end = time.monotonic() + seconds
        bad = 0
        while time.monotonic() < end or bad:
            answer = ask_watching(self.door, path, HEALTH_PATIENCE, lambda: self.lost(start))
            if isinstance(answer, str):
                return answer
            if reason := self.lost(start):
                return reason
            bad = 0 if answer.good else bad + 1
            if bad > 1 or (bad and not answer.status and "timed out" in answer.text):
                return f"{path} on {self.door.name} failed after the move: {answer}"
            time.sleep(0.1 if bad else min(0.1, max(0.0, end - time.monotonic())))
        return None

    def empty(self, path: str, patience: float, moved_at: float = 0.0) -> None:
        """Wait until nothing waits in the slot's queue: closing a socket drops what was not accepted.

        The queue is first in, first out, so when a question of our own is answered, all before it were accepted.

        :param patience: seconds for the answer.
        :param moved_at: when the link was last moved, on the monotonic clock; 0 where that isn't known.
        """
        time.sleep(max(0.0, (moved_at or time.monotonic()) + LATE - time.monotonic()))
        ask(self.door, path, patience)

    def log(self, since: float) -> str:
        """Its last lines. They tell why; nothing that stands in the way of reading them is a failure of its own."""
        try:
            return last_lines(self.systemd.run, self.app.name, self.unit, since) or "(it logged nothing)"
        except Exception as error:
            return f"(its log can't be read: {error})"


def oom_kills(control_group: str) -> int:
    """How many processes the kernel has killed for memory in a unit's control group; 0 where it doesn't say."""
    for path, key in (
        (f"/sys/fs/cgroup{control_group}/memory.events", "oom_kill"),
        (f"/sys/fs/cgroup/memory{control_group}/memory.oom_control", "oom_kill"),
    ):
        try:
            with open(path, encoding="ascii") as file:
                rows = dict(line.split() for line in file)
        except (OSError, ValueError):
            continue
        return int(rows.get(key, 0))
    return 0


def workers(main_pid: str) -> set[str]:
    """Process ids of an arbiter's workers."""
    try:
        with open(f"/proc/{int(main_pid)}/task/{int(main_pid)}/children", encoding="ascii") as file:
            return set(file.read().split())
    except (OSError, ValueError):
        return set()
