# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Constant-rate load on this host's own front door, a line of JSON for each request as it ends.

A program by itself, which the module ``prove`` starts on the host as a transient unit of systemd's; it needs nothing
but Python 3.11. tests/load/steady.py, the client of the tests, sends its requests by the same functions.

What to ask is a JSON object on standard input (Wanted). It asks 127.0.0.1 and nobody else, each request on a
connection of its own, when its time has come, whatever became of those before. It ends after ``seconds`` or at
SIGTERM, when it has waited for the answers still due.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

ADDRESS = "127.0.0.1"
MOST_RATE, MOST_SECONDS = 200.0, 900.0
"""What a person may ask for, again: this program keeps to it, whoever starts it."""
MOST_OPEN = 1000
"""Requests that may wait for an answer at once. A host that answers nobody isn't helped by more."""
PIECE = 1 << 16
NOT_SENT = f"not sent, because {MOST_OPEN} others were waiting"


class Lost(Exception):
    """No answer, or one that isn't."""


@dataclass(frozen=True)
class Wanted:
    """What to ask, how often, for how long.

    :param asked: of each kind of request ``method``, ``path``, ``body``, ``content_type`` and ``share``.
    :param headers: of every request.
    :param host: the name that TLS is asked for, where ``tls``.
    :param rate: requests a second, all kinds together.
    :param seconds: how long, at most.
    :param timeout: seconds after which a request is lost.
    :param token: begins each X-Request-ID; the request's number follows.
    """

    asked: list[dict[str, Any]]
    headers: dict[str, str]
    host: str
    port: int
    tls: bool
    rate: float
    seconds: float
    timeout: float
    token: str


async def pace(rate: float, seconds: float, stop: asyncio.Event) -> AsyncIterator[tuple[int, float]]:
    """Each request's number, from 0, when its time has come, and by how many seconds that was missed: where it was, the
    machine of the client was busy, and not the server."""
    clock, number = time.monotonic(), 0
    while not stop.is_set() and (due := number / rate) < seconds:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0, clock + due - time.monotonic()))
            return
        yield number, max(0.0, time.monotonic() - clock - due)
        number += 1


def turns(shares: Sequence[int]) -> Iterator[int]:
    """Whose turn it is, for ever: each as often as its share says, and spread evenly."""
    credit = [0] * len(shares)
    while True:
        credit = [have + share for have, share in zip(credit, shares, strict=True)]
        chosen = credit.index(max(credit))
        credit[chosen] -= sum(shares)
        yield chosen


def request(kind: dict[str, Any], headers: dict[str, str], number: str) -> bytes:
    """The bytes of one request."""
    body = str(kind["body"]).encode()
    lines = [f"{kind['method']} {kind['path']} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"X-Request-ID: {number}", "Connection: close"]
    if kind["content_type"]:
        lines.append(f"Content-Type: {kind['content_type']}")
    if body or kind["method"] in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "\r\n"]).encode() + body


async def connected(
    address: str, port: int, tls: ssl.SSLContext | None = None, name: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """:param name: whom TLS is asked for."""
    if tls:
        return await asyncio.open_connection(address, port, ssl=tls, server_hostname=name or None)
    return await asyncio.open_connection(address, port)


async def answered(reader: asyncio.StreamReader, method: str) -> int:
    """Read an answer to its end, and keep nothing of it; its status.

    :raises Lost: it is none, or was cut short.
    """
    got = b""
    while b"\r\n\r\n" not in got:
        piece = await reader.read(PIECE)
        if not piece:
            raise Lost(f"closed after {len(got)} bytes of a head" if got else "closed without an answer")
        got += piece
        if len(got) > 4 * PIECE:
            raise Lost("a head without an end")
    head, _blank, rest = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) < 2 or not words[1].isdigit():
        raise Lost(f"no answer of HTTP: {first[:60]}")
    named = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    size, last = len(rest), rest[-5:]
    while piece := await reader.read(PIECE):
        size, last = size + len(piece), (last + piece)[-5:]
    status = int(words[1])
    if method == "HEAD" or status in (204, 304):
        return status
    length = named.get("content-length", "")
    if length.isdigit() and size < int(length):
        raise Lost(f"cut after {size} of {length} bytes")
    if "chunked" in named.get("transfer-encoding", "").lower() and last != b"0\r\n\r\n":
        raise Lost(f"cut after {size} bytes")
    return status


@dataclass
class Client:
    """Sends, and writes down what came of each."""

    wanted: Wanted
    out: Any
    context: ssl.SSLContext | None = None
    open: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        wanted, sent = self.wanted, 0
        turn = turns([int(kind["share"]) for kind in wanted.asked])
        self.line({"began": time.time()})
        rate, seconds = min(wanted.rate, MOST_RATE), min(wanted.seconds, MOST_SECONDS)
        async for number, behind in pace(rate, seconds, stop):
            task = asyncio.create_task(self._one(number, next(turn), behind))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            sent = number + 1
        self.line({"stopped": time.time(), "sent": sent})
        await asyncio.gather(*self.tasks)
        self.line({"ended": time.time(), "sent": sent})

    async def _one(self, number: int, which: int, behind: float) -> None:
        at, clock, status, what = time.time(), time.monotonic(), 0, ""
        if self.open >= MOST_OPEN:
            self.line([number, which, round(at, 3), 0.0, 0, round(behind, 4), NOT_SENT])
            return
        self.open += 1
        try:
            async with asyncio.timeout(self.wanted.timeout):
                status = await self._exchange(number, self.wanted.asked[which])
        except TimeoutError:
            what = f"no answer within {self.wanted.timeout:g} s"
        except (Lost, OSError, ValueError) as error:
            what = str(error) or type(error).__name__
        finally:
            self.open -= 1
        took = time.monotonic() - clock
        self.line([number, which, round(at, 3), round(took, 4), status, round(behind, 4), what])

    async def _exchange(self, number: int, kind: dict[str, Any]) -> int:
        wanted = self.wanted
        reader, writer = await connected(ADDRESS, wanted.port, self.context, wanted.host)
        try:
            writer.write(request(kind, wanted.headers, f"{wanted.token}-{number}"))
            return await answered(reader, str(kind["method"]))
        finally:
            writer.close()

    def line(self, row: object) -> None:
        # At once: whoever ends this program still has what was seen until then.
        self.out.write(json.dumps(row, separators=(",", ":")) + "\n")
        self.out.flush()


async def main() -> None:
    wanted = Wanted(**json.loads(sys.stdin.read()))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    context = None
    if wanted.tls:
        # Whether a browser trusts the certificate isn't asked here: a staging or internal authority is a choice.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    await Client(wanted, sys.stdout, context).run(stop)


if __name__ == "__main__":
    asyncio.run(main())
