"""Jobs of arq's. It takes a job off the queue when that is done, and no two workers have it at once: each is done once
where no worker is killed, and once more where one was.

Told to stop, it ends what it is at and begins that again elsewhere; with job_completion_wait it finishes it.
"""

from __future__ import annotations

import os
from typing import Any

from arq.connections import RedisSettings

from app import record


async def work(ctx: dict[str, Any], n: int, seconds: float) -> None:
    # As do() in tasks.py.
    await ctx["redis"].rpush("jobs", record.line("begun", "arq", n, os.getpid()))
    await ctx["redis"].blpop([f"end:{n}"], timeout=max(seconds, 0.01))
    await ctx["redis"].rpush("jobs", record.line("done", "arq", n, os.getpid()))


class WorkerSettings:
    functions = (work,)
    redis_settings = RedisSettings.from_dsn(record.URL)
    max_jobs = 4
    job_completion_wait = 80
    keep_result = 0
    poll_delay = 0.2
