# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Constant-rate load that numbers its requests and says which were lost; needs Python 3.11, and paced.py beside it.

    steady.py --rate 60 --seconds 30 --out report.json

Every third request is ``GET /?n=N``, every third ``POST /echo?n=N`` with a body that has to come back, every third
``GET /slow?seconds=2&n=N``; each on a connection of its own, sent when its time has come, whatever became of those
before. With --unread every other GET of the first kind brings a body that no app reads. An answer carries the number
in its header X-Number, the release in X-Release, the worker in X-Worker. It ends after --seconds or at SIGTERM, when
it has waited for the answers still due. A request is lost when its connection failed, it took longer than --timeout,
or the status wasn't 200; it is mixed up when it got another request's answer. Times are seconds since the epoch,
latencies milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TextIO

# The client of prove.yml, by whose clock and connections this one asks too. Beside this file, whoever loads it.
sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from paced import Lost, connected, pace

KINDS = ("get", "post", "slow")
OPTIONS = (
    ("address", "127.0.0.1", "IP address to connect to"),
    ("port", 80, "to connect to"),
    ("host", "localhost", "Host header, and with --tls the certificate's name"),
    ("tls", "", "trusted: a certificate that this machine doesn't trust is a request lost; any: whoever certified it"),
    ("rate", 60.0, "requests a second"),
    ("timeout", 30.0, "seconds after which a request is lost"),
    ("first", 1, "number of the first request"),
    ("slow", 2.0, "seconds that a slow request takes"),
    ("unread", 0, "bytes of a body that every other GET brings and no app reads"),
    ("seconds", 30.0, "how long at most; SIGTERM ends it before"),
)


class Mixed(Exception):
    """An answer to something else."""


@dataclass
class Load:
    """What to send, and what came of it."""

    port: int
    host: str
    rate: float
    timeout: float
    first: int
    slow: float
    address: str = "127.0.0.1"
    unread: int = 0
    tls: str = ""
    sent: int = 0
    lost: list[dict] = field(default_factory=list)
    mixed: list[dict] = field(default_factory=list)
    answers: list[tuple] = field(default_factory=list)
    """(number, kind, time sent, seconds taken, release, worker)"""
    late: list[float] = field(default_factory=list)
    """Seconds by which the client itself was behind: its machine was busy, not the server."""
    log: TextIO | None = None
    """For who can't wait for the report: a line of JSON for each request as it ends."""

    def __post_init__(self) -> None:
        self.certified = ssl.create_default_context() if self.tls else None
        if self.certified and self.tls == "any":
            self.certified.check_hostname, self.certified.verify_mode = False, ssl.CERT_NONE

    async def run(self, seconds: float, stop: asyncio.Event) -> dict:
        began = time.time()
        tasks: set[asyncio.Task] = set()
        async for _number, late in pace(self.rate, seconds, stop):
            self.late.append(late)
            task = asyncio.create_task(self._one(self.first + self.sent, KINDS[self.sent % 3]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            self.sent += 1
        ended = time.time()
        await asyncio.gather(*tasks)
        return self.report(began, ended)

    async def _one(self, number: int, kind: str) -> None:
        at, clock, how, what = time.time(), time.monotonic(), "answered", ""
        try:
            async with asyncio.timeout(self.timeout):
                head, body = await self._exchange(number, kind)
            release, worker = check(number, kind, head, body)
        except (Lost, OSError) as error:
            how, took, what = "lost", time.monotonic() - clock, str(error) or type(error).__name__
            self.lost.append({"n": number, "kind": kind, "at": at, "seconds": took, "what": what})
        except Mixed as error:
            how, took, what = "mixed", time.monotonic() - clock, str(error)
            self.mixed.append({"n": number, "kind": kind, "at": at, "what": what})
        else:
            took = time.monotonic() - clock
            self.answers.append((number, kind, at, took, release, worker))
        if self.log:
            row = {"n": number, "kind": kind, "at": at, "seconds": took, "how": how, "what": what}
            print(json.dumps(row), file=self.log, flush=True)

    async def _exchange(self, number: int, kind: str) -> tuple[bytes, bytes]:
        reader, writer = await connected(self.address, self.port, self.certified, self.host)
        try:
            writer.write(request(number, kind, self.host, self.slow, self.unread))
            answer = await reader.read()
        finally:
            writer.close()
        head, separator, body = answer.partition(b"\r\n\r\n")
        if not separator:
            raise Lost(f"closed after {len(answer)} bytes of a head" if answer else "closed without an answer")
        return head, body

    def report(self, began: float, ended: float) -> dict:
        releases: dict[str, dict] = {}
        for at, release in sorted((each[2] + each[3], each[4]) for each in self.answers):
            seen = releases.setdefault(release, {"answers": 0, "first": at})
            seen["answers"] += 1
            seen["last"] = at
        return {
            "began": began,
            "ended": ended,
            "sent": self.sent,
            "answered": len(self.answers),
            "lost": sorted(self.lost, key=lambda each: each["n"]),
            "mixed": sorted(self.mixed, key=lambda each: each["n"]),
            "lost_seconds": sorted({int(each["at"] - began) for each in self.lost}),
            "releases": releases,
            "latency": {kind: percentiles(each[3] for each in self.answers if each[1] == kind) for kind in KINDS},
            "late": percentiles(self.late),
        }


def body_of(number: int) -> bytes:
    """A body of up to 8,000 bytes that no other request has."""
    return (b"%d " % number * 4000)[: max(len(str(number)), number * 7919 % 8000)]


def request(number: int, kind: str, host: str, slow: float, unread: int = 0) -> bytes:
    end = f"HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    if kind == "post":
        body = body_of(number)
        return f"POST /echo?n={number} {end}Content-Length: {len(body)}\r\n\r\n".encode() + body
    path = f"/?n={number}" if kind == "get" else f"/slow?seconds={slow:g}&n={number}"
    if kind == "get" and number % 2 and unread:
        return f"GET {path} {end}Content-Length: {unread}\r\n\r\n".encode() + bytes(unread)
    return f"GET {path} {end}\r\n".encode()


def check(number: int, kind: str, head: bytes, body: bytes) -> tuple[str, str]:
    """Who answered: release and worker.

    :raises Lost: the answer is no answer.
    :raises Mixed: the answer is to another request, or to more than one.
    """
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if status.split()[1:2] != ["200"]:
        raise Lost(status)
    length = int(headers.get("content-length", -1))
    if len(body) < length or length < 0:
        raise Lost(f"cut after {len(body)} of {length} bytes")
    if len(body) > length:
        raise Mixed(f"{len(body) - length} bytes after the answer: {body[length:][:60]!r}")
    if headers.get("x-number") != str(number):
        raise Mixed(f"the answer to {headers.get('x-number')}")
    if kind == "post" and body != body_of(number):
        raise Mixed(f"another body: {body[:60]!r}")
    return headers.get("x-release", ""), headers.get("x-worker", "")


def audit(timeline: Iterable[tuple], worked_on: Iterable[int]) -> dict[str, list[int]]:
    """Compare the client's answers with the numbers that the app says it worked on, one for each time it did."""
    times = collections.Counter(worked_on)
    doubled = sorted(number for number, count in times.items() if count > 1)
    return {"doubled": doubled, "unknown": sorted(each[0] for each in timeline if each[0] not in times)}


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """Of times in seconds, in milliseconds; empty for nothing."""
    values = sorted(seconds)
    ranks = {"p50": len(values) // 2, "p99": len(values) * 99 // 100, "max": len(values) - 1}
    return {name: round(values[rank] * 1000, 2) for name, rank in ranks.items()} if values else {}


async def main(arguments: argparse.Namespace) -> dict:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    load = Load(**{name: getattr(arguments, name) for name, *_ in OPTIONS if name != "seconds"})
    with open(arguments.log, "w", encoding="utf-8") if arguments.log else contextlib.nullcontext() as load.log:
        report = await load.run(arguments.seconds, stop)
    return {**report, "timeline": sorted(load.answers)} if arguments.timeline else report


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default, text in OPTIONS:
        options.add_argument(f"--{name}", type=type(default), default=default, help=f"{text} ({default})")
    options.add_argument("--timeline", action="store_true", help="each answer: n, kind, sent, seconds, release, worker")
    options.add_argument("--log", help="file for a line of JSON for each request, as soon as it has ended")
    options.add_argument("--out", help="file for the report, which appears whole (standard output)")
    return options


if __name__ == "__main__":
    chosen = parser().parse_args()
    out = f"{chosen.out}.part" if chosen.out else "/dev/stdout"
    text = json.dumps(asyncio.run(main(chosen)))
    with open(out, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    if chosen.out:
        os.replace(out, chosen.out)
