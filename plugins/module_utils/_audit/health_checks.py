# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an app has paths for liveness and readiness: it is asked on its own socket or port, as a client asks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

from .._host.door import Door
from .._host.probe import STANDS_IN, Answer, ask
from . import servers
from .findings import Finding
from .model import LOCAL, WORLD, Host, Served

HEALTH = ("/health", "/healthz", "/livez", "/ping")
READY = ("/ready", "/readyz", "/readiness", "/health/ready")
LIMIT = 3.0
"""Seconds for an answer."""


def door(app: Served) -> Door | None:
    """Where the app can be asked; None where it listens on nothing that this host reaches."""
    name = next((name for site in app.sites for name in site.names if name and "*" not in name), "localhost")
    scheme = "https" if any(site.own_tls or site.certificates for site in app.sites) else "http"
    tcp = [port for address, port in app.tcp if address.startswith(LOCAL) or address in WORLD]
    # The app may have sockets of its own, at which nobody speaks HTTP: where the server was told to listen goes first.
    told = servers.binds(app.settings)
    own = [path for path in app.unix if any(bind.startswith("unix:") and path.endswith(_end(bind)) for bind in told)]
    if not own and (port := next((port for port in tcp if any(bind.endswith(f":{port}") for bind in told)), 0)):
        return Door(name, port=port, scheme=scheme)
    if app.unix:
        return Door(name, unix=[*own, *app.unix][0], scheme=scheme)
    return Door(name, port=tcp[0], scheme=scheme) if tcp else None


def _end(bind: str) -> str:
    """Of a path that may count from anywhere, the end that the kernel's has too."""
    return os.path.normpath(bind.removeprefix("unix:")).lstrip("./")


def answers(app: Served, asking: Callable[[Door, str, float], Answer] = ask) -> tuple[dict[str, Answer], str]:
    """What it says to the usual paths and its proxy's, until one of each kind is there; and why not."""
    place = door(app)
    if not place:
        return {}, "it listens on nothing that this host can ask"
    found: dict[str, Answer] = {}
    own = [site.health for site in app.sites if site.health]
    for paths in (HEALTH, [*own, *READY]):
        for path in dict.fromkeys(paths):
            answer = found[path] = asking(place, path, LIMIT)
            if not answer.status:
                return found, f"asked for {path} it gave no answer ({answer})"
            if there(answer):
                break
    return found, ""


def there(answer: Answer) -> bool:
    """Whether a path is the app's: 503 says so, too, and 405 or 401 that it isn't for us."""
    return answer.status not in (0, 400, 404, 405) and answer.status < 600


def paths(app: Served, host: Host) -> Iterator[Finding]:
    if not app.main or (app.container and not app.tcp):
        return
    found, why = answers(app)
    if why:
        host.unseen(app.process, f"Health and readiness weren't looked at: {why}.", app=app.name)
        return
    app.doors = {path: str(answer) for path, answer in found.items() if there(answer)}
    own = [site.health for site in app.sites if site.health]
    health = [path for path in HEALTH if path in app.doors]
    ready = [path for path in dict.fromkeys([*own, *READY]) if path in app.doors]
    for check, named, asked in (("no-health", health, HEALTH), ("no-readiness", ready, READY)):
        stands_in = [path for path in named if found[path].text.startswith(STANDS_IN)]
        word = "health" if check == "no-health" else "ready"
        write = f'@app.get("/{word}") async def {word}(): ...' + (" which asks the database" if word == "ready" else "")
        if stands_in:
            seen = f"The worker answers {stands_in[0]} for the app, which has none."
            # It tells that the worker lives, and nothing of what the app needs.
            costs = {"no-health": "A worker that hangs is seen by that; one whose app answers only errors isn't."}
            told = app.find(check, app.process, seen, write, "low")
            yield dataclasses.replace(told, costs=costs.get(check, ""))
        elif not named:
            yield app.find(check, app.process, f"It answers {', '.join(asked)} with 404.", write)
    if ready and health and ready[0] == health[0]:
        yield app.find(
            "same-health",
            next((site.where for site in app.sites if site.health == ready[0]), ""),
            f"The proxy asks {ready[0]}, which is liveness, too.",
            "A path of its own for readiness, /ready, that asks what requests need; health_uri /ready.",
        )
