# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Balancers in front of an app's hosts: the rules for fastapi_balancers, and by which addresses all find each other."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import socket
import typing as t
import zlib

from ...module_utils._app.problems import HIDDEN, Problem, show, write
from .front import is_network
from .site import is_address, is_hostname

# What counts on a balancer: the site's variables. The app's may be missing there.
FOR_BALANCING = frozenset(
    """
    name state root proxy caddy domains redirect_domains http_port tls tls_certificate tls_key acme_directory acme_email
    acme_ca hsts max_body header_timeout idle_timeout rate_limit compress trusted_proxies static protect headers
    maintenance proxy_snippet proxy_timeout timeout health_path ready_path health_interval log_max_size log_retention
    webhook_path webhook_host canary balancers balancer_address address
    """.split()
)
# What hosts that say nothing of it listen on.
HTTP_PORT = 80


def names(variable: str, value: t.Any) -> Problem | None:
    """Names in the inventory."""
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        words = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else []
        # What YAML would take for a number or a boolean isn't proposed.
        plain = all(re.fullmatch(r"[a-z]+[0-9]+(\.[a-z0-9.-]*[a-z])?", word, re.ASCII) for word in words)
        listed = ", ".join(dict.fromkeys(words)) if words and plain else "lb1"
        return Problem(variable, value, "it has to be a list of hosts' names.", write(variable, f"[{listed}]"))
    twice = sorted({name for name in value if value.count(name) > 1})
    if twice:
        return Problem(variable, value, f"{twice[0]} is in it twice.", "Take one out.")
    return None


def address(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and (is_address(value) or (is_hostname(value) and not value.startswith("*"))):
        return None
    wrong = "it has to be an address or a host name, without a scheme, port or path."
    return Problem(variable, value, wrong, write(variable, "192.0.2.11"))


def shared(variable: str, value: t.Any) -> Problem | None:
    """An address with its prefix, as an interface has it."""
    if is_network(value) and "/" in value and int(value.rpartition("/")[2]) > 0:
        return None
    wrong = "it has to be an address with the prefix of its network."
    plain = value.partition("/")[0] if isinstance(value, str) else ""
    return Problem(variable, value, wrong, write(variable, f"{plain if is_address(plain) else '192.0.2.10'}/24"))


def check(values: dict[str, t.Any]) -> list[Problem]:
    """What joins the balancers with the rest; one that is missing here is refused already."""
    listed = values.get("balancers") or []
    found = []
    if not listed:
        if values.get("balancer_address"):
            wrong = "two balancers share it, and fastapi_balancers is empty."
            found.append(Problem("balancer_address", values["balancer_address"], wrong, "Name them, or take it out."))
        return found
    if values.get("proxy") == "none":
        wrong = "balancers hand requests to the proxy of each host, and fastapi_proxy is none."
        found.append(Problem("balancers", listed, wrong, "Write fastapi_proxy: caddy or nginx, or take them out."))
    if values.get("balancer_address") and len(listed) != 2:
        wrong = f"two balancers share it, and fastapi_balancers has {len(listed)}."
        found.append(Problem("balancer_address", values["balancer_address"], wrong, "Name two, or take it out."))
    tls = values.get("tls")
    if tls == "internal" and len(listed) > 1:
        wrong = "each balancer would have an authority of its own, and who trusts one wouldn't trust the other."
        advice = "Write fastapi_tls: files, with one certificate on all of them; or name one balancer."
        found.append(Problem("tls", tls, wrong, advice))
    if tls == "acme" and len(listed) > 2:
        wrong = "a balancer asks one other for what an authority wants to see, and there are more than two."
        advice = "Write fastapi_tls: files, with one certificate on all of them; or name two."
        found.append(Problem("tls", tls, wrong, advice))
    return found


@dataclasses.dataclass(frozen=True)
class Inventory:
    """What is asked of the inventory.

    :param me: this host's name.
    :param known: all hosts' names.
    :param apps: those that the app is for, balancers among them, in the play's order.
    :param variables: of a host, by whole name.
    :param resolve: the address of a name; '' where it has none.
    """

    me: str
    known: t.Collection[str]
    apps: list[str]
    variables: t.Callable[[str], t.Mapping[str, t.Any]]
    resolve: t.Callable[[str], str]


def place(values: dict[str, t.Any], inventory: Inventory, front: bool = True) -> tuple[dict[str, t.Any], list[Problem]]:
    """Who is where, for this host's roles; {} where there are no balancers. And what is wrong with it.

    :param front: whether the site is written; else no address is looked up, which the host that deploys its pushes by
        itself may know otherwise than others.
    :return: ``part`` (app or balancer), ``names`` and ``balancers`` (addresses of these, the shared one too), ``first``
        (the app's first host), and on a balancer ``hosts`` and ``peers`` (each with ``name``, ``address`` and
        ``dial``), ``pushes`` (where the host is that takes them), ``address``, ``rank`` and ``router``.
    """
    listed, me = values["balancers"], inventory.me
    if not listed:
        return {}, []
    unknown = [name for name in listed if name not in inventory.known]
    if unknown:
        wrong = f"{unknown[0]} in it isn't a host of the inventory."
        return {}, [Problem("balancers", listed, wrong, "Add it there, or fix the name.")]
    if problem := _elsewhere(listed, inventory):
        return {}, [problem]
    hosts = [host for host in inventory.apps if host not in listed]
    if not hosts:
        wrong = "no host is left for the app itself: a balancer has none."
        return {}, [Problem("balancers", listed, wrong, "Add a host to the inventory, or take one out of it.")]
    if not front:
        return {"part": "balancer" if me in listed else "app", "names": listed, "balancers": [], "first": hosts[0]}, []
    places, problems = _addresses([*listed, *hosts], values, inventory)
    if problems:
        return {}, problems
    virtual = values.get("balancer_address", "").partition("/")[0]
    if virtual and (problem := _virtual(values, virtual, places, listed)):
        return {}, [problem]
    fleet: dict[str, t.Any] = {
        "part": "balancer" if me in listed else "app",
        "names": listed,
        "balancers": [places[name] for name in listed] + [virtual] * bool(virtual),
        "first": hosts[0],
    }
    if me in listed:
        fleet["hosts"] = [_dialled(host, places[host], _port(host, values, inventory)) for host in hosts]
        fleet["peers"] = [_dialled(name, places[name], HTTP_PORT) for name in listed if name != me]
        dials = {host["name"]: host["dial"] for host in fleet["hosts"]}
        taking = values.get("webhook_host") or hosts[0]
        fleet["pushes"] = dials.get(taking, dials[hosts[0]])
        fleet |= {"address": places[me], "rank": listed.index(me), "router": zlib.crc32(virtual.encode()) % 255 + 1}
    return fleet, []


def _elsewhere(listed: list[str], inventory: Inventory) -> Problem | None:
    """The list has to be the same for all: a balancer that doesn't know of it would be an app's host."""
    mine = inventory.variables(inventory.me).get("fastapi_balancers")
    # Where the play says it, it counts for all.
    for host in [*listed, *inventory.apps] if mine is not None else ():
        theirs = list(inventory.variables(host).get("fastapi_balancers") or [])
        if theirs != listed:
            wrong = f"{host} has {show(theirs)}, and all hosts of an app and its balancers have to have one list."
            return Problem(
                "balancers", listed, wrong, "Write it where it counts for all of them, as in group_vars/all."
            )
    return None


def _addresses(
    hosts: list[str], values: dict[str, t.Any], inventory: Inventory
) -> tuple[dict[str, str], list[Problem]]:
    places: dict[str, str] = {}
    problems = []
    for host in hosts:
        theirs = inventory.variables(host)
        own = values.get("address") if host == inventory.me else theirs.get("fastapi_address")
        word = str(own or theirs.get("ansible_host") or host)
        found = inventory.resolve(word)
        wrong = ""
        if not found:
            wrong = f"{word} has no address that this machine could find out."
        elif ipaddress.ip_address(found).is_loopback:
            wrong = f"{word} is {found} to this machine, and each host would take that for itself."
        elif twin := next((name for name, taken in places.items() if taken == found), ""):
            wrong = f"{word} is {found}, and so is {twin}: the app's hosts and the balancers are machines of their own."
        if wrong:
            advice = f"Write fastapi_address among the variables of {host}, as the others reach it."
            problems.append(Problem("address", HIDDEN, f"{host}: {wrong}", advice))
        places[host] = found
    return places, problems


def _virtual(values: dict[str, t.Any], virtual: str, places: dict[str, str], listed: list[str]) -> Problem | None:
    taken = next((name for name, own in places.items() if own == virtual), "")
    if taken:
        wrong = f"that is {taken}'s own, and the shared one is an address more."
    elif ipaddress.ip_address(virtual).version != ipaddress.ip_address(places[listed[0]]).version:
        wrong = f"{listed[0]} is reached by {places[listed[0]]}, which is of the other kind of address."
    else:
        return None
    advice = "Write a free one of the balancers' network."
    return Problem("balancer_address", values["balancer_address"], wrong, advice)


def _port(host: str, values: dict[str, t.Any], inventory: Inventory) -> int:
    """A host's own, or the play's; what this balancer alone has is none of theirs."""
    theirs = inventory.variables(host).get("fastapi_http_port")
    if theirs is None:
        theirs = HTTP_PORT if "fastapi_http_port" in inventory.variables(inventory.me) else values["http_port"]
    return int(theirs)


def _dialled(name: str, place: str, port: int) -> dict[str, str]:
    dial = f"[{place}]:{port}" if ":" in place else f"{place}:{port}"
    return {"name": name, "address": place, "dial": dial}


def resolve(name: str) -> str:
    """The address of a name, IPv4 where it has one; '' where it has none."""
    if is_address(name):
        return str(ipaddress.ip_address(name.strip("[]")))
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ""
    place = min(found, key=lambda row: row[0] != socket.AF_INET)[4][0]
    return str(place).partition("%")[0]


def unknown(me: str, name: str, placed: dict[str, t.Any], part: list[str]) -> str:
    """Of a balancer without the site: a sentence where none of the app's hosts is in this run to learn of it."""
    hosts = [host["name"] for host in placed["hosts"]]
    if placed["serves"] or set(hosts) & set(part):
        return ""
    return (
        f"{me} is new to {name}, and this run leaves out {', '.join(hosts)}: those that don't know it yet answer it "
        "403. If that is how the run ends, run site.yml without --limit."
    )


def warnings(proxy: str, host: dict[str, t.Any]) -> list[str]:
    """What a balancer's program can't do, in sentences."""
    caddy = host.get("caddy") or {}
    if proxy != "caddy" or not caddy or caddy["current"]:
        return []
    return [
        f"Caddy {caddy['version']} can't try a POST with a body at another host where one just died, so "
        "until it notices (fastapi_health_interval) some are answered by 502. nginx can (fastapi_proxy: nginx for this "
        "balancer), and so can a newer Caddy (fastapi_caddy)."
    ]
