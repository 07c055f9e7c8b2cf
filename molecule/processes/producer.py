"""Sends numbered jobs to the queues of the app at a constant rate, a third to each, until SIGTERM or --seconds.

    python producer.py --rate 9 --first 1 --seconds 300 --out report.json

Runs in an environment of the app's, of which it uses Celery and arq. The report has the numbers by kind, of those alone
that the queue has taken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import time

from arq import create_pool
from arq.connections import RedisSettings
from celery import Celery

URL = "redis://127.0.0.1:6379/0"
KINDS = ("late", "early", "arq")


async def produce(rate: float, first: int, seconds: float) -> dict[str, list[int]]:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    celery, pool = Celery("producer", broker=URL), await create_pool(RedisSettings.from_dsn(URL))
    sent: dict[str, list[int]] = {kind: [] for kind in KINDS}
    begun, count = time.monotonic(), 0
    while not stop.is_set() and (due := count / rate) < seconds:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, begun + due - time.monotonic()))
            break
        number, kind = first + count, KINDS[count % len(KINDS)]
        count += 1
        # From 50 to 300 ms.
        takes = 0.05 * (1 + number % 6)
        if kind == "arq":
            await pool.enqueue_job("work", number, takes, _job_id=str(number))
        else:
            celery.send_task(kind, args=[number, takes], queue=kind)
        sent[kind].append(number)
    return sent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    report = asyncio.run(produce(options.rate, options.first, options.seconds))
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(report, file)
