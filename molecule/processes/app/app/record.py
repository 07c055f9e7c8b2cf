"""What every job says of itself: which it was, and by which release and which process it was done."""

from __future__ import annotations

import json
import os
import time

URL = "redis://127.0.0.1:6379/0"


def line(event: str, kind: str, n: int, main: int) -> str:
    """A line for the list ``jobs``.

    :param main: id of the process that systemd knows.
    """
    who = {"release": os.environ["FASTAPI_RELEASE"], "process": os.environ.get("FASTAPI_PROCESS", ""), "main": main}
    return json.dumps({"event": event, "kind": kind, "n": n, "at": time.time(), **who})
