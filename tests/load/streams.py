# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps WebSockets and server-sent event streams open, and says how each ended; needs nothing but Python 3.11.

    streams.py --each 5 --seconds 60 --out report.json

Every stream that ends is opened again at once, as a browser does, until --seconds are over or SIGTERM comes. The report
is a list of streams: kind (``ws``, ``sse``), opened, ended (seconds since the epoch; null while it was open), the
release that it came from, the messages it had, and how it ended: a WebSocket's close code, ``end`` for an event stream
that was completed, ``cut`` for what just broke off, a status for what was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import signal
import time

AGAIN = 0.1  # seconds before a stream is opened again


class Ended(Exception):
    """How a stream ended."""


async def head(reader: asyncio.StreamReader, wanted: int) -> None:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = lines[0].split()[1]
    if status != str(wanted):
        raise Ended(status)


async def websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: dict) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    await head(reader, 101)
    while True:
        first, size = await reader.readexactly(2)
        if size in (126, 127):
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
        data = await reader.readexactly(size)
        if first & 15 == 8:
            # The answer to a close is a close: a masked frame with the same code.
            writer.write(bytes((0x88, 0x80 | len(data[:2]))) + bytes(4) + data[:2])
            raise Ended(str(int.from_bytes(data[:2])))
        if first & 15 == 9:
            writer.write(bytes((0x8A, 0x80 | size)) + bytes(4) + data)
        if first & 15 == 1:
            seen["release"] = json.loads(data)["release"]
            seen["messages"] += 1


async def event_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: dict) -> None:
    writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    await head(reader, 200)
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        data = await reader.readexactly(size + 2)
        seen["release"] = data.decode().split("data: ")[-1].strip()
        seen["messages"] += 1
    raise Ended("end")


async def keep_open(port: int, kind: str, streams: list[dict]) -> None:
    while True:
        seen = {"kind": kind, "opened": time.time(), "ended": None, "release": "", "messages": 0, "how": ""}
        streams.append(seen)
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await (websocket if kind == "ws" else event_stream)(reader, writer, seen)
        except Ended as end:
            seen["how"] = str(end)
        except (OSError, EOFError):
            seen["how"] = "cut"
        finally:
            if writer:
                writer.close()
        seen["ended"] = time.time()
        await asyncio.sleep(AGAIN)


async def main(arguments: argparse.Namespace) -> list[dict]:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    streams: list[dict] = []
    kinds = ("ws", "sse") * arguments.each
    tasks = [asyncio.create_task(keep_open(arguments.port, kind, streams)) for kind in kinds]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), arguments.seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return streams


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--port", type=int, default=80, help="on 127.0.0.1 (80)")
    options.add_argument("--each", type=int, default=5, help="how many of each kind (5)")
    options.add_argument("--seconds", type=float, default=60, help="how long at most (60); SIGTERM ends it before")
    options.add_argument("--out", required=True, help="file for the report, which appears whole")
    return options


if __name__ == "__main__":
    chosen = parser().parse_args()
    text = json.dumps(asyncio.run(main(chosen)))
    with open(f"{chosen.out}.part", "w", encoding="utf-8") as file:
        file.write(text + "\n")
    os.replace(f"{chosen.out}.part", chosen.out)
