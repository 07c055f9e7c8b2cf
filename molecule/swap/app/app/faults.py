"""What is wrong with this release: the one word in fault.txt at the top of the source. A good release has no such file.

Each fault is a release that somebody shipped one day.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

# Longer than any limit in this scenario.
EVER = 300
FILE = Path(__file__).resolve().parents[1] / "fault.txt"
FAULT = FILE.read_text().strip() if FILE.exists() else ""


def at_import() -> None:
    if FAULT == "import":
        raise RuntimeError("canary: broken at import")
    if FAULT == "undeclared":
        import a_package_that_nobody_declared  # noqa: F401
    if FAULT == "exit":
        sys.exit(0)
    if FAULT == "exit hard":
        os._exit(0)
    if FAULT == "hog":
        print("canary: eating all memory", flush=True)
        eaten = []
        while True:
            eaten.append(os.urandom(1 << 20) * 8)


def at_startup() -> None:
    if FAULT == "lifespan":
        raise RuntimeError("canary: no such queue")
    if FAULT in ("dies", "dies whole"):
        threading.Timer(2, die).start()


def die() -> None:
    """A segmentation fault in some extension, two seconds after the start; the arbiter too, when ``whole``."""
    os.write(1, b"canary: dying\n")
    if FAULT == "dies whole":
        os.kill(os.getppid(), signal.SIGKILL)
    os._exit(1)


class Health:
    """What /ready and /health say of this worker."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.requests = 0

    async def trouble(self) -> bool:
        """Whether the next answer to a client is to be an error; one that is slow takes its time here."""
        if FAULT == "slow":
            await asyncio.sleep(1.2)
        return FAULT == "errors" and self.requests % 3 == 0

    def ready(self) -> bool:
        if FAULT == "tires" and self.requests:
            return False
        return FAULT != "unready" and (FAULT != "late" or time.monotonic() > self.began + EVER)

    def well(self) -> bool:
        # The first request that isn't a question for health tells that the traffic has moved.
        return FAULT != "unhealthy" or not self.requests
