# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Balancers on the page: which hosts of the app each has, and which not and why; who has the address. Pure."""

from __future__ import annotations

import typing as t
from collections import defaultdict

from .cells import cell, cells, ends_soon, escaped, first, of_certificate, table

Facts = t.Mapping[str, t.Any]
GOOD = "active"


def summary(facts: t.Mapping[str, Facts]) -> str:
    """How many there are, and who has the address, in a sentence; '' where there is none."""
    if not facts:
        return ""
    count = f"{len(facts)} balancer{'' if len(facts) == 1 else 's'} before them"
    held = [f"{host} has {each['shared']['address']}" for host, each in facts.items() if each["shared"].get("here")]
    return f"{count}{': ' if held else ''}{', '.join(held)}."


def to_look_at(facts: t.Mapping[str, Facts], apps: t.Mapping[str, Facts], now: float) -> t.Iterator[tuple[str, str]]:
    """:param apps: what the app's hosts say, by their names."""
    yield from _addresses(facts)
    without: dict[tuple[str, str], list[str]] = defaultdict(list)
    for host, each in facts.items():
        if not each["proxy"].endswith(f" is {GOOD}"):
            yield host, f"{each['proxy']}."
        if (state := each["shared"].get("keepalived", GOOD)) != GOOD:
            yield host, f"keepalived is {state}, so it can't take the shared address."
        if said := ends_soon(each, now):
            yield host, said
        if each["balances"] and not any(found["ready"] for found in each["balances"]):
            yield host, "no host of the app is ready, so clients get 503."
        for found in each["balances"]:
            # Of one that is leaving it is said already.
            if not found["ready"] and not _leaving(found, apps):
                without[found["host"], first(found["answer"])].append(host)
    # Each host once, whichever balancers say it.
    for (name, said), hosts in without.items():
        yield name, f"gets no requests from {', '.join(hosts)}: {said}"


def _addresses(facts: t.Mapping[str, Facts]) -> t.Iterator[tuple[str, str]]:
    """An address that none has, or several; two share one."""
    asked: dict[str, list[str]] = defaultdict(list)
    for host, each in facts.items():
        if address := each["shared"].get("address"):
            asked[address].append(host)
    for address, hosts in asked.items():
        holders = [host for host in hosts if facts[host]["shared"]["here"]]
        if len(holders) > 1:
            yield address, "several balancers have it at once."
        elif not holders and len(hosts) > 1:
            yield address, "no balancer has it, so no client comes in by it."
        elif not holders:
            other = next(
                (name for name in facts[hosts[0]].get("balancers", ()) if name != hosts[0]), "the other balancer"
            )
            yield address, f"{hosts[0]} doesn't have it, and {other} wasn't asked."


def _leaving(found: Facts, apps: t.Mapping[str, Facts]) -> Facts:
    return (apps.get(found["host"]) or {}).get("leaving") or {}


def _why(found: Facts, apps: t.Mapping[str, Facts]) -> str:
    """Why a host of the app is left out: what it answers, and who has it leave."""
    answer = first(found["answer"])
    if not (leaving := _leaving(found, apps)):
        return answer
    by = f", by patch.yml of {leaving['by']}" if leaving.get("by") else ""
    return f"{answer} (leaving since {leaving['since']}{by})"


def table_of(facts: t.Mapping[str, Facts], apps: t.Mapping[str, Facts], now: float) -> str:
    rows = []
    for host, each in facts.items():
        shared, found = each["shared"], each["balances"]
        ready, out = [one["host"] for one in found if one["ready"]], [one for one in found if not one["ready"]]
        address = f"{shared['address']}, {'here' if shared['here'] else 'not here'}" if shared else "-"
        left = "; ".join(f"{one['host']}: {_why(one, apps)}" for one in out)
        rows.append(
            f'<th scope="row">{escaped(host)}</th>'
            + cells(
                (each["proxy"], "good" if each["proxy"].endswith(f" is {GOOD}") else "bad"),
                address,
                of_certificate(each, now),
                (f"{len(ready)} of {len(found)}", "" if not out else "bad"),
                ", ".join(ready) or "none",
            )
            + cell(left or "-", "bad" if left else "")
        )
    head = ["balancer", "proxy", "shared address", "certificate", "hosts", "have requests from it", "left out, and why"]
    return table("Balancers", head, rows)
