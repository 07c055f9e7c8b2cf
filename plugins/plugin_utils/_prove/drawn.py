# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of what clients noticed: how long answers took over time, what was lost, and the phases of the deploy."""

from __future__ import annotations

from .._draw.picture import Line, Mark, Panel, Picture, Span
from .says import Figures, headline, phases

WORTH_A_NAME = 0.012
"""Part of the picture's width from which on a phase is shown."""
UNSEEN = ("prepare", "fill", "unit", "enable", "move", "disable")
"""Phases of which nobody notices anything; the move has a line of its own."""
COLOURS, OTHERS, LATE, RED = (0, 1, 2), 5, 3, 4
"""Of the first paths, of all others together, of what was late, of what was lost."""
LONGEST = 20
"""Characters of a path in the legend."""
LOG_FROM = 15.0
"""How many times the median the slowest has to be, to be drawn by powers of ten."""
LEAST = 0.1
"""Milliseconds: what is lost at once has a place on such a scale, too."""


def picture(figures: Figures, title: str) -> Picture:
    told, lost = figures["lost_requests"], figures["lost_curve"]
    spans = stretches(figures)
    marks = [Mark(row["begin"], "move") for row in figures["phases"] if row["phase"] == "move"]
    slowest = max([y for _x, y, _which in figures["points"]] + [row["seconds"] * 1000 for row in told], default=0.0)
    usual = figures["before"].get("p50") or 1.0
    panels = [Panel("ms", dots(figures), marks, spans, log=slowest > LOG_FROM * usual)]
    if lost["counts"]:
        # All of them, while the first panel has 200 at most. Without labels, which the first has.
        unnamed = [Span(span.begin, span.end, "") for span in spans]
        x = [number * lost["piece"] for number in range(len(lost["counts"]) + 1)]
        y = [*(count / lost["piece"] for count in lost["counts"]), 0.0]
        line = Line("lost", x, y, "steps", RED)
        panels.append(Panel("lost a second", [line], [Mark(mark.x, "") for mark in marks], unnamed))
    return Picture(title, "seconds since the first request", panels, headline(figures))


def dots(figures: Figures) -> list[Line]:
    """A dot for each answer, in the colour of its path; what was late and what was lost above them."""
    paths = [row["path"] for row in figures["paths"]]
    own = len(COLOURS) if len(paths) > len(COLOURS) + 1 else len(paths)
    late = {(row["at"], row["path"]) for row in figures["late_requests"]}
    rows = [row for row in figures["points"] if (row[0], paths[row[2]]) not in late]
    lines = []
    for which, path in enumerate(paths[:own]):
        mine = [row for row in rows if row[2] == which]
        colour = COLOURS[which] if which < len(COLOURS) else OTHERS
        lines.append(Line(_short(path), [row[0] for row in mine], [max(row[1], LEAST) for row in mine], "dots", colour))
    if others := [row for row in rows if row[2] >= own]:
        label = f"{len(paths) - own} other paths"
        lines.append(Line(label, [row[0] for row in others], [max(row[1], LEAST) for row in others], "dots", OTHERS))
    for label, told, colour in (
        ("late", figures["late_requests"], LATE),
        ("lost, after so long", figures["lost_requests"], RED),
    ):
        if told:
            y = [max(row["seconds"] * 1000, LEAST) for row in told]
            lines.append(Line(label, [row["at"] for row in told], y, "dots", colour))
    return lines


def _short(path: str) -> str:
    return path if len(path) <= LONGEST else f"{path[: LONGEST - 1]}…"


def stretches(figures: Figures) -> list[Span]:
    """What is shaded: the steady stretch, the phases that are long enough to be seen, and the end of the old slot."""
    whole = max(figures["seconds"], 0.1)
    found = [Span(row["begin"], row["end"], row["phase"]) for row in phases(figures) if row["phase"] not in UNSEEN]
    return [span for span in found if span.end - span.begin >= WORTH_A_NAME * whole]
