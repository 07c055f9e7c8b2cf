# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host's half of preflight looks at. Reads only; preflight_host judges what it found."""

from __future__ import annotations

import grp
import os
import pwd
import re
import typing as t

from .._app.roots import ADOPTED
from .._app.words import is_ours
from .._host.files import read_text, room_at
from .._release import facts
from . import gate, parse
from .background import read_background
from .caddy import read_caddy
from .certificates import read_certificates
from .logs import read_logs
from .notify import read_notify
from .owners import read_owners
from .oxmgr import read_oxmgr
from .roots import read_root

UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


def read_python(path: str) -> dict[str, t.Any]:
    """What the interpreter at `path` says of itself, or what is wrong with it as `problem`."""
    found, problem = facts.probe(path)
    return {"path": path, "real_path": os.path.realpath(path), "problem": problem, **found}


def read_holders(ports: t.Container[int]) -> list[dict[str, t.Any]]:
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


def foreign_units(name: str, supervisor: str = "systemd") -> list[str]:
    """Units that `name` would take over or hide, and that this collection didn't write."""
    found: dict[str, str] = {}
    units = [f"{name}@.service", f"{name}@.socket"] + [f"{name}-oxmgr@.service"] * (supervisor == "oxmgr")
    for directory in UNIT_DIRECTORIES:
        for unit in units:
            path = f"{directory}/{unit}"
            # /lib is a link to /usr/lib on Debian; name each unit once.
            if os.path.lexists(path) and not is_ours(read_text(path, 4096)):
                found.setdefault(f"{os.path.realpath(directory)}/{unit}", path)
    return sorted(found.values())


def plain_unit(
    name: str,
    root: str,
    run: t.Callable[[list[str]], tuple[int, str, str]],
    directory: str = UNIT_DIRECTORIES[0],
) -> bool:
    """Whether a unit of the app's plain name runs or starts at boot, and nobody has it in hand: adopt.yml ends it."""
    path = f"{directory}/{name}.service"
    if not os.path.lexists(path) or os.path.lexists(f"{root}/{ADOPTED}"):
        return False
    said = run(["systemctl", "show", "--property=ActiveState,UnitFileState", "--", f"{name}.service"])[1]
    state = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    stopped = state.get("ActiveState") in ("inactive", "failed")
    return not (stopped and state.get("UnitFileState") in ("disabled", "masked", "static"))


def missing_unit(name: str) -> str:
    """The file of a unit that is nowhere on the host; empty where it is there, or none is named."""
    stem, instance, _rest = name.partition("@")
    file = f"{stem}@.{name.rpartition('.')[2]}" if instance else name
    found = any(os.path.lexists(f"{directory}/{entry}") for directory in UNIT_DIRECTORIES for entry in (file, name))
    return "" if found or not name else file


def site_files(proxy: str, top: str = "") -> list[str]:
    """The files in which a proxy's sites are."""
    places = {
        "caddy": [(f"{top}/etc/caddy/sites", ".caddy")],
        "nginx": [(f"{top}/etc/nginx/conf.d", ".conf"), (f"{top}/etc/nginx/sites-enabled", "")],
    }
    return [
        f"{directory}/{entry}"
        for directory, suffix in places.get(proxy, [])
        for entry in (sorted(os.listdir(directory)) if os.path.isdir(directory) else [])
        # The one that begins with _ is for names that no site has.
        if entry.endswith(suffix) and not entry.startswith((".", "_"))
    ]


def is_site_of(path: str, name: str) -> bool:
    return os.path.basename(path) in (f"{name}.caddy", f"zz-graceful-{name}.conf") and is_ours(read_text(path))


def read_nginx(top: str = "") -> dict[str, t.Any]:
    """Seconds that a reload waits at most, as an earlier run wrote it (0 where none did), and whether there is IPv6."""
    found = re.search(
        r"^worker_shutdown_timeout ([0-9]+)s;", read_text(f"{top}/etc/nginx/modules-enabled/zz-graceful.conf"), re.M
    )
    return {"grace": int(found[1]) if found else 0, "ipv6": os.path.exists(f"{top}/proc/net/if_inet6")}


# Where Oxmgr listens by itself: by its user's id; root's is 47824.
_OXMGR_PORTS = range(40000, 60000)


def read_supervisor(params: dict[str, t.Any], run: t.Callable[[list[str]], tuple[int, str, str]]) -> dict[str, t.Any]:
    """The host's Oxmgr, and the daemons of it that listen to everybody on the host; {} where it isn't wanted."""
    if params.get("supervisor") != "oxmgr":
        return {}
    # Each has two; orders are taken at the lower.
    found = {row["pid"]: row for row in reversed(read_holders(_OXMGR_PORTS)) if row["program"] == "oxmgr"}
    return {**read_oxmgr(run, params["name"], bool(params.get("oxmgr"))), "daemons": [*found.values()]}


def read_sites(name: str, proxy: str, top: str = "", leaving: t.Container[str] = ()) -> dict[str, list[str]]:
    """The addresses of the other sites of the proxy, by file.

    :param leaving: files that go in this run.
    """
    read = {"caddy": parse.site_addresses, "nginx": parse.nginx_addresses}
    others = [path for path in site_files(proxy, top) if path not in leaving and not is_site_of(path, name)]
    return {path: read[proxy](read_text(path)) for path in others}


def left_sites(name: str, proxy: str, top: str = "") -> dict[str, str]:
    """The app's site in a proxy that isn't the one it is to have now, by that proxy."""
    others = [other for other in ("caddy", "nginx") if other != proxy]
    return {other: path for other in others for path in site_files(other, top) if is_site_of(path, name)}


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


def system_facts(run: t.Callable[[list[str]], tuple[int, str, str]]) -> dict[str, t.Any]:
    """What judge_system() asks for."""
    version = run(["systemctl", "--version"])[1]
    return {
        "os": parse.parse_os_release(read_text("/etc/os-release") or read_text("/usr/lib/os-release")),
        "pid1": read_text("/proc/1/comm").strip(),
        "systemd": parse.systemd_version(version) if os.path.isdir("/run/systemd/system") else None,
        "uid": os.geteuid(),
    }


def front_facts(params: dict[str, t.Any], run: t.Callable[[list[str]], tuple[int, str, str]]) -> dict[str, t.Any]:
    """What is there of proxies, sites and certificates."""
    name = params["name"]
    return {
        "ports": read_holders(parse.wanted_ports(params)),
        "sites": read_sites(name, params["proxy"], leaving=params.get("leaving") or ()),
        "left_sites": left_sites(name, params["proxy"]),
        "site": gate.read_site(name),
        "balancers": gate.read_balancers(name),
        "shares": gate.shares(name),
        "certificates": read_certificates(params),
        "caddy": read_caddy(run, name, bool(params.get("rate_limit"))) if params["proxy"] == "caddy" else {},
        "nginx": read_nginx(),
        "proxy_installed": any(os.path.exists(f"/usr/{place}/{params['proxy']}") for place in ("bin", "sbin")),
    }


def read_facts(params: dict[str, t.Any], run: t.Callable[[list[str]], tuple[int, str, str]]) -> dict[str, t.Any]:
    """Everything that preflight_host.judge() asks for."""
    name = params["name"]
    return {
        **system_facts(run),
        **front_facts(params, run),
        "python": read_python(params["python"]),
        "disks": [room_at(params["root"]), room_at("/var")],
        "logs": read_logs(params),
        "user_id": account(pwd.getpwnam, params["user"], "pw_uid"),
        "group_id": account(grp.getgrnam, params["group"], "gr_gid"),
        "root": read_root(params),
        "owners": read_owners(params),
        "in_the_way": first_file_in(params["root"]),
        "foreign_units": foreign_units(name, params.get("supervisor", "systemd")),
        "foreign_runtime": foreign_runtime(name),
        "oxmgr": read_supervisor(params, run),
        "missing_paths": [path for path in params.get("writable_paths") or [] if not os.path.isdir(path)],
        "notify": read_notify(params),
        "missing_unit": missing_unit(params.get("on_failure") or ""),
        "background": read_background(params, run, UNIT_DIRECTORIES),
        "plain_unit": plain_unit(name, params["root"], run),
    }
