# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the supervision costs: our unit beside the recipe's, and without one of its parts at a time."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from statistics import median

import source
from front import CLIENTS, RECIPE_APP, inside, install
from hosts import BenchError, Host, docker
from measure import Side, run

Results = dict[str, dict[str, list[float]]]
STARTS, IDLE, SECONDS = 5, 30, 4
UNIT = "/etc/systemd/system/hello@.service"
RECIPE = "the recipe's unit"
OURS = "ours"


@dataclasses.dataclass(frozen=True)
class Way:
    """The live slot with a part of its supervision changed.

    :param unit: sed's commands for the unit's file.
    :param gunicorn: likewise for Gunicorn's configuration file.
    """

    name: str
    unit: str = ""
    gunicorn: str = ""


WAYS = (
    Way(RECIPE),
    Way(OURS),
    Way("without the sandbox", unit=r"/^# The sandbox/,/^\[Install\]/{/^\[Install\]/!d}"),
    Way("without the watching", unit="/^WatchdogSec=/d", gunicorn=r"s/interval=[0-9]\+/interval=86400/"),
    Way("with plain logs", gunicorn='s/form="json"/form="plain"/'),
)


def prepare(side: Side, host: Host, to: Path, programs: tuple[Path, Path]) -> None:
    source.write(to, 1)
    run(side, "site.yml", host, *programs)
    install(host)
    host.run("sh", "-c", RECIPE_APP, check=True)
    slot, _socket = live(host)
    host.run("sh", "-c", f"cp {UNIT} /opt/unit; cp /srv/hello/slots/{slot}/gunicorn.conf.py /opt/gunicorn", check=True)


def live(host: Host) -> tuple[str, str]:
    """The live slot and its socket."""
    socket = host.run("readlink", "/srv/hello/live.sock", check=True).strip()
    return Path(socket).stem, socket


def place(host: Host, way: Way) -> tuple[str, str]:
    """Make the host run this way; returns its unit and its door."""
    if way.name == RECIPE:
        return "recipe-app.service", "8000"
    slot, socket = live(host)
    files = (
        (way.unit, "/opt/unit", UNIT),
        (way.gunicorn, "/opt/gunicorn", f"/srv/hello/slots/{slot}/gunicorn.conf.py"),
    )
    for commands, original, path in files:
        text = host.run("sed", "-e", commands, original, check=True)
        if commands and text == host.run("cat", original, check=True):
            raise BenchError(
                f"{way.name}: nothing of {path} matches {commands!r}: bench/supervise.py is older than it."
            )
        # Over what is there: its owner and mode are the slot's.
        docker("exec", "-i", host.name, "tee", path, data=text.encode())
    host.run("systemctl", "daemon-reload", check=True)
    return f"hello@{slot}.service", socket


def flood(host: Host, unit: str, door: str) -> dict[str, float]:
    """CPU time for a request, with as many requests as go through."""
    base = [f"--base-uri=unix:{door}", "http://localhost/"] if door.startswith("/") else [f"http://localhost:{door}/"]
    before = inside(host, "cpu", unit)["cpu"]
    said = host.run("h2load", "--h1", "--clients", str(CLIENTS), "--duration", str(SECONDS), *base, check=True)
    used = inside(host, "cpu", unit)["cpu"] - before
    done = re.search(r"(\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", said)
    if not done or not int(done[1]):
        raise BenchError(f"{unit}: not all answers were good:\n{said}")
    return {"request": used / int(done[1]) * 1e6, "rate": int(done[1]) / SECONDS}


def measure(host: Host, runs: int, say: Callable[[str], None]) -> Results:
    results: Results = {way.name: {} for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            unit, door = place(host, way)
            found = {"start": median(inside(host, "start", unit, door)["start"] for _ in range(STARTS))}
            rest = inside(host, "rest", unit, IDLE)
            found |= {"idle": rest["cpu"] * 60 / IDLE * 1000, "memory": rest["memory"] / 1e6}
            found |= flood(host, unit, door)
            say("    {}: ready after {start:.2f} s, {request:.0f} µs of CPU a request".format(way.name, **found))
            for figure, value in found.items():
                results[way.name].setdefault(figure, []).append(value)
    return results


TITLES = {
    "start": ("seconds from the restart until ready", ".2f"),
    "idle": ("ms of CPU a minute, at rest", ".0f"),
    "memory": ("memory at rest, MB", ".0f"),
    "request": ("µs of CPU for GET /", ".0f"),
    "rate": ("GET /, requests a second, no proxy", ".0f"),
}


def verdict(results: Results) -> list[str]:
    """What each part costs: ours against ours without it."""
    lines = []
    for way in WAYS:
        if way.name != OURS:
            parts = []
            for figure, (title, _form) in TITLES.items():
                other = median(results[way.name][figure])
                parts.append(f"{title} {median(results[OURS][figure]) / other:.2f}" if other else f"{title} -")
            lines.append(f"ours / {way.name}: " + ", ".join(parts))
    return lines
