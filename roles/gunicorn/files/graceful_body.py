# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A body that the app doesn't read: the answer comes after it, as it would on a connection that is kept.

Uvicorn closes a connection that isn't kept as soon as the answer is written. Where the body is still on its way, that
breaks the proxy's writing, and the client gets a 502 or a reset in place of the answer. So the answer begins when the
request has come to its end. Where that takes too long it begins before, and the connection is held open for a moment:
who has the answer closes by itself (RFC 9112, 9.6).

Nothing here knows the HTTP implementation: this is ASGI.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from typing import Any

KEPT = 2 << 20  # bytes that are read before the answer, and kept: the app may answer first and read later
DROPPED = 16 << 20  # bytes that are read at the end of the answer
SILENCE = 1.0  # seconds without a byte after which nobody waits any more
PATIENCE = 5.0  # seconds of waiting in all, each time


def announced(scope: Any) -> bool:
    """Whether a body follows the head of this request."""
    return scope["type"] == "http" and any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


class Body:
    """Stands between Uvicorn and the app, with ``receive`` and ``send`` of its own, where a body was announced."""

    def __init__(self, scope: Any, receive: Any, send: Any, closing: Callable[[], bool]) -> None:
        """:param closing: whether connections end because the worker does."""
        self._receive, self._send, self._closing = receive, send, closing
        self._closes = scope["http_version"] == "1.0" or _says(scope["headers"], b"connection", b"close")
        # Nobody sends a body that the server has to ask for first.
        self._asked_for = not _says(scope["headers"], b"expect", b"100-continue")
        self._ended = False  # all of it was received, or the client is gone
        self._kept: collections.deque[Any] = collections.deque()
        # One reader at a time, or what is kept gets out of order: many apps listen for a disconnect while they answer.
        self._turn = asyncio.Lock()

    async def receive(self) -> Any:
        async with self._turn:
            return self._kept.popleft() if self._kept else await self._next()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._closes = self._closes or _says(message.get("headers", ()), b"connection", b"close")
            await self.read(keep=True)
        elif message["type"] == "http.response.body" and not message.get("more_body", False) and self._owed():
            # Whole but for its end, so that whoever knows its length has it, and closes.
            await self._send({**message, "more_body": True})
            message = {"type": "http.response.body"}
            try:
                await self.read()
            finally:
                await self._send(message)  # also where the worker's drain ends meanwhile
            return
        await self._send(message)

    def _owed(self) -> bool:
        return self._asked_for and not self._ended and (self._closes or self._closing())

    async def _next(self) -> Any:
        self._asked_for = True
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def read(self, keep: bool = False) -> None:
        """Read what is left of the body where the connection isn't kept, within the limits.

        :param keep: for the app, which hasn't ended its answer.
        """
        left = KEPT if keep else DROPPED
        try:
            async with asyncio.timeout(PATIENCE):
                while self._owed() and left > 0:
                    async with asyncio.timeout(SILENCE), self._turn:
                        if self._ended:
                            break
                        message = await self._next()
                        if keep:
                            self._kept.append(message)
                    left -= len(message.get("body", b""))
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._ended = True  # nobody waits for it again
            raise


def _says(headers: Any, name: bytes, value: bytes) -> bool:
    return any(key.lower() == name and value in said.lower() for key, said in headers)
