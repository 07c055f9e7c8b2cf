# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a release is brought to the traffic, and what is said where it isn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._app.slots import SLOTS
from .._app.supervisor import Standing


@dataclass(frozen=True)
class Terms:
    """How a release is brought to the traffic; kept in its slot, so that a rollback needs nothing but a name.

    :param strategy: ``swap`` (both slots for a moment), ``restart`` or ``reload`` (the live slot in place).
    :param ready_timeout: seconds within which the release has to become ready.
    :param bake: seconds for which it is watched after the move, while the old slot still runs; a first one before it.
    :param patience: seconds to wait for the old slot's queue and workers.
    :param host: Host header of the questions.
    :param worker_memory: bytes that each worker is planned to take, for status; 0 where that isn't known.
    :param scheme: ``http`` or ``https``, as clients come.
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
    worker_memory: int = 0
    # The terms of a slot from before there was one have none.
    scheme: str = "http"

    @classmethod
    def of(cls, held: dict[str, Any]) -> Terms:
        """Those that a slot keeps; what else is among them is of another version, or nothing of a deploy's.

        :param held: what slot.json says.
        """
        return cls(**{name: value for name, value in held["terms"].items() if name in cls.__dataclass_fields__})


class Failed(Exception):
    """The release didn't come to the traffic, or didn't stay there.

    :param why: what was seen of it.
    :param now: what was done about it.
    :param log: its last lines, with all that a traceback has; '' where they tell nothing.
    :param blames: whether the release itself is to blame, and is known to be bad from now on.
    """

    def __init__(self, why: str, now: str, log: str, moved_back: bool = False, blames: bool = True) -> None:
        super().__init__(f"{why}\n{now}")
        self.why = why
        self.now = now
        self.log = log
        self.moved_back = moved_back
        self.blames = blames


@dataclass(frozen=True)
class Now:
    """The two slots as they are.

    :param live: the slot that has the traffic; None before the first release.
    :param current: whether the live slot holds exactly what is wanted.
    :param up: slots whose service runs, and whose socket takes connections.
    :param quiet: slots of which nothing runs, or whose end is under way.
    :param enabled: slots that start at boot.
    :param loose: slots of which any part starts at boot.
    :param ready: whether what is wanted stands by in the other slot, started and proved ready by an earlier call.
    """

    live: str | None
    current: bool
    up: frozenset[str]
    quiet: frozenset[str]
    enabled: frozenset[str]
    loose: frozenset[str]
    ready: bool = False


def now(live: str | None, current: bool, standing: dict[str, Standing], ready: bool = False) -> Now:
    def slots(test: Callable[[Standing], bool]) -> frozenset[str]:
        return frozenset(slot for slot in SLOTS if test(standing[slot]))

    return Now(
        live,
        current,
        up=slots(lambda slot: slot.up),
        quiet=slots(lambda slot: slot.quiet),
        enabled=slots(lambda slot: slot.boots),
        loose=slots(lambda slot: slot.loose),
        ready=ready,
    )


def other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def target(now: Now, strategy: str) -> str:
    """The slot that will have the traffic."""
    if now.live and (now.current or strategy != "swap"):
        return now.live
    return other(now.live) if now.live else SLOTS[0]


def steps(now: Now, strategy: str, unit: bool = False, beside: bool = False, canary: bool = False) -> list[str]:
    """The steps that are due, in order; none when what is wanted is live, up and alone.

    :param unit: whether a unit on disk is another than the wanted one.
    :param beside: whether processes or timers are to move.
    :param canary: whether a part of the requests comes first, where there is something to compare it with.
    """
    slot = target(now, strategy)
    rest = other(slot)
    due = ["prepare"] if beside else []
    if not now.current:
        if now.ready and slot in now.up:
            due.append("adopt")
        elif slot != now.live:
            due += ["fill", "start"]
        elif strategy == "reload" and slot in now.up:
            due += ["fill", "check", "reload"]
        else:
            due += ["fill", "check", "restart"]
    else:
        # Of a new start it is a part.
        due += ["unit"] if unit else []
        due += ["start"] if slot not in now.up else []
    # After the move there is something to go back to, but for a first release.
    due += ["processes"] if beside and not now.live else []
    # Not enabled yet: after a reboot in the midst of it, what is live serves alone.
    if canary and now.live and slot != now.live:
        due.append("canary")
    # Before the move, so that a reboot at any moment starts the slot that the link names.
    if slot not in now.enabled:
        due.append("enable")
    if now.live != slot:
        due.append("move")
    # What is watched is measured from the move, so this costs no time.
    if rest in now.loose or (rest == now.live and slot != now.live):
        due.append("disable")
    # There has to be something to go back to. The second: a run that was cut off between its move and its end.
    if (now.live and not now.current) or (now.current and rest in now.up):
        due.append("watch")
    due += ["processes"] if beside and now.live else []
    if rest not in now.quiet or "reload" in due:
        due.append("drain")
    return due


BEFORE_MOVE = ("prepare", "fill", "check", "start")
"""Steps that a host takes while others do as well, and nobody's traffic moves."""


def standing_by(due: list[str]) -> list[str]:
    """Of the steps that are due those that end with the release ready beside what serves, where that can be; in place
    it is loaded once, and nothing is kept of that."""
    first = [step for step in due if step in BEFORE_MOVE]
    return first if {"start", "check"} & {*first} and "fill" in first else []


def sentences(due: list[str], slot: str, release: str, beside: str = "", canary: str = "") -> list[str]:
    """The steps for a person, and for the diff.

    :param beside: the one about processes and timers.
    :param canary: the one about it.
    """
    rest = other(slot)
    told = {
        "prepare": f"see that release {release} has the commands of its processes and timers",
        "processes": beside,
        "fill": f"prepare slot {slot} with release {release}",
        "unit": "write the units, whose memory limits systemd gives to what runs",
        "before": f"run the commands that come before release {release}",
        "check": "load the app once, beside the live one",
        "restart": f"restart slot {slot} in place; its socket queues meanwhile",
        "reload": f"reload slot {slot} in place: new workers, then the old ones drain",
        "start": f"start slot {slot} and wait until it is ready",
        "adopt": f"see that slot {slot}, which stands by, is ready still",
        "canary": canary,
        "enable": f"enable slot {slot} for boot",
        "move": f"move the traffic to slot {slot}",
        "watch": f"watch slot {slot}, ready to move back",
        "disable": f"disable slot {rest} for boot",
        "drain": "wait until the old workers have drained"
        if "reload" in due
        else f"let slot {rest} finish its requests and end",
    }
    return [told[step] for step in due]
