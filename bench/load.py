# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load inside a host while something is done to it: what was lost, how long answers took, how much memory it took."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from hosts import BenchError, Host, docker

CLIENT = Path(__file__).resolve().parent.parent / "tests" / "load" / "steady.py"
# Seconds after which the client stops by itself, whatever became of us.
LIMIT = 300
# Seconds between two samples of the memory: a worker that starts takes some ten of them.
PAUSE = 0.1


@dataclass(frozen=True)
class Traffic:
    sent: int
    lost: int
    """Requests without an answer, with another status than 200, or with the answer to another one."""
    lost_seconds: int
    """Seconds in which at least one got no answer or another status."""
    p99: float
    worst: float
    """Milliseconds that answered GETs took, sent from `since` on."""
    late: float
    """Milliseconds that the client itself was behind, at p99: its machine was busy, not the server."""
    memory: int | None
    """Peak of the host's memory that can't be reclaimed, in bytes; the client's own is in it."""
    release: str
    """Who answered the last GET."""


def summary(report: dict, since: float, memory: int | None) -> Traffic:
    """What the client's report says of the time from `since` on, in seconds since the epoch."""
    gets = [(at, took, release) for _n, kind, at, took, release, _w in report["timeline"] if kind == "get"]
    milliseconds = sorted(took * 1000 for at, took, _release in gets if at >= since)
    if not milliseconds:
        raise BenchError(f"Not one GET was answered; {len(report['lost'])} requests were lost: {report['lost'][:1]}")
    return Traffic(
        sent=report["sent"],
        lost=len(report["lost"]) + len(report["mixed"]),
        lost_seconds=len(report["lost_seconds"]),
        p99=milliseconds[len(milliseconds) * 99 // 100],
        worst=milliseconds[-1],
        late=report["late"]["p99"],
        memory=memory,
        release=max(gets)[2],
    )


def unreclaimable(stat: str) -> int:
    """Bytes of anonymous memory and tmpfs, from a cgroup's memory.stat of either version. Page cache isn't in it."""
    values = dict(line.split() for line in stat.splitlines())
    names = ("total_rss", "total_shmem") if "total_rss" in values else ("anon", "shmem")
    return sum(int(values.get(name, 0)) for name in names)


def memory_file(host: Host) -> Path | None:
    """The memory.stat of the container's cgroup, seen from outside; None where the engine has a kernel of its own."""
    name, pid = docker("inspect", "--format", "{{.Id}} {{.State.Pid}}", host.name).split()
    try:
        lines = [line.split(":", 2) for line in Path("/proc", pid, "cgroup").read_text().splitlines()]
    except OSError:
        return None
    # The first version's hierarchy where it has the controller, else the second's, which is named ''.
    for root, controllers in (("/sys/fs/cgroup/memory", "memory"), ("/sys/fs/cgroup", "")):
        for path in (line[2] for line in lines if controllers in line[1].split(",")):
            # systemd in the container may have moved below it.
            found = re.match(rf"/.*{name}[^/]*", path)
            file = Path(root + found[0], "memory.stat") if found else None
            if file is not None and file.is_file():
                return file
    return None


class Peak:
    """Samples the host's memory in a thread, between `start` and `stop`."""

    def __init__(self, host: Host) -> None:
        self.file = memory_file(host)
        self.most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> int | None:
        self._ended.set()
        self._thread.join()
        return self.most or None

    def _sample(self) -> None:
        while self.file is not None and not self._ended.wait(PAUSE):
            self.most = max(self.most, unreclaimable(self.file.read_text()))


class Load:
    """The constant-rate client in the host, for as long as the `with` block; `traffic` says afterwards what it saw."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.peak = Peak(host)
        self.traffic: Traffic | None = None

    def __enter__(self) -> Load:
        self._start("--seconds", str(LIMIT))
        self.host.wait("the load client sends", self._sends)
        self.since = time.time()
        self.peak.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        try:
            if kind is None:
                # Caddy may hold a restarted app for dead a while longer than the playbook does: that counts.
                self.host.serves()
                until = time.time()
                self.host.run("sh", "-c", "kill -TERM $(cat /run/steady.pid)", check=True)
                report = self._report()
                if report["began"] > self.since or report["ended"] < until:
                    raise BenchError(f"{self.host.name}: the load client did not run all the time, {LIMIT} s at most.")
                self.traffic = summary(report, self.since, self.peak.stop())
        finally:
            self.peak.stop()
            self.process.kill()

    def quiet(self, seconds: int) -> Traffic:
        """What the client sees when nothing is done to the host."""
        self._start("--seconds", str(seconds))
        return summary(self._report(), 0.0, None)

    def _start(self, *options: str) -> None:
        for file in (CLIENT, CLIENT.with_name("paced.py")):
            docker("exec", "-i", self.host.name, "tee", f"/opt/{file.name}", data=file.read_bytes())
        self.host.run("rm", "-f", "/run/steady.pid")
        script = 'echo $$ >/run/steady.pid; exec /usr/bin/python3 /opt/steady.py "$@"'
        command: Sequence[str] = ("docker", "exec", self.host.name, "sh", "-c", script, "sh", *options, "--timeline")
        # A session of its own: a signal to our group ends us, and we end it.
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def _sends(self) -> bool:
        if self.process.poll() is not None:
            raise BenchError(f"The load client ended:\n{self.process.communicate()[1].decode(errors='replace')}")
        return bool(self.host.run("ss", "--tcp", "--no-header", "state", "established", "dport = :80").strip())

    def _report(self) -> dict:
        try:
            out, err = self.process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.host.name}: the load client doesn't end.") from None
        if self.process.returncode != 0:
            raise BenchError(f"The load client ended with {self.process.returncode}:\n{err.decode(errors='replace')}")
        return json.loads(out)
