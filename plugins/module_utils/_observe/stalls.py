# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often the app's event loops stood still in the last day, by the lines of its worker class
(roles/gunicorn/files/graceful_stall.py)."""

from __future__ import annotations

import re
from typing import Any

from .._host.journal import Run, readable

SAID = "The event loop stood still for "
MOST = 1000
"""So many lines are read at most, the newest."""
_LINE = re.compile(rf"{SAID}(?P<seconds>\d+\.\d+) s(?P<where>.*)")


def of_last_day(run: Run, name: str, units: list[str], since: str = "-24h") -> dict[str, Any]:
    """``times``, and of the longest its ``seconds`` and ``where``; empty where there was none.

    :param units: of the slots.
    :param since: a shorter time, as journalctl takes it.
    """
    # By its priority journald finds them among a day's requests.
    command = ["journalctl", f"--namespace={name}", "--quiet", "--output=cat", "--no-pager", f"--since={since}"]
    command += ["--priority=4..4", f"--grep={SAID}", f"--lines={MOST}", *(f"--unit={unit}" for unit in units)]
    return worst(run(command)[1].splitlines())


def worst(lines: list[str]) -> dict[str, Any]:
    """What `of_last_day` says, of the log's lines in either form."""
    found = [match for line in lines if (match := _LINE.search(readable(line).partition("\n")[0]))]
    # Of a host that had no CPU for it the app can't be told.
    found = [match for match in found if not match["where"].startswith(": the process was stopped")]
    if not found:
        return {}
    longest = max(found, key=lambda match: float(match["seconds"]))
    where = longest["where"].strip(" :,").removeprefix("at ")
    return {"times": len(found), "seconds": float(longest["seconds"]), "where": where}


def sentence(name: str, stalls: dict[str, Any]) -> str:
    """For people, with what to do."""
    many = "once" if stalls["times"] == 1 else f"{stalls['times']} times, the longest"
    return (
        f"In the last day an event loop stood still {many} for {stalls['seconds']:.1f} s ({stalls['where']}). Its "
        f"worker answered nobody meanwhile: await an async library there, or write def in place of async def. All of "
        f"them: {name}-logs --problems --since -24h"
    )
