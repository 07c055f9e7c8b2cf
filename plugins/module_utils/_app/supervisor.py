# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps an app's slots alive, as deploys and status know it. Nothing else of them knows which one it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from .slots import Snapshot


@dataclass(frozen=True)
class State:
    """A slot's service as its supervisor sees it.

    :param word: what it does, in the supervisor's own word: ``active (running)``.
    :param ended: whether it is over, or its arbiter is dead and its workers finish their requests.
    :param down: whether it doesn't serve, and nobody has told it so: it failed, or is between two tries.
    :param stopped: whether nothing of it runs.
    :param draining: whether it finishes its requests, and ends.
    :param given_up: whether nothing starts it any more.
    :param overdue: whether its end took longer than it may, and what was left was killed.
    :param how: how its main process ended.
    :param hung: whether that was ended because it hung.
    :param out_of_memory: whether it was killed for memory.
    :param start: tells one start from the next; '' where it never started.
    :param main: process id of the arbiter; '' or '0' where there is none.
    :param restarts: starts that nobody has asked for.
    :param told: what the arbiter says of itself.
    :param group: its control group, as in ``/proc/PID/cgroup``; '' where it has none.
    :param limit: bytes of memory that it may take; None where that isn't bounded.
    :param boots: whether it starts at boot.
    :param since: when it last came up, in seconds since the epoch; 0 when it never did.
    :param changed: when it last came up, was reloaded or ended, likewise.
    """

    word: str = ""
    ended: bool = False
    down: bool = False
    stopped: bool = False
    draining: bool = False
    given_up: bool = False
    overdue: bool = False
    how: str = ""
    hung: bool = False
    out_of_memory: bool = False
    start: str = ""
    main: str = ""
    restarts: int = 0
    told: str = ""
    group: str = ""
    limit: int | None = None
    boots: bool = False
    since: float = 0.0
    changed: float = 0.0

    @property
    def died(self) -> int:
        """How many workers ended unexpectedly, as the arbiter tells (graceful_worker.child_exit)."""
        match = re.match(r"([0-9]{1,9}) worker\(s\) ended unexpectedly", self.told)
        return int(match[1]) if match else 0

    def ill(self, now: float) -> str:
        """Why it doesn't serve well, '' where nothing tells so: it is down, or dies again and again.

        One that a person has stopped isn't ill, nor is one that died some day, or once in a reload that failed. Workers
        that died tell nothing: they may have been those of such a reload.

        :param now: seconds since the epoch.
        """
        if self.down:
            return "was down"
        return "kept dying" if self.restarts > 2 and now - self.since < 60 else ""


@dataclass(frozen=True)
class Standing:
    """A slot with all that belongs to it, as a deploy finds it.

    :param up: whether its service runs, and its socket takes connections.
    :param quiet: whether nothing of it runs, or its end is under way.
    :param boots: whether it starts at boot.
    :param loose: whether any part of it does.
    :param stale: whether the supervisor goes by files that have changed since.
    """

    service: State
    up: bool
    quiet: bool
    boots: bool
    loose: bool
    stale: bool = False


class Supervisor(Protocol):
    """Keeps both slots of one app alive.

    What can't be done is raised as CommandFailed, in the supervisor's own words. `begin` alone returns them, because it
    may be the release's fault.
    """

    changes: bool
    """Whether the slot that has the traffic is another supervisor's than the one that is wanted, so that nothing that
    runs in it can be kept."""

    def by(self, slot: str) -> str:
        """Its name."""

    def called(self, slot: str) -> str:
        """What the slot's service is called there."""

    def files(self, wanted: Snapshot) -> dict[str, str]:
        """What it reads of a snapshot, text by path; the slots share these."""

    def reread(self) -> None:
        """Have it go by its files as they are now."""

    def standing(self) -> dict[str, Standing]:
        """Both slots, by one question."""

    def state(self, slot: str) -> State:
        """A slot's service; asked often."""

    def listen(self, slot: str) -> None:
        """See that the slot's socket takes connections, whether or not anything answers them."""

    def begin(self, slot: str, verb: str) -> str:
        """``start``, ``restart`` or ``reload`` the slot's service; returns what stood in the way, or ''."""

    def forgive(self, slot: str) -> None:
        """Forget how often the slot's service has failed: one that was given up may be started again."""

    def stop(self, slot: str) -> None:
        """Stop the slot, wait until it has ended, and forget how it failed. Nothing stands in the way of that."""

    def leave(self, slot: str) -> None:
        """Tell the slot to finish its requests and end, and don't wait: that may take as long as the longest does, and
        has to go on when the run ends."""

    def boot(self, slot: str, last: bool = True) -> None:
        """Have the slot start at boot.

        :param last: whether no other such order follows at once.
        """

    def no_boot(self, slot: str) -> None:
        """Have the slot not start at boot."""

    def lines(self, slot: str, since: float, count: int) -> str:
        """The last lines that the slot's service has logged since a time."""

    def where_lines(self, slot: str) -> str:
        """The command that shows a person all of them."""

    def start_again(self, slot: str) -> str:
        """The command by which a person starts one that was given up."""
