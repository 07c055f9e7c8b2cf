# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Caddy will serve, and what that one can't do. Pure: the same words for preflight and for the role alone."""

from __future__ import annotations

import re
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem
from ...module_utils._preflight.caddy import BROUGHT, PACKAGED_VERSION
from .program import Kind, Program, numbers, other_machine

# Go writes the versions of everything that a program was built from into it.
_VERSION = re.compile(rb"(?:mod|dep)\tgithub\.com/caddyserver/caddy/v2\tv([0-9]+\.[0-9]+\.[0-9]+)")
KIND = Kind("Caddy", "caddy", b"caddyserver/caddy", _VERSION, "caddyserver.com")
RATE_LIMIT = "http.handlers.rate_limit"
OLDEST = (2, 6, 2)
# health_fails, trusted_proxies_strict; and client_ip and stream_close_delay, which are older.
CURRENT = (2, 8, 0)
# The first that hands on what its compression holds when the app flushes.
FLUSHES = (2, 9, 0)


def choose(host: dict[str, t.Any], program: Program | None) -> dict[str, t.Any]:
    """What the role's templates go by.

    :param host: what caddy_host.read_caddy() returned.
    :param program: the one that the user named, if any.
    :return: ``program`` (its path on the host), ``version``, ``modules``, ``current`` (whether it is 2.8 or newer),
        ``flushes`` (whether a compressed stream is one, 2.9), ``brought`` (whether it is one that the user named),
        ``present`` (whether it is on the host already), ``packages`` that give it its unit and user, ``stale`` (paths
        of programs brought before), and what the other sites want: ``others``, ``open_ports`` and ``own_main``; and
        ``drops_on_reload``.
    """
    if program:
        path, version = BROUGHT + program.digest, program.version
        modules = [RATE_LIMIT] if RATE_LIMIT.encode() in program.content else []
        present = path in host["brought"]
    else:
        path, version, modules = host["program"], host["version"], host["modules"]
        present = bool(version)
    version = version or PACKAGED_VERSION
    hand_made = bool(host["version"]) and not host["packaged"]
    return {
        "program": path,
        "version": version,
        "modules": modules,
        "current": numbers(version) >= CURRENT,
        "flushes": numbers(version) >= FLUSHES,
        "brought": program is not None,
        "present": present,
        # A Caddy that no package brought isn't overwritten by one.
        "packages": [] if hand_made else ["caddy"],
        "stale": [old for old in host["brought"] if old != path],
        "others": host["others"],
        "open_ports": host["open_ports"],
        "own_main": host["own_main"],
        "drops_on_reload": host["drops_on_reload"],
    }


def problems(params: dict[str, t.Any], host: dict[str, t.Any], program: Program | None) -> t.Iterator[Problem]:
    """What can't be had.

    :param params: ``caddy``, ``rate_limit``, ``trusted_proxies`` and ``protect``, as in the role fastapi.
    """
    chosen = choose(host, program)
    version = chosen["version"]
    if program:
        yield from other_machine("caddy", params["caddy"], program, host["machine"])
    if not program and host["version"] and not host["packaged"] and not (host["unit"] and host["account"]):
        lacks = "no caddy.service" if not host["unit"] else "no user and group caddy"
        wrong = f"the host has a Caddy that no package brought ({host['program']}), and {lacks} to run it."
        advice = "Remove that program, and Debian's is installed; or install Caddy as its documentation says for units."
        yield Problem("caddy", params["caddy"], wrong, advice)
    if numbers(version) < OLDEST:
        wrong = f"Caddy {version} is too old; the site needs 2.6.2 or newer."
        yield Problem("caddy", params["caddy"], wrong, "Update it on the host, or name a newer program.")
    if params["rate_limit"] and RATE_LIMIT not in chosen["modules"]:
        whose = "the Caddy that you name" if program else f"the host's Caddy {version}"
        wrong = f"{whose} lacks the module {RATE_LIMIT}, and would refuse the site."
        advice = "Name a Caddy that was built with it in fastapi_caddy, or write fastapi_proxy: nginx, which can."
        yield Problem("rate_limit", params["rate_limit"], wrong, advice)
    if params["trusted_proxies"] and not chosen["current"]:
        entries = [entry["path"] for entry in params["protect"] if entry.get("addresses")]
        if entries:
            wrong = (
                f"Caddy {version} knows a client behind a trusted proxy by no address that {entries[0]} could go by."
            )
            advice = "Name Caddy 2.8 or newer in fastapi_caddy, write fastapi_proxy: nginx, or protect it by users."
            yield Problem("protect", HIDDEN, wrong, advice)


def warnings(chosen: dict[str, t.Any]) -> list[str]:
    said = []
    if chosen["own_main"]:
        said.append(
            "/etc/caddy/Caddyfile is your own and left alone, so the times for a request's head, for idle connections "
            "and for a reload are the ones in it, and a request for a name that no site has is answered as it says."
        )
    if chosen["drops_on_reload"]:
        said.append(
            "net.ipv4.tcp_migrate_req is 0, and can't be set from inside this host, as in a container. "
            "A request that arrives while Caddy reads a changed site may be lost. Deploys reload nothing. Where the "
            "host is started, set it to 1: with Docker, --sysctl net.ipv4.tcp_migrate_req=1."
        )
    return said
