# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's processes as /proc shows them, below a root that tests can set."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from .._host.reading import read_text

_CONTAINER = re.compile(
    r"(?:docker[-/]|libpod-|cri-containerd-|/lxc/|lxc\.payload\.)([0-9a-zA-Z_.-]{4,64}?)(?:\.scope)?(?:/|$)"
)


@dataclass
class Process:
    """One process.

    :param argv: its command, word by word; one word where the program has changed it.
    :param unit: systemd's unit, '' where it is in none, or it isn't known.
    :param container: the id of the container that it is in, '' for none.
    :param environ: None where it may not be read.
    :param files: what it has open, by descriptor; None where that may not be read.
    """

    pid: int
    ppid: int
    argv: list[str]
    uid: int = 0
    gids: tuple[int, ...] = ()
    cwd: str = ""
    unit: str = ""
    cgroup: str = ""
    container: str = ""
    environ: dict[str, str] | None = None
    files: dict[int, str] | None = None
    children: list[Process] = field(default_factory=list)

    @property
    def program(self) -> str:
        """Its command's first word, without the directory; some write one text over their whole command, some none."""
        return os.path.basename((self.argv[0].split() or [""])[0]) if self.argv else ""


def parse_status(text: str) -> tuple[int, int, tuple[int, ...]]:
    """Parent, effective user, and all groups, from /proc/PID/status."""
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    uids, gids = rows.get("Uid", "0 0").split(), rows.get("Gid", "0 0").split()
    groups = {int(gids[1]), *map(int, rows.get("Groups", "").split())}
    return int(rows.get("PPid", "0").strip() or 0), int(uids[1]), tuple(sorted(groups))


def parse_cgroup(text: str, own: str) -> tuple[str, str, str]:
    """The path that systemd knows, the unit, and the container of a /proc/PID/cgroup, v1 or v2.

    :param own: the same of PID 1: the host may be a container itself.
    """
    path, before = _path(text), re.sub(r"/init\.scope$", "", _path(own)).rstrip("/")
    below = path[len(before) :] if before and f"{path}/".startswith(f"{before}/") else path
    container = _CONTAINER.search(below)
    parts = [part for part in below.split("/") if part.endswith((".service", ".scope"))]
    return below, "" if container or not parts else parts[-1], container[1] if container else ""


def _path(text: str) -> str:
    rows = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    found = {controllers: path for _number, controllers, path in rows}
    named = found.get("name=systemd")
    return named if named is not None else found.get("", "/")


def read_process(pid: int, root: str = "/") -> Process | None:
    """None where it has ended, or is the kernel's own."""
    here = os.path.join(root, "proc", str(pid))
    words = read_text(os.path.join(here, "cmdline")).split("\0")
    argv = [word for word in words[:-1] or words if word] if words != [""] else []
    status = read_text(os.path.join(here, "status"))
    if not argv or not status:
        return None
    cgroup, unit, container = parse_cgroup(
        read_text(os.path.join(here, "cgroup")), read_text(os.path.join(root, "proc/1/cgroup"))
    )
    return Process(
        pid,
        *_people(status, argv),
        cwd=_link(os.path.join(here, "cwd")),
        unit=unit,
        cgroup=cgroup,
        container=container,
    )


def _people(status: str, argv: list[str]) -> tuple[int, list[str], int, tuple[int, ...]]:
    ppid, uid, gids = parse_status(status)
    return ppid, argv, uid, gids


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def read_all(root: str = "/") -> dict[int, Process]:
    """Every process that has a command, by id, with its children."""
    try:
        pids = sorted(int(name) for name in os.listdir(os.path.join(root, "proc")) if name.isdecimal())
    except OSError:
        pids = []
    found = {pid: process for pid in pids if (process := read_process(pid, root))}
    for process in found.values():
        if process.ppid in found:
            found[process.ppid].children.append(process)
    return found


def read_more(process: Process, root: str = "/") -> None:
    """Its environment and what it has open, which only root and its own user may read."""
    here = os.path.join(root, "proc", str(process.pid))
    try:
        with open(os.path.join(here, "environ"), "rb") as file:
            rows = file.read(1 << 20).decode(errors="replace").split("\0")
        process.environ = dict(row.split("=", 1) for row in rows if "=" in row)
    except OSError:
        process.environ = None
    try:
        numbers = [name for name in os.listdir(os.path.join(here, "fd")) if name.isdecimal()]
        process.files = {int(name): _link(os.path.join(here, "fd", name)) for name in numbers}
    except OSError:
        process.files = None


def parse_tcp(text: str) -> list[tuple[str, int, int]]:
    """Address, port and inode of each listening socket in /proc/net/tcp or tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A":
            address, _colon, port = fields[1].rpartition(":")
            found.append((_address(address), int(port, 16), int(fields[9])))
    return found


def _address(words: str) -> str:
    """'0.0.0.0', '127.0.0.1', '::', '::1', or the hexadecimal digits of another IPv6 address."""
    data = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    if len(data) == 4:
        return ".".join(map(str, data))
    if data[:12] == bytes(10) + b"\xff\xff":
        return ".".join(map(str, data[12:]))
    return {bytes(16): "::", bytes(15) + b"\1": "::1"}.get(data, data.hex())


def parse_unix(text: str) -> dict[int, str]:
    """Path by inode of the unix sockets that listen (flag 00010000) in /proc/net/unix."""
    rows = (line.split(None, 7) for line in text.splitlines()[1:])
    return {int(row[6]): row[7] for row in rows if len(row) == 8 and int(row[3], 16) & 0x10000}


def sockets_of(process: Process) -> set[int]:
    """Inodes of the sockets that it has open."""
    links = (process.files or {}).values()
    return {int(match[1]) for link in links if (match := re.fullmatch(r"socket:\[([0-9]+)\]", link))}


def descendants(process: Process) -> list[Process]:
    found = list(process.children)
    for child in found:
        found += [each for each in child.children if each not in found]
    return found
