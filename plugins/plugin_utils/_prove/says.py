# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``prove`` says to a person: before it asks, and what was counted. Pure."""

from __future__ import annotations

import typing as t

from .options import Options

Figures = dict[str, t.Any]
WHAT = {
    "deploy": "a deploy",
    "rollback": "a rollback",
    "swap": "a move of the live release to the other slot",
    "restart": "a restart of the live release",
    "reload": "a reload of the live release",
    "nothing": "a quiet stretch",
}
SLOW_CLIENT = 100.0
"""Milliseconds from which on the client's own delay is told."""


def count(number: float) -> str:
    return f"{number:,.0f}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 10 else count(value)


def before(options: Options, door: str, check: bool = False) -> list[str]:
    """What is going to be asked, where, how often and for how long.

    :param check: whether it only would be.
    """
    kinds = ", ".join(options.kinds)
    real = "Would send real" if check else "Real"
    lines = [
        f"{real} requests to {door}: {kinds}; {options.rate:g} a second for {options.seconds:g} s at most, during "
        f"{WHAT[options.during]}."
    ]
    if options.writes:
        lines.append(f"The app works on each of them, {', '.join(options.writes)} too: what they write stays.")
    return lines


def steady(options: Options, statuses: list[dict[str, int]]) -> list[str]:
    """What is to be known of the answers before anything is done."""
    lines = []
    for kind, found in zip(options.kinds, statuses, strict=True):
        odd = [status for status in found if not 200 <= int(status) < 300]
        if odd:
            times = ", ".join(f"{status} ({count(found[status])})" for status in sorted(odd))
            lines.append(f"{kind} answers {times} before anything is done, so that isn't lost later.{_why(odd)}")
    return lines


def _why(odd: list[str]) -> str:
    if "401" in odd or "403" in odd:
        return " Where that is the site's fastapi_protect, the app is never asked: choose a path that is open."
    if "429" in odd:
        return " That is the limit of the site, or of the app: a lower rate keeps below it."
    if {"301", "302", "307", "308"} & set(odd):
        return " Where it leads isn't asked: name that path."
    return ""


def headline(figures: Figures) -> str:
    """All in a sentence."""
    twice = figures.get("doubled")
    said = [f"{count(figures['lost'])} of {count(figures['sent'])} requests lost", f"{count(figures['late'])} late"]
    said.append("nobody knows how many worked on twice" if twice is None else f"{count(twice)} worked on twice")
    first, then = figures["before"].get("p99"), figures["after"].get("p99")
    return f"{', '.join(said)}; p99 {milliseconds(first)} → {milliseconds(then)} ms."


def moved(figures: Figures, during: str) -> str:
    """What became of what was done meanwhile."""
    deploy = figures.get("deploy")
    if not deploy:
        if during == "nothing":
            return "Nothing was done meanwhile."
        return (
            "Nothing has moved: the run failed before it did, or found live what is wanted. These are the figures of "
            "the quiet. To have the live release take over anew: -e during=swap (or restart, or reload)."
        )
    release, previous = deploy.get("release"), deploy.get("previous")
    way = f"by {deploy.get('strategy')} in {deploy.get('seconds') or 0:.1f} s"
    if deploy.get("outcome") != "live":
        why = f": {deploy['reason']}" if deploy.get("reason") else ""
        return f"Release {release} did not get through ({deploy.get('outcome')}, {way}){why}"
    if release == previous:
        return f"Release {release} is live anew, {way}."
    if deploy.get("kind") == "rollback":
        return f"Release {release} is live again, in place of {previous}, {way}."
    return f"Release {release} is live, before it {previous or 'nothing'}, {way}."


def phases(figures: Figures) -> list[dict[str, t.Any]]:
    """All that is told apart, by the names that the picture and the tables have: the steady stretch, what the run does
    before it takes up the slots, the phases of that, and what the old slot still works on."""
    steady, moves = figures["steady_seconds"], figures.get("phases") or []
    found = [{"phase": "steady", "begin": 0.0, "end": steady}]
    if not moves:
        return found
    found += [{"phase": "setup", "begin": steady, "end": moves[0]["begin"]}, *moves]
    drained, last = figures.get("drained"), moves[-1]
    if drained and last["phase"] == "drain" and drained > last["end"]:
        found.append({"phase": "finish", "begin": last["end"], "end": drained})
    return found


def phase_at(figures: Figures, at: float) -> str:
    """The phase in which that was; '' outside of all."""
    named = [row["phase"] for row in phases(figures) if row["begin"] <= at < row["end"]]
    return str(named[-1]) if named else ""


def notes(figures: Figures, options: Options) -> list[str]:
    """What has to be known to judge the figures, a sentence or two each."""
    found = []
    if figures.get("ended_early"):
        found.append(
            f"The requests ended after {figures['seconds']:.0f} s, before the run did: what came later nobody saw. "
            "Write a larger -e seconds= (900 at most)."
        )
    elif figures.get("drained") is None and options.during != "nothing":
        found.append("The old slot still finishes requests: what is lost at its end isn't counted.")
    if limited := figures.get("limited"):
        found.append(
            f"{count(limited)} requests were answered 429, by the site's fastapi_rate_limit or the app's own limit. "
            "They aren't lost, and show nothing: write a lower -e rate=."
        )
    if figures.get("doubled") is None:
        found.append(
            "How many were worked on twice nobody knows: the app's access log has none of these requests. The proxy "
            "answered them by itself, or the app's log doesn't say X-Request-ID."
        )
    if figures["behind"].get("p99", 0.0) > SLOW_CLIENT:
        found.append(
            f"The client itself was up to {count(figures['behind']['max'])} ms late with its requests: this host is so "
            "busy that its own figures are worth less."
        )
    if figures.get("deploy") and not figures.get("noted"):
        found.append("The figures are not in the history.")
    return found


def lost_lines(figures: Figures, most: int = 5) -> list[str]:
    """What was lost, for people: why, how often, when and where."""
    lines = []
    for reason in figures["lost_reasons"][:most]:
        first, last = reason["first"], reason["last"]
        when = ""
        if first is not None:
            phases = [phase_at(figures, at) for at in (first, last)]
            in_phase = f", in phase {phases[0]}" if phases[0] and phases[0] == phases[1] else ""
            between = f"from {first:.1f} to {last:.1f} s" if last > first else f"at {first:.1f} s"
            when = f", {between}{in_phase}: {', '.join(reason['paths'])}"
        lines.append(f"{count(reason['times'])} lost: {reason['why']}{when}")
    left = len(figures["lost_reasons"]) - most
    return [*lines, f"and {left} more reasons, see the report"] if left > 0 else lines


def rows(figures: Figures) -> list[list[str]]:
    """The table of paths, below HEAD."""
    found = []
    for row in figures["paths"]:
        answers = ", ".join(row["answers"])
        times = [milliseconds(row[when].get(name)) for when in ("before", "after") for name in ("p50", "p99", "max")]
        found.append([row["path"], answers, count(row["sent"]), count(row["lost"]), count(row["late"]), *times])
    return found


HEAD = ["path", "answers", "sent", "lost", "late", "p50 before", "p99", "max", "p50 after", "p99", "max"]


def text(figures: Figures, options: Options) -> str:
    """The report on the screen."""
    table = [[*HEAD[:5], "ms before: p50", "p99", "max", "after: p50", "p99", "max"], *rows(figures)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [headline(figures), moved(figures, options.during), ""]
    for row in table:
        cells = [
            cell.ljust(width) if n < 2 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    lost = lost_lines(figures)
    lines += ["", *(f"  {line}" for line in lost)] if lost else []
    told = notes(figures, options)
    return "\n".join([*lines, *([""] if told else []), *(f"  {line}" for line in told)])


def gate(figures: Figures, options: Options, host: str) -> str:
    """Why the run fails for what was lost; '' where it doesn't."""
    if not options.fail_on_lost or figures["lost"] < options.fail_on_lost:
        return ""
    why = figures["lost_reasons"][0]["why"]
    deploy = figures.get("deploy") or {}
    back = deploy.get("outcome") == "live" and options.during == "deploy"
    return (
        f"{count(figures['lost'])} of {count(figures['sent'])} requests to {host} were lost, most for this: {why}. "
        f"fail_on_lost={options.fail_on_lost} fails the run for that; write a higher number to bear more."
        + (" The deploy itself is live: rollback.yml takes it back." if back else "")
    )
