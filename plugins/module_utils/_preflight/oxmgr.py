# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Oxmgr the host has, and which of those that were brought its apps use. Reads only."""

from __future__ import annotations

import contextlib
import os
import platform
import pwd
import re
import stat
import typing as t

from .._app.slots import SLOTS
from .._host.files import names_in, read_text, sha256_of

PROGRAM = "/usr/bin/oxmgr"
LIBRARY = "/usr/local/lib"
BROUGHT = f"{LIBRARY}/graceful-oxmgr-"
"""Begins the path of a program that was brought; its digest follows."""
_APT = "/usr/bin/apt-cache"

Run = t.Callable[[list[str]], tuple[int, str, str]]


def link_of(name: str) -> str:
    """What the units NAME-oxmgr@SLOT.service start: a link to the program."""
    return f"{LIBRARY}/{name}-oxmgr"


def parse_version(text: str) -> str:
    """The number in `oxmgr --version`; empty where another program speaks."""
    match = re.match(r"oxmgr ([0-9]+\.[0-9]+\.[0-9]+)", text.strip())
    return match[1] if match else ""


def parse_candidate(text: str) -> str:
    """The number in `apt-cache show`; empty where apt knows no such package."""
    match = re.search(r"^Version: (?:[0-9]+:)?([0-9]+\.[0-9]+\.[0-9]+)", text, re.MULTILINE)
    return match[1] if match else ""


def brought(top: str = "") -> list[str]:
    """Programs that runs brought. An app's link may begin like one, and ends otherwise."""
    return [
        f"{LIBRARY}/{entry}"
        for entry in names_in(top + LIBRARY)
        if re.fullmatch(rf"{re.escape(os.path.basename(BROUGHT))}[0-9a-f]{{16}}", entry)
    ]


def leads(link: str) -> str:
    """Where a link leads; empty where there is none."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def in_use(name: str, top: str = "") -> set[str]:
    """What the links of the other apps lead to."""
    links = [f"{LIBRARY}/{entry}" for entry in names_in(top + LIBRARY) if entry.endswith("-oxmgr")]
    return {leads(top + link) for link in links if link != link_of(name)} - {""}


def places(name: str, top: str = "") -> list[str]:
    """The directories in which the app's Oxmgr keeps its state, the program where no other app has it, and last the
    link to it, by which it is known."""
    found = []
    for state in (f"/var/lib/{name}-oxmgr", f"/run/{name}-oxmgr"):
        # As systemd makes it: root's, with one for each slot. Somebody may have a directory of such a name.
        with contextlib.suppress(OSError):
            status = os.lstat(top + state)
            inside = set(names_in(top + state))
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and inside <= set(SLOTS):
                found.append(state)
    link = link_of(name)
    target = leads(top + link)
    if target in brought(top) and target not in in_use(name, top):
        found.append(target)
    if target.startswith(BROUGHT):
        found.append(link)
    return found


def led_by(path: str) -> str:
    """Who beside root could put another program there; empty where nobody could. The project's own package leaves it to
    user id 1001, who is nobody on most hosts, and the second person on some."""
    status = os.stat(path)
    if status.st_mode & 0o022:
        return "others than its owner"
    try:
        return pwd.getpwuid(status.st_uid).pw_name if status.st_uid else ""
    except KeyError:
        return ""


def read_oxmgr(run: Run, name: str, named: bool) -> dict[str, t.Any]:
    """
    :param named: whether the user names a program, so that the host's own is neither asked nor judged.
    """
    there = not named and os.path.exists(PROGRAM)
    asks_apt = not named and not there and os.path.exists(_APT)
    others = led_by(PROGRAM) if there else ""
    return {
        "machine": platform.machine(),
        "libc": platform.libc_ver()[1],
        "there": there,
        "led_by": others,
        "version": parse_version(run([PROGRAM, "--version"])[1]) if there and not others else "",
        "digest": sha256_of(PROGRAM)[:16] if there else "",
        "candidate": parse_candidate(run([_APT, "show", "--no-all-versions", "oxmgr"])[1]) if asks_apt else "",
        "brought": brought(),
        "in_use": sorted(in_use(name)),
        "link": leads(link_of(name)),
        "namespaces": os.path.exists("/proc/self/ns/net"),
        "cgroup2": " - cgroup2 " in read_text("/proc/self/mountinfo"),
    }
