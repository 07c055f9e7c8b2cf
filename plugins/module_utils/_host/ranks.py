# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of many measured values by a few of them."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: int) -> float:
    """One of the values, by the nearest rank; 0 of nothing.

    :param ordered: values, the lowest first.
    :param percent: 95 for p95, 100 for the largest.
    """
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
