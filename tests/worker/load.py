# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Closed-loop POST load on a unix socket, one connection a request; ``load.py SOCKET CLIENTS`` until SIGTERM.

Prints one JSON line: requests answered, and the reasons of those that were lost.
"""

from __future__ import annotations

import asyncio
import collections
import json
import signal
import sys

REQUEST = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"


async def one(path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(REQUEST)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head.split(b"\r\n")[0].decode())
        await asyncio.wait_for(reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0])), 20)
    finally:
        writer.close()


async def main(path: str, clients: int) -> None:
    answered, lost, stop = 0, collections.Counter(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def client() -> None:
        nonlocal answered
        while not stop.is_set():
            try:
                await one(path)
            except Exception as error:
                lost[repr(error)] += 1
            else:
                answered += 1

    print("started", flush=True)
    await asyncio.gather(*(client() for _ in range(clients)))
    print(json.dumps({"answered": answered, "lost": lost}))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
