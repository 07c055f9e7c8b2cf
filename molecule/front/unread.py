"""Requests whose body nobody reads: unread.py PORT HOW_MANY; prints how many had which answer.

Each is a POST to a path that takes none, with 1 byte to 1 MB, and the body comes up to 2 ms after the head:
about when the app has answered.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import sys

SIZES = (1, 9, 1000, 16_384, 65_536, 300_000, 1 << 20)


async def post(port: int, size: int, later: float, few: asyncio.Semaphore) -> str:
    async with few:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = f"POST /nosuch HTTP/1.1\r\nHost: front\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
            writer.write(head.encode())
            await asyncio.sleep(later)
            writer.write(bytes(size))
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 30)
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        finally:
            writer.close()
    return answer.split()[1].decode() if answer else "no answer"


async def main() -> None:
    port, many = map(int, sys.argv[1:])
    draw, few = random.Random(many), asyncio.Semaphore(8)
    posts = [post(port, draw.choice(SIZES), draw.choice((0, draw.random() / 500)), few) for _ in range(many)]
    print(json.dumps(collections.Counter(await asyncio.gather(*posts))))


asyncio.run(main())
