"""Four kinds of app in one, a path each, for `bench/run --what tune`."""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI

WAIT = 0.02  # seconds that a database, say, takes to answer
STEPS = 60_000  # of a loop: some 2 to 4 ms of a CPU

app = FastAPI()


def work() -> int:
    """Keeps a CPU, and Python's lock with it."""
    total = 0
    for step in range(STEPS):
        total += step & 7
    return total


@app.get("/io")
async def io() -> dict[str, float]:
    """Waits, as for an async driver."""
    await asyncio.sleep(WAIT)
    return {"waited": WAIT}


@app.get("/cpu")
async def cpu() -> dict[str, int]:
    """Computes."""
    return {"total": work()}


@app.get("/mixed")
async def mixed() -> dict[str, int]:
    """Waits, then computes."""
    await asyncio.sleep(WAIT)
    return {"total": work()}


@app.get("/threads")
def threads() -> dict[str, float]:
    """Waits in a thread of the pool, of which a worker has 40, as for a driver that isn't async."""
    time.sleep(WAIT)
    return {"waited": WAIT}
