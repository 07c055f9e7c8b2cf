# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host's half of preflight looks at. Reads only; preflight_host judges what it found.

Runs on hosts that are about to be refused, so it keeps to what Python 3.8 understands.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
import typing as t

from ansible_collections.graceful.deploy.plugins.module_utils import preflight_parse as parse
from ansible_collections.graceful.deploy.plugins.module_utils import release_facts

UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


def read_text(path: str, limit: int = -1) -> str:
    """A file's text; empty where it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""


def read_python(path: str) -> dict[str, t.Any]:
    """What the interpreter at `path` says of itself, or what is wrong with it as `problem`."""
    found, problem = release_facts.probe(path)
    return {"path": path, "real_path": os.path.realpath(path), "problem": problem, **found}


def nearest_directory(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def read_disk(path: str) -> dict[str, t.Any]:
    """Free space where `path` is or will be, as an ordinary write sees it (root's reserve isn't counted)."""
    where = nearest_directory(path)
    stats = os.statvfs(where)
    return {
        "path": where,
        "device": os.stat(where).st_dev,
        "free_bytes": stats.f_bavail * stats.f_frsize,
        # A file system without a fixed number of inodes, such as btrfs, says 0 of 0.
        "free_inodes": stats.f_favail if stats.f_files else None,
        "read_only": bool(stats.f_flag & os.ST_RDONLY),
    }


def read_holders(ports: list[int]) -> list[dict[str, t.Any]]:
    """Which program listens on which of these TCP ports; pid 0 where the program can't be seen."""
    sockets = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for port, inode in parse.parse_listeners(read_text(table)):
            if port in ports:
                sockets[f"socket:[{inode}]"] = port
    if not sockets:
        return []
    owners: dict[int, int] = {}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        for link in open_files(pid):
            # systemd keeps a copy of each socket that it activated; the program that serves comes after it.
            if link in sockets and owners.get(sockets[link], 1) == 1:
                owners[sockets[link]] = pid
    return [describe(port, owners.get(port, 0)) for port in sorted(set(sockets.values()))]


def open_files(pid: int, proc: str = "/proc") -> list[str]:
    """What a process has open; not what it closes while we look, as a proxy under load does all the time."""
    links = []
    try:
        entries = os.listdir(f"{proc}/{pid}/fd")
    except OSError:
        return []
    for entry in entries:
        try:
            links.append(os.readlink(f"{proc}/{pid}/fd/{entry}"))
        except OSError:
            continue
    return links


def describe(port: int, pid: int) -> dict[str, t.Any]:
    program = read_text(f"/proc/{pid}/comm").strip() if pid else ""
    return {"port": port, "pid": pid, "program": program, "unit": parse.unit_of(read_text(f"/proc/{pid}/cgroup"))}


def foreign_units(name: str) -> list[str]:
    """Units that `name` would take over or hide, and that this collection didn't write."""
    found = {}
    for directory in UNIT_DIRECTORIES:
        for suffix in ("service", "socket"):
            path = f"{directory}/{name}@.{suffix}"
            # /lib is a link to /usr/lib on Debian; name each unit once.
            if os.path.lexists(path) and not parse.is_ours(read_text(path, 4096)):
                found.setdefault(os.path.realpath(directory) + suffix, path)
    return sorted(found.values())


def read_sites(name: str, directory: str = "/etc/caddy/sites") -> dict[str, list[str]]:
    """The addresses of the other apps' sites, by file."""
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    paths = [f"{directory}/{entry}" for entry in names if entry.endswith(".caddy") and entry != f"{name}.caddy"]
    return {path: parse.site_addresses(read_text(path)) for path in paths}


def first_file_in(path: str) -> str:
    """The first part of `path` that exists and isn't a directory; empty where there is none."""
    parts = path.strip("/").split("/")
    for length in range(1, len(parts) + 1):
        part = "/" + "/".join(parts[:length])
        if os.path.lexists(part) and not os.path.isdir(part):
            return part
    return ""


def foreign_runtime(name: str) -> list[str]:
    """What another program keeps under /run/<name>, where systemd will put the slots' sockets."""
    path = f"/run/{name}"
    if any(os.path.exists(f"{directory}/{name}@.socket") for directory in UNIT_DIRECTORIES):
        return []  # whose those are is for foreign_units() to say
    if not os.path.isdir(path):
        return [path] if os.path.lexists(path) else []
    return sorted(f"{path}/{entry}" for entry in os.listdir(path) if entry not in ("blue.sock", "green.sock"))


def account(lookup: t.Callable[[str], t.Any], name: str, field: str) -> int | None:
    try:
        return int(getattr(lookup(name), field))
    except KeyError:
        return None


def read_facts(params: dict[str, t.Any], run: t.Callable[[list[str]], tuple[int, str, str]]) -> dict[str, t.Any]:
    """Everything that preflight_host.judge() asks for."""
    version = run(["systemctl", "--version"])[1]
    name = params["name"]
    return {
        "os": parse.parse_os_release(read_text("/etc/os-release") or read_text("/usr/lib/os-release")),
        "pid1": read_text("/proc/1/comm").strip(),
        "systemd": parse.systemd_version(version) if os.path.isdir("/run/systemd/system") else None,
        "uid": os.geteuid(),
        "modules_python": (sys.executable, list(sys.version_info[:3])),
        "python": read_python(params["python"]),
        "disks": [read_disk(params["root"]), read_disk("/var")],
        "ports": read_holders(parse.wanted_ports(params)),
        "sites": read_sites(name) if params["proxy"] == "caddy" else {},
        "user_id": account(pwd.getpwnam, params["user"], "pw_uid"),
        "group_id": account(grp.getgrnam, params["group"], "gr_gid"),
        "in_the_way": first_file_in(params["root"]),
        "foreign_units": foreign_units(name),
        "foreign_runtime": foreign_runtime(name),
        "proxy_installed": os.path.exists(f"/usr/bin/{params['proxy']}"),
        "plain_unit": os.path.lexists(f"/etc/systemd/system/{name}.service"),
    }
