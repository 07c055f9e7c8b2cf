"""What the timer runs: takes as long as stock:seconds in the queue says, and fails where stock:fail is there."""

from __future__ import annotations

import os
import sys
import time

import redis

from app import record

queue = redis.Redis.from_url(record.URL)
queue.rpush("runs", record.line("begun", "stock", 0, os.getpid()))
time.sleep(float(queue.get("stock:seconds") or 0))
queue.rpush("runs", record.line("done", "stock", 0, os.getpid()))
if queue.exists("stock:fail"):
    print("canary: a shelf is missing")
    sys.exit(3)
