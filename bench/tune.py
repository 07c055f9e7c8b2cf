# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner's number of workers beside the best of tune.yml's own sweep, for four kinds of app."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import source
from hosts import Host
from measure import Side, run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".collections"))
from ansible_collections.graceful.deploy.plugins.plugin_utils._tune import show

SOURCE = Path(__file__).resolve().parent / "kinds"
SCREEN, KINDS = re.compile(r"```text\n.*?```\n", re.DOTALL), re.compile(r"\| app \| planner.*?\n(?=\n)", re.DOTALL)
"""The blocks of docs/tune.md that a run writes anew."""
EXAMPLE = "threads"
WANTED = 0.95
"""The part of the best that the planner's number has to bring."""
Results = dict[str, dict]


@dataclasses.dataclass(frozen=True)
class Way:
    """One kind of app.

    :param workload: what its user writes for it.
    """

    kind: str
    title: str
    workload: str


WAYS = (
    Way("io", "async I/O", "io"),
    Way("cpu", "CPU-bound", "cpu"),
    Way("mixed", "mixed", "mixed"),
    Way("threads", "sync endpoints in the thread pool", "io"),
)


def measure(side: Side, host: Host, into: Path, programs: tuple[Path, Path], say: Callable[[str], None]) -> Results:
    """Deploy the app once, then measure each path of it.

    :param into: directory for pictures and figures, ``KIND.svg`` and so on.
    """
    site = dataclasses.replace(side, variables={"fastapi_name": "kinds", "fastapi_source": str(SOURCE)})
    run(site, "site.yml", host, *programs)
    into.mkdir(parents=True, exist_ok=True)
    results = {}
    for way in WAYS:
        place = into / f"{way.kind}-run"
        shutil.rmtree(place, ignore_errors=True)
        asked = {"paths": f"/{way.kind}", "fastapi_workload": way.workload, "into": str(place)}
        # A run that is stopped for a busy machine says so, and here there is nobody who is served.
        asked |= {"clients": "64", "seconds": "8", "most": "6", "idle": "0", "slower": "100"}
        run(dataclasses.replace(site, variables={**site.variables, **asked}), "tune.yml", host, *programs)
        for file in place.iterdir():
            shutil.copyfile(file, into / f"{way.kind}{file.suffix}")
        shutil.rmtree(place)
        results[way.kind] = json.loads((into / f"{way.kind}.json").read_text())
        say(f"    {way.title}: {results[way.kind]['line']}")
    return results


def document(results: Results, figures: Path, docs: Path) -> None:
    """Put pictures and figures of a run into docs/tune.md."""
    pictures, page = docs / "pictures", docs / "tune.md"
    pictures.mkdir(exist_ok=True)
    for way in WAYS:
        for kind in ("svg", "png"):
            shutil.copyfile(figures / f"{way.kind}.{kind}", pictures / f"tune-{way.kind}.{kind}")
    text = source.swap_once(SCREEN, f"```text\n{screen_of(results[EXAMPLE])}\n```\n", page.read_text())
    page.write_text(source.swap_once(KINDS, table(results) + "\n", text))


def screen_of(result: dict) -> str:
    """What was printed of it."""
    return "\n".join([*show.table(result), "", *show.notes(result), "", result["line"]])


def share(result: dict) -> tuple[float | None, dict]:
    """What the planner's number brings of the best, None where it wasn't measured; and the best."""
    best = max(result["counts"], key=lambda count: count["rate"])
    planned = next((count for count in result["counts"] if count["workers"] == result["planned"]), None)
    return (planned["rate"] / best["rate"] if planned else None), best


def table(results: Results) -> str:
    """As docs/tune.md has it."""
    lines = ["| app | planner | chosen | best | planner's of the best | p99 at planner's, best |", "| --- " * 6 + "|"]
    for way in WAYS:
        result = results[way.kind]
        part, best = share(result)
        planned = next((count for count in result["counts"] if count["workers"] == result["planned"]), None)
        p99 = f"{planned['p99']:.0f}" if planned else "-"
        lines.append(
            f"| {way.title} | {result['planned']} | {result['chosen']} | {best['workers']}, {best['rate']:,.0f}/s | "
            f"{f'{100 * part:.0f} %' if part else 'not measured'} | {p99} ms, {best['p99']:.0f} ms |"
        )
    return "\n".join(lines)


def verdict(results: Results, calm: bool) -> list[str]:
    lines = []
    for way in WAYS:
        part = share(results[way.kind])[0]
        word = "not decided, the machine was busy" if not calm else "reached" if part and part >= WANTED else "MISSED"
        told = f"{part:.2f}" if part else "nothing known"
        lines.append(f"planner, {way.title}: {told} of the sweep's best, wanted {WANTED} or more: {word}")
    return lines
