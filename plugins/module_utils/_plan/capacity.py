# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CPUs and the memory that a service on this host will get: cgroup v1, v2 or both, cpuset and affinity."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .._app.words import slice_of


@dataclass(frozen=True)
class Part:
    """What runs on the host beside the app's web workers.

    :param name: of a process or timer, or of another app.
    :param each: bytes that one of it takes; `count` how many of it may run at once.
    :param fixed: whether no variable says how much it takes.
    """

    name: str
    each: int
    count: int = 1
    fixed: bool = False

    @property
    def whole(self) -> int:
        return self.each * self.count


@dataclass(frozen=True)
class Capacity:
    """CPUs (1.5 is a quota of one and a half) and bytes of memory, each with where the figure was found.

    `memory` is what the system around the app lives from, too; `own` the limit of the app's own slice, of which nothing
    has to be kept for others. None where it has none. `beside` are the app's own processes and timers, `others` the
    host's other apps.
    """

    cpus: float
    cpu_source: str
    memory: int
    memory_source: str
    own: int | None = None
    beside: tuple[Part, ...] = ()
    others: tuple[Part, ...] = ()


class CapacityError(RuntimeError):
    """The host doesn't say how much memory it has."""


@dataclass(frozen=True)
class Mount:
    """One mounted cgroup hierarchy; controllers is empty for v2."""

    version: int
    root: str
    point: str
    controllers: frozenset[str]


def parse_cgroups(text: str) -> dict[str, str]:
    """Path by controller from /proc/PID/cgroup; the unified hierarchy's is under ""."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3:
            paths.update((controller, fields[2]) for controller in fields[1].split(","))
    return paths


def parse_mounts(text: str) -> list[Mount]:
    """The cgroup mounts in /proc/PID/mountinfo (proc_pid_mountinfo(5))."""
    mounts = []
    for line in text.splitlines():
        left, _separator, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        if len(fields) < 5 or len(tail) < 3 or tail[0] not in ("cgroup", "cgroup2"):
            continue
        root, point = (re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field) for field in fields[3:5])
        version, controllers = (2, "") if tail[0] == "cgroup2" else (1, tail[2])
        mounts.append(Mount(version, root, point, frozenset(filter(None, controllers.split(",")))))
    return mounts


def parse_cpu_list(text: str) -> int | None:
    """How many CPUs "0-3,8" is. None for an empty list, which is how a cpuset says that it sets nothing."""
    count = 0
    for item in text.strip().split(","):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", item)
        if match is None:
            return None
        count += int(match[2] or match[1]) - int(match[1]) + 1
    return count if count > 0 else None


def parse_quota(text: str) -> float | None:
    """CPUs from "150000 100000", quota and period in microseconds. "max" and -1 are no limit: None."""
    match = re.fullmatch(r"([0-9]+)\s+([0-9]+)", text.strip())
    if match is None or not int(match[1]) or not int(match[2]):
        return None
    return int(match[1]) / int(match[2])


def parse_memory_limit(text: str) -> int | None:
    """Bytes, or None for "max". v1's own "no limit" is a number above any memory, so it never is the lowest."""
    text = text.strip()
    return int(text) if re.fullmatch(r"[0-9]+", text) else None


def parse_mem_total(text: str) -> int | None:
    """Bytes of MemTotal in /proc/meminfo, which counts them in units of 1024."""
    match = re.search(r"^MemTotal:\s+([0-9]+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def path_below(path: str, root: str) -> str | None:
    """The path as seen from a mount whose root is another cgroup: None where it lies outside, "" for the root."""
    names, above = ([name for name in item.split("/") if name] for item in (path, root))
    if names[: len(above)] != above or ".." in names[len(above) :]:
        return None
    return "".join("/" + name for name in names[len(above) :])


class _Files:
    """Files below a root that tests can set; what can't be read counts as not there."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def read(self, path: str) -> str:
        try:
            return (self.root / path.lstrip("/")).read_text("utf-8", "replace")
        except OSError:
            return ""

    def has_directory(self, path: str) -> bool:
        return (self.root / path.lstrip("/")).is_dir()


def _mounts(files: _Files, controller: str) -> list[Mount]:
    """The hierarchies that could hold a controller: v1 if it is mounted there, for then v2 can't have it."""
    mounts = parse_mounts(files.read("/proc/self/mountinfo"))
    if not mounts:
        usual = [
            Mount(1, "/", f"/sys/fs/cgroup/{controller}", frozenset([controller])),
            Mount(2, "/", "/sys/fs/cgroup", frozenset()),
        ]
        mounts = [mount for mount in usual if files.has_directory(mount.point)]
    first = [mount for mount in mounts if controller in mount.controllers]
    return first or [mount for mount in mounts if mount.version == 2]


def _levels(files: _Files, controller: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Version, directory and name of each cgroup from where the service will live up to the topmost visible one.

    A service is a child of PID 1's tree (system.slice, and there in a slice of its own once anything of the app runs),
    wherever the session lives that asks.
    """
    paths = parse_cgroups(files.read("/proc/1/cgroup"))
    seen: list[tuple[Mount, str]] = []
    for mount in _mounts(files, controller):
        path = paths.get(controller if mount.version == 1 else "", "/").removesuffix("/init.scope")
        # A path outside the mount ("/.." in a cgroup namespace) can't be followed: what is left is the mount's root.
        below = path_below(path, mount.root)
        seen.append((mount, "" if below is None else below))
    if not seen:
        return
    # Of several mounts of one hierarchy the one that shows the longest way up.
    mount, path = max(seen, key=lambda item: len(item[1]))
    if files.has_directory(f"{mount.point}{path}/system.slice"):
        path += "/system.slice"
        if name and files.has_directory(f"{mount.point}{path}/{slice_of(name)}"):
            path += f"/{slice_of(name)}"
    while True:
        # A container's full id would only drown the sentence that names it.
        yield mount.version, mount.point + path, re.sub(r"([0-9a-f]{12})[0-9a-f]{52}", r"\1", path) or "/"
        if not path:
            return
        path = path.rpartition("/")[0]


def service_affinity() -> int:
    """How many CPUs PID 1 may run on, which is what it hands down; a session's own affinity can be another."""
    for pid in (1, 0):
        try:
            return len(os.sched_getaffinity(pid))
        except (AttributeError, OSError):
            continue
    return os.cpu_count() or 1


def read_capacity(fs_root: str = "/", affinity: Callable[[], int] = service_affinity, name: str = "") -> Capacity:
    """What the service will get, the lowest limit on its way up. Raises CapacityError without /proc/meminfo.

    :param name: of the app, whose own slice counts as well.
    """
    files = _Files(fs_root)
    cpus: tuple[float, str] = (float(affinity()), "affinity")
    for version, directory, level in _levels(files, "cpuset", name):
        file = "cpuset.cpus.effective" if version == 2 else "cpuset.cpus"
        count = parse_cpu_list(files.read(f"{directory}/{file}"))
        cpus = min(cpus, (float(count or cpus[0]), f"cgroup v{version} cpuset at {level}"), key=lambda item: item[0])
    for version, directory, level in _levels(files, "cpu", name):
        parts = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota = parse_quota(" ".join(files.read(f"{directory}/{part}") for part in parts))
        cpus = min(cpus, (quota or cpus[0], f"cgroup v{version} quota at {level}"), key=lambda item: item[0])

    total = parse_mem_total(files.read("/proc/meminfo"))
    if total is None:
        raise CapacityError("/proc/meminfo doesn't say how much memory there is: the plan needs a Linux host.")
    memory = (total, "MemTotal")
    own = total
    for version, directory, level in _levels(files, "memory", name):
        # Past memory.high a service is throttled to a crawl, so it is as good as a limit.
        for file in ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",):
            limit = parse_memory_limit(files.read(f"{directory}/{file}"))
            if limit is not None and name and level.endswith(f"/{slice_of(name)}"):
                own = min(own, limit)
                continue
            found = (total if limit is None else limit, f"cgroup v{version} {file} at {level}")
            memory = min(memory, found, key=lambda item: item[0])
    return Capacity(*cpus, *memory, own if own < total else None)
