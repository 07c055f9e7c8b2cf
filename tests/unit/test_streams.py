# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The streams' client has to tell a stream that was told to go from one that just broke off."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest

STREAMS = Path(__file__).resolve().parents[1] / "load" / "streams.py"
spec = importlib.util.spec_from_file_location("streams", STREAMS)
streams = importlib.util.module_from_spec(spec)
spec.loader.exec_module(streams)

UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
MESSAGE = b'\x81\x12{"release": "abc"}'
CLOSE = b"\x88\x02" + (1012).to_bytes(2)
EVENTS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"b\r\ndata: abc\n\n\r\n"


@pytest.mark.parametrize(
    ("kind", "sent", "how", "messages"),
    [
        ("ws", UPGRADE + MESSAGE + MESSAGE + CLOSE, "1012", 2),
        ("ws", UPGRADE + b"\x89\x00" + MESSAGE, "cut", 1),
        ("ws", b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502", 0),
        ("sse", EVENTS + EVENT + EVENT + b"0\r\n\r\n", "end", 2),
        ("sse", EVENTS + EVENT, "cut", 1),
        ("sse", EVENTS + EVENT + b"b\r\ndata", "cut", 1),
        ("sse", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "503", 0),
    ],
)
def test_how_a_stream_ended(kind, sent, how, messages):
    """It is opened again after each end, and the one that is open when the client stops has no end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        served.append(writer)
        if len(served) == 1:
            writer.write(sent)
            await writer.drain()
            writer.close()

    served: list[asyncio.StreamWriter] = []
    seen: list[dict] = []

    async def both() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        task = asyncio.create_task(streams.keep_open(listening.sockets[0].getsockname()[1], kind, seen))
        async with asyncio.timeout(20):
            while len(served) < 2:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        served[1].close()

    asyncio.run(both())
    first, second = seen
    assert (first["how"], first["messages"], first["release"]) == (how, messages, "abc" if messages else "")
    assert first["ended"] >= first["opened"]
    assert (second["how"], second["ended"]) == ("", None)
