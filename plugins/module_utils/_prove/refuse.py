# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where numbered requests aren't sent: to what isn't ours, and where nothing could be seen by them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .._app import history
from .._app.slots import App
from .count import LIMITED, Seen, bad, steady_statuses

SITES = {"caddy": "/etc/caddy/sites/{name}.caddy", "nginx": "/etc/nginx/sites-enabled/zz-graceful-{name}.conf"}
"""What shows that a site of the proxy's is the app's."""


def nothing_of_ours(app: App, proxy: str) -> str:
    """Why the app isn't one that this collection serves on this host; '' where it is.

    :param proxy: which one is in front of it.
    """
    if not history.read(app.root):
        return (
            f"{app.name} was never deployed to this host by graceful.deploy: there is no history in {app.root}. "
            "Requests are sent to apps of its own alone. Fix fastapi_name or fastapi_root, or run site.yml first."
        )
    if not app.live():
        return f"Nothing of {app.name} is live on this host, so there is nothing to ask. Run site.yml first."
    site = SITES[proxy].format(name=app.name)
    if not os.path.exists(site):
        return (
            f"{app.name} has no site of graceful.deploy's on this host: {site} is not there. Requests are sent through "
            "such a site alone. Fix fastapi_proxy, or run site.yml first."
        )
    return ""


def refusal(app: App, seen: Seen, kinds: Sequence[str], domain: str) -> str:
    """Why nothing can be proved by these paths; '' where something can.

    :param seen: the steady stretch.
    :param domain: the name that was asked for.
    """
    statuses = steady_statuses(seen.rows, len(kinds))
    wrong = {kind: found for kind, found in zip(kinds, statuses, strict=True) if any(map(bad, found))}
    if not wrong:
        limited = sum(found.get(LIMITED, 0) for found in statuses)
        if limited * 2 > len(seen.rows):
            return (
                f"{limited} of {len(seen.rows)} requests were answered 429 before anything was done: the site's limit "
                "(fastapi_rate_limit) holds for this host too, and an answer of the proxy's shows nothing of the app. "
                "Write a lower rate, such as -e rate=2."
            )
        return ""
    kind, found = next(iter(wrong.items()))
    if os.path.exists(os.path.join(app.root, "maintenance")):
        return (
            f"{app.name} is in maintenance: clients get its page for as long as {app.root}/maintenance is there. Take "
            "that file away first."
        )
    times = sum(count for status, count in found.items() if bad(status))
    what = next((row.what for row in seen.rows if row.status == 0 and kinds[row.which] == kind), "")
    said = "no answer" if 0 in found else str(max(found))
    return (
        f"{kind} got {said} {times} of {sum(found.values())} times before anything was done"
        f"{f' ({what})' if what else ''}, asked for Host {domain} through the proxy. What is lost in the quiet can't "
        "be told from what a deploy loses. See to it first (logs.yml), or write other paths."
    )
