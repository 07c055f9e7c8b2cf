# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is looked up once for all apps of a host."""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Callable, Mapping

from .._host.reading import read_text
from .._plan.capacity import CapacityError, read_capacity
from . import caddyfile, nginx
from .bounds import Turns
from .filesystem import Files
from .model import Host, Proxy
from .processes import Process

Run = Callable[[list[str]], tuple[int, str, str]]
OTHERS = ("apache2", "httpd", "haproxy", "traefik", "envoy", "lighttpd")
_RENEWS = re.compile(
    r"certbot|acme\.sh|acme[-_]?(tiny|client|renew)|uacme|\blego\b|dehydrated|letsencrypt|certificate|getssl",
    re.IGNORECASE,
)
_OOM = "killed by the OOM killer|Out of memory: Killed|Memory cgroup out of memory"


def read_host(
    run: Run,
    table: Mapping[int, Process],
    loaded: Mapping[str, dict[str, str]],
    now: float,
    turns: Turns | None = None,
) -> Host:
    """All of it. What can't be read is among its findings."""
    host = Host(now, os.geteuid() == 0, float(os.cpu_count() or 1), "the system", 0)
    try:
        capacity = read_capacity()
        host.cpus, host.cpu_source, host.memory = capacity.cpus, capacity.cpu_source, capacity.memory
    except CapacityError as error:
        host.unseen("/proc/meminfo", str(error))
    host.uptime = time.clock_gettime(time.CLOCK_MONOTONIC)
    read_proxies(host, table, loaded, turns)
    host.rotated = rotated()
    host.renewers = renewers(run)
    host.kills = kills(run, host)
    host.connections = postgres()
    return host


def read_proxies(
    host: Host, table: Mapping[int, Process], loaded: Mapping[str, dict[str, str]], turns: Turns | None = None
) -> None:
    """The proxies that run, and the sites of their configurations."""
    turns = turns or Turns()
    for process in table.values():
        # Any user can start what looks like a proxy, and its configuration must cost no more than itself.
        try:
            with turns.of(process.uid):
                _read_proxy(host, process, table, loaded)
        except Exception as error:
            host.unseen(
                f"pid {process.pid}", f"It looks like a proxy that can't be read ({type(error).__name__}: {error})."
            )


def _read_proxy(
    host: Host, process: Process, table: Mapping[int, Process], loaded: Mapping[str, dict[str, str]]
) -> None:
    if process.ppid in table and table[process.ppid].argv[0].startswith("nginx: master"):
        return
    program = process.program
    files = Files(f"/proc/{process.pid}/root" if process.container else "")
    if process.argv[0].startswith("nginx: master"):
        words = " ".join(process.argv).split()
        config = words[words.index("-c") + 1] if "-c" in words[:-1] else nginx.MAIN
        _proxy(host, "nginx", process, loaded, config, bool(files.text(config)))
        host.sites += nginx.sites(nginx.read(config, files))
    elif program == "caddy" and process.argv[1:2] == ["run"]:
        words = process.argv
        config = (
            words[words.index("--config") + 1] if "--config" in words[:-1] else os.path.join(process.cwd, "Caddyfile")
        )
        _proxy(host, "caddy", process, loaded, config, bool(files.text(config)) and not config.endswith(".json"))
        if not config.endswith(".json"):
            host.sites += caddyfile.sites(caddyfile.read(config, files))
    elif program in OTHERS and not (process.ppid in table and table[process.ppid].argv[0].endswith(program)):
        host.unseen(
            f"pid {process.pid}: {program}",
            f"{program} may serve apps, too, and only Caddy's and nginx's configurations are read.",
        )


def _proxy(
    host: Host, kind: str, process: Process, loaded: Mapping[str, dict[str, str]], config: str, read: bool
) -> None:
    host.proxies.append(Proxy(kind, process, loaded.get(process.unit, {}), config))
    if not read:
        host.unseen(
            f"pid {process.pid}: {kind}",
            f"its configuration {config} can't be read as a file of {kind}'s, so its sites aren't known.",
        )


def rotated(pattern: str = "/etc/logrotate.d/*", main: str = "/etc/logrotate.conf") -> list[str]:
    """The patterns of files that logrotate has."""
    found: list[str] = []
    for path in [main, *sorted(glob.glob(pattern))]:
        # Before each block stand the files that it is for.
        for head in re.findall(r"(?m)^([^\n{}#]*(?:\n[ \t]*[/\"'][^\n{}#]*)*)\s*\{", read_text(path)):
            found += [word.strip("\"'") for word in head.split() if word.strip("\"'").startswith("/")]
    return found


def renewers(run: Run) -> list[str]:
    """Timers that are active and cron's files and lines that renew certificates, by their names."""
    _status, out, _err = run(
        ["systemctl", "list-units", "--type=timer,service", "--state=active", "--plain", "--no-legend", "--no-pager"]
    )
    names = [line.split()[0] for line in out.splitlines() if line.split()]
    found = [name for name in names if _RENEWS.search(name)]
    places = [
        *glob.glob("/etc/cron.*/*"),
        *glob.glob("/etc/cron.d/*"),
        "/etc/crontab",
        *glob.glob("/var/spool/cron/crontabs/*"),
    ]
    # Debian's cron file of certbot does nothing where systemd runs: its timer has to be on.
    return found + [
        path
        for path in places
        if any(
            _RENEWS.search(line) and "/run/systemd/system" not in line
            for line in read_text(path).splitlines()
            if not line.lstrip().startswith("#")
        )
    ]


def kills(run: Run, host: Host) -> list[str]:
    """Lines of the last week about processes that were killed for memory."""
    status, out, err = run(
        ["journalctl", "--quiet", "--no-pager", "--since=-7days", "--output=short-iso", f"--grep={_OOM}", "--lines=100"]
    )
    # It says 1 where it has found nothing.
    if status not in (0, 1) or (status and err.strip()):
        host.unseen(
            "the journal", f"journalctl didn't tell of processes killed for memory: {(err or out).strip()[:200]}"
        )
        return []
    return [line for line in out.splitlines() if line.strip()]


def postgres(pattern: str = "/etc/postgresql/*/*/postgresql.conf") -> tuple[int, str] | None:
    """max_connections of the first PostgreSQL on this host, and where that is set."""
    for path in sorted(glob.glob(pattern)):
        found = (100, path)
        for other in [path, *sorted(glob.glob(os.path.join(os.path.dirname(path), "conf.d/*.conf")))]:
            for number, line in enumerate(read_text(other).splitlines(), start=1):
                if match := re.match(r"\s*max_connections\s*=?\s*'?([0-9]+)", line):
                    found = (int(match[1]), f"{other}:{number}")
        return found
    return None
