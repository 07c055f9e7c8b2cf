# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs beside an app's web workers, as ``fastapi_processes`` and ``fastapi_timers`` say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STOP_TIMEOUT = 30
"""Seconds that a process has for its jobs when it is told to stop, where nothing else is written."""
TIMER_TIMEOUT = "1h"
"""How long a run of a timer may take, where nothing else is written."""


@dataclass(frozen=True)
class Process:
    """A program that runs for as long as its release is live.

    :param alone: whether two of it may never run at once, not even while releases change: the old one is stopped first.
    :param memory_max: as systemd takes it; '' for the limit that the web's slot has.
    :param environment: text of an environment file, beside that of the app; secret.
    """

    name: str
    command: str
    instances: int = 1
    alone: bool = False
    stop_timeout: int = STOP_TIMEOUT
    stop_signal: str = "SIGTERM"
    memory_max: str = ""
    writable_paths: tuple[str, ...] = ()
    environment: str = field(default="", repr=False)


@dataclass(frozen=True)
class Timer:
    """A command that runs at times, one run after the other.

    :param calendars: when, as systemd's OnCalendar= takes it.
    :param timeout: how long a run may take, as systemd takes it: a number of seconds, or ``1h``.
    """

    name: str
    command: str
    calendars: tuple[str, ...]
    timeout: str = TIMER_TIMEOUT


@dataclass(frozen=True)
class Beside:
    """All that is to run beside the web workers on one host."""

    processes: tuple[Process, ...] = ()
    timers: tuple[Timer, ...] = ()

    @property
    def commands(self) -> dict[str, str]:
        """By the name of the process or timer."""
        return {each.name: each.command for each in self.processes} | {each.name: each.command for each in self.timers}

    def __bool__(self) -> bool:
        return bool(self.processes or self.timers)


NOTHING = Beside()


def beside(
    processes: Mapping[str, Mapping[str, Any]],
    timers: Mapping[str, Mapping[str, Any]],
    environments: Mapping[str, str],
    first: bool,
) -> Beside:
    """What this host runs of it.

    :param processes: by name, without their ``env``; preflight has checked them.
    :param timers: by name, with ``calendars``, a list, in place of ``schedule``.
    :param environments: text of the environment file by the name of the process.
    :param first: whether this is the host for what runs on one alone.
    """
    chosen = {name: spec for name, spec in sorted(processes.items()) if first or spec.get("hosts", "all") == "all"}
    timed = {name: spec for name, spec in sorted(timers.items()) if first or spec.get("hosts", "first") == "all"}
    return Beside(
        tuple(_process(name, spec, environments.get(name, "")) for name, spec in chosen.items()),
        tuple(
            Timer(name, str(spec["command"]), tuple(spec["calendars"]), str(spec.get("timeout", TIMER_TIMEOUT)))
            for name, spec in timed.items()
        ),
    )


def _process(name: str, spec: Mapping[str, Any], environment: str) -> Process:
    instances = int(spec.get("instances", 1))
    return Process(
        name=name,
        command=str(spec["command"]),
        instances=instances,
        # Who writes it means it: left out, one may still be at its last job while the next has begun.
        alone="instances" in spec and instances == 1,
        stop_timeout=int(spec.get("stop_timeout", STOP_TIMEOUT)),
        stop_signal=str(spec.get("stop_signal", "SIGTERM")),
        memory_max=str(spec.get("memory_max", "")),
        writable_paths=tuple(spec.get("writable_paths", ())),
        environment=environment,
    )


def from_record(record: Mapping[str, Any]) -> Beside:
    """What generation.json says, which was written with ``dataclasses.asdict``."""
    return Beside(
        tuple(Process(**{**row, "writable_paths": tuple(row["writable_paths"])}) for row in record["processes"]),
        tuple(Timer(**{**row, "calendars": tuple(row["calendars"])}) for row in record["timers"]),
    )
