"""An app that shows a test what it was given, and that can be slow."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    print(f"lifespan shutdown of {os.getpid()}", flush=True)


application = FastAPI(lifespan=lifespan)


@application.get("/alive")
@application.get("/able")
async def able() -> PlainTextResponse:
    return PlainTextResponse("able")


@application.get("/environment")
async def environment() -> dict[str, str]:
    return dict(os.environ)


@application.get("/slow")
async def slow(seconds: float) -> dict[str, int]:
    await asyncio.sleep(min(seconds, 30))
    return {"pid": os.getpid()}


@application.post("/size")
async def size(request: Request) -> dict[str, int]:
    return {"bytes": sum([len(chunk) async for chunk in request.stream()])}


@application.get("/client")
async def client(request: Request) -> dict[str, str]:
    return {"host": request.client.host if request.client else "", "scheme": request.url.scheme}


@application.get("/try")
async def attempt(path: str) -> dict[str, str]:
    """What this process may do with a path: read it, write it."""
    said = {}
    for what, mode in (("read", "rb"), ("write", "ab")):
        try:
            with Path(path).open(mode):
                said[what] = "yes"
        except OSError as error:
            said[what] = error.strerror or "no"
    return said
