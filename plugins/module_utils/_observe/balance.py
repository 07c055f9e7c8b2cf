# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a balancer has to say: to which hosts of the app its site hands requests and what each of them answers now, the
address that it shares, and its certificate."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

from .._app.words import is_ours
from .._host.certificate import served
from .._host.door import Door
from .._host.files import read_text
from .._host.probe import ask
from .._host.systemd import Systemd
from .._preflight.ways import SHARED, is_local, parse_shared
from .text import certificate_ends, table

SITES = ("/etc/caddy/sites/{name}.caddy", "/etc/nginx/sites-enabled/zz-graceful-{name}.conf")
_SAYS = "# balances "
"""Begins the line of the site in which the roles say so, as JSON."""
PATIENCE = 3.0
"""Seconds for a host's answer."""


def parse(text: str) -> dict[str, Any] | None:
    """What a site says; None where it is no balancer's. Pure."""
    line = next((line for line in text.splitlines() if line.startswith(_SAYS)), "") if is_ours(text) else ""
    said = json.loads(line.removeprefix(_SAYS)) if line else None
    return said if isinstance(said, dict) else None


def site_of(name: str) -> dict[str, Any] | None:
    found = (parse(read_text(path.format(name=name))) for path in SITES)
    return next((said for said in found if said), None)


def report(systemd: Systemd, name: str, said: dict[str, Any]) -> dict[str, Any]:
    """Facts and text: ``balances`` has a row for each of the app's hosts."""
    rows: list[dict[str, Any]] = [{"host": host["name"], "address": host["dial"]} for host in said["hosts"]]
    threads = [threading.Thread(target=_ask, args=(row, said)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    unit = "caddy.service" if os.path.exists(SITES[0].format(name=name)) else "nginx.service"
    shown = served(said["host"]) if said["scheme"] == "https" else {}
    facts = {
        "name": name,
        "balances": rows,
        "proxy": f"{unit.removesuffix('.service')} is {_state(systemd, unit)}",
        "shared": _shared(systemd, name),
        "certificate": {key: shown[key] for key in ("ends", "names") if key in shown},
    }
    return {**facts, "text": render(facts, said["path"], time.time())}


def _state(systemd: Systemd, unit: str) -> str:
    return systemd.show([unit])[unit].get("ActiveState", "unknown")


def _shared(systemd: Systemd, name: str) -> dict[str, Any]:
    """The address that it shares with another balancer, and whether it has it; empty where it shares none."""
    found = parse_shared(read_text(os.path.join(SHARED, f"{name}.conf")))
    if not found:
        return {}
    address = found["address"]
    return {"address": address, "here": is_local(address), "keepalived": _state(systemd, "keepalived.service")}


def _ask(row: dict[str, Any], said: dict[str, Any]) -> None:
    address, _colon, port = row["address"].rpartition(":")
    door = Door(said["host"], port=int(port), scheme=said["scheme"], address=address.strip("[]"))
    answer = ask(door, said["path"], PATIENCE)
    row["ready"], row["answer"] = answer.good, str(answer)


def render(facts: dict[str, Any], path: str, now: float) -> str:
    """The text. Pure.

    :param path: of the app, by which a host is ready.
    :param now: seconds since the epoch.
    """
    rows, shared = facts["balances"], facts["shared"]
    ready = sum(row["ready"] for row in rows)
    said = [f"{facts['name']}: {facts['proxy']}, and hands requests to {ready} of {len(rows)} hosts of the app"]
    if shared:
        where = "here" if shared["here"] else "not here"
        said.append(f"  The shared address {shared['address']} is {where}; keepalived is {shared['keepalived']}.")
    said += certificate_ends(facts["certificate"], now)
    lines = [[row["host"], row["address"], row["answer"].split("\n")[0]] for row in rows]
    return "\n".join([*said, "", *table([["host", "address", path], *lines])])
