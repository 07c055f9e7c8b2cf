# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stopping worker: what it waits for, for how long, what it cuts, and that the lifespan shutdown always follows."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from gunicorn import version_info
from gunicorn_process import WORKER_DIR, Client, Gunicorn, until

BOTH = [{"http": "httptools", "loop": "uvloop"}, {"http": "h11", "loop": "asyncio"}]
both_implementations = pytest.mark.parametrize("kwargs", BOTH, ids=lambda kwargs: "-".join(kwargs.values()))


def in_flight(gunicorn: Gunicorn, path: str) -> Client:
    """A request that the app has begun to work on."""
    before = len(gunicorn.events("request"))
    client = gunicorn.connect().get(path)
    until(lambda: len(gunicorn.events("request")) > before)
    return client


def draining(gunicorn: Gunicorn, times: int = 1) -> None:
    until(lambda: gunicorn.log().count("Draining for up to") >= times)


def test_default_limits_follow_the_graceful_timeout() -> None:
    sys.path.insert(0, str(WORKER_DIR))
    import graceful_worker

    graceful_worker.configure()
    assert graceful_worker.limits(30) == (24, 5)
    assert graceful_worker.limits(4) == (1, 5)
    graceful_worker.configure(drain=7, lifespan=2)
    assert graceful_worker.limits(30) == (7, 2)
    graceful_worker.configure(lifespan=2)
    assert graceful_worker.limits(30) == (27, 2)


@both_implementations
def test_what_is_longer_than_the_drain_is_cut_before_the_lifespan_shutdown(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(drain=1, lifespan=1, graceful_timeout=5, kwargs=kwargs)
    events, download = gunicorn.connect().get("/events"), gunicorn.connect().get("/stream")
    for client in (events, download):
        client.read_until(b"data: tick\n\n")
    slow = in_flight(gunicorn, "/slow?30")
    told = gunicorn.stop()
    status, head, _ = slow.response()
    assert (status, "connection: close" in head) == (503, True)
    assert 1 <= time.monotonic() - told < 2.5
    assert events.rest().endswith(b"\r\n0\r\n\r\n")  # an event stream's end is no loss: the browser comes back
    assert not download.rest().endswith(b"0\r\n\r\n")  # a download's end must not look like one
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 4
    assert [line.split()[0] for line in gunicorn.events()][-4:] == [
        "request",
        "request-cleanup",
        "shutting-down",
        "shutdown",
    ]
    cut = [line.split("] ", 2)[2] for line in gunicorn.log().splitlines() if "Cut by the shutdown" in line]
    assert sorted(line.split()[-1] for line in cut) == ["/events", "/slow", "/stream"]
    assert all(line.startswith("[WARNING] Cut by the shutdown after 1.") and " GET /" in line for line in cut)
    assert "Traceback" not in gunicorn.log()


@pytest.mark.parametrize("how", ["stop", "hup", "max_requests", "ttou", "worker"])
def test_request_within_the_drain_ends_and_then_the_lifespan_shutdown(gunicorn: Gunicorn, how: str) -> None:
    gunicorn.start(max_requests=4 if how == "max_requests" else 0)
    worker = gunicorn.pid_of_answer()
    client = in_flight(gunicorn, "/held")
    if how == "max_requests":
        gunicorn.pid_of_answer(), gunicorn.pid_of_answer()
    elif how == "ttou":
        gunicorn.signal(signal.SIGTTIN)
        until(lambda: len(gunicorn.events("startup")) == 2)
        gunicorn.signal(signal.SIGTTOU)
    elif how == "worker":
        gunicorn.signal(signal.SIGTERM, worker)
    else:
        gunicorn.signal(signal.SIGTERM if how == "stop" else signal.SIGHUP)
    draining(gunicorn)
    assert gunicorn.events("shutdown") == []
    gunicorn.switch("release")
    status, head, body = client.response()
    assert (status, body, "connection: close" in head) == (200, f"{worker} 0", True)
    assert until(lambda: gunicorn.events("shutdown")) == [f"shutdown {worker}"]
    if how == "stop":
        assert gunicorn.exit_code() == 0
    else:
        assert gunicorn.pid_of_answer() != worker
    assert "Cut by the shutdown" not in gunicorn.log()


def test_hup_changes_the_limits_of_new_workers_only(gunicorn: Gunicorn) -> None:
    gunicorn.start(drain=5, lifespan=1, graceful_timeout=8)
    old = in_flight(gunicorn, "/slow?1.4")
    gunicorn.configure(drain=1, lifespan=1, graceful_timeout=8)
    gunicorn.signal(signal.SIGHUP)
    assert old.response()[0] == 200
    until(lambda: gunicorn.events("shutdown"))
    new = in_flight(gunicorn, "/slow?4")
    gunicorn.stop()
    assert new.response()[0] == 503


def test_recycle_keeps_its_heartbeat_while_it_drains(gunicorn: Gunicorn) -> None:
    gunicorn.start(timeout=1, graceful_timeout=8, drain=6, lifespan=1, max_requests=2)
    client = in_flight(gunicorn, "/slow?3")
    gunicorn.pid_of_answer()
    assert client.response()[0] == 200
    until(lambda: gunicorn.events("shutdown"))
    assert "WORKER TIMEOUT" not in gunicorn.log()


@pytest.mark.parametrize("how", ["stop", "max_requests"])
def test_lifespan_shutdown_that_hangs_is_cut(gunicorn: Gunicorn, how: str) -> None:
    gunicorn.start(lifespan=0.5, max_requests=2 if how == "max_requests" else 0)
    gunicorn.switch("shutdown-hang")
    worker, began = gunicorn.pid_of_answer(), time.monotonic()
    if how == "stop":
        gunicorn.stop()
        assert gunicorn.exit_code() == 0
    until(lambda: worker not in gunicorn.workers() if how != "stop" else True)
    assert 0.5 <= time.monotonic() - began < 4
    assert gunicorn.events("shutting-down") == [f"shutting-down {worker}"]
    assert "[ERROR] Lifespan shutdown cut: it had not ended after 0.5 s" in gunicorn.log()
    assert "SIGKILL" not in gunicorn.log()


def test_request_deaf_to_its_cancellation_does_not_hold_a_recycled_worker(gunicorn: Gunicorn) -> None:
    gunicorn.start(drain=1, lifespan=1, graceful_timeout=5, max_requests=2)
    in_flight(gunicorn, "/deaf")
    worker = gunicorn.pid_of_answer()
    until(lambda: gunicorn.events("shutdown"))
    until(lambda: worker not in gunicorn.workers(), 2)
    assert "1 cancelled request(s) still at work" in gunicorn.log()
    assert "SIGKILL" not in gunicorn.log()


def test_thread_at_work_does_not_hold_a_recycled_worker(gunicorn: Gunicorn) -> None:
    gunicorn.start(drain=1, lifespan=1, graceful_timeout=5, max_requests=2)
    client = in_flight(gunicorn, "/thread?20")
    worker = gunicorn.pid_of_answer()
    assert client.response()[0] == 503
    until(lambda: worker not in gunicorn.workers(), 3)
    assert gunicorn.events("shutdown") == [f"shutdown {worker}"]


def test_fastapi_is_cut_the_same_way(gunicorn: Gunicorn) -> None:
    gunicorn.start("apps:fastapi_app()", drain=1, lifespan=1, graceful_timeout=5)
    events = gunicorn.connect().get("/events")
    events.read_until(b"data: tick\n\n")
    slow = in_flight(gunicorn, "/slow?seconds=30")
    gunicorn.stop()
    assert slow.response()[0] == 503
    assert events.rest().endswith(b"\r\n0\r\n\r\n")
    assert gunicorn.exit_code() == 0
    assert len(gunicorn.events("shutdown")) == 1
    assert gunicorn.log().count("Cut by the shutdown after 1.") == 2
    assert "Traceback" not in gunicorn.log()


@both_implementations
def test_websocket_gets_1012(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    client = gunicorn.connect().send(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    told = gunicorn.stop()
    assert client.rest() == b"\x88\x02" + (1012).to_bytes(2, "big")
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 3
    assert [line.split()[0] for line in gunicorn.events()][-3:] == ["websocket-1012", "shutting-down", "shutdown"]


def test_second_order_to_stop_changes_nothing(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    client = in_flight(gunicorn, "/held")
    worker = gunicorn.workers()[0]
    for _ in range(2):  # as graceful_stop.py and the arbiter do
        gunicorn.stop()
        gunicorn.signal(signal.SIGTERM, worker)
    draining(gunicorn)
    gunicorn.signal(signal.SIGINT, worker)
    gunicorn.switch("release")
    assert client.response()[0] == 200
    assert gunicorn.exit_code() == 0
    assert len(gunicorn.events("shutdown")) == 1


@pytest.mark.parametrize("first", ["quick", "draining"])
@both_implementations
def test_sigquit_is_quick_and_still_runs_the_lifespan_shutdown(gunicorn: Gunicorn, kwargs: dict, first: str) -> None:
    if first == "draining" and version_info < (25,):
        pytest.skip("Gunicorn heeds a second signal within its drain from 25 on")
    gunicorn.start(drain=8, lifespan=1, graceful_timeout=10, kwargs=kwargs)
    client = in_flight(gunicorn, "/slow?30")
    if first == "draining":
        gunicorn.stop()
        draining(gunicorn)
    told = gunicorn.signal(signal.SIGQUIT)
    assert client.response()[0] == 503
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 3
    assert len(gunicorn.events("shutdown")) == 1
    assert gunicorn.log().count("Cut by the shutdown") == 1
    assert "SIGKILL" not in gunicorn.log()


def test_sigint_to_the_whole_group_is_quick(gunicorn: Gunicorn) -> None:
    gunicorn.start(drain=8, lifespan=1, graceful_timeout=10)
    client = in_flight(gunicorn, "/slow?30")
    for pid in [gunicorn.process.pid, *gunicorn.workers()]:  # Ctrl-C at a terminal
        told = gunicorn.signal(signal.SIGINT, pid)
    assert client.response()[0] == 503
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 3
    assert len(gunicorn.events("shutdown")) == 1
