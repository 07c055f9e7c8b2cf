# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the reverse proxies cost: the same app asked through ours, through the usual recipe's, and through none."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import source
from hosts import BenchError, Host, docker
from measure import Side, run

BENCH = Path(__file__).resolve().parent
RECIPE_PORT = 81
UNREADY = "/etc/bench-unready"
SECONDS = 4
CLIENTS = 32
BODIES = {"/": "GET /", "/megabyte": "GET of 1 MB"}
IDLE, ACTIVE = 1000, 200
# The usual recipe on the same host: the same release and as many workers, on a TCP port, and its Caddyfile.
RECIPE_APP = r"""
set -e
release=$(readlink -f /srv/hello/slots/*/release | head -n 1)
workers=$(sed -n 's/^workers = //p' /srv/hello/slots/*/gunicorn.conf.py | head -n 1)
systemd-run --quiet --unit=recipe-app --property=User=deploy --property=Restart=always --working-directory="$release" \
    "$release/.venv/bin/python" -m gunicorn app.main:app --worker-class uvicorn_worker.UvicornWorker \
    --workers "$workers" --bind 127.0.0.1:8000 --timeout 60 --graceful-timeout 30 --keep-alive 5 \
    --access-logfile - --error-logfile -
"""
RECIPE_CADDY = """
systemd-run --quiet --unit=recipe-caddy --setenv=HOME=/root \
    /usr/bin/caddy run --config /opt/Caddyfile --adapter caddyfile
"""


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to the app.

    :param host: which of the hosts it is on.
    :param port: TCP port on it; 0 for the app's own socket.
    :param unit: the proxy's.
    """

    name: str
    host: str
    port: int
    unit: str


WAYS = (
    Way("no proxy", "caddy", 0, ""),
    Way("the recipe's Caddy", "caddy", RECIPE_PORT, "recipe-caddy.service"),
    Way("our Caddy", "caddy", 80, "caddy.service"),
    Way("our nginx", "nginx", 80, "nginx.service"),
)
# way -> figure -> values
Results = dict[str, dict[str, list[float]]]


def prepare(side: Side, hosts: Mapping[str, Host], to: Path, programs: tuple[Path, Path]) -> None:
    source.write(to, 1)
    for proxy, host in hosts.items():
        chosen = dataclasses.replace(side, variables={**side.variables, "fastapi_proxy": proxy})
        run(chosen, "site.yml", host, *programs)
        install(host)
    template = (BENCH / "plain" / "templates" / "Caddyfile.j2").read_text()
    caddyfile = source.swap_once(re.compile(r"^:80 ", re.M), f":{RECIPE_PORT} ", template)
    # Its administration's port would be the only one; ours uses a socket.
    docker("exec", "-i", hosts["caddy"].name, "tee", "/opt/Caddyfile", data=caddyfile.encode())
    hosts["caddy"].run("sh", "-c", RECIPE_APP + RECIPE_CADDY, check=True)
    for way in WAYS:
        host = hosts[way.host]
        host.wait(f"{way.name} answers", lambda host=host, way=way: asked(host, way) == "200")


def install(host: Host) -> None:
    """What asks, inside the host."""
    host.run("sh", "-c", "apt-get install -y -qq --no-install-recommends nghttp2-client", check=True)
    docker("exec", "-i", host.name, "tee", "/opt/inside.py", data=(BENCH / "inside.py").read_bytes())


def asked(host: Host, way: Way) -> str:
    where = ["--unix-socket", "/srv/hello/live.sock", "http://localhost/"] if not way.port else []
    command = ["curl", "--silent", "--output", "/dev/null", "--max-time", "5", "--write-out", "%{http_code}"]
    return host.run(*command, *(where or [f"http://127.0.0.1:{way.port}/"]))


def flood(host: Host, way: Way, path: str) -> dict[str, float]:
    """As many requests as go through, from a fixed number of clients that keep their connections."""
    url = f"http://localhost:{way.port or 80}{path}"
    base = [] if way.port else ["--base-uri=unix:/srv/hello/live.sock"]
    command = ["h2load", "--h1", "--clients", str(CLIENTS), "--duration", str(SECONDS), "--warm-up-time", "1"]
    host.run("rm", "-f", "/tmp/requests")
    host.run(*command, "--log-file=/tmp/requests", *base, url, check=True)
    rows = [line.split() for line in host.run("cat", "/tmp/requests", check=True).splitlines()]
    # 0: under way when the time was up.
    rows = [row for row in rows if row[1] != "0"]
    bad = [row for row in rows if row[1] != "200"]
    if bad or not rows:
        raise BenchError(f"{way.name}: {len(bad)} of {len(rows)} answers to {path} weren't 200: {bad[:3]}")
    took = sorted(int(row[2]) / 1000 for row in rows)
    return {"rate": len(rows) / SECONDS, "p50": median(took), "p99": took[len(took) * 99 // 100]}


def inside(host: Host, *words: str | int) -> dict[str, float]:
    return dict(json.loads(host.run("python3", "/opt/inside.py", *map(str, words), check=True)))


def measure(hosts: Mapping[str, Host], runs: int, say: Callable[[str], None]) -> Results:
    results: Results = {way.name: {} for way in WAYS}

    def note(way: Way, figures: Mapping[str, float]) -> None:
        for figure, value in figures.items():
            results[way.name].setdefault(figure, []).append(value)

    for number in range(runs):
        for path, words in BODIES.items():
            for way in WAYS:
                seen = flood(hosts[way.host], way, path)
                say(f"    {way.name}, {words}: {seen['rate']:.0f} a second, p99 {seen['p99']:.1f} ms")
                note(way, {f"{words}: {figure}": value for figure, value in seen.items()})
        for way in WAYS[1:]:
            host = hosts[way.host]
            idle = inside(host, "hold", way.port, IDLE, "/", way.unit)
            active = inside(host, "hold", way.port, ACTIVE, "/slow?seconds=5", way.unit)
            if active["answered"] != ACTIVE:
                raise BenchError(f"{way.name}: {active['answered']} of {ACTIVE} slow requests were answered.")
            note(way, {"memory": idle["before"] / 1e6, "idle": idle["held"] / 1e6, "active": active["held"] / 1e6})
            if not number:
                found = inside(host, "switch", way.port, UNREADY)
                say(f"    {way.name}: 503 after {found['away']:.1f} s, back after {found['back']:.1f} s")
                note(way, found)
                time.sleep(1)
    return results


TITLES = {
    **{f"{words}: rate": (f"{words}, requests a second", ".0f") for words in BODIES.values()},
    **{f"{words}: p50": (f"{words}, ms at p50", ".1f") for words in BODIES.values()},
    **{f"{words}: p99": (f"{words}, ms at p99", ".1f") for words in BODIES.values()},
    "memory": ("memory of the proxy, MB, at rest", ".0f"),
    "idle": (f"memory with {IDLE} idle connections, MB", ".0f"),
    "active": (f"memory with {ACTIVE} active requests, MB", ".0f"),
    "away": ("seconds until 503 once /ready fails", ".1f"),
    "back": ("seconds until 200 once it answers again", ".1f"),
}


def verdict(results: Results, calm: bool) -> list[str]:
    lines = []
    recipe = results["the recipe's Caddy"]
    for way in WAYS[2:]:
        for words in BODIES.values():
            quotient = median(results[way.name][f"{words}: rate"]) / median(recipe[f"{words}: rate"])
            word = "not decided, the machine was busy" if not calm else "reached" if quotient >= 1 else "MISSED"
            lines.append(
                f"{way.name}, {words}: {quotient:.2f} of the recipe's requests a second, wanted 1.0 or more: {word}"
            )
    return lines
