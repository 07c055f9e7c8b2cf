# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers that a host speaks to by ssh when it deploys by itself, and the keys by which this machine knows them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

from ...module_utils._host.run import CONTROL_NODE, ProgramError, run
from .ship import ShipError


def server_of(source: str) -> tuple[str, int] | None:
    """Host and port that ssh is asked for by a git URL; None where it goes another way."""
    source = source.removeprefix("git+")
    if match := re.match(r"ssh://(?:[^/@]*@)?(\[[^\]]+\]|[^/:]+)(?::(\d+))?/", source):
        return match[1].strip("[]"), int(match[2] or 22)
    if "://" not in source and (match := re.match(r"(?:[^/@:]*@)?([^/:]+):", source)):
        return match[1], 22
    return None


def known_hosts(servers: Iterable[tuple[str, int]]) -> str:
    """The lines of this machine's known_hosts for servers.

    :raises ShipError: for those that it has never met, or knows by another name.
    """
    lines, unknown = dict[str, None](), []
    for given, port in servers:
        # As ssh looks it up.
        server = given.lower()
        name = server if port == 22 else f"[{server}]:{port}"
        settings = _ssh_settings(server, port)
        real = settings.get("hostname", server)
        if real.lower() != server or settings.get("port", str(port)) != str(port):
            raise ShipError(
                f"{server} is a name of this machine's own (ssh reaches {real} by it, port "
                f"{settings.get('port', port)}), and the host that deploys wouldn't know it. Write that in place of "
                f"{server}."
            )
        files = f"{settings.get('userknownhostsfile', '')} {settings.get('globalknownhostsfile', '')}".split()
        files = files or ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"]
        # Of another port ssh takes the key of the plain name, too.
        found = _known(name, name, files) or _known(server, name, files)
        lines |= dict.fromkeys(found)
        unknown += [] if found else [name]
    if unknown:
        raise ShipError(
            f"{' and '.join(unknown)}: this machine's known_hosts has no key of it, so the host that deploys couldn't "
            "tell it from another. Connect to it once by ssh, compare the key with what its owner publishes, and run "
            "again."
        )
    return "".join(f"{line}\n" for line in lines)


def _ssh_settings(server: str, port: int) -> dict[str, str]:
    """How ssh, as git and Ansible start it here, takes a server's name."""
    # A port that is given would hide the one of a configuration.
    option = "" if port == 22 else f"-p {port} "
    command = f"{os.environ.get('GIT_SSH_COMMAND') or 'ssh'} -G {option}{shlex.quote(server)}"
    try:
        said = run("Asking ssh", ["/bin/sh", "-c", command], os.environ, CONTROL_NODE)
    except ProgramError:
        return {}
    return {key: value for line in said.splitlines() for key, _blank, value in [line.partition(" ")]}


def _known(asked: str, name: str, files: Iterable[str]) -> list[str]:
    """The lines of the files for what is asked for, each with the name that it is to have."""
    found = []
    for file in map(os.path.expanduser, files):
        if os.path.exists(file):
            try:
                said = run("Looking for its key", ["ssh-keygen", "-F", asked, "-f", file], os.environ, CONTROL_NODE)
            except ProgramError:
                continue
            for line in said.splitlines():
                _hashed, _blank, key = line.partition(" ")
                # A hashed name says no more than the one that was asked for.
                found += [f"{name} {key}"] if key and not line.startswith(("#", "@")) else []
    return found
