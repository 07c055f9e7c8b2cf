# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says of a service: its workers, what each of them takes, the limit, and whom it has killed at it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from .files import read_text

CGROUPS = "/sys/fs/cgroup"
WORKER_UP = "gunicorn: up"
"""What a worker is called once it has started (graceful_worker.py, UP_NAME)."""
STAGES = {
    "gunicorn: wait": "waiting for a first one",
    "gunicorn: load": "importing the app",
    "gunicorn: start": "in its lifespan startup",
    WORKER_UP: "started",
}
"""What it does, by what it is called (WAIT_NAME, LOAD_NAME, START_NAME)."""


@dataclass(frozen=True)
class Use:
    """Bytes of one process, with what it shares divided among those that share it: now, and at most so far."""

    now: int
    peak: int


def parse_use(smaps_rollup: str, status: str) -> Use | None:
    """From the texts of /proc/PID/smaps_rollup and /proc/PID/status; None where the process is gone. Pure.

    The kernel keeps a peak of the resident set alone, so what is shared now is taken to have been shared then.
    """
    rolled, told = _kib(smaps_rollup), _kib(status)
    if "Pss" not in rolled:
        return None
    shared = max(0, rolled.get("Rss", 0) - rolled["Pss"])
    peak = told.get("VmHWM", 0) - shared
    return Use(rolled["Pss"] * 1024, max(rolled["Pss"], peak) * 1024)


def _kib(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB"}


def use_of(pid: str) -> Use | None:
    return parse_use(*(read_text(f"/proc/{int(pid)}/{name}") for name in ("smaps_rollup", "status")))


def workers(main_pid: str) -> set[str]:
    """Process ids of an arbiter's workers; none for what is no process id, as of a service that is down."""
    return set(read_text(f"/proc/{main_pid}/task/{main_pid}/children").split()) if main_pid.isdecimal() else set()


def serving(main_pid: str) -> int:
    """How many of an arbiter's workers have started and accept connections, as they say by their names."""
    return _names(main_pid).count(WORKER_UP)


def how_far(main_pid: str) -> str:
    """How far the starts of an arbiter's workers have come, for a sentence; '' where they don't say."""
    names = _names(main_pid)
    return ", ".join(f"{names.count(name)} {doing}" for name, doing in STAGES.items() if name in names)


def _names(main_pid: str) -> list[str]:
    return [read_text(f"/proc/{pid}/comm").strip() for pid in workers(main_pid)]


def most_taken(main_pid: str) -> int:
    """The most bytes that one of an arbiter's workers has taken so far; 0 where it has none."""
    return max((use.peak for use in map(use_of, workers(main_pid)) if use), default=0)


@dataclass(frozen=True)
class Group:
    """A service's control group.

    :param kills: how many of its processes the kernel has killed for memory.
    :param limit: bytes that it may take; None where it has no limit of its own, or the kernel doesn't say.
    :param short: whether it was ever at that limit with nothing to give back. Where it wasn't, a kill was the host's.
    """

    kills: int = 0
    limit: int | None = None
    short: bool = False


def group_of(control_group: str, top: str = CGROUPS) -> Group:
    """Ask the kernel, whose limit may for a while be another than systemd's word for it; cgroup v1 or v2."""
    if not control_group:
        return Group()
    v2, v1 = f"{top}{control_group}/memory.", f"{top}/memory{control_group}/memory."
    if events := _rows(read_text(f"{v2}events")):
        return Group(events.get("oom_kill", 0), _limit(read_text(f"{v2}max")), events.get("oom", 0) > 0)
    # cgroup v1 counts how often the limit was met, not whether something could be given back.
    met = read_text(f"{v1}failcnt").strip() not in ("", "0")
    kills = _rows(read_text(f"{v1}oom_control")).get("oom_kill", 0)
    return Group(kills, _limit(read_text(f"{v1}limit_in_bytes")), met)


def hold_to(control_group: str, limit: int, top: str = CGROUPS) -> None:
    """Let the kernel hold a service to the limit that systemd has read for it: after a daemon-reload systemd itself may
    tell it no earlier than at the next start. What can't be written, systemd will write."""
    for path in (f"{top}{control_group}/memory.max", f"{top}/memory{control_group}/memory.limit_in_bytes"):
        if control_group and limit and os.path.exists(path):
            with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as file:
                file.write(str(limit))


def _rows(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}


def _limit(text: str) -> int | None:
    """ "max" and v1's own "no limit", a number above any memory, are none."""
    text = text.strip()
    return int(text) if text.isdecimal() and int(text) < 1 << 60 else None
