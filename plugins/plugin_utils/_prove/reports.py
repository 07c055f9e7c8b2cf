# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of ``prove`` on the control node: figures as JSON, a picture, a page; and the sum over the hosts."""

from __future__ import annotations

import glob
import json
import os
import re
import time
import typing as t

from .._draw.picture import DrawError, Table, draw, page
from . import says
from .drawn import picture
from .options import Options

Say = t.Callable[[str], t.Any]


def named(figures: says.Figures) -> str:
    """What the files of a host are called: a later run has others."""
    host = re.sub(r"[^A-Za-z0-9._-]", "_", figures["host"])
    when = time.strftime("%Y%m%d-%H%M%S", time.localtime(figures["began"]))
    return f"{host}-{figures['app']}-{figures['during']}-{when}"


def write(figures: says.Figures, options: Options, into: str, say: Say) -> tuple[list[str], list[str]]:
    """The files that were written, and what was in the way of others.

    :raises OSError: nothing can be written there.
    """
    os.makedirs(into, exist_ok=True)
    name, troubles = named(figures), []
    files = [os.path.join(into, f"{name}.json")]
    with open(files[0], "w", encoding="utf-8") as file:
        file.write(json.dumps(figures, indent=1) + "\n")
    title = f"{figures['app']} on {figures['host']}: {says.WHAT[options.during]}"
    try:
        files += draw(picture(figures, title), into, name, say)
    except DrawError as error:
        troubles.append(str(error))
    lead = f"{says.headline(figures)} {says.moved(figures, options.during)}"
    heading = f"What clients noticed of {figures['app']} on {figures['host']}"
    files.append(page(heading, lead, into, name, tables(figures), notes(figures, options)))
    return files, troubles


def tables(figures: says.Figures) -> list[Table]:
    found = [Table("Paths (times in ms)", says.HEAD, says.rows(figures))]
    if figures["phases"]:
        named = says.phases(figures)
        rows = [[row["phase"], f"{row['begin']:.1f}", f"{row['end'] - row['begin']:.2f}"] for row in named]
        found.append(Table("Phases", ["phase", "at (s)", "took (s)"], rows))
    for title, told in (("Lost", figures["lost_requests"]), ("Late", figures["late_requests"])):
        if told:
            rows = [
                [
                    f"{row['at']:.2f}",
                    row["path"],
                    f"{row['seconds']:.2f}",
                    says.phase_at(figures, row["at"]) or "-",
                    row.get("why") or str(row.get("status")),
                ]
                for row in told
            ]
            found.append(Table(title, ["at (s)", "path", "took (s)", "phase", "answer"], rows))
    return found


def notes(figures: says.Figures, options: Options) -> list[str]:
    late = ", ".join(f"{row['path']} {row['late_after']:g} s" for row in figures["paths"])
    return [
        f"{options.rate:g} requests a second through the proxy on the host itself, each on a connection of its own.",
        f"Late is what took longer than this: {late}.",
        *says.notes(figures, options),
    ]


def total(into: str, run: str, names: list[str]) -> str:
    """The sum over the hosts of this run, once all of several have a report; else ''."""
    if len(names) < 2:
        return ""
    found = []
    for path in glob.glob(os.path.join(glob.escape(into), "*.json")):
        try:
            with open(path, encoding="utf-8") as file:
                figures = json.load(file)
        except (OSError, ValueError):
            continue
        if isinstance(figures, dict) and figures.get("run") == run:
            found.append(figures)
    done = {figures["host"] for figures in found}
    lost, sent = (sum(figures[name] for figures in found) for name in ("lost", "sent"))
    slowest = max((figures["after"].get("p99", 0.0) for figures in found), default=0.0)
    so_far = f"On all {len(names)} hosts" if done >= set(names) else f"On {len(done)} of {len(names)} hosts so far"
    return (
        f"{so_far}: {says.count(lost)} of {says.count(sent)} requests lost, p99 up to {says.milliseconds(slowest)} ms."
    )
