# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches a slot that was started: is it ready, does it stay alive and healthy, and if not, what was seen."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

from .._app.slots import App, worker_count
from .._app.supervisor import State, Supervisor
from .._host.door import Door
from .._host.memory import Group, group_of, how_far, most_taken, serving
from .._host.probe import STANDS_IN, Answer, ask, ask_watching, wait_until_good
from .._plan.sizes import human_size, with_margin
from .steps import Terms

READY_IN_A_ROW = 3
HEALTH_PATIENCE = 2.5
"""Seconds that a question for the health path may take while a new release is watched."""
BAD_PATIENCE = 2.0
"""Seconds to wait for the queue of a slot that failed or was left behind: it may never answer."""
LATE = 0.1
"""Seconds after the link has moved in which a proxy that had read it just before may still dial the old slot."""
SETTLE = 0.5
"""Seconds after SIGHUP in which the old workers close their listeners."""


def killed(group: Group, count: int, taken: int) -> str:
    """What is told where the kernel has killed a worker for memory: at which limit, and what to write.

    :param count: workers that the slot is to have.
    :param taken: the most bytes that one of those that are left has taken.
    """
    if group.limit is None or not group.short:
        return "The kernel killed it for memory: the host had none left, or a limit of a slice above it was reached."
    limit = human_size(group.limit)
    # Together they took more than the limit, so one of them more than its part.
    each = with_margin(max(taken, group.limit // max(1, count)))
    told = f"The kernel killed it at the memory limit of its slot, which is {limit} (fastapi_memory_max)"
    if count > 1 and each < group.limit:
        return f"{told}: write fastapi_worker_memory: {human_size(each)}, and no more workers are started than fit."
    return f"{told}: a worker alone takes more. Give the slot more by that variable, or the host more memory."


@dataclass(frozen=True)
class Start:
    """One start of a unit: what tells it from the next, what had gone wrong before, and when it was (epoch)."""

    invocation: str
    crashes: int
    oom_kills: int
    since: float


class Watch:
    """Asks one slot's service, over its own socket as the proxy hands on what clients ask, and its supervisor."""

    def __init__(self, supervisor: Supervisor, app: App, slot: str, terms: Terms) -> None:
        self.supervisor = supervisor
        self.app = app
        self.slot = slot
        self.unit = supervisor.called(slot)
        self.door = Door(terms.host, unix=app.socket(slot), scheme=terms.scheme)
        self.missing: list[str] = []
        """Paths that the app doesn't have, which its server answers in its place."""
        self.main = ""
        """Process id of the arbiter, as it was last seen."""
        self.short_of_memory = False
        """Whether the kernel was seen to kill for memory."""

    def state(self) -> State:
        state = self.supervisor.state(self.slot)
        self.main = state.main
        return state

    def begin(self, since: float) -> Start:
        """Take the service as it is now for a new start."""
        state = self.state()
        return Start(state.start, state.died, group_of(state.group).kills, since)

    def lost(self, start: Start, tolerated: int = 0) -> str | None:
        """Why the service won't do any more: it ended, had to be started again, or its workers die."""
        state = self.state()
        memory = self._memory(state, start)
        if state.ended or state.start != start.invocation:
            hung = " Its arbiter had hung (watchdog)." if state.hung else ""
            return f"{self.unit} ended ({state.how}).{hung}{memory}"
        died = state.died - start.crashes
        # The next try would need as much: no bad luck.
        if died > (0 if memory else tolerated):
            return f"{died} worker(s) of {self.unit} ended unexpectedly.{memory}"
        return None

    def _memory(self, state: State, start: Start) -> str:
        """What is told of kills for memory since the start, with a blank before it; '' where there were none."""
        group = group_of(state.group)
        if group.kills <= start.oom_kills and not state.out_of_memory:
            return ""
        if not group.kills:
            # With the service its control group is gone.
            group = Group(limit=state.limit, short=True)
        self.short_of_memory = True
        return f" {killed(group, worker_count(self.app.configured(self.slot)), most_taken(self.main))}"

    def ready(self, start: Start, path: str, limit: float) -> str | None:
        """Wait until the readiness path answers several times in a row; returns what was seen instead, or None."""
        lost = functools.partial(self.lost, start, self._tolerated())
        advice = (
            "The app of this release has no such path: add it, or set fastapi_ready_path to one that it has. "
            "A rollback asks by the path of what is live, and needs a release that has it."
        )
        answer = wait_until_good(self.door, path, limit, READY_IN_A_ROW, lost, pause=0.05, not_there=advice)
        if isinstance(answer, str):
            slow = f" within {limit:g} s; " in answer
            far = f". Of its workers, {doing}" if slow and (doing := how_far(self.main)) else ""
            advice = f"{far}. If it only needs longer to start, raise fastapi_ready_timeout."
            return answer.rstrip(". ") + advice if slow else answer
        self._note(answer, path)
        return None

    def all_serve(self, start: Start, limit: float) -> str | None:
        """Wait until each worker has started; returns what was seen instead, or None.

        One that answers tells nothing of the others, which may be those that memory doesn't hold. Of workers that don't
        say when they have started nothing is asked: another class, or a slot of an earlier version of the collection.
        """
        wanted, end = worker_count(self.app.configured(self.slot)), time.monotonic() + limit
        tolerated = self._tolerated()
        while not (reason := self.lost(start, tolerated)):
            up = serving(self.main)
            if not up or up >= wanted:
                return None
            if time.monotonic() > end:
                return (
                    f"{up} of {wanted} workers of {self.unit} had started within {limit:g} s, and the others hadn't. "
                    "If they only need longer, raise fastapi_ready_timeout; if a second worker can't start beside a "
                    "first, write fastapi_workers: 1."
                )
            time.sleep(0.05)
        return reason

    def _tolerated(self) -> int:
        """Workers that may end unexpectedly before a start is given up: one may be bad luck where there are more.

        In place nothing serves meanwhile, and each further try of the arbiter's takes twice as long.
        """
        return 1 if worker_count(self.app.configured(self.slot)) > 1 else 0

    def _note(self, answer: Answer, path: str) -> None:
        if answer.text.startswith(STANDS_IN) and path not in self.missing:
            self.missing.append(path)

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
            self._note(answer, path)
            bad = 0 if answer.good else bad + 1
            if bad > 1 or (bad and not answer.status and "timed out" in answer.text):
                return f"{path} on {self.door.name} failed while it was watched: {answer}"
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
            # In the log's plain form each row of a traceback is a line, and each worker that dies has a traceback.
            return self.supervisor.lines(self.slot, since, 100) or "(it logged nothing)"
        except Exception as error:
            return f"(its log can't be read: {error})"
