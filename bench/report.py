# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Medians and ratios of what was measured, as text for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from measure import Run

# phase -> side -> runs
Results = Mapping[str, Mapping[str, Sequence[Run]]]
PHASES = {
    "cold": "first converge, empty wheel cache",
    "warm": "first converge, wheels cached",
    "again": "no-change run",
}
FIGURES: dict[str, tuple[Callable[[Run], float], str]] = {
    "seconds": (lambda run: run.seconds, ".1f"),
    "module calls on the host": (lambda run: run.modules, ".0f"),
    "commands and files over SSH": (lambda run: run.commands, ".0f"),
    "CPU seconds of the control node": (lambda run: run.cpu, ".1f"),
    "kB sent to the host": (lambda run: run.sent / 1000, ".0f"),
}
SIDES = ("plain", "ours")


def cell(values: Sequence[float], form: str) -> str:
    """The median, and the range where there is one."""
    low, high = format(min(values), form), format(max(values), form)
    spread = f" ({low}-{high})" if low != high else ""
    return format(median(values), form) + spread


def ratio(results: Results, phase: str, figure: Callable[[Run], float]) -> float | None:
    """Ours over plain, of the medians; None where a side was not measured or plain has nothing to divide by."""
    plain, ours = ([figure(run) for run in results[phase][side]] for side in SIDES)
    return median(ours) / median(plain) if plain and ours and median(plain) else None


def table(results: Results) -> str:
    lines = [f"{'':46}{'plain':>22}{'ours':>22}{'ours/plain':>12}"]
    for title, (figure, form) in FIGURES.items():
        lines.append(title)
        for phase, words in PHASES.items():
            cells = [[figure(run) for run in results[phase][side]] for side in SIDES]
            if not any(cells):
                continue
            shown = [cell(values, form) if values else "-" for values in cells]
            quotient = ratio(results, phase, figure)
            lines.append(
                f"  {words:44}{shown[0]:>22}{shown[1]:>22}{'-' if quotient is None else format(quotient, '.2f'):>12}"
            )
    return "\n".join(lines)


def verdict(results: Results, quiet: bool) -> list[str]:
    """What is wanted, beside what is. Seconds of a machine that wasn't quiet decide nothing."""
    wanted = (("again", 0.5), ("cold", 1.0), ("warm", 1.0))
    lines = []
    for phase, most in wanted:
        quotient = ratio(results, phase, FIGURES["seconds"][0])
        if quotient is not None:
            word = ("reached" if quotient <= most else "MISSED") if quiet else "not decided, the machine was busy"
            lines.append(f"{PHASES[phase]}: {quotient:.2f} of the plain playbook's time, wanted {most} or less: {word}")
    return lines


def profile(runs: Sequence[Run]) -> str:
    """Each task's median over the runs, which did the same tasks in the same order."""
    lines = [f"{'s':>6}{'modules':>9}{'commands':>10}  task"]
    for tasks in zip(*(run.tasks for run in runs), strict=True):
        seconds = median(task["seconds"] for task in tasks)
        lines.append(f"{seconds:6.2f}{tasks[0]['modules']:9}{tasks[0]['commands']:10}  {tasks[0]['name']}")
    return "\n".join(lines)
