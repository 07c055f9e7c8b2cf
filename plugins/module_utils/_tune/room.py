# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host has room for one more number of workers: the plan's own sums, and what the kernel says. Pure."""

from __future__ import annotations

from dataclasses import replace

from .._plan.capacity import Capacity
from .._plan.demand import Demand, find_caps, room_of
from .._plan.sizes import human_size, with_margin

SPARE = 128 << 20
"""Bytes that a second slot has to leave of what the kernel says is available."""


def measured(demand: Demand, taken: int, written: bool) -> Demand:
    """The demand with what workers take under this load, which is more telling than an assumption.

    :param taken: the most bytes that a worker has taken so far; 0 before any has.
    :param written: whether the user has said what one takes.
    """
    return replace(demand, worker_memory=with_margin(taken)) if taken and not written else demand


def full(count: int, live: int, demand: Demand, capacity: Capacity, available: int | None, limit: int | None) -> str:
    """Why there is no room for a second slot of so many workers, '' where there is.

    :param live: workers of the slot that serves.
    :param available: bytes that programs can still get; None where the kernel doesn't say.
    :param limit: bytes that a slot may take; None where it has no limit.
    """
    need, room = demand.need(count), room_of(capacity)
    caps = find_caps(replace(demand, strategy="swap"), capacity)
    each = f"{count} worker{'s' * (count > 1)} of {human_size(demand.worker_memory)} each"
    if demand.need(live) + need > room:
        return (
            f"a second slot with {each} needs {human_size(need)} beside the {human_size(demand.need(live))} of the one "
            f"that serves, and the host can give {human_size(room)} to both"
        )
    if limit and need > limit:
        return f"{each} need {human_size(need)}, and a slot may take {human_size(limit)} (fastapi_memory_max)"
    if count > caps.memory:
        return f"two slots with {each} need {human_size(2 * need)}, and the host can give {human_size(room)}"
    if caps.database is not None and count > caps.database:
        return (
            f"two slots with {count} worker(s) would open {2 * count * demand.db_pool_size} connections of "
            f"fastapi_db_max_connections {demand.db_max_connections}"
        )
    if available is not None and need + SPARE > available:
        return f"{each} need {human_size(need)}, and {human_size(available)} are free"
    return ""
