# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load: which h2load asks for what, as a client through the proxy would, and what its log says. Pure.

Each request has a connection of its own, as our proxies ask: on connections that are kept, clients stay with the worker
that took them, and one of four may have half of them. h2load can't pause between requests then (``--rps`` begins anew
with each connection), so with a pause connections are kept, and the clients begin one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._host.door import as_client

PACKAGE = "nghttp2-client"
"""Debian's package with h2load: 1.52 in bookworm, 1.64 in trixie."""
ROTATIONS = 4
"""So many processes share the clients of several paths, each beginning with another: or all would ask the same one."""
DAMPED = 0.9
"""How much of the way the clients go to a better division: with all of it they might swing."""
STEPS = 16
"""So many processes share the clients that pause, each beginning a little later: or all would ask at the same time."""


Group = tuple[str, str, str]
"""What one h2load can ask for: it takes several paths, and one method, body and type of it."""


@dataclass(frozen=True)
class Kind:
    """One kind of request; see plugin_utils/_inputs/paths.py, Asked."""

    path: str
    method: str = "GET"
    body: str = ""
    content_type: str = ""
    share: int = 1

    @property
    def group(self) -> Group:
        return self.method, self.body, self.content_type


@dataclass(frozen=True)
class Stream:
    """What one h2load asks for.

    :param paths: in turn, by each client.
    :param after: seconds after the first one at which it begins.
    """

    method: str
    body: str
    content_type: str
    paths: tuple[str, ...]
    clients: int
    after: float = 0.0


def cycle(kinds: Sequence[Kind]) -> list[str]:
    """The paths in an order that has each as often as its share says, and the same one not twice where that can be."""
    common = math.gcd(*(kind.share for kind in kinds))
    shares = [kind.share // common for kind in kinds]
    total, credit = sum(shares), [0] * len(kinds)
    order: list[str] = []
    while len(order) < total:
        credit = [have + share for have, share in zip(credit, shares, strict=True)]
        at = credit.index(max(credit))
        credit[at] -= total
        order.append(kinds[at].path)
    return order


def shares(kinds: Sequence[Kind]) -> dict[Group, int]:
    """How often what one h2load asks for is to be asked, beside the others."""
    found: dict[Group, int] = {}
    for kind in kinds:
        found[kind.group] = found.get(kind.group, 0) + kind.share
    return found


def adjusted(
    weights: Mapping[Group, float], wanted: Mapping[Group, int], seen: Mapping[Group, int]
) -> dict[Group, float]:
    """How the clients are divided next, where the requests came otherwise than they are wanted: what takes ten times as
    long needs ten times the clients to be asked as often, and how long it takes depends on all the others.

    :param seen: the requests of each group.
    """
    whole, all_seen = sum(wanted.values()), sum(seen.values())
    if not all_seen:
        return dict(weights)
    factors = {group: (wanted[group] / whole) / max(seen.get(group, 0) / all_seen, 1e-3) for group in weights}
    moved = {group: weight * min(8.0, max(0.125, factors[group])) ** DAMPED for group, weight in weights.items()}
    return {group: weight / sum(moved.values()) for group, weight in moved.items()}


def off(wanted: Mapping[Group, int], seen: Mapping[Group, int]) -> float:
    """By how much, of what is wanted, the group that is furthest from it is off: 0.2 is a fifth."""
    whole, all_seen = sum(wanted.values()), sum(seen.values()) or 1
    parts = {group: share / whole for group, share in wanted.items()}
    return max(abs(seen.get(group, 0) / all_seen - part) / part for group, part in parts.items())


def split(kinds: Sequence[Kind], clients: int, weights: Mapping[Group, float], think: float) -> list[Stream]:
    """Divide the clients among the processes.

    :param weights: how they are divided among the groups.
    :param think: seconds between two requests of a client.
    """
    groups: dict[Group, list[Kind]] = {}
    for kind in kinds:
        groups.setdefault(kind.group, []).append(kind)
    parts = allot(clients, [weights[group] for group in groups])
    streams = []
    for (group, of), mine in zip(groups.items(), parts, strict=True):
        paths = cycle(of)
        count = min(mine, STEPS if think else min(ROTATIONS, len(paths)))
        for number, some in enumerate(allot(mine, [1.0] * count)):
            turn = number * len(paths) // count
            streams.append(Stream(*group, tuple(paths[turn:] + paths[:turn]), some, number * think / count))
    return streams


def allot(whole: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in these proportions, each at least 1, that make up the whole where that is enough for all."""
    total = sum(weights)
    exact = [whole * weight / total for weight in weights]
    parts = [max(1, int(value)) for value in exact]
    while sum(parts) < whole:
        at = max(range(len(parts)), key=lambda index: exact[index] - parts[index])
        parts[at] += 1
    while sum(parts) > whole and max(parts) > 1:
        at = max(
            (index for index in range(len(parts)) if parts[index] > 1), key=lambda index: parts[index] - exact[index]
        )
        parts[at] -= 1
    return parts


@dataclass(frozen=True)
class Target:
    """Whom the load asks.

    :param host: and ``scheme``: as clients come; the connection itself is plain, as the proxy's.
    :param socket: path of the slot's.
    :param think: seconds between two requests of a client; 0 asks the next at once.
    """

    host: str
    scheme: str
    socket: str
    think: float


def command(stream: Stream, target: Target, place: str, warm: float, seconds: float) -> list[str]:
    """h2load's command.

    :param place: path that the names of its own files begin with: ``.uris``, ``.body``, ``.log``.
    """
    headers = {name: value for name, value in as_client(target.host, target.scheme).items() if name != "Host"}
    # For whoever reads the app's log.
    headers["X-Request-ID"] = "graceful-tune"
    if stream.content_type:
        headers["Content-Type"] = stream.content_type
    if not target.think:
        headers["Connection"] = "close"
    words = ["h2load", "--h1", f"--clients={stream.clients}", f"--duration={_duration(seconds)}"]
    words += [f"--warm-up-time={_duration(warm)}", f"--base-uri=unix:{target.socket}", f"--log-file={place}.log"]
    words += [f"--input-file={place}.uris", f"--header=:method: {stream.method}"]
    words += [f"--header={name}: {value}" for name, value in headers.items()]
    words += [f"--data={place}.body"] if stream.body else []
    words += [f"--rps={1 / target.think:g}"] if target.think else []
    return words


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def uris(stream: Stream, host: str) -> str:
    """Its file of addresses; h2load takes the Host header from them."""
    return "".join(f"http://{host}{path}\n" for path in stream.paths)


def read_log(text: str) -> list[tuple[int, float]]:
    """Status and seconds of each request that has ended; status 0 for one that failed. Those under way aren't told."""
    rows = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) < 3 or not fields[2].isdecimal():
            continue
        status = int(fields[1]) if fields[1].isdecimal() else -1
        if status:
            rows.append((max(0, status), int(fields[2]) / 1e6))
    return rows


def good(status: int) -> bool:
    return 200 <= status < 400
