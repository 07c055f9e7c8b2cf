"""An app that goes wrong when it is told to, and answers the load client in tests/load/steady.py.

Files in ``switches``, a directory that all workers share, turn faults of the whole app on; a POST to /fault/NAME
strikes the one worker that answers it. What starts and what stops is a row in PostgreSQL, where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

RELEASE = os.environ.get("FASTAPI_RELEASE", "none")
DATABASE = os.environ.get("DATABASE_URL")
SWITCHES = Path("switches").resolve()
EVER = 600  # seconds; longer than any limit in this scenario
held: list[object] = []
lock = asyncio.Lock()


STARTED = time.time()


def on(switch: str) -> bool:
    return (SWITCHES / switch).exists()


def struck(switch: str) -> bool:
    """Whether it is on, and was turned on when this worker was there already: its successors are well."""
    return on(switch) and (SWITCHES / switch).stat().st_mtime > STARTED


if on("crash-at-import"):
    os.kill(os.getpid(), signal.SIGSEGV)


def log(**fields: object) -> None:
    # One write: lines of several workers share the stream, and must not be mixed.
    os.write(1, (json.dumps({**fields, "pid": os.getpid(), "release": RELEASE}) + "\n").encode())


async def record(what: str) -> None:
    if DATABASE:
        connection = await asyncpg.connect(DATABASE, timeout=2)
        await connection.execute("INSERT INTO events (what, pid) VALUES ($1, $2)", what, os.getpid())
        await connection.close()
    log(event=what)


class Numbered:
    """Puts number, release and worker into each answer that the load client asks for."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and (on("deadlock") or lock.locked()):
            # Whoever comes first waits for itself, and all others for it.
            async with lock, lock:
                pass
        number = parse_qs(scope.get("query_string", b"").decode()).get("n", [""])[0]
        mine = {"x-number": number, "x-release": RELEASE, "x-worker": str(os.getpid())}

        async def numbered(message) -> None:
            if message["type"] == "http.response.start" and number:
                headers = [(name.encode(), value.encode()) for name, value in mine.items()]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await self.app(scope, receive, numbered)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await record("started")
    yield
    await record("stopped")


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


@app.get("/health")
async def health() -> PlainTextResponse:
    if on("block"):
        time.sleep(EVER)
    bad = struck("unwell")
    return PlainTextResponse("unwell" if bad else "ok", 500 if bad else 200)


@app.get("/ready")
async def ready() -> PlainTextResponse:
    return PlainTextResponse("ready")


@app.post("/fault/{name}")
async def fault(name: str) -> dict[str, int]:
    """Never answers where the fault ends the worker."""
    log(event="fault", fault=name)
    if name == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif name == "block":
        time.sleep(EVER)
    elif name == "nap":
        time.sleep(1.2)
    elif name == "hog":
        while True:
            held.append(os.urandom(1 << 20) * 8)
    elif name == "files":
        with contextlib.suppress(OSError):
            while True:
                held.append(open("/dev/null"))  # noqa: SIM115
    elif name == "forks":
        return {"forks": forks(4000)}
    return {"held": len(held)}


def forks(most: int) -> int:
    """Children that do nothing, until there can be no more; they end by themselves."""
    for number in range(most):
        try:
            child = os.fork()
        except OSError:
            return number
        if not child:
            signal.alarm(15)
            signal.pause()
            os._exit(0)
    return most
