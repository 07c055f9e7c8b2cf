# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""By which addresses a balancer comes to the app's hosts, and which one it shares with whom."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import typing as t

from .._app.problems import HIDDEN, Problem
from .._host.files import names_in, read_text

SHARED = "/etc/keepalived/graceful"
_PORT = 9


def read_shared(name: str, directory: str = SHARED) -> list[dict[str, t.Any]]:
    """Addresses that other apps share on this host: ``app``, ``address``, ``interface`` and ``router``."""
    others = [entry.removesuffix(".conf") for entry in names_in(directory) if entry.endswith(".conf")]
    read = ((other, parse_shared(read_text(os.path.join(directory, f"{other}.conf")))) for other in others)
    return [{"app": other, **found} for other, found in read if found and other != name]


def parse_shared(text: str) -> dict[str, t.Any]:
    """What role fastapi wrote for keepalived; {} where it is something else. Pure."""
    address = re.search(r"^\s*virtual_ipaddress \{\s*([0-9a-fA-F.:]+)/", text, re.M)
    interface, router = (re.search(rf"^\s*{word} (\S+)$", text, re.M) for word in ("interface", "virtual_router_id"))
    if not (address and interface and router and router[1].isdigit()):
        return {}
    return {"address": address[1], "interface": interface[1], "router": int(router[1])}


def judge_shared(params: dict[str, t.Any], interface: str, others: list[dict[str, t.Any]]) -> t.Iterator[Problem]:
    """keepalived takes an address, and the number that it knows it by, once for each interface; else it ends."""
    whole = params.get("balancer_address", "")
    if not whole:
        return
    address, router = ipaddress.ip_address(whole.partition("/")[0]), params["fleet"]["router"]
    for other in others:
        if ipaddress.ip_address(other["address"]) == address:
            wrong = f"{other['app']} shares that address on this host already, and keepalived would have it twice."
            advice = (
                "Apps that share balancers share the address too, written for one of them: take it out of the "
                f"variables of {params['name']}."
            )
        elif (other["interface"], other["router"]) == (interface, router):
            wrong = (
                f"keepalived would know it by the number {router}, by which it knows {other['address']} of "
                f"{other['app']} on this host."
            )
            advice = "Write another free address of that network: the number is made of it."
        else:
            continue
        yield Problem("balancer_address", whole, wrong, advice)


def read_ways(fleet: dict[str, t.Any]) -> dict[str, t.Any]:
    """From which address this host comes to each of the app's, and whether the one that they let in is its own."""
    return {
        "from": {host["name"]: source_to(host["address"]) for host in fleet.get("hosts", ())},
        "local": not fleet or is_local(fleet["address"]),
    }


def source_to(address: str) -> str:
    """The address that this host would send from; '' where there is no way. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((address, _PORT))
            return str(asked.getsockname()[0]).partition("%")[0]
    except OSError:
        return ""


def is_local(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as own:
            own.bind((address, 0))
    except OSError:
        return False
    return True


def judge_ways(params: dict[str, t.Any], ways: dict[str, t.Any]) -> t.Iterator[Problem]:
    """An address that the app's hosts don't let in, or that keepalived couldn't speak from."""
    fleet, me = params.get("fleet") or {}, params.get("here", "this balancer")
    if params.get("balancer_address") and not ways["local"]:
        wrong = (
            f"{me} is {fleet['address']} to the others, which no interface of it has; one that shares needs its own."
        )
        yield Problem(
            "address", HIDDEN, wrong, f"Write fastapi_address among the variables of {me}, as ip address shows it."
        )
        return
    # The shared one is let in, too.
    good = {fleet.get("address"), params.get("balancer_address", "").partition("/")[0]}
    for host in fleet.get("hosts", ()):
        source = ways["from"][host["name"]]
        if not source:
            wrong = f"{me} has no way to {host['name']} ({host['address']})."
            advice = f"Write fastapi_address among the variables of {host['name']}, as the balancers reach it."
            yield Problem("address", HIDDEN, wrong, advice)
        elif source not in good and (ways["local"] or _is_inside(source, host["address"])):
            # Said once.
            good.add(source)
            wrong = (
                f"{me} comes to {host['name']} ({host['address']}) from {source}, and the app's hosts let in "
                f"{fleet['address']}, so that it would get nothing but 403."
            )
            advice = (
                f"Write fastapi_address: {source} among the variables of {me}; or among those of {host['name']} an "
                f"address to which {me} comes from {fleet['address']}."
            )
            yield Problem("address", HIDDEN, wrong, advice)


def _is_inside(*addresses: str) -> bool:
    """Whether nothing on the way would give the sender another address, as a cloud does where it is an outer one."""
    return all(ipaddress.ip_address(address).is_private for address in addresses)
