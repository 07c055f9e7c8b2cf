"""An app that writes numbered lines in every way that apps do, as fast as it can, when it is told to. ASGI alone."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import parse_qs

log = logging.getLogger("chatter")
bursts: set[str] = set()


def by_json(text: str) -> None:
    print(json.dumps({"event": text, "level": "info"}))


# All of them go to one stream, so that the order of a worker's lines is that of its numbers.
WAYS: list[Callable[[str], object]] = [
    print,
    lambda text: print(*text.split()),
    lambda text: print(text, file=sys.stderr),
    log.info,
    by_json,
]


async def burst(lines: int) -> None:
    for number in range(lines):
        WAYS[number % len(WAYS)](f"burst {os.getpid()} {number} of {lines} {'x' * (number % 100)}.")
        if number % 50 == 0:
            await asyncio.sleep(0)


def speak(what: str, asked: dict[str, str]) -> None:
    """Lines of kinds that a test asks for."""
    if what == "/stdout":
        print("said on stdout")
    elif what == "/stderr":
        print("said on stderr", file=sys.stderr)
    elif what == "/child":
        subprocess.run(["/bin/sh", "-c", "echo said by a child"], check=True)
    elif what == "/json":
        print(json.dumps({"level": asked["level"], "event": "said in JSON"}))
    elif what == "/logging":
        log.warning("said by logging")
    elif what == "/long":
        print("long " + "y" * int(asked["bytes"]) + " end")
    elif what == "/raise":
        raise RuntimeError("raised on purpose")


async def app(scope, receive, send) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    asked = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    status, lines = 200, 0
    if scope["path"] == "/burst":
        # Each worker once for each burst, so that the one who asks comes to all of them.
        if asked["id"] in bursts:
            status = 409
        else:
            bursts.add(asked["id"])
            lines = int(asked["lines"])
    else:
        speak(scope["path"], asked)
    # Before the lines, so that the one who asks knows that they come.
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"1")]})
    await burst(lines)
    await send({"type": "http.response.body", "body": b"."})
