"""Jobs of Celery's, which come in two kinds, each with what it promises:

- ``late`` is acknowledged when it is done (acks_late): it is done at least once. Of a worker that is killed another one
  gets it when the visibility timeout is over.
- ``early``, as Celery does it by default, is acknowledged when a worker begins it: it is done at most once. What a
  worker is at when it is killed is lost.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path

import redis
from celery import Celery

from app import record

FAULT = Path(__file__).resolve().parents[1] / "fault.txt"
if FAULT.exists() and FAULT.read_text().strip() == os.environ.get("FASTAPI_PROCESS"):
    # It lacks something that it needs only later: it starts, and ends two seconds after.
    threading.Timer(2, lambda: (print("canary: no such exchange", flush=True), os._exit(3))).start()

app = Celery("jobs", broker=record.URL)
app.conf.update(
    broker_transport_options={"visibility_timeout": 8},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    beat_schedule={
        "tick": {"task": "tick", "schedule": float(os.environ.get("TICK_SECONDS", 60)), "options": {"queue": "early"}},
    },
)


@cache
def queue() -> redis.Redis:
    """Of a child each: made after the fork."""
    return redis.Redis.from_url(record.URL)


def do(kind: str, n: int, seconds: float) -> None:
    """A job of so many seconds, or until somebody ends it by its number."""
    queue().rpush("jobs", record.line("begun", kind, n, os.getppid()))
    queue().blpop([f"end:{n}"], timeout=max(seconds, 0.01))
    queue().rpush("jobs", record.line("done", kind, n, os.getppid()))


@app.task(name="late", acks_late=True, reject_on_worker_lost=True)
def late(n: int, seconds: float) -> None:
    do("late", n, seconds)


@app.task(name="early")
def early(n: int, seconds: float) -> None:
    do("early", n, seconds)


@app.task(name="tick")
def tick() -> None:
    queue().rpush("ticks", record.line("done", "tick", 0, os.getppid()))
