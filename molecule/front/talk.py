"""Talks to the proxy byte by byte: what to say comes as base64 of JSON, what was answered goes out as JSON.

Each of a list of talks, all at the same time, has ``port``, ``pieces`` (pairs of seconds to wait and text to send), and
may have ``source`` (an address), ``tls`` (a server name; the certificate isn't looked at) and ``limit``
(seconds). It ends when the other side closes, or at the limit. The answer has ``raw``
text, ``closed``, ``seconds`` in all and ``first``, seconds until the first byte. Text is latin-1.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import sys
import time

# One for all, and without the authorities that a default one loads: 30 of those take seconds of a busy CPU, in which
# the proxy cuts the first connection for saying nothing.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


async def talk(port: int, pieces: list, source: str = "", tls: str = "", limit: float = 10) -> dict:
    began = time.monotonic()
    answer = {"raw": "", "closed": False, "first": None}
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            local_addr=(source, 0) if source else None,
            ssl=CONTEXT if tls else None,
            server_hostname=tls or None,
        )
    except (OSError, ssl.SSLError) as error:
        return {**answer, "error": f"{type(error).__name__}: {error}", "closed": True, "seconds": 0}

    async def say() -> None:
        for pause, text in pieces:
            await asyncio.sleep(pause)
            writer.write(text.encode("latin-1"))
            await writer.drain()

    async def hear() -> None:
        while data := await reader.read(65536):
            answer["first"] = answer["first"] or time.monotonic() - began
            answer["raw"] += data.decode("latin-1")

    saying = asyncio.create_task(say())
    with contextlib.suppress(TimeoutError):
        try:
            await asyncio.wait_for(hear(), limit)
        except TimeoutError:
            raise
        except (OSError, ssl.SSLError) as error:
            answer["error"] = type(error).__name__
        answer["closed"] = True
    answer["seconds"] = time.monotonic() - began
    saying.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await saying
    writer.close()
    return answer


async def main() -> None:
    talks = json.loads(base64.b64decode(sys.argv[1]))
    print(json.dumps(await asyncio.gather(*(talk(**each) for each in talks))))


asyncio.run(main())
