"""An app that says who answers what, for the load client in tests/load, and that sends a job where it is told to."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response

RELEASE = os.environ.get("FASTAPI_RELEASE", "none")
app = FastAPI()


class Numbered:
    """Puts number, release and worker into each answer."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        number = parse_qs(scope.get("query_string", b"").decode()).get("n", [""])[0]

        async def numbered(message) -> None:
            if message["type"] == "http.response.start":
                mine = {"x-number": number, "x-release": RELEASE, "x-worker": str(os.getpid())}
                headers = [(name.encode(), value.encode()) for name, value in mine.items()]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await self.app(scope, receive, numbered if number else send)


app.add_middleware(Numbered)


@app.get("/")
@app.get("/ready")
@app.get("/health")
async def index() -> dict[str, str]:
    return {"release": RELEASE}


@app.post("/echo")
async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


@app.get("/slow")
async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"seconds": seconds}


@app.post("/jobs/{kind}/{number}")
async def send(kind: str, number: int, seconds: float) -> None:
    """Asks for a job. The queues' clients are imported here: none of the other requests needs them."""
    if kind == "arq":
        from arq import create_pool

        from app.jobs import WorkerSettings

        pool = await create_pool(WorkerSettings.redis_settings)
        await pool.enqueue_job("work", number, seconds, _job_id=str(number))
        await pool.aclose()
    else:
        from app import tasks

        await asyncio.to_thread(tasks.app.send_task, kind, args=[number, seconds], queue=kind)
