# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a certificate says: one in a file, or the one that clients get, asked of the proxy as they ask."""

from __future__ import annotations

import os
import ssl
import tempfile
import typing as t

from .door import Door

PORT, LIMIT = 443, 3.0
"""Where it is asked for, and seconds that this may take."""


def read_certificate(path: str) -> dict[str, t.Any]:
    """``problem`` is missing or unreadable; else ``begins``, ``ends`` (seconds since the epoch) and ``names``."""
    if not os.path.isfile(path):
        return {"problem": "missing"}
    try:
        # No public call tells what is in a certificate without a connection; this one is there since Python 2.6.
        seen = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined]
    except (OSError, ValueError):
        return {"problem": "unreadable"}
    names = [name for kind, name in seen.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    begins, ends = (ssl.cert_time_to_seconds(seen[field]) for field in ("notBefore", "notAfter"))
    return {"problem": "", "begins": begins, "ends": ends, "names": names}


def served(host: str, port: int = PORT) -> dict[str, t.Any]:
    """``begins``, ``ends`` (seconds since the epoch) and ``names``; empty where nothing serves one there.

    :param host: the name that clients ask for.
    """
    try:
        with Door(host, port=port, tls=True).connect(LIMIT) as connection:
            certificate = connection.getpeercert(True) if isinstance(connection, ssl.SSLSocket) else None
    except OSError:
        return {}
    if not certificate:
        return {}
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(ssl.DER_cert_to_PEM_cert(certificate))
    try:
        found = read_certificate(file.name)
    finally:
        os.unlink(file.name)
    return {} if found.pop("problem") else found
