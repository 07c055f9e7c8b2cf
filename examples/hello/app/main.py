"""A small FastAPI service that is safe to deploy to at noon."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse

from app.db import Database
from app.logs import configure_logs
from app.request_id import RequestId
from app.settings import Settings

settings = Settings.from_env()
configure_logs(settings.release, settings.slot)
log = structlog.get_logger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Runs once in every worker: what it opens before the yield it closes after the last request."""
    db = Database(settings.database_url, settings.db_pool_size)
    await db.open()
    app.state.db = db
    log.info("started", pid=os.getpid(), database=settings.database_url is not None)
    try:
        yield
    finally:
        await db.close()
        log.info("stopped", pid=os.getpid())


app = FastAPI(title=settings.name, lifespan=lifespan)
app.add_middleware(RequestId)


# async although it awaits nothing: FastAPI sends a plain function to a thread, for every request.
async def get_db(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


Db = Annotated[Database, Depends(get_db)]


@app.get("/")
async def index() -> dict[str, str | int]:
    return {"name": settings.name, "release": settings.release, "slot": settings.slot, "pid": os.getpid()}


@app.get("/health")
async def health() -> PlainTextResponse:
    """Liveness: this process answers. It asks nothing else, so that a database away restarts no worker."""
    return PlainTextResponse("ok")


@app.get("/ready")
async def ready(db: Db) -> PlainTextResponse:
    """Readiness: what requests need is there. The proxy and a deploy wait for this."""
    if await db.ready():
        return PlainTextResponse("ready")
    return PlainTextResponse("not ready", status_code=503)


@app.get("/items/{item_id}")
async def get_item(item_id: int) -> dict[str, int]:
    log.info("item_fetch", item_id=item_id)
    return {"id": item_id}


@app.post("/upload")
async def upload(request: Request) -> dict[str, str | int]:
    """Takes the raw body a chunk at a time, so memory stays the same however large it is.

    Hashing a chunk takes well under a millisecond. Slower work would stall every other request of this worker:
    await it in the loop, and the server stops reading from this client meanwhile.
    """
    digest = hashlib.sha256()
    size = 0
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
    log.info("upload", bytes=size)
    return {"bytes": size, "sha256": digest.hexdigest()}
