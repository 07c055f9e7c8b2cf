# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``tune.yml`` has measured and brought to the traffic, for the plans to come: a note in the app's directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .._host.files import read_text, write

NAME = "tuned.json"


@dataclass(frozen=True)
class Tuned:
    """
    :param workers: the number that was chosen.
    :param at: when, UTC, ISO 8601.
    :param rate: good answers a second with it; ``p99`` is milliseconds.
    :param cpus: that the service could have then; with others it has to be measured again.
    :param worker_memory: the most bytes that a worker took under that load.
    """

    workers: int
    at: str
    rate: float
    p99: float
    cpus: float
    worker_memory: int

    @property
    def day(self) -> str:
        return self.at.partition("T")[0]


def parse(given: Any) -> Tuned | None:
    """None for what isn't such a note."""
    if not isinstance(given, Mapping):
        return None
    try:
        tuned = Tuned(
            int(given["workers"]),
            str(given["at"])[:20],
            float(given["rate"]),
            float(given["p99"]),
            float(given["cpus"]),
            int(given["worker_memory"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return tuned if 1 <= tuned.workers <= 1000 and tuned.cpus > 0 and 0 <= tuned.worker_memory < 1 << 50 else None


def read(root: str) -> Tuned | None:
    """The note of the app in this directory; None where nothing was measured, or nobody can read it."""
    try:
        return parse(json.loads(read_text(os.path.join(root, NAME), 4096)))
    except ValueError:
        return None


def keep(root: str, tuned: Tuned) -> None:
    """Write it, for root alone to change."""
    write(os.path.join(root, NAME), (json.dumps(asdict(tuned)) + "\n").encode(), 0o644, 0, 0)
