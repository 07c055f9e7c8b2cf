# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ASGI apps that the worker's tests serve. Files in $SWITCHES turn faults on; $SWITCHES/events tells what happened."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

SWITCHES = Path(os.environ["SWITCHES"])


def on(switch: str) -> bool:
    return (SWITCHES / switch).exists()


def event(text: str) -> None:
    with open(SWITCHES / "events", "a", encoding="utf-8") as file:
        file.write(f"{text} {os.getpid()}\n")


if on("import-fault"):
    raise RuntimeError("the import is broken")
if on("import-crash"):
    os.kill(os.getpid(), signal.SIGSEGV)
if on("import-exit"):
    raise SystemExit("no settings")
if on("import-handler"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if on("import-hang"):
    event("importing")
    time.sleep(3600)


async def startup() -> None:
    event("starting")
    if on("lifespan-hang"):
        try:
            await asyncio.sleep(3600)
        finally:
            event("startup-cleanup")
    if on("lifespan-alone"):  # what two do who both find an empty database
        (SWITCHES / "tables").touch(exist_ok=False)
        await asyncio.sleep(0.5)
        (SWITCHES / "tables").unlink()
    if on("lifespan-slowest") and on("filled"):
        await asyncio.sleep(6)
    if on("lifespan-once") and on("filled"):
        raise ConnectionError("filled already")
    (SWITCHES / "filled").touch()
    if on("lifespan-slow"):
        await asyncio.sleep(0.5)
    if on("lifespan-slower"):
        await asyncio.sleep(1.4)
    if on("lifespan-fault"):
        raise ConnectionError("the database is away")
    event("startup")


async def shutdown() -> None:
    event("shutting-down")
    if on("shutdown-hang"):
        await asyncio.sleep(3600)
    event("shutdown")


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await startup()
            except (ConnectionError, FileExistsError) as error:
                await send({"type": "lifespan.startup.failed", "message": f"Traceback: {error!r}"})
                return
            await send({"type": "lifespan.startup.complete"})
        else:
            await shutdown()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def body(receive: Any) -> bytes:
    whole, more = b"", True
    while more:
        message = await receive()
        whole, more = whole + message.get("body", b""), message.get("more_body", False)
    return whole


async def answer(send: Any, text: str, status: int = 200) -> None:
    content = text.encode()
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": content})


async def unread(send: Any, how: str) -> None:
    """As a path that isn't there: whatever comes after the head, nobody looks at it."""
    event("unread")
    if how == "slow":
        await asyncio.sleep(60)
    if how == "raises":
        raise RuntimeError("before it has looked")
    headers = [] if how == "streamed" else [(b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    if how == "middleware":  # as Starlette's BaseHTTPMiddleware passes it on
        await send({"type": "http.response.body", "body": b"no such thing", "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await send({"type": "http.response.body", "body": b"no such thing"})
    event("answered")


async def both_ways(receive: Any, send: Any, length: str) -> None:
    """Answer first, and then with what comes, as it comes."""
    headers = [(b"content-length", length.encode())] if length else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


async def stream(send: Any, content_type: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
    while True:
        await send({"type": "http.response.body", "body": b"data: tick\n\n", "more_body": True})
        await asyncio.sleep(0.05)


async def websocket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message.get("text", "")})
    event(f"websocket-{message['code']}")


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def health() -> int:
    """The status of /health."""
    event("health")
    if on("clock-back"):
        now = time.time()
        time.time = lambda: now - 3600
    if on("health-hang"):
        await wait_for_ever()
    if on("health-slow"):
        await asyncio.sleep(0.8)
    if on("health-raises"):
        raise RuntimeError("a pool of nothing")
    return 500 if on("health-500") else 404 if on("health-404") else 200


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    path, value = scope["path"], scope["query_string"].decode()
    if path == "/unread":
        return await unread(send, value)
    if path == "/both-ways":
        return await both_ways(receive, send, value)
    content = await body(receive)
    if path == "/health":
        return await answer(send, "", await health())
    if path == "/slow":
        event("request")
        try:
            await asyncio.sleep(float(value))
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)  # a rollback: takes a moment, and needs what the lifespan shutdown closes
            event("request-cleanup")
            raise
    elif path == "/held":
        event("request")
        while not on("release"):
            await asyncio.sleep(0.02)
    elif path == "/block":  # what an app must not do, and does: hold the event loop
        event("request")
        time.sleep(float(value))
    elif path == "/compute":  # one call in C, which holds Python's lock as well
        sum(range(int(value)))
    elif path == "/deaf":
        event("request")
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
    elif path == "/thread":
        event("request")
        await asyncio.to_thread(time.sleep, float(value))
    elif path == "/computing-thread":
        await asyncio.to_thread(lambda: sum(range(int(value))))
    elif path == "/events":
        return await stream(send, b"text/event-stream; charset=utf-8")
    elif path == "/stream":
        return await stream(send, b"application/octet-stream")
    await answer(send, f"{os.getpid()} {len(content)}")
    return None


def fastapi_app() -> Any:
    """The same faults under FastAPI, with a middleware of the kind that runs the app in a task group."""
    from contextlib import asynccontextmanager

    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    @asynccontextmanager
    async def context(_app: FastAPI):
        await startup()
        yield
        await shutdown()

    api = FastAPI(lifespan=context)

    @api.middleware("http")
    async def pass_on(request, call_next):
        return await call_next(request)

    @api.get("/health")
    async def alive() -> int:
        return await health()

    @api.get("/slow")
    async def slow(seconds: float) -> str:
        event("request")
        await asyncio.sleep(seconds)
        return str(os.getpid())

    @api.get("/block")
    async def block() -> str:
        time.sleep(0.7)
        return str(os.getpid())

    @api.get("/events")
    async def events() -> StreamingResponse:
        async def ticks():
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(ticks(), media_type="text/event-stream")

    @api.post("/stream")
    async def unread_stream() -> StreamingResponse:
        """Nobody reads the body, and Starlette listens for a disconnect while it answers."""
        return StreamingResponse(iter(["no such ", "thing"]), 404)

    @api.get("/")
    async def root() -> str:
        return str(os.getpid())

    return api


def broken_factory() -> Any:
    return len(5)  # type: ignore[arg-type]
