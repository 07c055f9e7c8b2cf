# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notices at night that something hangs: the app, asked by its own worker, and the arbiter, by systemd's watchdog.

A worker whose app doesn't answer ends itself (graceful_worker.py); one whose event loop is blocked has no heartbeat,
and is killed by the arbiter; an arbiter that hangs feeds systemd's watchdog no more. So what hangs is ended alone, and
no further process is needed.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gunicorn import systemd

ANSWER_WAIT = 1.0  # seconds that the last question of a row may take, and every other one longer
SPARE_FILES = 64  # file descriptors; one of the last so many has to be free
STOPPED = 5.0  # seconds between two turns of the arbiter's loop after which it must have been stopped: one takes 1 s
WATCHDOG_SIGNAL = signal.SIGURG  # WatchdogSignal= in the unit

STANDS_IN = "graceful.deploy answers for the app, which has no "
"""What a deploy knows such an answer by (module_utils/_host/probe.py)."""


@dataclass(frozen=True)
class Question:
    """What a worker asks its app.

    path: the liveness path.
    headers: as the proxy hands a client's request on. The app takes it to be of whom X-Forwarded-For and -Proto name.
    server: path of the socket that it would come by.
    interval: seconds between two questions.
    failures: so many in a row without a good answer, and the worker isn't alive.
    """

    path: str
    headers: dict[str, str] = field(default_factory=dict)
    server: str = ""
    interval: float = 10.0
    failures: int = 3

    def scope(self, state: dict[str, Any]) -> dict[str, Any]:
        """The question as Uvicorn hands a client's to the app, which has gone through its ProxyHeadersMiddleware."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": self.headers.get("X-Forwarded-Proto", "http"),
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in self.headers.items()],
            "client": (self.headers.get("X-Forwarded-For", "127.0.0.1"), 0),
            "server": (self.server, None),
            "state": state.copy(),
        }


async def ask(app: Any, scope: dict[str, Any]) -> int:
    """The status of the app's answer, 0 where there was none. What the app raises without one is raised."""
    status, over = 0, asyncio.Event()
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif not message.get("more_body", False):
            over.set()

    try:
        await app(scope, receive, send)
    except Exception:
        if not status:
            raise
    return status


class StandIn:
    """The app, with an answer where it has no path of its own for liveness or readiness.

    Its 404 becomes a 200 that says so, for whoever asks: a deploy, the proxy, a load balancer. That tells that the app
    has started and answers, and nothing of what the app needs.
    """

    def __init__(self, app: Any, paths: frozenset[str]) -> None:
        self.app = app
        self.paths = paths

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] != "http" or scope["path"] not in self.paths:
            return await self.app(scope, receive, send)
        missing = False

        async def sending(message: Any) -> None:
            nonlocal missing
            if message["type"] == "http.response.start" and message["status"] == 404:
                missing = True
                text = f"{STANDS_IN}{scope['path']}\n".encode()
                headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
                await send({**message, "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": text})
            elif not missing:
                await send(message)

        return await self.app(scope, receive, sending)


def reach_last_file() -> None:
    """See that file descriptors don't run out: without any, a worker answers itself, and drops whom it accepts.

    :raises OSError: the last of those that a process may have are all taken.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most > SPARE_FILES:
        os.close(fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, most - SPARE_FILES))


def waits_at(task: asyncio.Task[Any]) -> str:
    """Where a task waits, as file:line (function): the innermost frame outside of Python's own library. '' for none."""
    at, found = task.get_coro(), ""
    while at is not None:
        frame = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None) or getattr(at, "ag_frame", None)
        if frame is not None and os.path.dirname(os.__file__) not in frame.f_code.co_filename:
            found = f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_name})"
        at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None) or getattr(at, "ag_await", None)
    return found


class Watch:
    """A worker's questions to its app. Any answer is good that isn't a server's error: the app is there to give it."""

    def __init__(self, app: Any, question: Question, state: dict[str, Any]) -> None:
        self.app = app
        self.question = question
        self.state = state
        self.open: list[asyncio.Task[None]] = []
        self.row = 0  # questions since the last good answer
        self.seen = ""  # the last bad answer

    @property
    def hangs(self) -> bool:
        """Whether it gives no answer at all; False where it gives bad ones."""
        return not self.seen

    @property
    def _last_wait(self) -> float:
        return min(ANSWER_WAIT, self.question.interval)

    async def fails(self) -> str:
        """Ask for as long as the app is well; returns what was seen when it isn't, for the log.

        Questions aren't cut short, and any good answer counts: an app whose threads are all busy answers late. Nothing
        here goes by the clock, so a process that was stopped and goes on isn't dead.
        """
        wait = self._last_wait
        while True:
            self.row += 1
            self.open = [task for task in self.open if not task.done()]
            self.open.append(asyncio.create_task(self._one()))
            await asyncio.sleep(wait)
            if self.row >= self.question.failures:
                return self._told()
            await asyncio.sleep(self.question.interval - wait)

    async def _one(self) -> None:
        try:
            reach_last_file()
            status = await ask(self.app, self.question.scope(self.state))
        except Exception as error:
            self.seen = repr(error)
            return
        if 100 <= status < 500:
            self.row, self.seen = 0, ""
        else:
            self.seen = f"status {status}" if status else "no answer"

    def _told(self) -> str:
        path, row = self.question.path, self.row
        if not self.hangs:
            return f"{path} was bad {row} times in a row, at last with {self.seen}"
        lasted = self.question.interval * (row - 1) + self._last_wait
        waiting = next((at for at in map(waits_at, self.open) if at), "")
        return f"{path} has not answered for {lasted:g} s{waiting and '; it waits at ' + waiting}"

    def stop(self) -> None:
        for task in self.open:
            task.cancel()


def on_starting(arbiter: Any) -> None:
    """Gunicorn's hook: let the arbiter feed systemd's watchdog, from where all its loops come by.

    Where it hangs, systemd sends WATCHDOG_SIGNAL to all: the arbiter writes where it hangs and dies of it, in whatever
    state its interpreter is; the workers take it as the order to stop, and lose nothing; what their requests wait for
    in turn, such as a converter, knows nothing of it.
    """
    # By default nobody dies of it. No handler of Python's would run where the interpreter is stuck: this one is the C
    # library's own _exit().
    libc = ctypes.CDLL(None)
    libc.signal(ctypes.c_int(WATCHDOG_SIGNAL), ctypes.cast(libc._exit, ctypes.c_void_p))
    faulthandler.register(WATCHDOG_SIGNAL, all_threads=True, chain=True)
    limit = int(os.environ.get("WATCHDOG_USEC") or 0) / 1e6
    feeder = Feeder(limit, lambda: tell("WATCHDOG=1", arbiter.log))
    reap, murder = arbiter.reap_workers, arbiter.murder_workers

    # arbiter.py: run() comes by murder_workers each second; reload() and stop() block it, but reap all the while.
    def reap_workers() -> None:
        feeder.turn()
        reap()

    def murder_workers() -> None:
        feeder.turn()
        if not feeder.stopped:
            murder()

    arbiter.reap_workers, arbiter.murder_workers = reap_workers, murder_workers


def tell(line: str, log: Any) -> None:
    """Tell the supervisor: systemd by its socket, and where that is Oxmgr by a file that graceful_slot.py has opened.

    There a line about the workers is written over the last one, and what feeds the watchdog only makes the file newer.
    """
    told = os.environ.get("FASTAPI_TOLD")
    if not told:
        systemd.sd_notify(line, log)
    elif line.startswith("STATUS="):
        os.pwrite(int(told), line.encode()[:255].ljust(255), 0)
    else:
        os.pwrite(int(told), b"\n", 255)


class Feeder:
    """Feeds the watchdog, and knows when the whole service was stopped for a while.

    limit: seconds of systemd's patience; 0 for no watchdog.
    """

    def __init__(self, limit: float, feed: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.every = min(5.0, limit / 4)
        self.limit = limit
        self.feed = feed
        self.clock = clock
        self.last_turn = clock()
        self.last_fed = float("-inf")
        self.lenient_until = float("-inf")

    @property
    def stopped(self) -> bool:
        """Whether all were stopped just now (SIGSTOP, a frozen container): heartbeats are old, and nobody hangs."""
        return self.clock() < self.lenient_until

    def turn(self) -> None:
        now = self.clock()
        if now - self.last_turn > STOPPED:
            self.lenient_until = now + STOPPED
        self.last_turn = now
        if self.limit and now - self.last_fed >= self.every:
            self.last_fed = now
            self.feed()
