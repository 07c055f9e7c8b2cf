"""An app without the faults of the other one."""

import asyncio
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response


@asynccontextmanager
async def lifespan(app):
    yield


app = FastAPI(lifespan=lifespan)
# Debian 12's FastAPI has no lifespan yet.
app.state.lock = asyncio.Lock()


@app.get("/health")
async def health():
    return Response("ok")


@app.get("/ready")
async def ready():
    async with app.state.lock:
        return Response("ready")


@app.get("/slow")
async def slow():
    await asyncio.sleep(0.1)
    return {}
