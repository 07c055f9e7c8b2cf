"""Counts, forty times a second, how many processes of the app run `celery beat`, until SIGTERM or --seconds.

The report has ``samples``; ``most``, the most at once; ``pids`` in their order; and ``none``, the longest time without
any between two of them, in seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import time

EVERY = 0.025


def beats() -> list[int]:
    """Those that systemd has started: a child of one that is about to run another program looks the same until then."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            if b"beat" not in words or not any(word.endswith(b"/celery") for word in words):
                continue
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                parent = file.read().rpartition(")")[2].split()[1]
            found += [int(pid)] if parent == "1" else []
    return found


def watch(seconds: float) -> dict[str, object]:
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    end, last = time.monotonic() + seconds, 0.0
    samples, most, none = 0, 0, 0.0
    pids: list[int] = []
    while not stop and time.monotonic() < end:
        found, now = beats(), time.monotonic()
        samples, most = samples + 1, max(most, len(found))
        pids += [pid for pid in found if pid not in pids]
        if found:
            none = max(none, now - last if last else 0.0)
            last = now
        time.sleep(EVERY)
    return {"samples": samples, "most": most, "pids": pids, "none": round(none, 2)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    report = watch(options.seconds)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(report, file)
