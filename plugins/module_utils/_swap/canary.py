# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A part of the clients' requests goes to the new release for a while, before all of them do.

The proxy's site has a branch for it, which is taken by lot while a file is there, and a link to the slot's socket for
it to dial. Both are in /run, in a directory of root's, so they go with a reboot. A process that waits for the deploy
lock removes the file when the run that has made it ends, however it ends. The link may stay: a request that was drawn
just before needs it, and without the file nobody else does.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from .._app.lock import NAME as LOCK
from .._app.slots import App
from .._host import files
from .._host.systemd import CommandFailed, Run
from .access_log import CANARY, Log
from .compare import Limits, Side, figures, going, said, worse

LOOK = 0.5
"""Seconds between two looks at the log."""
WARM = 0.2
"""Part of the time whose answers aren't timed: what was just started has cold caches."""
SAY = 5.0
"""Seconds between two times at which the file says how far it is, for a person who waits (plugins/action/swap.py)."""


def _link(app: App) -> str:
    return f"/run/{app.name}/canary.sock"


def _file(app: App) -> str:
    return f"/run/{app.name}/canary"


def end(app: App) -> None:
    """Give all requests to what is live again."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_file(app))


def why_not(live: str | None, same: bool, strategy: str, reason: str) -> str:
    """Why a deploy has no canary although one is asked for, a sentence; '' where it has.

    :param live: the slot that has the traffic.
    :param same: whether the release is live already, and settings alone change.
    :param reason: why this strategy, a sentence.
    """
    if not live:
        return "No canary (fastapi_canary): it is the first release, and there is nothing to compare it with."
    if strategy != "swap":
        return f"No canary (fastapi_canary): the release takes over by {strategy}, in one slot. {reason}".rstrip()
    return "No canary (fastapi_canary): the release is the live one, with other settings." if same else ""


def mark(share: int) -> str:
    """The line by which a site is known to have the branch for this share."""
    return f"# canary {share} %"


def no_branch(name: str, share: int) -> str:
    return (
        f"fastapi_canary asks for {share} % of the requests, which the site of {name} on this host doesn't know of yet."
    )


class Canary:
    """One of them.

    :param log: path of the proxy's access log.
    """

    def __init__(self, run: Run, app: App, slot: str, limits: Limits, log: str) -> None:
        self.run = run
        self.app = app
        self.slot = slot
        self.limits = limits
        self.log = log
        self.guard = f"graceful-{app.name}-canary.service"
        self.canary, self.live = Side(), Side()
        self.took = 0.0

    def watch(self, well: Callable[[float], str | None]) -> str | None:
        """Let it have its share for its time; what is wrong with it, or None.

        :param well: sees that the slot stays well for so many seconds, and says what is wrong.
        :raises OSError: where the log can't be read.
        :raises CommandFailed: where nobody would end it.
        """
        log = Log(self.log)
        try:
            self._begin()
            return self._look(log, well)
        finally:
            log.close()
            self._end()

    def _look(self, log: Log, well: Callable[[float], str | None]) -> str | None:
        begun, seconds, warm, told = time.monotonic(), self.limits.seconds, False, -SAY
        while (left := begun + seconds - time.monotonic()) > 0:
            trouble = well(min(LOOK, left))
            self._count(log)
            self.took = time.monotonic() - begun
            if trouble:
                return trouble
            if not warm and self.took >= WARM * seconds:
                warm = True
                self.canary.times.clear()
                self.live.times.clear()
            if found := self._worse(warm):
                return found
            if self.took - told >= SAY:
                told = self.took
                self._say()
        self._count(log)
        return self._worse(warm=True, last=True)

    def _worse(self, warm: bool, last: bool = False) -> str | None:
        found = worse(self.canary, self.live, self.limits, warm, last)
        return f"{found}, in {self.took:.0f} s with {self.limits.share} % of the requests" if found else None

    def _say(self) -> None:
        text = going(self.canary, self.live, self.limits, self.took) + "\n"
        with contextlib.suppress(OSError):
            files.write(_file(self.app), text.encode(), 0o644)

    def _count(self, log: Log) -> None:
        for seen in log.new():
            # A stream's end says nothing of how fast it is.
            if seen.seconds is not None:
                (self.canary if seen.side == CANARY else self.live).add(seen.error, seen.seconds)

    def _begin(self) -> None:
        """First who ends it, then where it leads, then the file."""
        wait = ["flock", os.path.join(self.app.root, LOCK), "rm", "-f", _file(self.app)]
        self._stop_guard()
        command = ["systemd-run", "--quiet", "--collect", f"--unit={self.guard}", "--", *wait]
        status, out, err = self.run(command)
        if status:
            raise CommandFailed(f"systemd started nothing that would end the canary: {(err or out).strip()}")
        files.link(self.app.socket(self.slot), _link(self.app))
        files.write(_file(self.app), b"", 0o644)

    def _end(self) -> None:
        end(self.app)
        self._stop_guard()

    def _stop_guard(self) -> None:
        self.run(["systemctl", "--quiet", "stop", "--", self.guard])

    @property
    def sentence(self) -> str:
        """The step, for a person."""
        share, seconds = self.limits.share, self.limits.seconds
        return f"give slot {self.slot} {share} % of the requests for {seconds} s, and compare the two"

    @property
    def figures(self) -> dict[str, object]:
        return figures(self.canary, self.live, self.limits.share, self.took)

    @property
    def says(self) -> str:
        return said(self.canary, self.live, self.limits, self.took)
