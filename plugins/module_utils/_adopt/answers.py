# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks what serves and what is to serve for the same paths, as the proxy would, and says what differs."""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass
from typing import Any

from .._host.door import as_client

LONGEST = 4 << 20
"""Bytes of a body that are compared."""


@dataclass(frozen=True)
class Answer:
    """:param status: 0 where there was none, and ``wrong`` says why."""

    status: int
    kind: str = ""
    body: bytes = b""
    wrong: str = ""

    def __str__(self) -> str:
        return str(self.status) if self.status else f"none ({self.wrong})"


def connect(at: str, timeout: float) -> socket.socket:
    """:param at: ``127.0.0.1:8000`` or ``unix:/run/shop.sock``."""
    if at.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        connection.connect(at.removeprefix("unix:"))
        return connection
    host, _colon, port = at.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def ask(at: str, path: str, host: str, scheme: str, timeout: float = 30) -> Answer:
    """One GET, as a proxy hands a client's on; never raises for what the service does."""
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.sock = connect(at, timeout)
        connection.request("GET", path, headers={**as_client(host, scheme), "Connection": "close"})
        response = connection.getresponse()
        body = response.read(LONGEST + 1)
        return Answer(response.status, response.getheader("Content-Type") or "", body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(0, wrong=f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def until_answered(at: str, host: str, scheme: str, limit: float) -> str:
    """Wait until anything is answered, which an app that serves does at any path; what was seen instead, or ''."""
    end = time.monotonic() + limit
    answer = Answer(0, wrong="it wasn't asked")
    while time.monotonic() < end:
        answer = ask(at, "/", host, scheme, 5)
        if answer.status and answer.status not in (502, 503, 504):
            return ""
        time.sleep(0.2)
    return f"{at} gave no answer within {limit:g} s; the last: {answer}"


def difference(old: Answer, new: Answer) -> str:
    """What a person has to know; '' for the same."""
    if old.status != new.status:
        return "another status"
    if old.kind != new.kind:
        return f"another type: {old.kind or 'none'}, now {new.kind or 'none'}"
    if old.body == new.body:
        return ""
    shortest = min(len(old.body), len(new.body))
    at = next((index for index in range(shortest) if old.body[index] != new.body[index]), shortest)
    length = "" if len(old.body) == len(new.body) else f"{len(old.body)} bytes, now {len(new.body)}; "
    return f"{length}from byte {at}: {around(old.body, at)}, now {around(new.body, at)}"


def around(body: bytes, at: int) -> str:
    return repr(body[max(0, at - 8) : at + 24].decode(errors="replace"))


def compare(old_at: str, new_at: str, paths: list[str], host: str, scheme: str) -> list[dict[str, Any]]:
    rows = []
    for path in paths:
        old, new = ask(old_at, path, host, scheme), ask(new_at, path, host, scheme)
        rows.append({"path": path, "old": str(old), "new": str(new), "differs": difference(old, new)})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """For people: a row for each path."""
    cells = [("path", "old", "new", "answer")]
    cells += [(row["path"], row["old"], row["new"], row["differs"] or "the same") for row in rows]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row[:3], widths, strict=True)), row[3]]) for row in cells)
