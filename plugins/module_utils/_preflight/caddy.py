# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host's Caddy is and what the sites on the host want of it. Reads only."""

from __future__ import annotations

import glob
import grp
import hashlib
import os
import platform
import pwd
import re
import typing as t

from .._app.words import MARK, parse_wants
from .._host.files import read_text

# What apt brings on Debian 12 and 13: what a bare host will have.
PACKAGED_VERSION = "2.6.2"
PROGRAM = "/usr/bin/caddy"
BROUGHT = "/usr/local/lib/graceful-caddy-"
MAIN = "/etc/caddy/Caddyfile"
_MIGRATE = "/proc/sys/net/ipv4/tcp_migrate_req"


Run = t.Callable[[list[str]], tuple[int, str, str]]


def parse_version(text: str) -> str:
    """The number in `caddy version`, which says "2.6.2" in Debian and "v2.11.7 h1:…" elsewhere; empty where none is."""
    match = re.match(r"v?([0-9]+\.[0-9]+\.[0-9]+)", text.strip())
    return match.group(1) if match else ""


def parse_exec_start(text: str) -> str:
    """The program in `systemctl show -p ExecStart`; empty where there is none."""
    match = re.search(r"path=(\S+)", text)
    return match.group(1) if match else ""


def open_ports(text: str) -> list[int]:
    """Ports on which somebody's own site file answers to any name, and where a second such site would be refused."""
    ports = set()
    for line in text.splitlines():
        if not line.endswith("{") or line[:1].isspace():
            continue
        for address in re.split(r"[,\s]+", line[:-1]):
            match = re.fullmatch(r"(https?://)?(?::([0-9]{1,5}))?", address)
            if address and match:
                ports.add(int(match.group(2) or (80 if match.group(1) == "http://" else 443)))
    return sorted(ports)


def has_account() -> bool:
    try:
        return bool(pwd.getpwnam("caddy") and grp.getgrnam("caddy"))
    except KeyError:
        return False


def is_packaged(run: Run, main: str) -> bool:
    """Whether the main file is as the package brought it, as layer_files.somebody_elses() sees it."""
    listed = run(["dpkg-query", "-W", "-f", "${Conffiles}\\n", "--", "caddy"])[1]
    return f"{MAIN} {hashlib.md5(main.encode(), usedforsecurity=False).hexdigest()}" in listed


def drops_on_reload(path: str = _MIGRATE) -> bool:
    """Whether a reload drops what waits in the old queues, and the role can't do anything about it: in most containers
    /proc/sys is read-only, for root too."""
    return read_text(path).strip() == "0" and not os.access(path, os.W_OK)


def _ask(run: Run, command: list[str]) -> str:
    return run(command)[1] if os.path.exists(command[0]) or "/" not in command[0] else ""


def read_caddy(run: Run, name: str, modules: bool) -> dict[str, t.Any]:
    """The host's own Caddy and the wishes of the other apps' sites.

    :param name: the app, whose own site is left out.
    :param modules: whether to ask for the modules that are no part of Caddy, which takes a tenth of a second.
    """
    program = parse_exec_start(_ask(run, ["systemctl", "show", "-p", "ExecStart", "caddy.service"]))
    unit = bool(program)
    if not program or program.startswith(BROUGHT):
        program = PROGRAM
    paths = [path for path in sorted(glob.glob("/etc/caddy/sites/*.caddy")) if path != f"/etc/caddy/sites/{name}.caddy"]
    texts = [read_text(path) for path in paths]
    wants = [parse_wants(text) for text in texts]
    main = read_text(MAIN)
    return {
        "machine": platform.machine(),
        "program": program,
        "version": parse_version(_ask(run, [program, "version"])),
        "modules": sorted(_ask(run, [program, "list-modules"]).split()) if modules else [],
        "unit": unit,
        "account": has_account(),
        "packaged": os.path.exists("/var/lib/dpkg/info/caddy.list"),
        "own_main": bool(main) and not main.startswith(MARK) and not is_packaged(run, main),
        "drops_on_reload": drops_on_reload(),
        "brought": sorted(glob.glob(BROUGHT + "*")),
        "others": [want for want in wants if want],
        "open_ports": sorted(
            {port for number, want in enumerate(wants) if want is None for port in open_ports(texts[number])}
        ),
    }
