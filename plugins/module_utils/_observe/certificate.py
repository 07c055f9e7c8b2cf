# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate that clients get, asked of the proxy as they ask, whichever it is and wherever it keeps it."""

from __future__ import annotations

import os
import ssl
import tempfile
from typing import Any

from .._host.probe import Door
from .._preflight.certificates import read_certificate

PORT, LIMIT = 443, 3.0
"""Where it is asked for, and seconds that this may take."""


def served(host: str, port: int = PORT) -> dict[str, Any]:
    """``ends`` (seconds since the epoch) and ``names``; empty where nothing serves one there.

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
    return {} if found["problem"] else {"ends": int(found["ends"]), "names": found["names"]}
