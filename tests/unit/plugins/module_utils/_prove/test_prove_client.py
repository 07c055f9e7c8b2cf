"""The load client against a server that does on purpose what a client may meet."""

from __future__ import annotations

import asyncio
import io
import itertools
import json

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._prove import client
from ansible_collections.graceful.deploy.plugins.module_utils._prove.client import Client, Lost, Wanted, turns

GET = {"method": "GET", "path": "/", "body": "", "content_type": "", "share": 1}
POST = {"method": "POST", "path": "/items", "body": '{"a": "ü"}', "content_type": "application/json", "share": 1}


async def read(answer: bytes, method: str = "GET") -> int:
    reader = asyncio.StreamReader()
    reader.feed_data(answer)
    reader.feed_eof()
    return await client.answered(reader, method)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK + b"Content-Length: 2\r\n\r\nok", 200),
        (OK + b"\r\nas long as the connection", 200),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", 502),
    ],
)
def test_a_whole_answer_has_its_status(answer, status):
    assert asyncio.run(read(answer)) == status


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200", "closed after 12 bytes of a head"),
        (OK + b"Content-Length: 9\r\n\r\nhalf", "cut after 4 of 9 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "cut after 7 bytes"),
        (b"SSH-2.0 hello\r\n\r\n", "no answer of HTTP"),
        (b"x" * 300_000, "a head without an end"),
    ],
)
def test_what_is_none_is_lost(answer, said):
    with pytest.raises(Lost, match=said):
        asyncio.run(read(answer))


def test_a_head_alone_is_whole_for_who_asked_for_no_more():
    assert asyncio.run(read(OK + b"Content-Length: 9\r\n\r\n", "HEAD")) == 200


def test_each_kind_has_its_share_and_they_are_spread():
    first = list(itertools.islice(turns([3, 1]), 8))
    assert first.count(0) == 6 and first[:4].count(1) == first[4:].count(1) == 1
    assert list(itertools.islice(turns([1, 1]), 4)) == [0, 1, 0, 1]


def test_a_request_says_its_number_and_its_body():
    text = client.request(POST, {"Host": "shop.example.com"}, "prove-ab-7").decode()
    head, body = text.split("\r\n\r\n")
    assert body == POST["body"] and f"Content-Length: {len(body.encode())}" in head
    assert head.startswith("POST /items HTTP/1.1\r\nHost: shop.example.com\r\nX-Request-ID: prove-ab-7\r\n")
    assert "Content-Type: application/json" in head
    assert "Content-" not in client.request(GET, {}, "n").decode()


class Server:
    """Answers the nth connection as it is told to."""

    def __init__(self, *acts: str) -> None:
        self.acts, self.ids = acts, []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        number = int(head.split("X-Request-ID: t-")[1].split()[0])
        self.ids.append(number)
        act = self.acts[number] if number < len(self.acts) else "ok"
        if act == "hang":
            await asyncio.sleep(5)
        if act != "drop":
            status = "503 No" if act == "503" else "200 OK"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()


async def asked(server: Server, rate: float, seconds: float, stop_after: float | None = None, **more: object) -> list:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port, out, stop = listening.sockets[0].getsockname()[1], io.StringIO(), asyncio.Event()
    wanted = Wanted([GET], {"Host": "x"}, "x", port, False, rate, seconds, 0.3, "t")
    if stop_after is not None:
        asyncio.get_running_loop().call_later(stop_after, stop.set)
    await Client(wanted, out, **more).run(stop)
    listening.close()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_request_has_a_row_and_its_number():
    lines = asyncio.run(asked(Server("ok", "503", "drop", "hang"), 50, 0.2))
    rows = sorted(line for line in lines if isinstance(line, list))
    assert [(row[0], row[4], row[6]) for row in rows[:4]] == [
        (0, 200, ""),
        (1, 503, ""),
        (2, 0, "closed without an answer"),
        (3, 0, "no answer within 0.3 s"),
    ]
    assert len(rows) == 10 and lines[-1]["sent"] == 10 and "began" in lines[0]


def test_who_stops_it_still_has_the_answers_that_are_due():
    lines = asyncio.run(asked(Server("hang"), 20, 60, stop_after=0.2))
    assert 2 <= lines[-1]["sent"] <= 8
    assert len([line for line in lines if isinstance(line, list)]) == lines[-1]["sent"]


def test_it_keeps_to_its_bounds_whoever_starts_it(monkeypatch):
    monkeypatch.setattr(client, "MOST_RATE", 10.0)
    monkeypatch.setattr(client, "MOST_SECONDS", 0.5)
    assert asyncio.run(asked(Server(), 1000, 60))[-1]["sent"] == 5


def test_it_opens_no_more_than_so_many_connections_at_once(monkeypatch):
    monkeypatch.setattr(client, "MOST_OPEN", 2)
    server = Server(*["hang"] * 9)
    lines = asyncio.run(asked(server, 100, 0.09))
    rows = [line for line in lines if isinstance(line, list)]
    assert len(server.ids) == 2 and [row[6] for row in rows].count(client.NOT_SENT) == 7
