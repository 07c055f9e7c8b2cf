# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Medians and ratios of what was measured, as text for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from load import Traffic
from measure import Run

# phase -> side -> runs
Results = Mapping[str, Mapping[str, Sequence[Run]]]
# side -> figure -> value, while nothing is done to the hosts
Quiet = Mapping[str, Mapping[str, float]]
PHASES = {
    "cold": "first converge, empty wheel cache",
    "warm": "first converge, wheels cached",
    "again": "no-change run",
    "code": "code-only deploy",
    "same": "no-change deploy",
    "dependency": "deploy with a changed dependency",
    "rollback": "rollback",
}
# Those that move traffic to another release.
MOVES = ("code", "dependency", "rollback")


def of_traffic(figure: Callable[[Traffic], float | None]) -> Callable[[Run], float | None]:
    return lambda run: figure(run.traffic) if run.traffic else None


# A figure is None where it was not measured.
FIGURES: dict[str, tuple[Callable[[Run], float | None], str]] = {
    "seconds": (lambda run: run.seconds, ".1f"),
    "requests lost": (of_traffic(lambda traffic: traffic.lost), ".0f"),
    "seconds in which any was lost": (of_traffic(lambda traffic: traffic.lost_seconds), ".0f"),
    "GET, ms at p99": (of_traffic(lambda traffic: traffic.p99), ".0f"),
    "GET, ms at worst": (of_traffic(lambda traffic: traffic.worst), ".0f"),
    "load client behind its schedule, ms at p99": (of_traffic(lambda traffic: traffic.late), ".0f"),
    "peak memory of the host, MB": (of_traffic(lambda traffic: traffic.memory and traffic.memory / 1e6), ".0f"),
    "module calls on the host": (lambda run: run.modules, ".0f"),
    "commands and files over SSH": (lambda run: run.commands, ".0f"),
    "CPU seconds of the control node": (lambda run: run.cpu, ".1f"),
    "kB sent to the host": (lambda run: run.sent / 1000, ".0f"),
}
SIDES = ("plain", "ours")


def values(results: Results, phase: str, side: str, title: str) -> list[float]:
    """One figure of all runs of which it was measured."""
    figure = FIGURES[title][0]
    return [found for run in results[phase][side] if (found := figure(run)) is not None]


def cell(found: Sequence[float], form: str) -> str:
    """The median, and the range where there is one."""
    if not found:
        return "-"
    low, high = format(min(found), form), format(max(found), form)
    spread = f" ({low}-{high})" if low != high else ""
    return format(median(found), form) + spread


def ratio(results: Results, phase: str, title: str) -> float | None:
    """Ours over plain, of the medians; None where a side was not measured or plain has nothing to divide by."""
    plain, ours = (values(results, phase, side, title) for side in SIDES)
    return median(ours) / median(plain) if plain and ours and median(plain) else None


def table(results: Results) -> str:
    lines = [f"{'':46}{'plain':>22}{'ours':>22}{'ours/plain':>12}"]
    for title, (_figure, form) in FIGURES.items():
        rows = []
        for phase, words in PHASES.items():
            cells = [values(results, phase, side, title) for side in SIDES]
            if any(cells):
                plain, ours = (cell(each, form) for each in cells)
                quotient = ratio(results, phase, title)
                shown = "-" if quotient is None else format(quotient, ".2f")
                rows.append(f"  {words:44}{plain:>22}{ours:>22}{shown:>12}")
        lines += [title, *rows] if rows else []
    return "\n".join(lines)


def quiet_table(quiet: Quiet) -> str:
    lines = [f"{'While nothing is done to the hosts':46}" + "".join(f"{name:>22}" for name in quiet)]
    for key, words, form in (
        ("start_up", "s from the unit's start until ready", ".1f"),
        ("p99", "GET, ms at p99", ".0f"),
    ):
        lines.append(f"  {words:44}" + "".join(f"{format(side[key], form):>22}" for side in quiet.values()))
    return "\n".join(lines)


def verdict(results: Results, quiet: Quiet, calm: bool) -> list[str]:
    """What is wanted, beside what is. Of a machine that wasn't calm no seconds decide anything; a lost request does."""

    def word(reached: bool, timed: bool = True) -> str:
        if timed and not calm:
            return "not decided, the machine was busy"
        return "reached" if reached else "MISSED"

    lines = []
    for phase, most in (("again", 0.5), ("cold", 1.0), ("warm", 1.0), ("code", 0.5)):
        quotient = ratio(results, phase, "seconds")
        if quotient is not None:
            told = f"{PHASES[phase]}: {quotient:.2f} of the plain playbook's time, wanted {most} or less"
            lines.append(f"{told}: {word(quotient <= most)}")
    if "ours" not in quiet:
        return lines
    start_up = quiet["ours"]["start_up"]
    for phase, most, why in (
        ("code", 4.0, " (the mark)"),
        ("same", 3.0, ""),
        ("rollback", start_up + 3, f" (the app's start-up, {start_up:.1f} s, and 3 s)"),
    ):
        seconds = median(values(results, phase, "ours", "seconds"))
        lines.append(f"{PHASES[phase]}: {seconds:.1f} s, wanted {most:.1f} s{why} or less: {word(seconds <= most)}")
    added = max(median(values(results, phase, "ours", "GET, ms at p99")) for phase in MOVES) - quiet["ours"]["p99"]
    lines.append(f"GET at p99 while a release takes over: {added:.0f} ms more, wanted less than 50: {word(added < 50)}")
    plain, ours = (sum(sum(values(results, p, side, "requests lost")) for p in (*MOVES, "same")) for side in SIDES)
    beside = f", against {plain:.0f} of the plain playbook" if "plain" in quiet else ""
    lines.append(f"requests lost in all deploys and rollbacks: {ours:.0f}{beside}: {word(not ours, False)}")
    return lines


def profile(runs: Sequence[Run]) -> str:
    """Each task's median over the runs that did the same tasks as the last one, in the same order."""
    names = [task["name"] for task in runs[-1].tasks]
    alike = [run.tasks for run in runs if [task["name"] for task in run.tasks] == names]
    lines = [f"{'s':>6}{'modules':>9}{'commands':>10}  task"]
    for tasks in zip(*alike, strict=True):
        seconds = median(task["seconds"] for task in tasks)
        lines.append(f"{seconds:6.2f}{tasks[0]['modules']:9}{tasks[0]['commands']:10}  {tasks[0]['name']}")
    # Within the task that swaps.
    for phase in runs[-1].phases:
        lines.append(f"{median(run.phases.get(phase, 0.0) for run in runs):6.2f}{'':19}  - {phase}")
    return "\n".join(lines)


def columns(
    head: str, titles: Mapping[str, tuple[str, str]], results: Mapping[str, Mapping[str, Sequence[float]]]
) -> str:
    """Medians, a column for each way and a row for each figure.

    :param titles: title and format by figure.
    """
    lines = [f"{head:44}" + "".join(f"{name:>22}" for name in results)]
    for key, (title, form) in titles.items():
        cells = [format(median(seen[key]), form) if seen.get(key) else "-" for seen in results.values()]
        lines.append(f"  {title:42}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)
