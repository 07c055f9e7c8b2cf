"""An app that says who answers what, for the load clients in tests/load; what may be wrong with it is in faults.py.

Every answer carries the request's number, the release and the worker, and the log has a line for each number that was
worked on, so that a request lost, answered twice or by somebody else can be told from all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from fastapi import Depends, FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, StreamingResponse

from app import faults

RELEASE = os.environ.get("FASTAPI_RELEASE", "none")
PING = 0.2  # seconds between two messages of a stream

faults.at_import()
health_of_this = faults.Health()
pool = ProcessPoolExecutor(2)  # as many apps have it: nobody shuts it down


def log(**fields: object) -> None:
    # One write: lines of several workers share the stream, and must not be mixed.
    os.write(1, (json.dumps({**fields, "pid": os.getpid(), "release": RELEASE}) + "\n").encode())


class Numbered:
    """Puts number, release and worker into each answer, and the number into the log when work on it begins."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        number = parse_qs(scope.get("query_string", b"").decode()).get("n", [""])[0]
        if scope["type"] != "http" or not number:
            await self.app(scope, receive, send)
            return
        health_of_this.requests += 1
        log(n=int(number), event="request")

        wrong = await health_of_this.trouble()

        async def numbered(message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "status": 500} if wrong else message
                mine = {"x-number": number, "x-release": RELEASE, "x-worker": str(os.getpid())}
                headers = [(name.encode(), value.encode()) for name, value in mine.items()]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await self.app(scope, receive, numbered)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    faults.at_startup()
    log(event="started")
    yield
    if faults.FAULT == "stubborn":
        log(event="stopping for ever")
        await asyncio.sleep(faults.EVER)
    log(event="stopped")


app = FastAPI(lifespan=lifespan)
app.add_middleware(Numbered)


@app.get("/")
async def index() -> dict[str, str | int]:
    return {"release": RELEASE, "worker": os.getpid()}


@app.post("/echo")
async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


@app.get("/slow")
async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"seconds": seconds}


@app.get("/child/{kind}")
def child(kind: str, seconds: int) -> dict[str, int]:
    """Waits in a thread for another process, as for a converter; 500 where that one doesn't end well."""
    sleep = ["sleep", str(seconds)]
    if kind == "pool":
        pool.submit(subprocess.run, sleep, check=True).result()
    elif kind == "shell":
        subprocess.run(["sh", "-c", f"sh -c '{' '.join(sleep)}; exit $?'; exit $?"], check=True)
    else:
        subprocess.run(sleep, check=True)
    return {"seconds": seconds}


@app.post("/left")
def left(seconds: int) -> int:
    """Leaves a process behind that nobody waits for; its pid."""
    return subprocess.Popen(["sleep", str(seconds)], start_new_session=True).pid


@app.post("/python")
async def python(request: Request) -> object:
    """Runs what a test wants to know from within a worker; its ``said``."""
    names: dict[str, object] = {"said": None}
    exec((await request.body()).decode(), names)
    return names["said"]


@app.post("/hog")
async def hog() -> None:
    """Takes memory in small steps until it is ended."""
    held = []
    while True:
        held.append(os.urandom(1 << 22))


def there() -> None:
    """As most first apps are: neither path is there."""
    if faults.FAULT == "bare":
        raise HTTPException(404)


@app.get("/health", dependencies=[Depends(there)])
async def health() -> PlainTextResponse:
    return PlainTextResponse("ok" if health_of_this.well() else "unwell", 200 if health_of_this.well() else 500)


@app.get("/ready", dependencies=[Depends(there)])
async def ready() -> PlainTextResponse:
    return PlainTextResponse("ready" if health_of_this.ready() else "not ready", 200 if health_of_this.ready() else 503)


@app.websocket("/ws")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.send_json({"release": RELEASE})
            await asyncio.sleep(PING)


@app.get("/events")
async def events() -> StreamingResponse:
    async def messages() -> AsyncIterator[str]:
        while True:
            yield f"data: {RELEASE}\n\n"
            await asyncio.sleep(PING)

    return StreamingResponse(messages(), media_type="text/event-stream")
