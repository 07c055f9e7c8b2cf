# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What status knows of an app, as a table for people. Pure."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable
from typing import Any

from .._app.history import LIVE
from .._app.leaving import PATCHING
from .._app.lock import MEASURING
from .._plan.sizes import human_size
from .stalls import sentence

ENDS_SOON = 20
"""Days before its end from which on a certificate is to be looked at: what renews it does so a month before."""
CANARY = "canary / live: errors, p95"
"""What stands above what `canary` says."""
CELL = 60
"""Characters that a table has for a reason."""


def age(seconds: float) -> str:
    """A duration for people: its largest unit alone."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(max(seconds, 0))} s"


def table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _revision(revision: str) -> str:
    """A commit in short, and still whether files differed from it."""
    commit, dirty, _rest = revision.partition("-dirty")
    return commit[:12] + dirty


def _short(text: str) -> str:
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"


def render(facts: dict[str, Any], now: float, deploys: int) -> str:
    """The facts as a person reads them.

    :param now: seconds since the epoch.
    :param deploys: how many of the last deploys are shown.
    """
    live = facts["live"]
    if not live:
        lines = [f"{facts['name']}: nothing is live."]
    else:
        slot = facts["slots"][live]
        lines = [f"{facts['name']}: release {slot['release']} is live in slot {live}, {slot['ready']}"]
    if facts["maintenance"]:
        lines.append(f"  Clients get the maintenance page for as long as {facts['root']}/maintenance is there.")
    if facts.get("leaving"):
        lines += _leaving(facts["leaving"], facts["root"])
    if facts["deploying"]:
        note = facts["deploying"]
        what = f"A deploy of release {note.get('release')} is under way"
        if note.get("kind") == MEASURING:
            what = f"tune.yml measures in slot {note.get('slot')}"
        elif note.get("kind") == PATCHING:
            what = "patch.yml upgrades this host's packages"
        lines.append(f"  {what}: {note.get('by')}, since {note.get('since')}, in phase {note.get('phase')}.")
    if facts["cut_off"]:
        note = facts["cut_off"]
        lines.append(
            f"  A deploy of release {note.get('release')} was cut off in phase {note.get('phase')}: {note.get('by')}, "
            f"begun at {note.get('since')}. What runs may not be what a slot names: deploy again."
        )
    lines += [
        "",
        *table(
            [["slot", "state", "service", "release", "since", "workers", "memory (PSS)", "each"], *_slots(facts, now)]
        ),
    ]
    for slot, row in facts["slots"].items():
        lines += [f"  {slot}: {said}".replace("\n", "\n    ") for said in (row["note"], row["advice"]) if said]
    lines += certificate_ends(facts["certificate"], now)
    if facts["stalls"]:
        text = sentence(facts["name"], facts["stalls"])
        lines += ["", textwrap.fill(text, 110, initial_indent="  ", subsequent_indent="    ")]
    lines += _beside(facts, now)
    if facts["releases"]:
        rows = [
            [r["release"], r["state"], r["built"][:16].replace("T", " "), _revision(r["revision"]), _short(r["why"])]
            for r in facts["releases"]
        ]
        lines += ["", *table([["release", "state", "built (UTC)", "revision", ""], *rows])]
    if facts["history"]:
        shown = facts["history"][: -deploys - 1 : -1]
        counted, canaries = (any(e.get(name) for e in shown) for name in ("proved", "canary"))
        rows = [
            [
                e.get("started", "")[:16].replace("T", " "),
                e.get("kind", ""),
                e["release"],
                e.get("strategy", ""),
                f"{e.get('seconds', 0):.1f} s",
                e.get("outcome", ""),
                *([_noticed(e)] if counted else []),
                *([canary(e.get("canary") or {})] if canaries else []),
                e.get("by", ""),
                _short(e.get("reason", "")),
            ]
            for e in shown
        ]
        head = ["last deploys (UTC)", "kind", "release", "by way of", "took", "outcome"]
        head += [*(["lost, p99"] if counted else []), *([CANARY] if canaries else []), "who", ""]
        lines += ["", *table([head, *rows])]
        # The last one, where the table has no room for it, and the release hasn't become live since then.
        whole = next((e for e in shown if e.get("reason")), None)
        since = shown[: shown.index(whole)] if whole else []
        became = whole and (whole["release"], LIVE) in [(e["release"], e.get("outcome")) for e in since]
        if whole and not became and len(whole["reason"]) > CELL:
            text = f"{whole.get('started', '')[:16].replace('T', ' ')} {whole['release']}: {whole['reason']}".strip()
            lines += ["", textwrap.fill(text, 110, initial_indent="  ", subsequent_indent="    ")]
    if facts["pushes"]:
        rows = [
            [
                str(p["number"]),
                p["received"][:16].replace("T", " "),
                p["ref"].removeprefix("refs/heads/").removeprefix("refs/"),
                p["commit"][:12],
                p["state"],
                p["by"],
                _short(p["reason"]),
            ]
            for p in reversed(facts["pushes"])
        ]
        lines += ["", *table([["push", "received (UTC)", "of", "commit", "", "who", ""], *rows])]
    if facts["commands"]:
        rows = [
            [c["started"][:16].replace("T", " "), c["release"], c["outcome"], c["by"], _short(c["command"])]
            for c in facts["commands"]
        ]
        lines += ["", *table([["last commands (UTC)", "release", "outcome", "who", ""], *rows])]
    return "\n".join(lines)


def certificate_ends(certificate: dict[str, Any], now: float) -> list[str]:
    """A line where it ends soon, or has ended."""
    ends = certificate.get("ends")
    if ends is None or ends - now >= ENDS_SOON * 86400:
        return []
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    return [f"  The certificate {'ends' if ends > now else 'has ended'} on {day}, and should have been renewed."]


def _leaving(note: dict[str, Any], root: str) -> list[str]:
    """That balancers leave the host out, since when, by whom, and what ends it."""
    since = note["since"]
    said = f"  This host is leaving since {since}: its readiness path answers 503, so that balancers leave it out."
    if note.get("kind") != PATCHING:
        return [said, f"    To have them send it requests again: rm {root}/leaving"]
    who = f"    patch.yml of {note['by']}"
    if note["alive"]:
        return [said, f"{who} is under way, in phase {note['phase']}."]
    ended = f"{who} has ended in phase {note['phase']}. Run it again: it finishes what that one began."
    return [said, ended, f"    Or have balancers send it requests as it is: rm {root}/leaving"]


def _noticed(entry: dict[str, Any]) -> str:
    """What clients noticed of a deploy, where prove.yml has counted it."""
    proved = entry.get("proved") or {}
    if not proved:
        return "-"
    times = [f"{proved[name]:,.0f}" for name in ("before", "after") if proved.get(name) is not None]
    lost = f"{proved.get('lost') or 0:,.0f} of {proved.get('sent') or 0:,.0f}"
    return f"{lost}, {' → '.join(times)} ms" if len(times) == 2 else lost


def canary(counted: dict[str, Any]) -> str:
    """What a canary was, and what served beside it."""
    sides = [[counted.get(side + name) or 0 for name in ("errors", "requests", "p95")] for side in ("", "live_")]
    texts = [
        f"{bad / of * 100:.1f} % of {of:,.0f}" + (f", {p95:,.0f} ms" if p95 else "") if of else "no requests"
        for bad, of, p95 in sides
    ]
    return " / ".join(texts) if counted else "-"


def _beside(facts: dict[str, Any], now: float) -> list[str]:
    """The tables of processes and of timers, and under each what somebody has to know of it."""
    lines = []
    if facts["processes"]:
        rows = [
            [
                _named(row),
                row["state"],
                row["service"],
                row["release"] or "-",
                age(now - row["since"]) if row["since"] else "-",
                str(row["restarts"]),
                human_size(row["memory"]) + (f" of {human_size(row['memory_max'])}" if row["memory_max"] else ""),
                _short(row["command"]),
            ]
            for row in facts["processes"]
        ]
        head = ["process", "state", "service", "release", "since", "restarts", "memory", ""]
        lines += ["", *table([head, *rows]), *_notes((_named(row), row) for row in facts["processes"])]
    if facts["timers"]:
        rows = [
            [row["timer"], row["last"] or "-", row["outcome"], row["next"] or "-", _short(row["command"])]
            for row in facts["timers"]
        ]
        lines += ["", *table([["timer", "last run", "outcome", "next run", ""], *rows])]
        lines += _notes((row["timer"], row) for row in facts["timers"])
    return lines


def _named(row: dict[str, Any]) -> str:
    """worker, or worker@2 where it is the second of several."""
    instance = row["unit"].partition("@")[2].removesuffix(".service")
    return row["process"] if instance == "1" else f"{row['process']}@{instance}"


def _notes(rows: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    return [f"  {name}: {row['note']}".replace("\n", "\n    ") for name, row in rows if row["note"]]


def _slots(facts: dict[str, Any], now: float) -> list[list[str]]:
    rows = []
    for slot, row in facts["slots"].items():
        most = f" of {human_size(row['memory_max'])}" if row["memory_max"] else ""
        running = row["workers"] > 0 or row["state"] == "draining"
        rows.append(
            [
                slot,
                row["state"],
                row["service"],
                row["release"] or "-",
                f"{age(now - row['since'])}" if running else "-",
                str(row["workers"]) if running else "-",
                f"{human_size(row['memory'])}{most}" if running else "-",
                _each(row) if row["worker_memory"] else "-",
            ]
        )
    return rows


def _each(row: dict[str, Any]) -> str:
    """What the workers take, and what the plan has for each."""
    least, most = human_size(min(row["worker_memory"])), human_size(max(row["worker_memory"]))
    plan = f" of {human_size(row['worker_memory_planned'])}" if row["worker_memory_planned"] else ""
    return f"{least if least == most else f'{least} - {most}'}{plan}"
