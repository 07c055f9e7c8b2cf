# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``tune`` has measured, for people: a table, a picture, a page. Pure."""

from __future__ import annotations

import typing as t

from ...module_utils._plan.sizes import human_size
from .._draw.picture import Line, Mark, Panel, Picture, Table

Result = t.Mapping[str, t.Any]
IDLE = 0.7
"""A worker that has less of a CPU than this mostly waits."""
_HEAD = (
    "workers",
    "requests/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "errors",
    "memory",
    "CPU app",
    "load",
    "left",
    "live p95",
)


def head(result: Result) -> list[str]:
    """Of the table: what nobody has counted isn't a column."""
    counts = result["counts"]
    stalls = ["stalls"] if any(count["stalls"] is not None for count in counts) else []
    return [*_HEAD, *(["connections"] if any(count["connections"] for count in counts) else []), *stalls]


def rows(result: Result) -> list[list[str]]:
    """One for each number of workers, as texts."""
    titles, found = head(result), []
    for count in result["counts"]:
        row = [str(count["workers"]), f"{count['rate']:,.0f}", *(_ms(count[name]) for name in ("p50", "p95", "p99"))]
        row += [f"{count['errors']:,}", human_size(count["memory"])]
        row += [f"{count[name]:.2f}" for name in ("cpu", "load_cpu", "idle")] + [_ms(count["live_p95"])]
        if "connections" in titles:
            row.append(", ".join(f"{number} {name}" for name, number in count["connections"].items()) or "0")
        if "stalls" in titles:
            row.append("?" if count["stalls"] is None else str(count["stalls"]))
        found.append(row)
    return found


def table(result: Result) -> list[str]:
    """Lines for the screen, numbers to the right; an arrow at what was chosen."""
    lines = [head(result), *rows(result)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    said = []
    for number, line in enumerate(lines):
        arrow = "->" if number and int(line[0]) == result["chosen"] else "  "
        said.append(
            f"{arrow} " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    return said


def notes(result: Result) -> list[str]:
    """Sentences that belong to the table."""
    asked = f"Asked: {result['asked']}, by {result['clients']} clients"
    pause = f", each at most once in {result['think']:g} s" if result["think"] else ""
    load = max(count["load_cpu"] for count in result["counts"])
    loop = [result["ended"], f"{asked}{pause}, {result['seconds']:g} s for each number of workers.{_mix(result)}"]
    loop.append(
        f"CPUs: what the app had, what the load had, and what the host had left. The load came from the same host and "
        f"took up to {load:.2f} of its CPUs: clients elsewhere leave the app more."
    )
    chosen = next(count for count in result["counts"] if count["workers"] == result["chosen"])
    if (
        not result["think"]
        and chosen["cpu"] < IDLE * min(result["chosen"], result["cpus"])
        and chosen["idle"] > IDLE / 2
    ):
        loop.append(
            f"The app had CPU to spare: this is the right number for {result['clients']} requests at once. For more, "
            f"measure with more: -e clients={4 * result['clients']}."
        )
    if result["planned"] != result["chosen"]:
        loop.append(f"fastapi_workers: auto, without what was measured, is {result['planned']}.{_compared(result)}")
    else:
        loop.append("That is what fastapi_workers: auto chooses, too.")
    loop.append(
        f"The slot that serves ({result['live_path']} at its socket): p95 {_ms(result['live_p95'])} ms before anything "
        "was started; column live p95 while it ran."
    )
    return loop


def _mix(result: Result) -> str:
    """How often each method came, of all numbers of workers together; '' where one alone was asked."""
    found: dict[str, int] = {}
    for count in result["counts"]:
        for method, number in count.get("asked", {}).items():
            found[method] = found.get(method, 0) + number
    whole = sum(found.values())
    return (
        f" It came to {', '.join(f'{100 * n / whole:.0f} % {method}' for method, n in found.items())}." if whole else ""
    )


def _compared(result: Result) -> str:
    """What the planner's number would have brought, where it was measured."""
    counts = {count["workers"]: count for count in result["counts"]}
    planned, top = counts.get(result["planned"]), max(count["rate"] for count in result["counts"])
    return f" It brought {100 * planned['rate'] / top:.0f} % of the best." if planned and top else ""


def picture(result: Result, name: str, host: str) -> Picture:
    counts = result["counts"]
    x = [count["workers"] for count in counts]
    marks, bare = _marks(result), _marks(result, labels=False)
    ticks = [(number, str(number)) for number in x]

    def line(label: str, key: str, style: str = "line", size: float = 1.0) -> Line:
        return Line(label, x, [count[key] / size for count in counts], style)

    panels = [
        Panel("requests/s", [line("good answers", "rate")], marks=marks, ticks=ticks),
        Panel(
            "ms",
            [
                line("p50", "p50"),
                line("p95", "p95"),
                line("p99", "p99"),
                line("p95 of the live slot", "live_p95", "dashed"),
            ],
            marks=bare,
            log=True,
            ticks=ticks,
        ),
        Panel("memory, MB", [line("arbiter and workers", "memory", size=1 << 20)], marks=bare, ticks=ticks),
        Panel(
            "CPUs",
            [line("the app's", "cpu"), line("the load's", "load_cpu"), line("left on the host", "idle", "dashed")],
            marks=bare,
            top=_whole(result),
            ticks=ticks,
        ),
    ]
    pause = f", {result['think']:g} s between two of a client" if result["think"] else ""
    subtitle = f"{result['asked']}; {result['clients']} clients{pause}; {result['cpus']:g} CPUs; {result['when'][:10]}"
    return Picture(f"{name} on {host}: how many workers", "workers", panels, subtitle)


def _whole(result: Result) -> float | None:
    """The CPUs that there are, as the top of their panel; None where the host has more than the service gets."""
    most = max(max(count[name] for name in ("cpu", "load_cpu", "idle")) for count in result["counts"])
    return float(result["cpus"]) if most <= result["cpus"] else None


def _marks(result: Result, labels: bool = True) -> list[Mark]:
    """What was chosen, and what the planner would have; the latter where it is in the picture."""
    chosen, planned = result["chosen"], result["planned"]
    if planned == chosen:
        said = [(chosen, "chosen, and the planner's")]
    else:
        measured = any(count["workers"] == planned for count in result["counts"])
        said = [(chosen, "chosen")] + ([(planned, "the planner's")] if measured else [])
    return [Mark(at, label if labels else "") for at, label in said]


def tables(result: Result) -> list[Table]:
    return [Table("With each number of workers", head(result), rows(result))]


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
