# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker whose app hangs, is broken or holds the event loop is ended and replaced; one that is only busy is left."""

from __future__ import annotations

import importlib
import re
import signal
import socket
import time

import pytest
from gunicorn_process import WORKER_DIR, Gunicorn, until
from starlette.requests import Request

HOOKS = """
import graceful_watch
graceful_worker.configure(question=graceful_watch.Question("/health", interval=0.5, failures=3))
on_starting = graceful_watch.on_starting
child_exit = graceful_worker.child_exit
"""
HANGS = """
def on_reload(server):
    import time
    server.log.info("reload is stuck")
    time.sleep(600)
"""
LIMIT = 0.5 * 2 + 0.5  # the last question of a row is given as long as an interval, when that is under a second


def ended_and_replaced(gunicorn: Gunicorn, worker: int) -> None:
    until(lambda: worker not in gunicorn.workers())
    assert gunicorn.pid_of_answer() != worker


def test_the_question_is_like_a_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """What middleware of an app reads of a request is there: the name, the client's address, the scheme, the server."""
    monkeypatch.syspath_prepend(str(WORKER_DIR))
    watch = importlib.import_module("graceful_watch")
    headers = {"Host": "shop.test", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
    scope = watch.Question("/health", headers, "/run/shop/blue.sock").scope({})
    request = Request(scope)
    assert request.client is not None and request.client.host == "127.0.0.1"
    assert str(request.url) == "https://shop.test/health"
    assert request.headers["x-forwarded-proto"] == "https"
    assert scope["server"] == ("/run/shop/blue.sock", None)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_an_app_that_hangs_has_its_worker_replaced_and_its_requests_answered(gunicorn: Gunicorn, loop: str) -> None:
    gunicorn.start(hooks=HOOKS, kwargs={"http": "auto", "loop": loop})
    worker = gunicorn.pid_of_answer()
    held = gunicorn.connect().get("/held")
    until(lambda: gunicorn.events("request"))
    gunicorn.switch("health-hang")
    began = time.monotonic()
    until(lambda: gunicorn.events("health"))
    assert held.response()[0] == 503
    assert time.monotonic() - began < LIMIT + 1.5
    gunicorn.switch("health-hang", on=False)
    ended_and_replaced(gunicorn, worker)
    (said,) = re.findall(r"Not alive.*", gunicorn.log())
    assert re.search(r"/health has not answered for 1.5 s; it waits at \S+apps\.py:\d+ \(wait_for_ever\)", said), said
    assert "thread 0x" in gunicorn.log()


@pytest.mark.parametrize(
    ("fault", "seen"), [("health-500", "status 500"), ("health-raises", "RuntimeError('a pool of nothing')")]
)
def test_an_app_that_is_broken_drains_first(gunicorn: Gunicorn, fault: str, seen: str) -> None:
    gunicorn.start(hooks=HOOKS)
    worker = gunicorn.pid_of_answer()
    held = gunicorn.connect().get("/held")
    until(lambda: gunicorn.events("request"))
    gunicorn.switch(fault)
    until(lambda: "Draining" in gunicorn.log())
    assert f"Not alive: /health was bad 3 times in a row, at last with {seen}" in gunicorn.log()
    gunicorn.switch(fault, on=False)
    gunicorn.switch("release")
    assert held.response()[0] == 200
    ended_and_replaced(gunicorn, worker)
    assert len(gunicorn.events("shutdown")) == 1


def test_a_good_answer_that_comes_late_counts(gunicorn: Gunicorn) -> None:
    """An app whose threads are all busy answers late. Each question has until the last one of its row is answered."""
    gunicorn.switch("health-slow")  # 0.8 s, more than an interval
    gunicorn.start(hooks=HOOKS)
    worker = gunicorn.pid_of_answer()
    until(lambda: len(gunicorn.events("health")) == 12)
    assert gunicorn.pid_of_answer() == worker
    assert "Not alive" not in gunicorn.log()


def test_no_path_no_harm(gunicorn: Gunicorn) -> None:
    gunicorn.switch("health-404")
    gunicorn.start(hooks=HOOKS)
    worker = gunicorn.pid_of_answer()
    until(lambda: len(gunicorn.events("health")) == 6)
    assert gunicorn.workers() == [worker]


def test_fastapi_answers_its_workers_question(gunicorn: Gunicorn) -> None:
    """Under a middleware that runs the app in a task group and waits for the client to hang up."""
    gunicorn.start("apps:fastapi_app()", hooks=HOOKS)
    worker = gunicorn.pid_of_answer()
    until(lambda: len(gunicorn.events("health")) == 6)
    assert gunicorn.workers() == [worker]
    gunicorn.switch("health-raises")
    until(lambda: "at last with status 500" in gunicorn.log())
    ended_and_replaced(gunicorn, worker)


def test_a_blocked_event_loop_is_killed_and_says_where(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks=HOOKS, timeout=1)
    worker = gunicorn.pid_of_answer()
    gunicorn.connect().get("/block?60")
    ended_and_replaced(gunicorn, worker)
    assert f"WORKER TIMEOUT (pid:{worker})" in gunicorn.log()
    assert "Fatal Python error: Aborted" in gunicorn.log()
    assert re.search(r"apps\.py\", line \d+ in app", gunicorn.log())


def test_a_clock_that_is_set_back_stops_no_heart(gunicorn: Gunicorn) -> None:
    """Uvicorn's own heartbeat would be silent for as long as it was set back, and the worker be killed for it."""
    gunicorn.switch("clock-back")
    gunicorn.start(hooks=HOOKS, timeout=1)
    worker = gunicorn.pid_of_answer()
    until(lambda: len(gunicorn.events("health")) == 8)
    assert gunicorn.workers() == [worker]


def test_a_first_startup_that_hangs_is_ended_and_tried_again(gunicorn: Gunicorn) -> None:
    """At boot nobody else would: systemd has had its READY=1, and the heartbeat hasn't begun."""
    gunicorn.switch("import-hang")
    gunicorn.start(wait=False, hooks="graceful_worker.configure(startup=1.5)\n", timeout=1)
    until(lambda: "WORKER TIMEOUT" in gunicorn.log())
    gunicorn.switch("import-hang", on=False)
    gunicorn.pid_of_answer()


def test_a_first_startup_that_fails_in_the_slot_with_the_traffic_is_tried_again(gunicorn: Gunicorn) -> None:
    link = gunicorn.directory / "live.sock"
    link.symlink_to("/run/x/blue.sock")
    gunicorn.switch("lifespan-fault")
    hook = f"graceful_worker.configure(live={str(link)!r}, socket='blue.sock')\n"
    gunicorn.start(wait=False, workers=2, hooks=hook)
    until(lambda: gunicorn.log().count("the next try is in") == 4)
    gunicorn.switch("lifespan-fault", on=False)
    gunicorn.pid_of_answer()


def test_a_worker_that_is_killed_in_its_startup_is_not_forked_at_once_again(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks="child_exit = graceful_worker.child_exit\n")
    gunicorn.switch("import-crash")
    gunicorn.signal(signal.SIGKILL, gunicorn.workers()[0])
    until(lambda: gunicorn.log().count("was killed in its startup; the next try is in") == 2)
    assert gunicorn.log().count("Booting worker") == 4  # the first, the one that died at once, two that wait first
    gunicorn.switch("import-crash", on=False)
    gunicorn.pid_of_answer()


def test_a_drain_is_not_cut_for_the_health_path(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks=HOOKS)
    held = gunicorn.connect().get("/held")
    until(lambda: gunicorn.events("request"))
    gunicorn.stop()
    until(lambda: "Draining" in gunicorn.log())
    gunicorn.switch("health-500")
    asked = len(gunicorn.events("health"))
    time.sleep(LIMIT + 1)  # there is nothing to wait for: it has to be left alone
    gunicorn.switch("release")
    assert held.response()[0] == 200
    assert gunicorn.exit_code() == 0
    assert len(gunicorn.events("health")) <= asked + 3
    assert "Not alive" not in gunicorn.log()


@pytest.fixture
def fed(tmp_path, monkeypatch):
    """How often the watchdog was fed so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        count = 0

        def read() -> int:
            nonlocal count
            while True:
                try:
                    count += listener.recv(4096) == b"WATCHDOG=1"
                except BlockingIOError:
                    return count

        yield read


def test_the_arbiter_feeds_the_watchdog_also_while_a_reload_blocks_it(gunicorn: Gunicorn, fed) -> None:
    gunicorn.start(hooks=HOOKS)
    until(lambda: fed() >= 2)
    gunicorn.connect().get("/held")
    until(lambda: gunicorn.events("request"))
    gunicorn.signal(signal.SIGHUP)
    until(lambda: "Draining" in gunicorn.log())
    before = fed()
    # The arbiter's own loop is held for graceful_timeout, where nobody feeds within; before Gunicorn 25 it goes on,
    # with a turn each second.
    until(lambda: fed() >= before + 3)
    assert "Finished server" not in gunicorn.log()


def test_a_hanging_arbiter_dies_of_the_watchdogs_signal_and_its_workers_drain(gunicorn: Gunicorn, fed) -> None:
    gunicorn.start(hooks=HOOKS + HANGS)
    held = gunicorn.connect().get("/held")
    until(lambda: gunicorn.events("request"))
    (worker,) = gunicorn.workers()
    gunicorn.signal(signal.SIGHUP)
    until(lambda: "reload is stuck" in gunicorn.log())
    for pid in (gunicorn.process.pid, worker):  # systemd sends it to all
        gunicorn.signal(signal.SIGURG, pid)
    assert gunicorn.exit_code() == signal.SIGURG
    assert re.search(r"gunicorn\.conf\.py\", line \d+ in on_reload", gunicorn.log())
    until(lambda: "Draining" in gunicorn.log())
    gunicorn.switch("release")
    assert held.response()[0] == 200
    until(lambda: gunicorn.events("shutdown"))


def test_a_service_that_was_stopped_as_a_whole_goes_on(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks=HOOKS, timeout=1)
    everyone = [gunicorn.process.pid, *gunicorn.workers()]
    for pid in everyone:
        gunicorn.signal(signal.SIGSTOP, pid)
    time.sleep(6)  # the length of the stop is what is tested
    for pid in everyone:
        gunicorn.signal(signal.SIGCONT, pid)
    asked = len(gunicorn.events("health"))
    until(lambda: len(gunicorn.events("health")) > asked + 4)
    assert gunicorn.workers() == everyone[1:]
    assert "WORKER TIMEOUT" not in gunicorn.log()
