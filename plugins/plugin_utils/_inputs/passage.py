# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way of a live app's hosts behind balancers, and back: meanwhile they answer both, so that no request is lost."""

from __future__ import annotations

import dataclasses
import socket
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem
from ...module_utils._preflight.gate import BEHIND, DOORLESS, OPEN, PASSING
from .fleet import Inventory
from .site import check_site

SERVED = "served"
Lookup = t.Callable[[str], set[str]]


@dataclasses.dataclass(frozen=True)
class Host:
    """One of the app's hosts as this run has found it.

    :param name: of the app.
    :param here: the host's name in the inventory.
    :param site: whom it answers by now (`gate.read_site`).
    :param direct: fastapi_direct.
    :param listed: fastapi_balancers.
    :param part: the play's hosts in this run.
    :param known: whom its site takes for its balancers by now (`gate.read_balancers`).
    :param leads: whether clients come to the balancers by now; without any, whether they come to the app's hosts.
    """

    name: str
    here: str
    site: str
    direct: str
    listed: list[str]
    part: list[str]
    known: dict[str, list[str]]
    leads: t.Callable[[], bool]


def step(host: Host) -> tuple[str, str, Problem | None]:
    """Whom the host is to answer after this run (``open``, ``passing`` or ``behind``), a warning, and what is wrong."""
    if host.listed:
        return _in(host)
    return _back(host)


def _in(host: Host) -> tuple[str, str, Problem | None]:
    listed = ", ".join(host.listed)
    if host.direct == SERVED:
        return PASSING, "", None
    if host.site not in (OPEN, PASSING):
        alone = not host.site and not set(host.listed) & set(host.part)
        waits = f"{host.here} gets no requests for {host.name} before site.yml has run for {listed} too."
        return BEHIND, waits if alone else "", None
    if host.direct == "auto" and (host.site == OPEN or not host.leads()):
        return (
            PASSING,
            f"The hosts of {host.name} go on answering everybody, and now {listed} too. Next have the site's name lead "
            "to the balancers. When nobody has its old address any more (its TTL), run site.yml again: it closes the "
            "hosts to all others once each of fastapi_domains leads to the balancers, as this machine sees it. Where "
            "that isn't to be seen from here, write fastapi_direct: refused.",
            None,
        )
    if not set(host.listed) & set(host.part):
        wrong = (
            f"this run would close {host.name} on this host to all but them, and none of them takes part in it, so "
            "that perhaps nobody would be served."
        )
        whom = ",".join([host.here, *host.listed])
        advice = f"Run it for them too, in the same play: without --limit, or with --limit {whom}."
        return BEHIND, "", Problem("balancers", host.listed, wrong, advice)
    gap = ""
    if host.site == OPEN:
        gap = " Clients that come before the balancers are there are lost: without fastapi_direct none would be."
    return (
        BEHIND,
        f"This run closes {host.name} on {host.here}: after it this host answers {listed} alone, by plain HTTP, and "
        f"clients that still come to it directly get 403.{gap}",
        None,
    )


def _back(host: Host) -> tuple[str, str, Problem | None]:
    # A site of before this was written down says no addresses, so there is nobody to let in.
    if host.site not in (BEHIND, PASSING) or not host.known["balancers"] or host.direct == SERVED or host.leads():
        return OPEN, "", None
    names = ", ".join(host.known["names"])
    return (
        PASSING,
        f"The hosts of {host.name} answer everybody again, and {names} still. Next have the site's name lead to the "
        "hosts. When nobody has the balancers' address any more (its TTL), take the site off them (site.yml with "
        f"-e fastapi_state=absent and --limit), or end them; then run site.yml again. It lets {names} in until each of "
        "fastapi_domains leads to the hosts, as this machine sees it, or fastapi_direct is served.",
        None,
    )


def go(
    values: dict[str, t.Any],
    host: dict[str, t.Any],
    placed: dict[str, t.Any],
    inventory: Inventory,
    part: list[str],
    front: bool,
) -> tuple[dict[str, t.Any], list[Problem], list[str]]:
    """What becomes of one of the app's hosts: role fastapi's `fleet` for it, what is wrong, and warnings.

    :param host: what its preflight has said.
    :param placed: `fleet` as `fleet.place` has it; {} without balancers.
    :param front: whether its site is written in this run.
    """
    now, known = host.get("site", ""), host.get("balancers") or {"names": [], "balancers": []}
    listed, domains, tls = values["balancers"], values["domains"], values["tls"]
    if not front:
        if not listed and now == BEHIND:
            wrong = f"it is empty, and {values['name']} on this host answers {', '.join(known['names'])} alone still."
            return {}, [Problem("balancers", HIDDEN, wrong, "Run site.yml first, which opens the host.")], []
        return placed | ({"closes": False, "passing": now in (OPEN, PASSING)} if placed else {}), [], []
    # The balancers that were may be in the inventory still, and what leads to them doesn't lead to the app's hosts.
    apps = [app for app in inventory.apps if app not in known["names"]] or [inventory.me]
    to = [*placed["balancers"], *_places(listed, inventory)] if listed else _places(apps, inventory)
    seen = Host(
        name=values["name"],
        here=inventory.me,
        site=now,
        direct=values["direct"],
        listed=listed,
        part=part,
        known=known,
        leads=lambda: leading(domains, to),
    )
    then, warning, problem = step(seen)
    problems = [problem] if problem else []
    if then == PASSING and listed:
        # Its own door stays, and so its rules count, which don't for a host that has none.
        problems += check_site({**values, "behind": False})
    if then == PASSING and now not in (OPEN, PASSING) and tls == "acme":
        wrong = "an authority would ask where the site's name leads, and that is to the balancers."
        advice = (
            "Write fastapi_tls: files for the time being, with a certificate on each of the app's hosts, and acme "
            "again when the name leads to them."
        )
        problems.append(Problem("tls", tls, wrong, advice))
    if then == PASSING and not listed:
        placed = {"part": "app", "first": apps[0], **known}
    if placed:
        placed = placed | {"closes": then == BEHIND and now in (OPEN, PASSING), "passing": then == PASSING}
    return placed, problems, [warning] * bool(warning)


def as_served(values: dict[str, t.Any], placed: dict[str, t.Any]) -> dict[str, t.Any]:
    """The variables as they count on one of the app's hosts: behind balancers alone, the rest is theirs."""
    return values | DOORLESS if placed and not placed["passing"] else values


def _places(hosts: t.Iterable[str], inventory: Inventory) -> list[str]:
    """By which names and addresses clients may come to hosts."""
    words = [(inventory.variables(host), host) for host in hosts]
    each = [(own.get("ansible_host"), own.get("fastapi_address"), host) for own, host in words]
    return [str(word) for found in each for word in found if word]


def leading(domains: list[str], places: t.Iterable[str], lookup: Lookup | None = None) -> bool:
    """Whether each of the site's names leads to some of these places, and nowhere else.

    :param places: addresses and names of hosts.
    """
    lookup = lookup or addresses
    known: set[str] = set().union(*(lookup(place) for place in places))
    found = [lookup(domain.replace("*", "www", 1)) for domain in domains]
    return bool(found) and all(there and there <= known for there in found)


def addresses(name: str) -> set[str]:
    """All that a name leads to; none where it can't be looked up."""
    try:
        return {str(row[4][0]).partition("%")[0] for row in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()
