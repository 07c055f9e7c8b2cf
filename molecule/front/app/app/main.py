"""An app that says what reached it, for the scenario's tests and the load clients in tests/load.

Every answer of the app itself has X-App, so that it can be told from the proxy's own. Requests whose target has
``case`` in it are written down in the directory that the tests also turn its switches in.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

RELEASE = os.environ.get("FASTAPI_RELEASE", "none")
DATABASE = os.environ.get("DATABASE", "")
NAMES = os.environ.get("NAMES", "")  # takes clients that ask for one of these, by https, and nobody else
READY_FOR = float(os.environ.get("READY_FOR", "inf"))  # seconds since a worker's start
BEGAN = time.monotonic()
PING = 0.2  # seconds between two messages of a stream
SWITCHES = Path("switches")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Marked:
    """Marks each answer, with the request's number where it has one, and writes down the cases."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        target = scope.get("raw_path", b"") + b"?" + scope["query_string"]
        if b"case" in target:
            line = json.dumps({"method": scope["method"], "target": target.decode("latin-1")}) + "\n"
            with (SWITCHES / "cases").open("a", encoding="utf-8") as file:
                file.write(line)
        number = target.partition(b"n=")[2].partition(b"&")[0]
        mine = [(b"x-app", b"yes"), (b"x-number", number), (b"x-release", RELEASE.encode())]
        # The last is the proxy's to say, and counts for nothing here.
        mine += [(b"x-worker", str(os.getpid()).encode()), (b"x-graceful-side", b"canary")]

        async def marked(message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *mine]}
            await send(message)

        await self.app(scope, receive, marked)


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Takes its time where that is wanted; this switch stays turned, for it is each worker's own."""
    with contextlib.suppress(FileNotFoundError):
        await asyncio.sleep(float((SWITCHES / "slow-start").read_text(encoding="utf-8")))
    yield


class Strict:
    """Goes by what each client's request has. It raises where that isn't there."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            _ = (request.client.host, request.headers["x-request-id"], scope["server"][0])
        await self.app(scope, receive, send)


app = FastAPI(lifespan=lifespan)
if NAMES:
    app.add_middleware(Strict)
    app.add_middleware(HTTPSRedirectMiddleware)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=NAMES.split(","))
app.add_middleware(Marked)


@app.get("/")
async def index() -> dict[str, str | int]:
    return {"release": RELEASE, "worker": os.getpid()}


@app.api_route("/seen", methods=METHODS)
@app.api_route("/seen/{rest:path}", methods=METHODS)
async def seen(request: Request) -> dict:
    """What there is to see of a request."""
    scope = request.scope
    return {
        "method": scope["method"],
        "scheme": scope["scheme"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "client": scope["client"][0] if scope["client"] else "",
        "host": request.url.netloc,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "bytes": len(await request.body()),
    }


@app.post("/echo")
async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


@app.get("/slow")
async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"seconds": seconds}


@app.post("/upload")
async def upload(request: Request) -> dict[str, float]:
    """Take a body piece by piece and keep none; ``spread`` is the seconds between the first and the last."""
    size, times = 0, []
    async for piece in request.stream():
        if piece:
            size += len(piece)
            times.append(time.monotonic())
    return {"bytes": size, "pieces": len(times), "spread": times[-1] - times[0] if times else 0}


@app.get("/big")
async def big(size: int) -> Response:
    return Response((b"0123456789abcdef" * (size // 16 + 1))[:size], media_type="application/octet-stream")


@app.get("/text")
async def text(type: str = "text/plain", size: int = 20_000) -> Response:  # noqa: A002
    return Response(b"the same line again\n" * (size // 20), headers={"content-type": type})


@app.get("/encoded")
async def encoded() -> Response:
    body = gzip.compress(b"the same line again\n" * 1000)
    return Response(body, headers={"content-type": "text/plain", "content-encoding": "gzip"})


@app.get("/status/{code}")
async def status(code: int) -> Response:
    return JSONResponse({"from": "the app"}, code)


@app.get("/framed")
async def framed() -> Response:
    return PlainTextResponse("framed", headers={"x-frame-options": "DENY"})


@app.get("/health")
async def health() -> PlainTextResponse:
    return PlainTextResponse("ok")


def turned(name: str) -> str:
    """What a switch says, once for all workers together; empty where it isn't turned."""
    path = SWITCHES / name
    with contextlib.suppress(FileNotFoundError):
        said = path.read_text(encoding="utf-8")
        path.unlink()
        return said
    return ""


@app.get("/ready")
async def ready() -> Response:
    if seconds := turned("slow-ready"):
        await asyncio.sleep(float(seconds))
    if turned("fail-ready") or time.monotonic() - BEGAN > READY_FOR:
        return PlainTextResponse("not ready, once", 503)
    if DATABASE:
        try:
            connection = await asyncpg.connect(DATABASE, timeout=1)
            await connection.close()
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            return PlainTextResponse(f"no database: {type(error).__name__}", 503)
    return PlainTextResponse("ready")


@app.websocket("/ws")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.send_json({"release": RELEASE})
            await asyncio.sleep(PING)


async def again_and_again(text: str) -> AsyncIterator[str]:
    while True:
        yield text
        await asyncio.sleep(PING)


@app.get("/events")
async def events() -> StreamingResponse:
    return StreamingResponse(again_and_again(f"data: {RELEASE}\n\n"), media_type="text/event-stream")


@app.get("/lines")
async def lines() -> StreamingResponse:
    """A stream of a type that is compressed."""
    return StreamingResponse(again_and_again(f'{{"release": "{RELEASE}"}}\n'), media_type="application/json")


@app.get("/{rest:path}")
async def anything(rest: str, request: Request) -> Response:
    """What the proxy should have kept for itself, or from others."""
    if rest == "admin/told":
        return JSONResponse({"authorization": request.headers.get("authorization")})
    if rest.lower().strip("/").startswith(("admin", "office")):
        return PlainTextResponse("the secret of the app")
    return PlainTextResponse("no such page of the app", 404)
