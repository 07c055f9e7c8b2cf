# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a service is asked, and as whom: over its unix socket, or through the front door as its clients come."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

HERE = "127.0.0.1"
GATED = "X-Graceful-Gated"
"""Header by which the health path is asked of the proxy as any other one: with it, the proxy's answer is 503 while it
holds clients back, which asked plainly it isn't (roles/caddy and roles/nginx, parts.j2)."""


def as_client(host: str, scheme: str) -> dict[str, str]:
    """The headers with which our proxies hand a client's request to the app; every question to it carries them.

    So an app that knows certain names alone, goes by the client's address or sends http to https answers it as it
    answers clients.

    :param host: the name that clients ask for.
    :param scheme: ``http`` or ``https``, as clients come.
    """
    return {
        "Host": host,
        "Accept": "*/*",
        "User-Agent": "graceful.deploy",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": scheme,
        "X-Forwarded-Host": host,
        "X-Request-ID": "graceful-question",
    }


@dataclass(frozen=True)
class Door:
    """Where to knock: an app's unix socket, or a TCP port of the proxy on this host, by TLS where ``tls``.

    :param host: the Host header, and the name asked for in TLS.
    :param address: of another host's proxy, which a balancer asks.
    :param scheme: how clients come, ``http`` or ``https``. It may be https where ``tls`` isn't set: a proxy before this
        one may end TLS.
    """

    host: str
    unix: str = ""
    port: int = 0
    tls: bool = False
    scheme: str = "http"
    address: str = HERE

    @property
    def name(self) -> str:
        if self.unix:
            return self.unix
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """To the app's own socket the proxy's, to another host a balancer's, to the proxy a client's."""
        if self.unix or self.address != HERE:
            return as_client(self.host, self.scheme)
        return {"Host": self.host, "Accept": "*/*", "User-Agent": "graceful.deploy", GATED: "1"}

    def connect(self, timeout: float) -> socket.socket:
        if self.unix:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(timeout)
            connection.connect(self.unix)
            return connection
        connection = socket.create_connection((self.address, self.port), timeout)
        if not self.tls:
            return connection
        # Whether a browser trusts the certificate is not asked here: a staging or internal authority is a choice.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(connection, server_hostname=self.host)
