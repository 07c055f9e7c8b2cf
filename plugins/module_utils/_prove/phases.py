# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When each phase of a deploy began and ended, by its line in the history. Pure."""

from __future__ import annotations

from typing import Any

from .._app.history import HistoryEntry


def phases(deploy: HistoryEntry, began: float) -> list[dict[str, Any]]:
    """One after the other, in their order.

    :param began: time of the first request, seconds since the epoch; the answer's times are seconds since then.
    """
    at, found = float(deploy.get("began", 0.0)) - began, []
    for name, took in (deploy.get("phases") or {}).items():
        found.append({"phase": name, "begin": round(at, 2), "end": round(at + float(took), 2)})
        at += float(took)
    return found
