# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds the ports that the proxy needs: pure functions over what facts.py read."""

from __future__ import annotations

import typing as t

from .._app.problems import Problem, write
from .parse import wanted_addresses

PROXIES = ("caddy", "nginx")


def is_other_proxy(holder: dict[str, t.Any], proxy: str) -> bool:
    program = holder["program"]
    return program in PROXIES and program != proxy and holder["unit"] == f"{program}.service"


def judge_switch(
    params: dict[str, t.Any], left: dict[str, str], holders: list[dict[str, t.Any]]
) -> t.Iterator[Problem]:
    """Another proxy than the wanted one, which has the app's site or a port that is needed.

    :param left: the app's site file in it, by proxy.
    """
    held = {row["program"]: row["port"] for row in holders if is_other_proxy(row, params["proxy"])}
    for other in sorted({*left, *held}):
        wrong = f"{other} on the host holds port {held.get(other)}."
        ways = [f"stop {other} with all its sites (systemctl disable --now {other})"] if other in held else []
        if other in left:
            # The app's sockets are for one proxy's group.
            wrong = f"{other} on the host still has the app's site, {left[other]}, and could no longer reach the app."
            out = f"rm {left[other]} && systemctl reload {other}"
            if other == "caddy":
                out = f"rm -f {left[other].removesuffix('.caddy')}.users; {out}"
            if other == "nginx":
                name = params["name"]
                units = " ".join(
                    f"{name}-nginx-{kind}" for kind in ("ready.service", "logs.timer", "certificate.service")
                )
                out += f"; systemctl disable --now {units}; certbot delete -n --cert-name graceful-{name}"
            ways.insert(0, f"take that site out ({out})")
        advice = (
            f"To stay with it, write fastapi_proxy: {other}. To switch, {' and '.join(ways)} on the host, and run again"
        )
        yield Problem("proxy", params["proxy"], wrong, f"{advice}; in between nobody is served.")


def judge_ports(params: dict[str, t.Any], holders: list[dict[str, t.Any]]) -> t.Iterator[Problem]:
    proxy = params["proxy"]
    for holder in holders:
        program, unit, port = holder["program"], holder["unit"], holder["port"]
        # The program's file may have another name: a Caddy that was brought has.
        if unit == f"{proxy}.service" or (program == proxy and not unit) or is_other_proxy(holder, proxy):
            continue
        if not holder["pid"]:
            who, stop = "a program that can't be seen from here", "find it with ss -ltnp on the host and stop it"
        elif holder["pid"] == 1:
            who, stop = "systemd for a socket unit (pid 1)", "find it with systemctl list-sockets and disable it"
        else:
            who = f"{program} (pid {holder['pid']}{', ' + unit if unit else ''})"
            command = f"systemctl disable --now {unit}" if unit.endswith(".service") else f"kill {holder['pid']}"
            stop = f"stop it on the host ({command})"
        if port == params["http_port"]:
            other = 8080 if port != 8080 else 8081
            yield Problem(
                "http_port",
                port,
                f"that port is held by {who}, so {proxy} can't listen on it.",
                f"{write('http_port', other)[:-1]}, or {stop}.",
            )
        else:
            wrong = f"it needs port {port}, and that is held by {who}."
            yield Problem("tls", params["tls"], wrong, f"Write fastapi_tls: 'off', or {stop}.")


def check_taken(params: dict[str, t.Any], sites: dict[str, list[str]]) -> t.Iterator[Problem]:
    """Addresses that the site of another app on the host has already; `sites` are those by file."""
    wanted = {address.lower() for address in wanted_addresses(params)}
    for path, taken in sites.items():
        for address in sorted(wanted & {address.lower() for address in taken}):
            wrong = f"{path} on the host already serves {address}, and {params['proxy']} takes an address once."
            advice = "Give this app other names, or remove that file, if what it serves is no more."
            if not params["domains"]:
                wrong = f"{wrong[:-1]}; without a name every request on the port is this app's."
                advice = f"Write fastapi_domains: [{params['name']}.example.com], or another fastapi_http_port."
            yield Problem("domains", params["domains"], wrong, advice)
