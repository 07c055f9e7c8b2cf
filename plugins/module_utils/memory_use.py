# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What workers really take of the memory, and whether the plan knew."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.graceful.deploy.plugins.module_utils.plan_demand import ARBITER
from ansible_collections.graceful.deploy.plugins.module_utils.sizes import human_size

MIB = 1 << 20
SETTLED = 3600
"""Seconds after which a slot has seen enough to say that its workers take less than planned."""


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
    texts = []
    for name in ("smaps_rollup", "status"):
        try:
            with open(f"/proc/{int(pid)}/{name}", encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        except OSError:
            return None
    return parse_use(*texts)


def planned(memory_high: int | None, workers: int, strategy: str) -> int | None:
    """Bytes that the plan gave each worker (plan.py); None where it set no limit.

    :param memory_high: the slot's, in bytes.
    """
    if memory_high is None or not workers:
        return None
    return max(0, memory_high - ARBITER) // (workers * (2 if strategy == "reload" else 1))


def advice(peaks: list[int], plan: int | None, age: float) -> str:
    """Which value to set, where the workers take much more or much less than planned; '' where the plan is right.

    :param peaks: bytes of each worker, at most so far.
    :param plan: bytes planned for each.
    :param age: seconds for which the slot has run.
    """
    if not peaks or not plan:
        return ""
    most = max(peaks)
    wanted = -(-most * 5 // 4 // (10 * MIB)) * 10  # a quarter on top, in tens of MiB
    said = f"a worker has taken up to {human_size(most)}, and {human_size(plan)} are planned"
    if most > plan:
        return f"{said}: write fastapi_worker_memory: {wanted}M."
    if most < plan // 2 and age >= SETTLED and wanted * MIB < plan:
        return f"{said}: with fastapi_worker_memory: {wanted}M more of them would fit."
    return ""
