# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's half of preflight on a balancer, which has the site and no app: looks, and judges what it found."""

from __future__ import annotations

import ipaddress
import typing as t

from .._app.problems import HIDDEN, Problem, write
from .._app.words import is_ours
from .._host.files import read_text, room_at
from .certificates import judge_certificates
from .facts import front_facts, system_facts
from .gate import BALANCES
from .judge import VAR_MEGABYTES, judge_disks, judge_system
from .ports import check_taken, judge_ports, judge_switch
from .ways import judge_shared, judge_ways, read_shared, read_ways

Run = t.Callable[[list[str]], tuple[int, str, str]]
Network: t.TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
UP, BY_GATEWAY = 0x1, 0x2


def look(params: dict[str, t.Any], run: Run) -> tuple[dict[str, t.Any], list[str]]:
    """Everything in one trip: ``problems`` and ``host``, with ``fleet`` in it; and warnings."""
    facts = read_facts(params, run)
    problems, warnings = judge(params, facts)
    told = {name: facts[name] for name in ("caddy", "nginx", "proxy_installed")}
    told |= {"release": facts["os"].get("version_id", ""), "distribution": facts["os"].get("id", "")}
    told |= {"fleet": {"interface": facts["interface"], "shares": facts["shares"], "serves": facts["site"] == BALANCES}}
    return {"problems": [(problem.variable, problem.sentence) for problem in problems], "host": told}, warnings


def read_facts(params: dict[str, t.Any], run: Run) -> dict[str, t.Any]:
    name = params["name"]
    virtual = params.get("balancer_address", "").partition("/")[0]
    return {
        **system_facts(run),
        **front_facts(params, run),
        "disks": [room_at("/var")],
        "app": is_ours(read_text(f"/etc/systemd/system/{name}@.service")),
        "interface": interface_of(virtual, networks()) if virtual else "",
        "shared": read_shared(name),
        "ways": read_ways(params.get("fleet") or {}),
    }


def judge(params: dict[str, t.Any], facts: dict[str, t.Any]) -> tuple[list[Problem], list[str]]:
    """All that is wrong with the host, and what is worth a warning."""
    problems = [
        *judge_system(facts),
        *judge_disks(facts["disks"], ((False, VAR_MEGABYTES),)),
        *(judge_ports(params, facts["ports"]) if facts["uid"] == 0 else ()),
        *judge_switch(params, facts["left_sites"], facts["ports"]),
        *check_taken(params, facts["sites"]),
        *judge_shared(params, facts["interface"], facts["shared"]),
        *judge_ways(params, facts["ways"]),
    ]
    found, warnings = judge_certificates(params, facts["certificates"])
    problems += found
    if facts["app"]:
        wrong = f"this host is one of them and runs {params['name']} itself, and a balancer has no app."
        advice = "Take it out of them; or take the app off it first, with -e fastapi_state=absent and --limit."
        problems.append(Problem("balancers", HIDDEN, wrong, advice))
    if params.get("balancer_address") and not facts["interface"]:
        wrong = "no interface of this host is in that network, so it can't have the address."
        advice = write("balancer_address", "an address of the network that both balancers are in")
        problems.append(Problem("balancer_address", params["balancer_address"], wrong, advice))
    return problems, warnings


def networks() -> list[tuple[str, Network]]:
    """The networks that this host is in, each with its interface."""
    return [*parse_routes(read_text("/proc/net/route")), *parse_routes6(read_text("/proc/net/ipv6_route"))]


def interface_of(address: str, known: list[tuple[str, Network]]) -> str:
    """The interface whose network an address is in; '' where none is. The narrowest counts."""
    wanted = ipaddress.ip_address(address)
    # Of the other kind no network has it.
    fits = [(network.prefixlen, name) for name, network in known if wanted in network]
    return max(fits)[1] if fits else ""


def parse_routes(text: str) -> t.Iterator[tuple[str, Network]]:
    """Interfaces and networks of /proc/net/route that need no gateway; pure."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or int(fields[3], 16) & (UP | BY_GATEWAY) != UP:
            continue
        # Each as the host has it in memory, the lowest byte first.
        place, mask = (int.from_bytes(bytes.fromhex(fields[number])[::-1], "big") for number in (1, 7))
        if mask:
            yield fields[0], ipaddress.IPv4Network((place, mask.bit_count()))


def parse_routes6(text: str) -> t.Iterator[tuple[str, Network]]:
    """The same of /proc/net/ipv6_route."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 10 or int(fields[8], 16) & (UP | BY_GATEWAY) != UP or fields[9] == "lo":
            continue
        length = int(fields[1], 16)
        # A host's own address is a route too, and each interface has the networks of links and groups.
        if 0 < length < 128 and not fields[0].startswith(("fe80", "ff")):
            yield fields[9], ipaddress.IPv6Network((int(fields[0], 16), length))
