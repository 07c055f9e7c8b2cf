# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A body that the app doesn't read, on a connection that ends with the answer: the client gets the answer, uncut.

As a form posted to a path that isn't there does it, or an upload that is refused by its head.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import sys
import time

import pytest
from gunicorn_process import WORKER_DIR, Client, Gunicorn, until

sys.path.insert(0, str(WORKER_DIR))

import graceful_body

KINDS = [{"http": "httptools", "loop": "uvloop"}, {"http": "h11", "loop": "asyncio"}]
both_implementations = pytest.mark.parametrize("kwargs", KINDS, ids=lambda kwargs: "-".join(kwargs.values()))
PLAIN = "uvicorn_worker.UvicornWorker"
SIZES = (1, 7, 65_536, 300_000, 1 << 20)
MIB = 1 << 20


def head(length: int | None, path: str = "/unread", more: str = "", connection: str = "close") -> str:
    told = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"POST {path} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n{told}\r\n{more}\r\n"


def chunked(body: bytes) -> bytes:
    pieces = [body[start : start + 5000] for start in range(0, len(body), 5000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def asked(gunicorn: Gunicorn, text: str) -> Client:
    """A connection whose request the app has begun to answer; its body is still to come."""
    before = len(gunicorn.events("unread"))
    client = gunicorn.connect().send(text)
    until(lambda: len(gunicorn.events("unread")) > before)
    return client


def is_refused(client: Client) -> None:
    status, lines, body = client.response()
    assert (status, body, "connection: close" in lines) == (404, "no such thing", True)


@both_implementations
def test_the_answer_comes_after_the_body(gunicorn: Gunicorn, kwargs: dict) -> None:
    """Head and body apart, by as long as the answer takes: the order in which a write would break."""
    gunicorn.start(kwargs=kwargs)
    for size, how in itertools.product(SIZES, ("length", "chunks", "streamed", "middleware")):
        body = b"x" * size
        client = asked(gunicorn, head(None if how == "chunks" else size, f"/unread?{how}"))
        assert not select.select([client.sock], [], [], 0.05)[0], how
        client.sock.sendall(chunked(body) if how == "chunks" else body)
        if how == "streamed":
            assert b"no such thing" in client.read_until(b"\r\n0\r\n\r\n")
        else:
            is_refused(client)
        assert client.end() == b""


@both_implementations
def test_head_and_body_in_one_write(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    for size in SIZES:
        client = gunicorn.connect()
        client.sock.sendall(head(size).encode() + b"x" * size)
        is_refused(client)
        assert client.end() == b""


@both_implementations
def test_the_plain_worker_cuts_it(gunicorn: Gunicorn, kwargs: dict) -> None:
    """What makes the tests above ones that can fail."""
    gunicorn.start(kwargs=kwargs, worker_class=PLAIN)
    client = asked(gunicorn, head(300_000))
    is_refused(client)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.sock.sendall(b"x" * 300_000)


@both_implementations
def test_an_app_that_fails_before_it_reads(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    client = asked(gunicorn, head(300_000, "/unread?raises"))
    client.sock.sendall(b"x" * 300_000)
    assert client.end().startswith(b"HTTP/1.1 500 ")


def test_starlette_listens_for_a_disconnect_while_it_answers(gunicorn: Gunicorn) -> None:
    """So there are two who read."""
    gunicorn.start("apps:fastapi_app()")
    for size in SIZES:
        client = gunicorn.connect().send(head(size, "/stream"))
        assert not select.select([client.sock], [], [], 0.1)[0]
        client.sock.sendall(b"x" * size)
        assert client.end().endswith(b"no such \r\n5\r\nthing\r\n0\r\n\r\n")


@both_implementations
def test_a_body_that_the_app_is_reading_is_its_own(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    client = gunicorn.connect().send(head(6, "/echo") + "123")
    assert client.send("456").response()[2].endswith(" 6")


@both_implementations
@pytest.mark.parametrize("size", [300_000, 5 * MIB], ids=["kept", "more"])
def test_an_app_that_answers_first_reads_all_of_it_later(gunicorn: Gunicorn, kwargs: dict, size: int) -> None:
    gunicorn.start(kwargs=kwargs)
    body = b"".join(b"%07d," % number for number in range(size // 8))
    client = gunicorn.connect().send(head(len(body), f"/both-ways?{len(body)}"))
    answer = b""
    left = memoryview(body)
    while len(answer.partition(b"\r\n\r\n")[2]) < len(body):
        readable, writable, _ = select.select([client.sock], [client.sock] if left else [], [], 10)
        assert readable or writable
        if writable:
            left = left[client.sock.send(left[:65_536]) :]
        if readable:
            piece = client.sock.recv(65_536)
            assert piece
            answer += piece
    assert answer.partition(b"\r\n\r\n")[2] == body


@both_implementations
def test_a_talk_in_both_directions_begins_late_and_goes_on(gunicorn: Gunicorn, kwargs: dict) -> None:
    """An answer that begins while the body is still being sent, by someone who first wants to see it begin."""
    gunicorn.start(kwargs=kwargs)
    client = gunicorn.connect().send(head(None, "/both-ways"))
    begun = time.monotonic()
    client.read_until(b"\r\n\r\n")
    assert graceful_body.SILENCE - 0.1 < time.monotonic() - begun < graceful_body.SILENCE + 1
    for word in ("one", "two", "six"):
        client.send(f"3\r\n{word}\r\n")
        assert client.read_until(f"3\r\n{word}\r\n".encode())
    assert client.send("0\r\n\r\n").end() == b"0\r\n\r\n"


@both_implementations
@pytest.mark.parametrize("waits", [True, False], ids=["waits", "sends"])
def test_a_client_that_expects_100_gets_it_first(gunicorn: Gunicorn, kwargs: dict, waits: bool) -> None:
    """As curl does for large bodies. Caddy hands the header on and sends the body all the same."""
    gunicorn.start(kwargs=kwargs)
    client = asked(gunicorn, head(MIB, more="Expect: 100-continue\r\n"))
    if waits:
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    client.sock.sendall(b"x" * MIB)
    if not waits:
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    is_refused(client)
    assert client.end() == b""


@both_implementations
def test_a_body_that_never_comes_is_waited_for_within_the_limit(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    begun = time.monotonic()
    client = asked(gunicorn, head(MIB))
    is_refused(client)
    assert 0.9 < time.monotonic() - begun < 2
    assert client.rest() == b""
    assert time.monotonic() - begun < 4


def test_a_body_that_trickles_is_waited_for_within_the_limit(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks="import graceful_body; graceful_body.KEPT, graceful_body.DROPPED = (1, 1.0), (1 << 20, 2.0)")
    begun = time.monotonic()
    client = asked(gunicorn, head(MIB))
    while not select.select([client.sock], [], [], 0.2)[0]:
        client.send("x")
    assert 1.9 < time.monotonic() - begun < 4
    is_refused(client)
    # Who has the answer closes, and then nobody waits for the rest.
    client.sock.close()
    until(lambda: gunicorn.events("answered"), 0.9)


@both_implementations
@pytest.mark.parametrize("how", ["length", "middleware"])
def test_a_large_body_is_taken_before_an_answer_that_is_whole(gunicorn: Gunicorn, kwargs: dict, how: str) -> None:
    """Caddy cuts a client that still sends when it has its answer. So nothing of it comes, and nothing is kept."""
    gunicorn.start(kwargs=kwargs)
    size = 8 * graceful_body.KEPT[0]
    client = asked(gunicorn, head(size, f"/unread?{how}"))
    client.sock.sendall(b"x" * (size - 1))
    assert not select.select([client.sock], [], [], 0.3)[0]
    client.send("x")
    is_refused(client)
    assert client.end() == b""


@both_implementations
def test_a_body_without_end_is_read_within_the_limit(gunicorn: Gunicorn, kwargs: dict) -> None:
    """And who reads the answer meanwhile gets it."""
    gunicorn.start(kwargs=kwargs, hooks="import graceful_body; graceful_body.DROPPED = (6 << 20, 30.0)")
    client = asked(gunicorn, head(256 * MIB))
    sent = 0
    while not select.select([client.sock], [], [], 0)[0]:
        sent += client.sock.send(b"x" * 65_536)
    assert 8 * MIB <= sent < 12 * MIB
    is_refused(client)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 256 * MIB:
            sent += client.sock.send(b"x" * 65_536)
    assert 14 * MIB <= sent < 20 * MIB


@both_implementations
def test_a_client_that_leaves_is_waited_for_no_longer(gunicorn: Gunicorn, kwargs: dict) -> None:
    gunicorn.start(kwargs=kwargs)
    client = asked(gunicorn, head(MIB))
    client.sock.sendall(b"x" * 100_000)
    client.sock.close()
    until(lambda: gunicorn.events("answered"), 0.9)
    assert "Traceback" not in gunicorn.log()


@both_implementations
def test_a_stop_waits_for_it_no_longer_than_for_a_request_and_answers(gunicorn: Gunicorn, kwargs: dict) -> None:
    """Also where the body keeps coming when the drain is over."""
    gunicorn.start(kwargs=kwargs, graceful_timeout=8, drain=1.0)
    client, trickling, whole = (asked(gunicorn, head(8 * MIB)) for _ in range(3))
    whole.sock.sendall(b"x" * 3 * MIB)  # by now nothing but the end of this body is waited for
    told = gunicorn.stop()
    while not select.select([trickling.sock], [], [], 0.1)[0]:
        trickling.send("x")
        whole.send("x")
    is_refused(client)
    assert trickling.response()[0] == 503
    is_refused(whole)
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 4
    assert "Traceback" not in gunicorn.log()
    assert "ASGI" not in gunicorn.log()
    assert "still at work" not in gunicorn.log()


@both_implementations
def test_what_a_stop_cuts_is_told_so_at_once(gunicorn: Gunicorn, kwargs: dict) -> None:
    """Nobody waits for a body then: the lifespan shutdown begins."""
    gunicorn.start(kwargs=kwargs, graceful_timeout=8, drain=1.0, lifespan=1.0)
    client = asked(gunicorn, head(MIB, "/unread?slow"))
    told = gunicorn.stop()
    assert client.response()[0] == 503
    assert time.monotonic() - told < 2


@both_implementations
def test_a_connection_that_is_kept_is_kept(gunicorn: Gunicorn, kwargs: dict) -> None:
    """Uvicorn takes such a body by itself, and the answer waits for nothing."""
    gunicorn.start(kwargs=kwargs)
    client = asked(gunicorn, head(300_000, connection="keep-alive"))
    assert client.response()[0] == 404
    client.sock.sendall(b"x" * 300_000)
    assert client.get("/").response()[0] == 200
