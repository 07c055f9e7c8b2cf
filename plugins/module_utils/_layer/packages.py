# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages and the user of a layer: what dpkg and the user database say, and the commands that change them."""

from __future__ import annotations

import grp
import pwd
from typing import Any

from .._host.systemd import CommandFailed, Run

APT_GET = [
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    # Another apt (unattended-upgrades on a fresh host) is waited for, not collided with.
    "-o",
    "DPkg::Lock::Timeout=300",
    # A configuration file that someone changed stays as it is.
    "-o",
    "Dpkg::Options::=--force-confold",
    # Nothing that somebody else needs goes for it, and no name is taken for the order to remove something (curl-).
    "--no-remove",
    "-y",
    "-q",
]


def missing_packages(run: Run, names: list[str]) -> list[str]:
    """Those of ``names`` that dpkg doesn't have installed."""
    if not names:
        return []
    out = run(["dpkg-query", "-W", "-f", "${Package} ${Architecture} ${db:Status-Status}\\n", "--", *names])[1]
    rows = [line.split() for line in out.splitlines() if line.endswith(" installed")]
    installed = {name for package, architecture, _status in rows for name in (package, f"{package}:{architecture}")}
    return [name for name in names if name not in installed]


def install_packages(run: Run, names: list[str]) -> None:
    """Install from the host's own sources; their lists are fetched only where the first try needs newer ones.

    :raises CommandFailed: when apt-get can't, or a name is one that only other packages provide.
    """
    command = [*APT_GET, "install", "--no-install-recommends", "--", *names]
    status, out, err = run(command)
    if status:
        status, out, err = run([*APT_GET, "update"])
        if status == 0:
            status, out, err = run(command)
    if status:
        raise CommandFailed(f"apt-get could not install {' '.join(names)}: {apt_errors(out + err)}")
    # Such a name would be missing, and "changed", in every run.
    if virtual := missing_packages(run, names):
        raise CommandFailed(
            f"apt-get installed what provides {' '.join(virtual)}, but no package has that name. "
            "Write the real one; `apt-get install` on the host says which there are."
        )


def apt_errors(said: str) -> str:
    """What of apt-get's output says why it failed: its E: lines, or else the last ones."""
    lines = said.strip().splitlines()
    return "\n".join([line[3:] for line in lines if line.startswith("E: ")] or lines[-8:])


def user_commands(user: dict[str, Any]) -> list[list[str]]:
    """The commands that a missing group or user takes; none where both are there. An existing user is left as it is."""
    commands = []
    try:
        grp.getgrnam(user["group"])
    except KeyError:
        commands.append(["groupadd", "--system", "--", user["group"]])
    try:
        pwd.getpwnam(user["name"])
    except KeyError:
        options = ["--system", "--no-create-home", "--home-dir", user["home"], "--shell", user["shell"]]
        commands.append(["useradd", *options, "--gid", user["group"], "--", user["name"]])
    return commands
