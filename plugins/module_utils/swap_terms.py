# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a release is brought to the traffic, and what is said where it isn't."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """How a release is brought to the traffic; kept in its slot, so that a rollback needs nothing but a name.

    :param strategy: ``swap`` (both slots for a moment), ``restart`` or ``reload`` (the live slot in place).
    :param ready_timeout: seconds within which the release has to become ready.
    :param bake: seconds for which it is watched after the move, while the old slot still runs.
    :param patience: seconds to wait for the old slot's queue and workers.
    :param host: Host header of the questions.
    """

    strategy: str
    app: str
    user: str
    group: str
    ready_path: str
    health_path: str
    ready_timeout: int
    bake: int
    patience: int
    host: str


class Failed(Exception):
    """The release didn't come to the traffic, or didn't stay there: why, what was done about it, its last lines.

    :param blames: whether the release itself is to blame, and is known to be bad from now on.
    """

    def __init__(self, why: str, now: str, log: str, moved_back: bool = False, blames: bool = True) -> None:
        super().__init__(f"{why}\n{now}" + (f"\n\nIts last lines:\n{log}" if log else ""))
        self.why = why
        self.moved_back = moved_back
        self.blames = blames
