"""What the benchmark adds to its copies of examples/hello: paths for the load client, and who gave each answer."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response

# bench/source.py writes another number here for each change of the code.
EDITION = "0"
# While this file is there, the app isn't ready.
UNREADY = "/etc/bench-unready"
MEGABYTE = os.urandom(1_000_000)
HEADERS = (
    (b"x-release", f"{EDITION}+{importlib.metadata.version('structlog')}".encode()),
    (b"x-worker", str(os.getpid()).encode()),
)


class Numbered:
    """Gives each answer the number of its request."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        async def numbered(message) -> None:
            if message["type"] == "http.response.start":
                number = parse_qs(scope["query_string"].decode("latin-1")).get("n", [""])[0]
                message["headers"] = [*message.get("headers", []), *HEADERS, (b"x-number", number.encode("latin-1"))]
            await send(message)

        if scope.get("path") == "/ready" and os.path.exists(UNREADY):
            scope = {**scope, "path": "/nothing", "raw_path": b"/nothing"}
        await self.app(scope, receive, numbered if scope["type"] == "http" else send)


def instrument(app: FastAPI) -> None:
    """Add the paths that tests/load/steady.py asks, and who answered to every answer."""
    app.add_middleware(Numbered)

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    @app.get("/megabyte")
    async def megabyte() -> Response:
        return Response(MEGABYTE, media_type="application/octet-stream")

    @app.get("/slow")
    async def slow(seconds: float) -> Response:
        await asyncio.sleep(min(seconds, 10))
        return Response("slow")
