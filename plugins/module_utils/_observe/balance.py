# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a balancer has to say: to which hosts of the app its site hands requests, and what each of them answers now."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from .._app.words import is_ours
from .._host.files import read_text
from .._host.probe import Door, ask
from .._host.systemd import Systemd
from .text import table

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
    runs = systemd.show([unit])[unit].get("ActiveState", "unknown")
    return {"balances": rows, "text": render(name, rows, f"{unit.removesuffix('.service')} is {runs}", said["path"])}


def _ask(row: dict[str, Any], said: dict[str, Any]) -> None:
    address, _colon, port = row["address"].rpartition(":")
    door = Door(said["host"], port=int(port), scheme=said["scheme"], address=address.strip("[]"))
    answer = ask(door, said["path"], PATIENCE)
    row["ready"], row["answer"] = answer.good, str(answer)


def render(name: str, rows: list[dict[str, Any]], runs: str, path: str) -> str:
    """The text. Pure."""
    ready = sum(row["ready"] for row in rows)
    head = f"{name}: {runs}, and hands requests to {ready} of {len(rows)} hosts of the app"
    lines = [[row["host"], row["address"], row["answer"].split("\n")[0]] for row in rows]
    return "\n".join([head, "", *table([["host", "address", path], *lines])])
