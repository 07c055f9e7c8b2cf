# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""certbot's certificates on a host: for which names each is, and how it is renewed."""

from __future__ import annotations

import re
from typing import Any

from .._host.certificate import read_certificate
from .programs import Host

LIVE, RENEWAL = "/etc/letsencrypt/live", "/etc/letsencrypt/renewal"
# Those that answer the authority by HTTP, as ours does.
_BY_HTTP = ("nginx", "webroot", "standalone", "apache")


def lineages(host: Host) -> list[dict[str, Any]]:
    """Each with ``path`` and ``names``; ``dns``, whether it is renewed in another way than by HTTP; and ``server``, the
    URL of the ACME directory that renews it, '' where that isn't known."""
    found = []
    for name in sorted(host.names(LIVE)):
        path = f"{LIVE}/{name}"
        names = read_certificate(f"{host.top}{path}/fullchain.pem").get("names")
        if names:
            text = host.read(f"{RENEWAL}/{name}.conf")
            server = re.search(r"(?m)^server\s*=\s*(\S+)", text)
            row = {"path": path, "names": names, "dns": _by_dns(text), "server": server[1] if server else ""}
            found.append(row)
    return found


def _by_dns(text: str) -> bool:
    """Of one without such a file nothing is known, and most are renewed by HTTP."""
    by = re.search(r"(?m)^authenticator\s*=\s*(\S+)", text)
    return bool(by and by[1] not in _BY_HTTP) or bool(re.search(r"(?m)^pref_challs\s*=.*\bdns", text))
