# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way of a live app's hosts behind balancers, and back: meanwhile they answer both, so that no request is lost.

Only fastapi_direct ends that. Where the site's names lead nobody looks up: clients may have another answer.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem
from ...module_utils._preflight.gate import BEHIND, DOORLESS, OPEN, PASSING, RETURNING, SERVES
from .fleet import Inventory
from .site import check_site

SERVED = "served"
OVER = "and its old record's time to live (TTL) is over"


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
    """

    name: str
    here: str
    site: str
    direct: str
    listed: list[str]
    part: list[str]
    known: dict[str, list[str]]


def step(host: Host) -> tuple[str, str, Problem | None]:
    """Whom the host is to answer after this run (a word of `gate.read_site`), a warning, and what is wrong."""
    if host.listed:
        return _in(host)
    return _back(host)


def _in(host: Host) -> tuple[str, str, Problem | None]:
    listed = ", ".join(host.listed)
    if host.direct == SERVED:
        return PASSING, "", None
    if host.site not in SERVES:
        alone = not host.site and not set(host.listed) & set(host.part)
        waits = f"{host.here} gets no requests for {host.name} before site.yml has run for {listed} too."
        return BEHIND, waits if alone else "", None
    if host.direct == "auto":
        return (
            PASSING,
            f"The hosts of {host.name} answer clients themselves, and {listed} too: when the site's name leads to the "
            f"balancers {OVER}, write fastapi_direct: refused and run site.yml, which closes the hosts to all others.",
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
    return (
        BEHIND,
        f"This run closes {host.name} on {host.here} (fastapi_direct: refused): after it this host answers {listed} "
        "alone, by plain HTTP, and clients that still come to it directly get 403.",
        None,
    )


def _back(host: Host) -> tuple[str, str, Problem | None]:
    if host.site not in (BEHIND, PASSING, RETURNING) or (host.site == RETURNING and host.direct == SERVED):
        return OPEN, "", None
    if not host.known["balancers"]:
        wrong = (
            f"it is empty, and the site of {host.name} on this host, which an older release has written, doesn't say "
            "by which addresses its balancers come: the requests that they still hand on would be lost."
        )
        advice = "Write the list once more and run site.yml, which notes the addresses; then empty it."
        return BEHIND, "", Problem("balancers", HIDDEN, wrong, advice)
    then = "run site.yml again" if host.direct == SERVED else "write fastapi_direct: served and run site.yml"
    return (
        RETURNING,
        f"The hosts of {host.name} answer clients themselves, and {', '.join(host.known['names'])} still: when the "
        f"site's name leads to the hosts {OVER}, {then}, which ends the balancers' part.",
        None,
    )


def go(
    values: dict[str, t.Any],
    host: dict[str, t.Any],
    placed: dict[str, t.Any],
    inventory: t.Callable[[], Inventory],
    me: str,
    part: list[str],
    front: bool,
) -> tuple[dict[str, t.Any], list[Problem], list[str]]:
    """What becomes of one of the app's hosts: role fastapi's `fleet` for it, what is wrong, and warnings.

    :param host: what its preflight has said.
    :param placed: `fleet` as `fleet.place` has it; {} without balancers.
    :param inventory: asked where the list has become empty alone, because it looks at all hosts' variables.
    :param me: the host's name in the inventory.
    :param front: whether its site is written in this run.
    """
    now, known = host.get("site", ""), host.get("balancers") or {"names": [], "balancers": []}
    listed = values["balancers"]
    if not front:
        if not listed and now == BEHIND:
            wrong = f"it is empty, and {values['name']} on this host answers its balancers alone still."
            return {}, [Problem("balancers", HIDDEN, wrong, "Run site.yml first, which opens the host.")], []
        return placed | ({"closes": False, "passing": now in SERVES} if placed else {}), [], []
    then, warning, problem = step(Host(values["name"], me, now, values["direct"], listed, part, known))
    problems = [problem] if problem else []
    both = then in (PASSING, RETURNING)
    if both and listed:
        # Its own door stays, and so its rules count, which don't for a host that has none.
        problems += check_site({**values, "behind": False})
    if both and now == BEHIND and values["tls"] == "acme" and (listed or values["direct"] != SERVED):
        problems.append(_no_certificate(bool(listed)))
    if then == RETURNING:
        # The balancers that were may be in the inventory still.
        first = next((app for app in inventory().apps if app not in known["names"]), me)
        placed = {"part": "app", "first": first, **known, "returning": True}
    if placed:
        placed = placed | {"closes": then == BEHIND and now in SERVES, "passing": both}
    return placed, problems, [warning] * bool(warning)


def _no_certificate(listed: bool) -> Problem:
    wrong = "an authority would ask where the site's name leads, and that is to the balancers."
    advice = (
        "Write fastapi_tls: files for the time being, with a certificate on each of the app's hosts, and acme again "
        "when the name leads to them."
    )
    leads = "" if listed else " Where it does so already, write fastapi_direct: served."
    return Problem("tls", "acme", wrong, advice + leads)


def as_served(values: dict[str, t.Any], placed: dict[str, t.Any]) -> dict[str, t.Any]:
    """The variables as they count on one of the app's hosts: behind balancers alone, the rest is theirs."""
    return values | DOORLESS if placed and not placed["passing"] else values
