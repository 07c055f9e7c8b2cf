# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Oxmgr runs the slots, and what can't be had under it. Pure: the same words for preflight and for the role
alone."""

from __future__ import annotations

import re
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem
from ...module_utils._preflight.oxmgr import BROUGHT, PROGRAM
from .program import Kind, Program, numbers, other_machine

TESTED = "0.5.0"
"""Others are refused: 0.4 has no ``list --json`` and keeps logs otherwise, and 0.6.0 stops its apps by itself when its
own service is stopped."""
_VERSION = re.compile(rb"([0-9]+\.[0-9]+\.[0-9]+)Oxmgr process manager")
KIND = Kind("Oxmgr", "oxmgr", b"OXMGR_DAEMON_ADDR", _VERSION, "the releases page of the project Oxmgr")
_GET = f"Take version {TESTED} from the releases page of the project Oxmgr, and write its path on your machine"
_GET += " (the program or the .deb) as fastapi_oxmgr."


def choose(host: dict[str, t.Any], program: Program | None) -> dict[str, t.Any]:
    """What the role goes by.

    :param host: what read_oxmgr() returned.
    :param program: the one that the user named, if any.
    :return: ``program`` (its path on the host), ``version``, ``brought`` (whether it is one that the user named),
        ``present`` (whether it is there already), ``source`` (the host's own file that it is a copy of, which nobody
        can exchange and no upgrade does), ``packages`` that bring that one, ``linked`` (whether the app's unit starts
        it already), ``stale`` (programs brought before that no app uses), and ``daemons``, others that listen on the
        host.
    """
    digest = program.digest if program else host["digest"]
    # Before its package is installed, nobody knows the digest.
    path = BROUGHT + digest if digest else PROGRAM
    return {
        "program": path,
        "version": program.version if program else host["version"] or host["candidate"],
        "brought": program is not None,
        "present": path in host["brought"],
        "source": PROGRAM if host["there"] else "",
        "packages": [] if digest else ["oxmgr"],
        # Somebody may have taken away what the link leads to.
        "linked": host["link"] == path and path in host["brought"],
        "stale": [old for old in host["brought"] if old not in (path, *host["in_use"])],
        "daemons": host.get("daemons", []),
    }


def glibc_of(program: Program) -> str:
    """The version of the C library that a program needs; empty for one that brings its own."""
    found = re.findall(rb"GLIBC_([0-9]+\.[0-9]+)", program.content)
    return max((version.decode() for version in found), key=numbers, default="")


def problems(params: dict[str, t.Any], host: dict[str, t.Any], program: Program | None) -> t.Iterator[Problem]:
    """What can't be had.

    :param params: ``oxmgr``, as in the role fastapi.
    """
    if not host["namespaces"]:
        wrong = "the host has no namespaces of the network, without which every user of it could command the daemon."
        yield Problem("supervisor", "oxmgr", wrong, "Write fastapi_supervisor: systemd.")
    if not host["cgroup2"]:
        wrong = "the host has cgroups of version 1 alone, with which it was never tried."
        advice = "Write fastapi_supervisor: systemd, or have systemd boot with version 2, which is Debian's default."
        yield Problem("supervisor", "oxmgr", wrong, advice)
    if program:
        yield from _named(params["oxmgr"], host, program)
        return
    version = choose(host, None)["version"]
    if host["led_by"]:
        wrong = f"the host's {PROGRAM} can be exchanged by {host['led_by']}, and root would run what they put there."
        advice = f"See that it is the right one, and make it root's: chown root:root {PROGRAM}; chmod 755 {PROGRAM}."
        yield Problem("supervisor", "oxmgr", wrong, advice)
    elif host["there"] and not host["version"]:
        wrong = f"the host's {PROGRAM} doesn't say that it is Oxmgr."
        yield Problem("supervisor", "oxmgr", wrong, f"Remove that. {_GET}")
    elif not version:
        wrong = f"the host has no Oxmgr: there is no {PROGRAM}, and its apt knows no package oxmgr."
        yield Problem("supervisor", "oxmgr", wrong, _GET)
    elif wrong := _untested(version):
        whose = f"the host's {PROGRAM}" if host["there"] else "the package that the host's apt has"
        yield Problem("supervisor", "oxmgr", f"{whose} is Oxmgr {version}. {wrong}", _GET)


def _named(path: str, host: dict[str, t.Any], program: Program) -> t.Iterator[Problem]:
    yield from other_machine("oxmgr", path, program, host["machine"])
    needs = glibc_of(program)
    if needs and host["libc"] and numbers(needs) > numbers(host["libc"]):
        wrong = f"that program needs glibc {needs}, and the host has {host['libc']}, so it wouldn't start."
        yield Problem("oxmgr", path, wrong, "Name the .deb, or the program of an archive with musl in its name.")
    if not program.version:
        yield Problem("oxmgr", path, "that program doesn't say its version.", f"Name the .deb of version {TESTED}.")
    elif wrong := _untested(program.version):
        yield Problem("oxmgr", path, f"that is Oxmgr {program.version}. {wrong}", f"Name version {TESTED}.")


def _untested(version: str) -> str:
    """Why it isn't this version, to go on; empty where it is the tested one."""
    if numbers(version) < numbers(TESTED):
        return f"Older ones than {TESTED} can't tell the state of an app in a form for programs."
    if numbers(version) >= (0, 6, 0):
        return "From 0.6.0 on it stops its apps by itself at its end, and notes that they are to stay stopped."
    return "" if version == TESTED else f"Tested is {TESTED} alone."


def warnings(chosen: dict[str, t.Any]) -> list[str]:
    return [
        f"An Oxmgr that isn't this app's listens on port {daemon['port']} of the host (pid {daemon['pid']}, "
        f"{daemon['unit'] or 'no unit'}). It does as its own user whatever any user or program of this host tells it, "
        "an app that was broken into as well. If nothing needs it, end it."
        for daemon in chosen["daemons"]
    ]


_OWN = "Take it out: the launcher of the slots does as much for the app, whatever the daemon may do."
_SYSTEMD = "Take it out, or write fastapi_supervisor: systemd."
_LISTEN = "Take it out; whether the app may open ports is fastapi_allow_listen."
_ROOTS = "the daemon is root to become the app's user, and would no longer start it."
_NETWORK = "the daemon has a network of its own, which keeps everybody else's orders out, and the slots the host's."
_REFUSED = (
    ("PrivateUsers", "in such a namespace the daemon couldn't become the app's user.", _SYSTEMD),
    ("CapabilityBoundingSet", _ROOTS, _OWN),
    ("AmbientCapabilities", "the launcher takes all capabilities from a slot before the app begins.", _SYSTEMD),
    ("NoNewPrivileges", "the daemon and the launcher both have it, and the launcher can't leave it out.", _SYSTEMD),
    ("SupplementaryGroups", "a slot gets the groups of its user.", "Take it out, and add the user to the group."),
    ("UMask", "a slot has 0077.", _SYSTEMD),
    ("BindReadOnlyPaths", "the daemon has its own there, and yours would be lost.", _SYSTEMD),
    ("RestrictNamespaces", "a slot leaves the daemon's network for the host's, which this would forbid.", _OWN),
    ("SystemCallFilter", "the daemon needs calls that an app doesn't, and the filter would be both's.", _LISTEN),
    ("PrivateNetwork|NetworkNamespacePath", _NETWORK, _SYSTEMD),
    ("RestrictNetworkInterfaces|IPAddress.*", "it would cut the daemon off from its own orders as well.", _SYSTEMD),
    ("SocketBind.*", "the daemon binds two ports of its own network, and this would be both's.", _LISTEN),
)


def check(values: dict[str, t.Any]) -> list[Problem]:
    """What can't be had under Oxmgr, by the variables alone; one that is missing here is refused already."""
    if values.get("supervisor") != "oxmgr":
        return []
    found = []
    if unit := values.get("on_failure"):
        wrong = "under Oxmgr systemd sees the daemon alone, which goes on when a slot has failed for good."
        advice = "Take it out and watch what status.yml or NAME-oxmgr events say, or write fastapi_supervisor: systemd."
        found.append(Problem("on_failure", unit, wrong, advice))
    for name in values.get("sandbox") or {}:
        for pattern, wrong, advice in _REFUSED:
            if re.fullmatch(pattern, name):
                found.append(Problem("sandbox", HIDDEN, f"{name} in it can't be had under Oxmgr: {wrong}", advice))
    return found
