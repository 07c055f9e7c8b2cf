# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..module_utils._host.door import as_client


def client(domains: list[str], address: str, tls: str | bool, trusted_proxies: list[str]) -> dict[str, t.Any]:
    """As whom the app is asked, so that it answers us as it answers its clients.

    Where TLS is off and a proxy before ours is trusted, clients are taken to come to that one by https: an app that
    sends http to https would answer nothing else well, and no app refuses it.

    :param domains: of the site; the first is asked for.
    :param address: by which clients come where it has none.
    """
    host = domains[0].replace("*", "www") if domains else named(str(address))
    scheme = "http" if (tls or "off") == "off" and not trusted_proxies else "https"
    return {"host": host, "scheme": scheme, "headers": as_client(host, scheme)}


def named(address: str) -> str:
    """An inventory's name or address of a host, as it may stand in a request."""
    try:
        parsed = ipaddress.ip_address(address)
        return f"[{parsed}]" if parsed.version == 6 else address
    except ValueError:
        return address if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", address) else "localhost"


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"client": client}
