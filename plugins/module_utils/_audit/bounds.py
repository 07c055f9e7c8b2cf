# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much one user of the host can make the audit read: any of them may start a process that looks like a server."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EACH, USER = 20.0, 180.0
"""Seconds for one process, and for all of one user's."""
FILES, BLOCKS = 5000, 200_000
"""Files that one proxy's configuration may have, and directives in them."""


class TooMuch(Exception):
    """Something is larger than anybody's configuration, or takes too long. No OSError, which readers pass over."""


class Turns:
    """Time, counted for each user, so that what one has made never takes another's."""

    def __init__(self, each: float = EACH, user: float = USER) -> None:
        self._each, self._user = each, user
        self._left: dict[int, float] = {}

    @contextmanager
    def of(self, uid: int) -> Iterator[None]:
        """Time for one process of a user's.

        :raises TooMuch: where it is over, from within whatever goes on there.
        """
        left = min(self._each, self._left.setdefault(uid, self._user))
        if left <= 0:
            raise TooMuch(f"processes of uid {uid} have taken {self._user:g} s already")
        # Only there can Python be interrupted.
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def late(*_: object) -> None:
            raise TooMuch(f"it takes more than {left:.3g} s")

        before, begun = signal.signal(signal.SIGALRM, late), time.monotonic()
        try:
            # Again each second, for what passes over every exception.
            signal.setitimer(signal.ITIMER_REAL, left, 1.0)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self._left[uid] -= time.monotonic() - begun


class Budget:
    """What is left of one configuration's files and directives. Those that include each other twice double at each."""

    def __init__(self, files: int = FILES, blocks: int = BLOCKS) -> None:
        self._files, self._blocks = files, blocks

    def file(self) -> None:
        """:raises TooMuch: where it is one too many, as with `block`."""
        self._files -= 1
        if self._files < 0:
            raise TooMuch("its configuration includes files without end")

    def block(self) -> None:
        self._blocks -= 1
        if self._blocks < 0:
            raise TooMuch("its configuration has directives without end")
