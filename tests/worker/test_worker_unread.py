# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection that a stopping worker accepted but has no request from yet: served, where the client is not long."""

from __future__ import annotations

import signal
import time

import pytest
from gunicorn_process import Client, Gunicorn, load, until

EVERY = [{"http": http, "loop": loop} for http in ("httptools", "h11") for loop in ("uvloop", "asyncio")]
BOTH = [EVERY[0], EVERY[3]]
both_implementations = pytest.mark.parametrize("kwargs", BOTH, ids=lambda kwargs: "-".join(kwargs.values()))
PLAIN = "uvicorn_worker.UvicornWorker"
POST = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n"


def accepted(gunicorn: Gunicorn) -> Client:
    """A connection that the only worker has accepted: it accepts in order, and has answered a later one."""
    client = gunicorn.connect()
    gunicorn.pid_of_answer()
    return client


def draining(gunicorn: Gunicorn) -> None:
    until(lambda: "Draining for up to" in gunicorn.log())


def is_served(client: Client, worker: int, length: int = 0) -> None:
    status, head, body = client.response()
    assert (status, body, "connection: close" in head) == (200, f"{worker} {length}", True)
    assert client.rest() == b""


def order(gunicorn: Gunicorn, how: str) -> None:
    """Make the worker that is up at the time of the call stop."""
    if how == "ttou":
        gunicorn.signal(signal.SIGTTIN)
        until(lambda: len(gunicorn.events("startup")) == 2)
        gunicorn.signal(signal.SIGTTOU)
    elif how != "max_requests":  # that limit has been reached by the requests before
        gunicorn.signal({"stop": signal.SIGTERM, "hup": signal.SIGHUP}[how])
    draining(gunicorn)


@pytest.mark.parametrize(
    ("how", "kwargs"),
    [
        *(pytest.param("stop", kwargs, id="stop-" + "-".join(kwargs.values())) for kwargs in EVERY),
        ("hup", BOTH[0]),
        ("hup", BOTH[1]),
        ("max_requests", BOTH[0]),
        ("max_requests", BOTH[1]),
        ("ttou", BOTH[0]),
    ],
)
def test_accepted_but_unread_is_served(gunicorn: Gunicorn, kwargs: dict, how: str) -> None:
    gunicorn.start(kwargs=kwargs, max_requests=4 if how == "max_requests" else 0)
    clients = [accepted(gunicorn) for _ in range(3)]
    worker = gunicorn.workers()[0]
    order(gunicorn, how)
    for client in clients:
        is_served(client.send(POST + "0123456789"), worker, 10)
    assert until(lambda: gunicorn.events("shutdown")) == [f"shutdown {worker}"]


def test_the_plain_worker_loses_it(gunicorn: Gunicorn) -> None:
    """What makes the test above one that can fail."""
    gunicorn.start(worker_class=PLAIN)
    client = accepted(gunicorn)
    gunicorn.stop()
    until(lambda: "Shutting down" in gunicorn.log())
    until(lambda: gunicorn.events("shutdown"))
    with pytest.raises((BrokenPipeError, ConnectionResetError, AssertionError)):
        client.send(POST + "0123456789").response()


@both_implementations
def test_silent_client_holds_the_stop_for_a_moment_only(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    client = accepted(gunicorn)
    told = gunicorn.stop()
    assert client.rest() == b""
    assert 1 <= time.monotonic() - told < 2.5
    assert gunicorn.exit_code() == 0


@both_implementations
@pytest.mark.parametrize("sent", [7, len(POST) - 1, len(POST) + 5], ids=["line", "head", "body"])
def test_half_sent_request_is_served(gunicorn: Gunicorn, kwargs: dict, sent: int) -> None:
    gunicorn.start(kwargs=kwargs)
    whole = POST + "0123456789"
    client = gunicorn.connect().send(whole[:sent])
    worker = gunicorn.pid_of_answer()
    gunicorn.stop()
    draining(gunicorn)
    is_served(client.send(whole[sent:]), worker, 10)
    assert gunicorn.exit_code() == 0


@both_implementations
def test_half_sent_head_on_a_used_connection_is_served(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    worker = gunicorn.workers()[0]
    client = gunicorn.connect().get("/")
    client.response()
    client.send(POST[:20])
    gunicorn.pid_of_answer()
    gunicorn.stop()
    draining(gunicorn)
    is_served(client.send(POST[20:] + "0123456789"), worker, 10)


@both_implementations
def test_idle_kept_alive_connection_is_closed_at_once(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs, keepalive=60)
    client = gunicorn.connect().get("/")
    client.response()
    told = gunicorn.stop()
    assert client.rest() == b""
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 0.9


@both_implementations
def test_requests_that_queue_while_the_loop_is_blocked_are_served(gunicorn: Gunicorn, kwargs: dict) -> None:
    """The order to stop and twenty connections wait for the event loop at once, half of them with their request."""
    gunicorn.start(kwargs=kwargs)
    worker = gunicorn.workers()[0]
    used = gunicorn.connect().get("/")
    used.response()
    blocking = gunicorn.connect().get("/block?0.5")
    until(lambda: gunicorn.events("request"))
    gunicorn.signal(signal.SIGTERM, worker)
    clients = [gunicorn.connect() for _ in range(20)]
    for client in clients[::2]:
        client.get("/")
    used.get("/")
    assert blocking.response()[0] == 200
    assert used.response()[2] == f"{worker} 0"
    for client in clients[1::2]:
        client.get("/")
    answered = {client.response()[2] for client in clients}
    # The listening socket outlives the worker, so one that it did not accept any more is the next worker's.
    assert answered <= {f"{worker} 0", f"{gunicorn.pid_of_answer()} 0"}


def ten_hups(gunicorn: Gunicorn) -> None:
    for count in range(2, 22, 2):
        until(lambda count=count: len(gunicorn.events("startup")) == count)  # SIGTERM in an import leaves no event
        gunicorn.signal(signal.SIGHUP)
        until(lambda count=count: len(gunicorn.events("shutdown")) == count, 20)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_nothing_is_lost_under_load_over_ten_hups(gunicorn: Gunicorn, loop: str) -> None:
    gunicorn.start(workers=2, kwargs={"http": "auto", "loop": loop})
    with load(gunicorn) as result:
        ten_hups(gunicorn)
    print(result)
    assert result["lost"] == {}
    assert result["answered"] > 1000


def test_the_plain_worker_loses_some_of_that_load(gunicorn: Gunicorn) -> None:
    """What makes the test above one that can fail."""
    gunicorn.start(workers=2, worker_class=PLAIN)
    with load(gunicorn) as result:
        ten_hups(gunicorn)
    print(result)
    assert sum(result["lost"].values()) > 0


def test_nothing_is_lost_under_load_over_recycles_and_resizing(gunicorn: Gunicorn) -> None:
    gunicorn.start(workers=2, max_requests=400, max_requests_jitter=200)
    with load(gunicorn) as result:
        for _ in range(3):
            gunicorn.signal(signal.SIGTTIN)
            until(lambda: len(gunicorn.workers()) == 3)
            gunicorn.signal(signal.SIGTTOU)
            until(lambda: len(gunicorn.workers()) <= 2)
        until(lambda: len(gunicorn.events("shutdown")) >= 10, 20)
    print(result)
    assert result["lost"] == {}
