# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A body that the app doesn't read, on a connection that ends with the answer: the client gets the answer, uncut.

As a form posted to a path that isn't there does it, or an upload that is refused by its head.
"""

from __future__ import annotations

import contextlib
import itertools
import time

import pytest
from gunicorn_process import Client, Gunicorn, until

KINDS = [{"http": "httptools", "loop": "uvloop"}, {"http": "h11", "loop": "asyncio"}]
both_implementations = pytest.mark.parametrize("kwargs", KINDS, ids=lambda kwargs: "-".join(kwargs.values()))
PLAIN = "uvicorn_worker.UvicornWorker"
HEAD = "POST /unread{query} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{length}\r\n"
BOUND = 16 << 20
"""Bytes: graceful_worker.REST_MOST."""


def head(length: int | None, query: str = "", more: str = "") -> str:
    told = "Transfer-Encoding: chunked\r\n" if length is None else f"Content-Length: {length}\r\n"
    return HEAD.format(query=query, length=told + more)


def chunked(body: bytes) -> bytes:
    pieces = [body[start : start + 5000] for start in range(0, len(body), 5000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def asked(gunicorn: Gunicorn, text: str) -> Client:
    """A connection whose request the app has answered, as far as it is concerned."""
    before = len(gunicorn.events("unread"))
    client = gunicorn.connect().send(text)
    until(lambda: len(gunicorn.events("unread")) > before)
    return client


def is_refused(client: Client) -> None:
    status, lines, body = client.response()
    assert (status, body, "connection: close" in lines) == (404, "no such thing", True)


@both_implementations
def test_the_body_is_taken_before_the_answer_ends(gunicorn: Gunicorn, kwargs: dict) -> None:
    """Head and body apart, by as long as the answer takes: the order in which a write would break."""
    gunicorn.start(kwargs=kwargs)
    for size, how in itertools.product((1, 7, 65_536, 300_000, 1 << 20), ("length", "chunks", "streamed")):
        body = b"x" * size
        client = asked(gunicorn, head(None if how == "chunks" else size, "?streamed" if how == "streamed" else ""))
        # Fails where the worker has closed.
        client.sock.sendall(chunked(body) if how == "chunks" else body)
        if how == "streamed":
            assert b"no such thing" in client.read_until(b"\r\n0\r\n\r\n")
        else:
            is_refused(client)
        assert client.end() == b""


@both_implementations
def test_the_plain_worker_cuts_it(gunicorn: Gunicorn, kwargs: dict) -> None:
    """What makes the test above one that can fail."""
    gunicorn.start(kwargs=kwargs, worker_class=PLAIN)
    client = asked(gunicorn, head(300_000))
    is_refused(client)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.sock.sendall(b"x" * 300_000)


@both_implementations
def test_a_body_that_the_app_is_reading_is_its_own(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    client = gunicorn.connect().send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\n123"
    )
    client.send("456")
    assert client.response()[2].endswith(" 6")


@both_implementations
def test_nobody_waits_for_a_body_that_nobody_asked_for(gunicorn: Gunicorn, kwargs: dict) -> None:
    """Expect: 100-continue, as curl does for large bodies: without the 100 none comes."""
    gunicorn.start(kwargs=kwargs)
    begun = time.monotonic()
    client = asked(gunicorn, head(1 << 20, more="Expect: 100-continue\r\n"))
    is_refused(client)
    assert client.end() == b""
    assert time.monotonic() - begun < 2


@both_implementations
def test_a_body_that_never_comes_is_waited_for_within_the_limit(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    begun = time.monotonic()
    client = asked(gunicorn, head(1 << 20))
    is_refused(client)
    assert client.rest() == b""
    assert 4 < time.monotonic() - begun < 8


@both_implementations
def test_a_body_without_end_is_read_within_the_limit(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    client = asked(gunicorn, head(8 * BOUND))
    sent = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 8 * BOUND:
            sent += client.sock.send(b"x" * 65_536)
    assert BOUND <= sent < 2 * BOUND


@both_implementations
def test_a_stop_waits_for_it_no_longer_than_for_a_request_and_answers(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs, graceful_timeout=8, drain=1.0)
    client = asked(gunicorn, head(1 << 20))
    told = gunicorn.stop()
    is_refused(client)
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 4
    assert "Traceback" not in gunicorn.log()
    assert "ASGI" not in gunicorn.log()


@both_implementations
def test_a_connection_that_is_kept_is_kept(gunicorn: Gunicorn, kwargs: dict) -> None:
    """Uvicorn takes such a body by itself, and the answer waits for nothing."""
    gunicorn.start(kwargs=kwargs)
    client = asked(gunicorn, head(300_000).replace("Connection: close\r\n", ""))
    assert client.response()[0] == 404
    client.sock.sendall(b"x" * 300_000)
    assert client.get("/").response()[0] == 200
