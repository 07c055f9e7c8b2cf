# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gunicorn worker class that ends, and starts again, without losing a request.

Gunicorn's configuration file imports this module, calls ``configure()`` and names
``graceful_worker.GracefulWorker`` as its worker class. What leans on the inside of Gunicorn 27.0 or Uvicorn 0.54 names
the file that it leans on.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fcntl
import functools
import mmap
import os
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from typing import Any

import graceful_body
import graceful_logging
from graceful_stall import Stalls
from graceful_uvicorn import UvicornWorker
from graceful_watch import WATCHDOG_SIGNAL, Question, StandIn, Watch, tell
from gunicorn.arbiter import Arbiter
from uvicorn.server import Server

UNREAD_WAIT = 1.0  # seconds in which a connection that was accepted may still deliver its request
UNWIND_WAIT = 0.5  # seconds in which what was cancelled may clean up
HURRIED_LIFESPAN = 1.0  # seconds for the lifespan shutdown after SIGQUIT; the arbiter kills 2 s after its own
BACKOFF = (1.0, 30.0)  # seconds between failed startups: the first wait, the longest
GIVING_UP = 5.0  # seconds in which an arbiter that a worker has told to give up stops the others
HUNG_STARTUP_MAX = 600.0  # seconds; how far the limit for a hanging startup grows by itself
CLOSE_HEADER = (b"connection", b"close")
# What ps calls a worker from then on, 15 characters at most; a deploy reads it (module_utils/_host/memory.py).
WAIT_NAME = "gunicorn: wait"
LOAD_NAME = "gunicorn: load"
START_NAME = "gunicorn: start"
UP_NAME = "gunicorn: up"

_limits: dict[str, float | None] = {"drain": None, "lifespan": None, "startup": None}
_live = {"link": "", "socket": ""}
_question: Question | None = None
_stand_in_for: frozenset[str] = frozenset()
_slow_callback = 0.0

# Anonymous shared memory, made when the arbiter loads its configuration and inherited by every worker. It outlives
# HUP, because the module is imported once for each arbiter.
_shared = memoryview(mmap.mmap(-1, 24)).cast("d")
SLOWEST_STARTUP = 0  # seconds the slowest startup so far took; 0 until a worker of this arbiter has been up
FAILING_SINCE = 1  # monotonic time of the first attempt since a worker last came up; 0 when one just did
DIED_STARTING = 2  # 1 when the last worker was killed in its startup, and has not waited as those do that only fail
_unexpected = 0  # workers of this arbiter that ended without having been told to
# One byte, for the one worker that tells the arbiter to give up.
_give_up, _give_up_source = os.pipe()
os.write(_give_up_source, b"1")
os.set_blocking(_give_up, False)
# Locked by the worker that goes first at an app's first start. By lockf(), so that it is free when that process ends,
# whatever ends it, and whatever it has forked; in memory, where the heartbeats are.
_first = tempfile.TemporaryFile(dir="/dev/shm")  # noqa: SIM115 - lives as long as the arbiter


def _keep_sigterm_over_fork() -> None:
    """Until Worker.init_signals() a forked worker has the arbiter's handlers, which queue its SIGTERM for nobody."""
    arbiter, masked = os.getpid(), False

    def before() -> None:
        nonlocal masked
        masked = os.getpid() == arbiter  # not the app's own forks
        if masked:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after(child: bool) -> None:
        if masked:
            if child:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    os.register_at_fork(before=before, after_in_parent=lambda: after(False), after_in_child=lambda: after(True))


_keep_sigterm_over_fork()


def configure(
    drain: float | None = None,
    lifespan: float | None = None,
    startup: float | None = None,
    question: Question | None = None,
    stand_in_for: Collection[str] = (),
    live: str = "",
    socket: str = "",
    slow_callback: float = 0.0,
) -> None:
    """Set the limits, in seconds, of workers forked from now on; called by gunicorn.conf.py, so also at HUP.

    drain: what requests in flight get after the order to stop. Default: graceful_timeout - lifespan - 1, at least 1.
    lifespan: what the app's lifespan shutdown gets after that. Default: 5.
    startup: after which the arbiter's first workers, if they hang in their startup, are killed. Default: never.
    question: what a worker asks its app, to know that it is alive. Default: nothing.
    stand_in_for: paths that are answered with 200 where the app answers 404. Default: none.
    live: path of the link to the socket that has the traffic; socket: file name of this slot's own. While the link
    names it, a first startup that fails is tried again, as a respawned worker's is. Default: the arbiter ends. While
    there is no such link, nothing of the app was ever live, and one worker starts before the others.
    slow_callback: for how long the event loop may stand still before a line tells where. Default: it is never told.
    """
    global _question, _stand_in_for, _slow_callback
    _limits.update(drain=drain, lifespan=lifespan, startup=startup)
    _live.update(link=live, socket=socket)
    _question, _stand_in_for, _slow_callback = question, frozenset(stand_in_for), slow_callback


def limits(graceful_timeout: float) -> tuple[float, float]:
    """The (drain, lifespan) in force. The second left to graceful_timeout pays for polling and for cancelling."""
    lifespan = 5.0 if _limits["lifespan"] is None else _limits["lifespan"]
    drain = graceful_timeout - lifespan - 1 if _limits["drain"] is None else _limits["drain"]
    return max(1.0, drain), lifespan


def _owes_request(connection: Any) -> bool:
    """Whether a client may be in the middle of a request head, or about to begin its first.

    uvicorn/protocols/http/httptools_impl.py and h11_impl.py: shutdown() looks at the last response only, and closes.
    """
    if not hasattr(connection, "cycle"):  # a WebSocket
        return False
    if connection.cycle is None:
        return True
    if not connection.cycle.response_complete:  # Uvicorn waits for this one itself, also for the rest of its body
        return False
    if hasattr(connection, "conn"):  # h11
        return bool(connection.conn.trailing_data[0])
    return connection.scope is not connection.cycle.scope


def _has_traffic() -> bool:
    """Whether the link is known to name this slot: it is started by a reboot or after a crash, not by a deploy."""
    try:
        return os.path.basename(os.readlink(_live["link"])) == _live["socket"]
    except OSError:
        return False


def _goes_first() -> bool:
    """Whether no other worker is in its startup now; no other one is from then on until this one has come up."""
    try:
        fcntl.lockf(_first, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _call_itself(name: str) -> None:
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)


def _exit_within(seconds: float, code: int) -> None:
    """End the process even where a thread of the app's, or a task that ignores its cancellation, would hold it."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def child_exit(arbiter: Any, worker: Any) -> None:
    """Gunicorn's hook after a worker's end: count those that nobody asked for, and tell the supervisor.

    ``systemctl status`` shows the line, and a deploy reads the number off it (module_utils/_swap/watch.py).
    """
    global _unexpected
    if not isinstance(worker, GracefulWorker) or worker.ended[0]:
        return
    if not worker.ended[1]:
        _shared[DIED_STARTING] = 1
    _unexpected += 1
    last = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    tell(f"STATUS={_unexpected} worker(s) ended unexpectedly, the last (pid {worker.pid}) at {last}", arbiter.log)


class GracefulServer(Server):
    """Uvicorn's server, with a drain that loses nothing, has a limit and says what it cut."""

    def __init__(self, worker: GracefulWorker) -> None:
        super().__init__(worker.config)
        self.worker = worker
        self.told_at = 0.0  # monotonic time of the first order to stop; the drain counts from here
        self.hurried = False  # SIGQUIT: end at once, but end
        self.draining = False
        self.unwell = False  # it ends because the app isn't alive
        self.background: list[asyncio.Task[None]] = []  # heartbeat and liveness
        self.stalls: Stalls | None = None
        self.running: dict[Any, tuple[float, Any]] = {}  # request's task: (monotonic start, ASGI scope)

    def handle_exit(self, sig: int, frame: Any) -> None:
        # The first order counts. Uvicorn takes a SIGINT after one as leave to skip the lifespan shutdown, and at a
        # terminal the arbiter's SIGQUIT may come before the SIGINT.
        if not self.should_exit:
            self.told_at = time.monotonic()
            self.worker.ended[0] = 1
            super().handle_exit(sig, frame)

    def hurry(self) -> None:
        """SIGQUIT, which Uvicorn ignores: cut the requests, but still run the lifespan shutdown."""
        if self.hurried:
            return
        self.told_at = self.told_at or time.monotonic()
        self.worker.ended[0] = not self.unwell
        self.hurried = self.should_exit = True
        if self.draining:
            self._log_cut()
            for task in self.server_state.tasks:
                task.cancel()

    async def startup(self, sockets: Any = None) -> None:
        """Uvicorn's startup, which an order to stop cuts short and a failure after one doesn't make a failed boot."""
        self.app, self.config.loaded_app = StandIn(self.config.loaded_app, _stand_in_for), self.handle
        watch = asyncio.create_task(self._cut_startup(asyncio.current_task()))
        _call_itself(START_NAME)
        try:
            await super().startup(sockets)
            if self.lifespan.should_exit:  # older Uvicorns only return (uvicorn/server.py)
                sys.exit(Arbiter.WORKER_BOOT_ERROR)
        except (asyncio.CancelledError, SystemExit):
            if not self.told_at:
                raise
            rest = asyncio.all_tasks() - {asyncio.current_task(), watch}  # the app's lifespan, with its cleanup
            for task in rest:
                task.cancel()
            if rest:
                await asyncio.wait(rest, timeout=UNWIND_WAIT)
        else:
            self.worker.came_up()
            if self.should_exit:  # up to Uvicorn 0.27 serve() would return now, without the lifespan's shutdown
                self.should_exit = False
                asyncio.get_running_loop().call_soon(setattr, self, "should_exit", True)
            self.background.append(asyncio.create_task(self._beat()))
            if self.worker.slow_callback:
                self.stalls = Stalls(self.worker.slow_callback, self.worker.log.warning, os.getcwd())
                self.stalls.begin()
            if self.worker.question:
                self.background.append(asyncio.create_task(self._stay_alive(self.worker.question)))
        finally:
            watch.cancel()

    async def _cut_startup(self, startup: Any) -> None:
        while not self.told_at:
            await asyncio.sleep(0.1)
        limit = self.told_at + min(self.worker.drain, self.worker.lifespan)
        while time.monotonic() < limit and not self.hurried:
            await asyncio.sleep(0.1)
        self.worker.log.warning(
            "Startup cut: told to stop, and it had not ended after another %.1f s", time.monotonic() - self.told_at
        )
        startup.cancel()

    async def shutdown(self, sockets: Any = None) -> None:
        begun = time.monotonic()
        deadline = (self.told_at or begun) + self.worker.drain
        self.draining = True
        self.worker.log.info(
            "Draining for up to %.1f s: %d connection(s), %d request(s)",
            max(0, deadline - begun),
            len(self.server_state.connections),
            len(self.running),
        )
        await self._stop_accepting()
        while not self.hurried and time.monotonic() < min(begun + UNREAD_WAIT, deadline):
            if not any(map(_owes_request, self.server_state.connections)):
                break
            await asyncio.sleep(0.01)
        left = 0 if self.hurried else deadline - time.monotonic()
        self.config.timeout_graceful_shutdown = max(0.05, left)
        # Uvicorn's shutdown() calls this right after it has cancelled what was over the limit.
        self.lifespan.shutdown = functools.partial(self._shut_lifespan, self.lifespan.shutdown)
        await super().shutdown(sockets)
        for task in self.background:
            task.cancel()
        if self.stalls:
            self.stalls.stop()
        self.worker.ended[0] = not self.unwell
        # From 0.29 on Uvicorn ends the process by the signal that it was told to stop by, and then nothing runs that is
        # to run at a process's exit: pools of processes would be left behind.
        getattr(self, "_captured_signals", []).clear()
        _exit_within(UNWIND_WAIT, 0)

    async def _stop_accepting(self) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.SelectorEventLoop):
            # asyncio makes the transport a turn of the loop after accept(), and drops the connection without a word
            # when the server is closed by then (selector_events.py, _accept_connection2; Server._attach). uvloop
            # makes it at once.
            for server in self.servers:
                for sock in server.sockets:
                    loop.remove_reader(sock)
        # Turns enough for what was accepted to become a connection, and for what has arrived to be read, also on
        # connections that are kept alive.
        for _ in range(5):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        self.servers = []  # up to Uvicorn 0.23 shutdown() waits for their connections before it asks those to close

    async def _beat(self) -> None:
        # Uvicorn's heartbeat ends with its main loop, so the arbiter's `timeout` would cut a recycle's drain. And it
        # goes by the time of day: set back by an hour, it is silent for an hour (server.py, on_tick).
        while True:
            self.worker.notify()
            await asyncio.sleep(0.5)

    async def _stay_alive(self, question: Question) -> None:
        """End the worker when its app isn't alive. A drain takes its time, so nobody is asked while it lasts.

        An app that hangs would hold its drain to the end, so its requests are answered with 503 at once; one that
        gives bad answers may finish what it has.
        """
        watch = Watch(self.app, question, self.lifespan.state)
        seen = await watch.fails()
        if self.should_exit:
            return
        self.worker.log.error("Not alive: %s. This worker ends, and another one takes its place", seen)
        self.unwell = True
        if watch.hangs:
            faulthandler.dump_traceback()
            self.hurry()
        self.should_exit = True
        watch.stop()

    def _log_cut(self) -> None:
        now = time.monotonic()
        for start, scope in self.running.values():
            # Without the query, which may hold a secret; raw, so that no %0A breaks the line.
            path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
            self.worker.log.warning(
                "Cut by the shutdown after %.1f s: %s %s", now - start, scope.get("method", "WebSocket"), path
            )

    async def _shut_lifespan(self, lifespan_shutdown: Any) -> None:
        log = self.worker.log
        if self.server_state.tasks:
            self._log_cut()
            _, deaf = await asyncio.wait(self.server_state.tasks, timeout=UNWIND_WAIT)
            if deaf:
                log.warning("%d cancelled request(s) still at work when the lifespan shutdown began", len(deaf))
        limit = HURRIED_LIFESPAN if self.hurried else self.worker.lifespan
        try:
            await asyncio.wait_for(lifespan_shutdown(), limit)
        except TimeoutError:
            log.error("Lifespan shutdown cut: it had not ended after %g s", limit)

    async def handle(self, scope: Any, receive: Any, send: Any) -> Any:
        """The app, as Uvicorn calls it. ASGI, so the same for every HTTP implementation."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        task = asyncio.current_task()
        self.running[task] = (time.monotonic(), scope)
        current = graceful_logging.Request(scope)
        graceful_logging.request.set(current)
        head: Any = None
        complete = False

        async def sending(message: Any) -> None:
            nonlocal head, complete
            if message["type"] == "http.response.start":
                head = current.answer = message
                if self.draining:
                    message = {**message, "headers": [*message.get("headers", ()), CLOSE_HEADER]}
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            await send(message)

        body = None
        if graceful_body.announced(scope):
            body = graceful_body.Body(scope, receive, sending, lambda: self.draining)
        try:
            return await self.app(scope, *((body.receive, body.send) if body else (receive, sending)))
        except Exception:
            if body and head is None:
                await body.read(*graceful_body.DROPPED)  # Uvicorn answers 500, and closes
            raise
        except asyncio.CancelledError:
            if not self.draining:
                raise
            # Caught, or Uvicorn logs a traceback for each. Where the response has begun and isn't an event stream,
            # Uvicorn closes the connection, so that nobody takes a part for the whole.
            if scope["type"] == "http" and head is None:
                await sending(
                    {
                        "type": "http.response.start",
                        "status": 503,
                        "headers": [(b"content-type", b"text/plain"), (b"content-length", b"19")],
                    }
                )
                await sending({"type": "http.response.body", "body": b"Service Unavailable"})
            elif (
                head
                and not complete
                and any(
                    name.lower() == b"content-type" and value.startswith(b"text/event-stream")
                    for name, value in head.get("headers", ())
                )
            ):
                await sending({"type": "http.response.body", "body": b""})
        finally:
            del self.running[task]


class GracefulWorker(UvicornWorker):
    """Gunicorn's worker for Uvicorn: bounded drain, nothing accepted is lost, a failed respawn is tried again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Made before the fork and shared with the arbiter. First: 1 when it was told to end, or did so as it should.
        # Second: 1 when it came up, or failed and has waited before it ended.
        self.ended = mmap.mmap(-1, 2)
        self.drain, self.lifespan = limits(self.cfg.graceful_timeout)
        self.question = _question
        self.slow_callback = _slow_callback
        self.config.callback_notify = None  # GracefulServer has a heartbeat of its own
        self.began = 0.0
        self.up = False
        self.followed = False  # the one that went first at the app's first start

    def init_process(self) -> None:
        if _shared[DIED_STARTING]:
            # A segmentation fault at import, say: Gunicorn would fork the next worker at once, again and again.
            wait = self._backoff()
            self.log.error("The last worker was killed in its startup; the next try is in %.1f s", wait)
            time.sleep(wait)  # SIGTERM ends it: _keep_sigterm_over_fork
            _shared[DIED_STARTING] = 0
        if _live["link"] and not os.path.lexists(_live["link"]):
            self._let_one_go_first()
        self.began = time.monotonic()
        _call_itself(LOAD_NAME)
        _shared[FAILING_SINCE] = _shared[FAILING_SINCE] or self.began
        if _shared[SLOWEST_STARTUP] or _limits["startup"]:
            self._limit_startup()
        try:
            super().init_process()
        except (Exception, SystemExit) as error:
            if self.up:
                raise
            self._startup_failed(error)

    def _let_one_go_first(self) -> None:
        """At an app's first start, wait until one worker has come up, or be the one.

        Many an app makes its tables as it starts, and of two that find an empty database one fails. The arbiter times
        out nobody before its first heartbeat, which comes later, so whoever waits isn't taken for one that hangs.
        """
        for number in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, self._end_at_once)
        _call_itself(WAIT_NAME)
        while not _shared[SLOWEST_STARTUP] and not _goes_first():
            time.sleep(0.05)
        # Also one that had nothing to wait for, because the first was quick.
        self.followed = bool(_shared[SLOWEST_STARTUP])
        # One before it may have told the arbiter to give up: the SIGTERM is on the way, unless that one died.
        end = time.monotonic() + GIVING_UP
        while not select.select([_give_up], [], [], 0)[0] and time.monotonic() < end:
            time.sleep(0.05)

    def _end_at_once(self, *_signal: Any) -> None:
        self.ended[0] = 1
        os._exit(0)

    def _limit_startup(self) -> None:
        # The arbiter never times out a worker before its first heartbeat: a new heartbeat file's time is the clock's,
        # not monotonic (workertmp.py; arbiter.py, murder_workers). So beat once, as far ahead as a startup may need,
        # and further each time that it proves too little.
        trying = self.began - _shared[FAILING_SINCE]
        slowest = 3 * _shared[SLOWEST_STARTUP]
        if not slowest or self.followed:  # the one that went first had the CPUs for itself
            slowest = max(slowest, _limits["startup"] or 0)
        allowed = max(self.cfg.timeout, slowest, min(2 * trying, HUNG_STARTUP_MAX))
        beat = self.began + allowed - self.cfg.timeout
        os.utime(self.tmp.fileno(), (beat, beat))

    def _backoff(self) -> float:
        """Seconds until the next try: as long as it has been failing, so it doubles."""
        now = time.monotonic()
        return min(max(now - (_shared[FAILING_SINCE] or now), BACKOFF[0]), BACKOFF[1])

    def came_up(self) -> None:
        self.up = True
        _call_itself(UP_NAME)
        self.ended[1] = 1
        _shared[SLOWEST_STARTUP] = max(_shared[SLOWEST_STARTUP], time.monotonic() - self.began)
        _shared[FAILING_SINCE] = 0

    def _startup_failed(self, error: BaseException) -> None:
        if not (self.booted and isinstance(error, SystemExit)):  # Uvicorn has logged a lifespan's failure
            self.log.error("Worker startup failed", exc_info=error)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # so that the waits below end at once, whatever the app installed
        if (self.followed or not _shared[SLOWEST_STARTUP]) and not _has_traffic():
            try:
                os.read(_give_up, 1)
            except BlockingIOError:
                # A second exit with this code while the arbiter stops the others makes it die of an uncaught
                # HaltServer, with code 1 and workers left behind (arbiter.py: halt, stop, reap_workers). Its SIGTERM
                # is on the way; where it isn't, the one that was to tell it died, and another has to.
                time.sleep(GIVING_UP)
                os.write(_give_up_source, b"1")
                _exit_within(UNWIND_WAIT, 1)
                sys.exit(1)
            _exit_within(UNWIND_WAIT, Arbiter.WORKER_BOOT_ERROR)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        # Any exit code but the arbiter's two for "give up".
        now, wait = time.monotonic(), self._backoff()
        self.ended[1] = 1
        self.log.error("Respawned worker did not start; the next try is in %.1f s, the other workers go on", wait)
        while time.monotonic() < now + wait:
            self.notify()
            time.sleep(0.1)
        _exit_within(UNWIND_WAIT, 1)
        sys.exit(1)

    def init_signals(self) -> None:
        super().init_signals()
        # What hung, by the arbiter's SIGABRT, or crashed: every thread's traceback on stderr.
        faulthandler.enable()

    def _install_sigquit_handler(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGQUIT, self.server.hurry)
        loop.add_signal_handler(WATCHDOG_SIGNAL, self.server.handle_exit, signal.SIGTERM, None)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self.server = GracefulServer(self)
        self._install_sigquit_handler()
        await self.server.serve(sockets=self.sockets)
