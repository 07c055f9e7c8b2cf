# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the client has written down, counted: lost, late, doubled, and how long answers took. Pure.

A request is lost when it got no answer, or one that its path didn't give in the steady stretch before: a status of 500
or more, or another one. 429 isn't lost: that is the site's limit, and whoever asks less often doesn't meet it. One is
late when its answer took longer than ``late`` seconds, and longer than twice the 99th percentile of its path in the
steady stretch.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._host.ranks import percentile

LIMITED = 429
TOLD = 200
"""Of lost and of late requests so many are told one by one, at most, spread over all of them; all are counted."""
POINTS, PIECES = 2400, 300
"""So many answers are drawn one by one; of more, the slowest of each path in each of so many pieces of the time."""
LOST_PIECE = 0.5
"""Seconds of a piece in which lost ones are counted, at least."""
UNHEARD = "the client ended before its answer came"


@dataclass(frozen=True)
class Row:
    """One request.

    :param number: from 0.
    :param which: the position of its kind.
    :param at: when it was sent, seconds since the epoch.
    :param took: seconds until its answer ended, or it was lost.
    :param status: of HTTP; 0 for no answer.
    :param behind: seconds by which the client itself was late.
    :param what: why there is no answer.
    """

    number: int
    which: int
    at: float
    took: float
    status: int
    behind: float = 0.0
    what: str = ""


@dataclass
class Seen:
    """What the client has written so far.

    :param sent: as it says at its end; else what is known of.
    """

    began: float = 0.0
    stopped: float = 0.0
    sent: int = 0
    ended: bool = False
    rows: list[Row] = field(default_factory=list)


def parse(text: str) -> Seen:
    """A line that was left half is passed over."""
    seen = Seen()
    for line in text.split("\n"):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, list):
            seen.rows.append(Row(*said))
        elif isinstance(said, dict):
            seen.began = said.get("began", seen.began)
            seen.stopped = said.get("stopped", seen.stopped)
            seen.sent = said.get("sent", seen.sent)
            seen.ended = "ended" in said
    seen.rows.sort(key=lambda row: row.number)
    seen.sent = max(seen.sent, seen.rows[-1].number + 1 if seen.rows else 0)
    return seen


def steady_statuses(rows: Iterable[Row], kinds: int) -> list[dict[int, int]]:
    """Of each kind of request how often it got which status; 0 is no answer."""
    found: list[dict[int, int]] = [{} for _kind in range(kinds)]
    for row in rows:
        found[row.which][row.status] = found[row.which].get(row.status, 0) + 1
    return found


def bad(status: int) -> bool:
    return status == 0 or status >= 500


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """Of times in seconds, in milliseconds, and how many there are; the times are left out where that is 0."""
    values = sorted(seconds)
    parts = {"p50": 50, "p99": 99, "max": 100} if values else {}
    return {"count": len(values), **{name: round(percentile(values, part) * 1000, 2) for name, part in parts.items()}}


def spread(rows: Sequence[Any]) -> list[Any]:
    """So many of them that can be told, from the first to the last."""
    return list(rows[:: -(-len(rows) // TOLD) or 1])


def doubled(worked_on: Iterable[int]) -> list[int]:
    """The numbers that were worked on more than once.

    :param worked_on: one for each time that the app says so.
    """
    return sorted(number for number, times in collections.Counter(worked_on).items() if times > 1)


class Counting:
    """:param kinds: of each kind of request what a person calls it.
    :param steady_until: end of the steady stretch, seconds since the epoch.
    :param late: seconds.
    """

    def __init__(self, seen: Seen, kinds: Sequence[str], steady_until: float, late: float) -> None:
        self.seen, self.kinds, self.late_after = seen, kinds, late
        self.steady = [row for row in seen.rows if row.at < steady_until]
        self.then = [row for row in seen.rows if row.at >= steady_until]
        self.statuses = steady_statuses(self.steady, len(kinds))
        p99 = [
            percentiles(row.took for row in self.steady if row.which == which).get("p99", 0.0) / 1000
            for which in range(len(kinds))
        ]
        self.bounds = [max(late, 2 * each) for each in p99]
        """Seconds after which an answer is late, for each kind."""

    def why_lost(self, row: Row) -> str:
        """'' where it isn't."""
        if row.status == 0:
            return row.what or "no answer"
        if row.status >= 500:
            return str(row.status)
        known = self.statuses[row.which]
        if row.status == LIMITED or row.status in known or not known:
            return ""
        return f"{row.status} in place of {' or '.join(map(str, sorted(known)))}"

    def figures(self) -> dict[str, Any]:
        """All but what the app's log and its history say. Times are seconds since the first request, latencies ms."""
        seen, began = self.seen, self.seen.began
        lost = [(row, why) for row in seen.rows if (why := self.why_lost(row))]
        unheard = seen.sent - len(seen.rows)
        gone = {row.number for row, _why in lost}
        answered = [row for row in seen.rows if row.number not in gone]
        late = [row for row in answered if row.took > self.bounds[row.which]]
        reasons = self._reasons(lost)
        if unheard > 0:
            reasons.append({"why": UNHEARD, "times": unheard, "first": None, "last": None, "paths": []})
        last = max((row.at + row.took for row in seen.rows), default=began)
        return {
            "sent": seen.sent,
            "answered": len(answered),
            "lost": len(lost) + max(unheard, 0),
            "lost_reasons": reasons,
            "lost_requests": [self._told(row, why) for row, why in spread(lost)],
            "late": len(late),
            "late_requests": [self._told(row, "") for row in spread(late)],
            "limited": sum(row.status == LIMITED for row in seen.rows),
            "seconds": round((seen.stopped or last) - began, 2),
            "before": percentiles(row.took for row in self.steady),
            "after": percentiles(row.took for row in self.then if row.number not in gone),
            "paths": [self._path(which, answered, gone) for which in range(len(self.kinds))],
            "behind": percentiles(row.behind for row in seen.rows),
            "points": points(answered, began, last),
            "lost_curve": lost_curve([row for row, _why in lost], began, last),
        }

    def _reasons(self, lost: Sequence[tuple[Row, str]]) -> list[dict[str, Any]]:
        """Why requests were lost, the commonest first: how many times, from when to when, on which paths."""
        found: dict[str, list[Row]] = {}
        for row, why in lost:
            found.setdefault(why, []).append(row)
        told = []
        for why, rows in sorted(found.items(), key=lambda pair: -len(pair[1])):
            first, last = (round(end(row.at for row in rows) - self.seen.began, 1) for end in (min, max))
            paths = [self.kinds[which] for which in sorted({row.which for row in rows})]
            told.append({"why": why, "times": len(rows), "first": first, "last": last, "paths": paths})
        return told

    def _told(self, row: Row, why: str) -> dict[str, Any]:
        said = {"number": row.number, "path": self.kinds[row.which], "at": round(row.at - self.seen.began, 2)}
        return {**said, "seconds": row.took, **({"why": why} if why else {"status": row.status})}

    def _path(self, which: int, answered: list[Row], gone: set[int]) -> dict[str, Any]:
        mine = [row for row in self.seen.rows if row.which == which]
        return {
            "path": self.kinds[which],
            "sent": len(mine),
            "lost": sum(row.number in gone for row in mine),
            "late": sum(row.which == which and row.took > self.bounds[which] for row in answered),
            "late_after": round(self.bounds[which], 3),
            "answers": {str(status): times for status, times in sorted(self.statuses[which].items())},
            "before": percentiles(row.took for row in self.steady if row.which == which),
            "after": percentiles(row.took for row in self.then if row.which == which and row.number not in gone),
        }


def points(answered: Sequence[Row], began: float, last: float) -> list[tuple[float, float, int]]:
    """What is drawn: seconds since the first request, milliseconds, the position of the path."""
    shown = list(answered)
    if len(shown) > POINTS:
        piece = (last - began) / PIECES or 1.0
        slowest: dict[tuple[int, int], Row] = {}
        for row in answered:
            key = int((row.at - began) / piece), row.which
            if key not in slowest or row.took > slowest[key].took:
                slowest[key] = row
        shown = [row for _key, row in sorted(slowest.items())]
    return [(round(row.at - began, 2), round(row.took * 1000, 1), row.which) for row in shown]


def lost_curve(lost: Sequence[Row], began: float, last: float) -> dict[str, Any]:
    """How many were lost over time: a count for each ``piece`` of so many seconds, the first from the first request."""
    piece = max(LOST_PIECE, (last - began) / PIECES)
    counts = [0] * (int((last - began) / piece) + 1) if lost else []
    for row in lost:
        counts[int((row.at - began) / piece)] += 1
    return {"piece": round(piece, 3), "counts": counts}
