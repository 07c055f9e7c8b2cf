# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says of a slot under load and of the host around it; and how both are kept from what serves."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable

from .._host.files import names_in, read_text
from .._host.memory import CGROUPS, use_of, workers

NICE = 10
"""What is measured and what asks get a tenth of the CPU that what serves gets where both want it (sched(7))."""
WEIGHT = 10
"""Of a control group, beside the usual 100."""
DATABASES = {
    5432: "PostgreSQL",
    6432: "PgBouncer",
    3306: "MySQL",
    6379: "Redis",
    27017: "MongoDB",
    1433: "SQL Server",
    1521: "Oracle",
    5672: "RabbitMQ",
    11211: "memcached",
}
"""What listens on a TCP port, as a rule."""
ESTABLISHED = "01"


def processes(main: str) -> list[str]:
    """An arbiter and its workers."""
    return [main, *sorted(workers(main), key=int)] if main.isdecimal() and main != "0" else []


def taken(main: str) -> tuple[int, int]:
    """Bytes that arbiter and workers take together (PSS), and the most that one of the workers has taken so far."""
    uses = {pid: use for pid in processes(main) if (use := use_of(pid))}
    return sum(use.now for use in uses.values()), max((use.peak for pid, use in uses.items() if pid != main), default=0)


def cpu_seconds(group: str, main: str, top: str = CGROUPS) -> float:
    """Seconds on a CPU that a slot has had so far: by its control group, which knows of children that ended; where that
    doesn't count, by its processes."""
    used = dict(row.split(" ", 1) for row in read_text(f"{top}{group}/cpu.stat").splitlines() if " " in row)
    if group and used.get("usage_usec", "").isdecimal():
        return int(used["usage_usec"]) / 1e6
    v1 = read_text(f"{top}/cpuacct{group}/cpuacct.usage").strip()
    if group and v1.isdecimal():
        return int(v1) / 1e9
    ticks = os.sysconf("SC_CLK_TCK")
    stats = [read_text(f"/proc/{pid}/stat").rpartition(")")[2].split() for pid in processes(main)]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if len(stat) > 12) / ticks


def parse_idle(stat: str) -> tuple[float, float]:
    """Ticks of all CPUs together that were idle, and all of them, from /proc/stat (proc_stat(5)). Pure."""
    for row in stat.splitlines():
        fields = row.split()
        if fields[:1] == ["cpu"]:
            # The time of guests is in that of users already.
            ticks = [int(field) for field in fields[1:9]]
            return float(ticks[3] + ticks[4]), float(sum(ticks))
    return 0.0, 0.0


def idle_ticks() -> tuple[float, float]:
    return parse_idle(read_text("/proc/stat"))


def parse_available(meminfo: str) -> int | None:
    """Bytes that programs can still get, from /proc/meminfo. Pure."""
    match = re.search(r"^MemAvailable:\s+([0-9]+) kB$", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def available() -> int | None:
    return parse_available(read_text("/proc/meminfo"))


def parse_tcp(table: str) -> dict[str, int]:
    """The remote port of each connection that stands, by its inode, from /proc/net/tcp or tcp6. Pure."""
    found = {}
    for row in table.splitlines()[1:]:
        fields = row.split()
        if len(fields) > 9 and fields[3] == ESTABLISHED:
            found[fields[9]] = int(fields[2].rpartition(":")[2], 16)
    return found


def connections(main: str) -> dict[str, int]:
    """How many connections to databases the workers have, by what listens on such a port; by TCP alone. What goes by a
    unix socket can't be told from other connections without a tool."""
    pids = processes(main)[1:]
    if not pids:
        return {}
    # They share the network of the host, or have another; one tells for all.
    tables = [read_text(f"/proc/{pids[0]}/net/{name}") for name in ("tcp", "tcp6")]
    ports = {f"socket:[{inode}]": port for table in tables for inode, port in parse_tcp(table).items()}
    found = Counter(DATABASES[ports[link]] for link in _open_files(pids) if ports.get(link) in DATABASES)
    return dict(sorted(found.items()))


def _open_files(pids: Iterable[str]) -> Iterable[str]:
    for pid in pids:
        for entry in names_in(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{entry}")


def step_aside(group: str, pids: Iterable[str], top: str = CGROUPS) -> None:
    """Have processes take no CPU from others that want it. All of it ends with them: nothing is left to put back,
    whatever ends this run, and systemd's settings are as they were.

    :param group: their control group, where it is theirs alone; else ''.
    """
    for path, weight in ((f"{top}{group}/cpu.weight", WEIGHT), (f"{top}/cpu{group}/cpu.shares", WEIGHT * 1024 // 100)):
        if group and os.path.exists(path):
            with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as file:
                file.write(str(weight))
    for pid in pids:
        for thread in names_in(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, int(thread), NICE)
        # Where the kernel groups by session, niceness counts within a session alone (sched(7), autogroup).
        with contextlib.suppress(OSError), open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(NICE))
