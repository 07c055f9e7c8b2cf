# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A body that the app doesn't read: the answer comes after it, as it would on a connection that is kept.

Uvicorn closes a connection that isn't kept as soon as the answer is written. Where the body is still on its way, that
breaks the proxy's writing, and the client gets a 502 or a reset in place of the answer. So the answer begins when the
request has come to its end. Where that takes too long it begins before, and the connection stays open for a moment: who
has the answer closes it (RFC 9112, 9.6).

Nothing here knows the HTTP implementation: this is ASGI.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from typing import Any

# Bytes that are read, and seconds that takes, before whoever sends more, or slower, gets the answer first.
KEPT = (2 << 20, 5.0)  # of a body that the app may still read, after it has begun its answer
DROPPED = (64 << 20, 30.0)  # of one that it can't read any more: its answer is whole
SILENCE = 1.0  # seconds without a byte after which nobody waits in either case


def announced(scope: Any) -> bool:
    """Whether a body follows the head of this request."""
    if scope["type"] != "http":
        return False
    headers = dict(scope["headers"])  # quicker than to look at each: every request pays for it
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


class Body:
    """Stands between Uvicorn and the app, with ``receive`` and ``send`` for the app, where a body was announced.

    It is read even where the client waits for a 100 (Continue): Caddy hands the header on, and doesn't wait.
    """

    def __init__(self, scope: Any, receive: Any, send: Any, closing: Callable[[], bool]) -> None:
        """:param closing: whether connections end because the worker does."""
        self._scope, self._receive, self._send, self._closing = scope, receive, send, closing
        self._closes = False  # whether the answer says so
        self._ended = False  # all of it was received, or the client is gone
        self._kept: collections.deque[Any] = collections.deque()
        # One reader at a time, or what is kept gets out of order: many apps listen for a disconnect while they answer.
        self._turn = asyncio.Lock()
        self._head: Any = None  # the answer's, held back while the body comes: what is next tells whether it is whole

    async def receive(self) -> Any:
        async with self._turn:
            return self._kept.popleft() if self._kept else await self._next()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._closes = not self._ended and _closes(message)
            if self._owed() and not await self.read(*KEPT, self._kept.append):
                self._head = message
                return
        elif self._head:
            head, self._head = self._head, None
            try:
                if _is_whole(head, message):
                    await self.read(*DROPPED)
            finally:  # also where the worker's drain ends meanwhile
                await self._send(head)
                await self._pass_on(message)
            return
        await self._pass_on(message)

    async def _pass_on(self, message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False) and self._owed():
            # Without its end: who knows its length has it all, and closes.
            await self._send({**message, "more_body": True})
            message = {"type": "http.response.body"}
            try:
                await self.read(*DROPPED)
            finally:
                await self._send(message)
            return
        await self._send(message)

    def _owed(self) -> bool:
        return not self._ended and (
            self._closes or self._closing() or self._scope["http_version"] == "1.0" or _closes(self._scope)
        )

    async def _next(self) -> Any:
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def read(self, size: int, seconds: float, keep: Callable[[Any], None] = lambda _message: None) -> bool:
        """Read what is left of the body, where the connection isn't kept.

        :param size: bytes after which it ends.
        :param keep: takes what was read.
        :return: whether nothing more is to be expected: it has ended, or nothing came for a while.
        """
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                while self._owed() and size > 0:
                    async with asyncio.timeout(SILENCE), self._turn:
                        if self._ended:
                            break
                        message = await self._next()
                        keep(message)
                    size -= len(message.get("body", b""))
        except TimeoutError:
            return not limit.expired()
        except asyncio.CancelledError:
            self._ended = True  # nobody waits for it again
            raise
        return not self._owed()


def _closes(message: Any) -> bool:
    return any(
        name.lower() == b"connection" and b"close" in value.lower() for name, value in message.get("headers", ())
    )


def _is_whole(head: Any, message: Any) -> bool:
    """Whether this is all of the answer's body. Middleware passes on an answer of one piece as a stream."""
    told = {name.lower(): value for name, value in head.get("headers", ())}.get(b"content-length")
    return not message.get("more_body", False) or told == b"%d" % len(message.get("body", b""))
