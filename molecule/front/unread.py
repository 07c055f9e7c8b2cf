"""Requests whose body nobody reads: unread.py PORT HOW_MANY [BYTES...]; prints how many had which answer.

Each is a POST to a path that takes none, with one of the sizes. All of it is sent before the answer is read, as most
clients do. The body comes with the head, or up to 2 ms later, which is about when the app has answered; one of fifty
comes in pieces over two seconds, as from a telephone.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import sys

SIZES = (1, 9, 1000, 16_384, 65_536, 300_000, 1 << 20)
PIECES, PAUSE = 8, 0.25
"""Of a body that comes slowly: how many, and seconds between two."""


async def post(port: int, size: int, later: float, few: asyncio.Semaphore) -> str:
    """
    :param later: seconds from the head to the body, 0 for one write; below 0 for a body that comes slowly.
    :return: the status of an answer that came whole, else what came in its place.
    """
    async with few:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /nosuch HTTP/1.1\r\nHost: front\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode()
        try:
            if later < 0:
                writer.write(head)
                for piece in range(PIECES):
                    await asyncio.sleep(PAUSE)
                    writer.write(bytes(size * (piece + 1) // PIECES - size * piece // PIECES))
            elif later:
                writer.write(head)
                await asyncio.sleep(later)
                writer.write(bytes(size))
            else:
                writer.write(head + bytes(size))
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 30)
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    whole = f"content-length: {len(body)}".encode() in head.lower()
    return head.split()[1].decode() if whole else f"cut: {answer[:60]!r}"


async def main() -> None:
    port, many, *sizes = map(int, sys.argv[1:])
    draw, few = random.Random(many), asyncio.Semaphore(8)
    posts = [
        post(port, draw.choice(sizes or SIZES), -1 if each % 50 == 0 else draw.choice((0, draw.random() / 500)), few)
        for each in range(many)
    ]
    print(json.dumps(collections.Counter(await asyncio.gather(*posts))))


asyncio.run(main())
