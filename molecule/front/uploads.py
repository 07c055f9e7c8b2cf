"""Many uploads at once: uploads.py PORT HOW_MANY BYTES; prints how many were answered 200 with all bytes counted.

The body is the same piece again and again, so that the client holds next to nothing.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys

PIECE = bytes(65536)


async def upload(port: int, size: int, at_once: asyncio.Barrier) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"POST /upload HTTP/1.1\r\nHost: front\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        await at_once.wait()
        left = size
        while left:
            writer.write(PIECE[: min(left, len(PIECE))])
            left -= min(left, len(PIECE))
            await writer.drain()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    except OSError as error:
        return type(error).__name__
    finally:
        writer.close()
    status = head.split()[1].decode() if head else "no answer"
    return status if status != "200" or json.loads(body)["bytes"] == size else "cut"


async def main() -> None:
    port, many, size = map(int, sys.argv[1:])
    at_once = asyncio.Barrier(many)
    answers = await asyncio.gather(*(upload(port, size, at_once) for _ in range(many)))
    print(json.dumps(collections.Counter(answers)))


asyncio.run(main())
