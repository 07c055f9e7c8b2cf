# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load client has to see every fault that a deploy may have: a server here commits each on purpose."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

STEADY = Path(__file__).resolve().parents[1] / "load" / "steady.py"
spec = importlib.util.spec_from_file_location("steady", STEADY)
steady = importlib.util.module_from_spec(spec)
sys.modules["steady"] = steady
spec.loader.exec_module(steady)


class Faulty:
    """A server that answers well, except where ``fault(number)`` names what to do wrong."""

    def __init__(self, fault: Callable[[int], str] = lambda number: "") -> None:
        self.fault = fault
        self.worked_on: list[int] = []
        self.arrived = 0
        self.hold_until = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived += 1
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        query = parse_qs(urlsplit(path).query)
        number = int(query["n"][0])
        length = int(head.split(b"Content-Length: ")[1].split()[0]) if b"Content-Length" in head else 0
        body = await reader.readexactly(length)
        fault = self.fault(number)
        if fault != "unlogged":
            self.worked_on.append(number)
        await asyncio.sleep(float(query.get("seconds", ["0"])[0]))
        while self.arrived < self.hold_until:
            await asyncio.sleep(0.01)
        if fault == "hang":
            await asyncio.sleep(60)
        if fault == "logged twice":
            self.worked_on.append(number)
        said = number + 1 if fault == "another number" else number
        if fault == "another body":
            body = steady.body_of(number + 3)
        status = "502 Bad Gateway" if fault == "502" else "200 OK"
        answer = f"HTTP/1.1 {status}\r\nX-Number: {said}\r\nX-Release: r{number // 10}\r\nX-Worker: 7\r\n"
        data = f"{answer}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if fault == "drop":
            data = b""
        if fault == "cut":
            data = data[:-1] if body else data[:-2]
        writer.write(data * 2 if fault == "answered twice" else data)
        await writer.drain()
        writer.close()


class Unhurried(asyncio.SelectorEventLoop):
    """A loop whose time passes when nothing is left to do, and then at once: no busy machine makes an answer late."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.select = self._selector.select
        self._selector.select = self.wait

    def time(self) -> float:
        return self.now

    def wait(self, timeout: float | None) -> list:
        # What is on its way between two sockets of this process is given a moment.
        events = self.select(timeout and min(timeout, 0.1))
        if not events:
            self.now += timeout or 0
        return events


@pytest.fixture(autouse=True)
def _time_of_the_loop(monkeypatch) -> None:
    def now() -> float:
        return asyncio.get_running_loop().time()

    monkeypatch.setattr(steady, "time", SimpleNamespace(time=now, monotonic=now))


def load(server: Faulty, count: int = 30, **options: object) -> tuple[dict, list[tuple]]:
    """Send ``count`` requests at 200 a second."""

    async def both() -> tuple[dict, list[tuple]]:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        given = {"port": port, "host": "x", "rate": 200, "timeout": 5, "first": 1, "slow": 0.1, **options}
        client = steady.Load(**given)
        report = await client.run(count / given["rate"], asyncio.Event())
        listening.close()
        return report, sorted(client.answers)

    with asyncio.Runner(loop_factory=Unhurried) as runner:
        return runner.run(both())


def test_a_good_server_loses_nothing():
    server = Faulty()
    report, answers = load(server)
    assert (report["sent"], report["answered"]) == (30, 30)
    assert report["lost"] == report["mixed"] == report["lost_seconds"] == []
    assert [each[0] for each in answers] == list(range(1, 31)) == sorted(server.worked_on)
    assert [each[1] for each in answers[:3]] == ["get", "post", "slow"]
    assert [seen["answers"] for _name, seen in sorted(report["releases"].items())] == [9, 10, 10, 1]
    assert all(seen["first"] <= seen["last"] for seen in report["releases"].values())
    assert report["latency"]["slow"]["p50"] >= 100
    assert set(report["latency"]["get"]) == set(report["late"]) == {"p50", "p99", "max"}
    assert {each[5] for each in answers} == {"7"}
    assert steady.audit(answers, server.worked_on) == {"doubled": [], "unknown": []}


# 7 is a GET, 8 a POST, 9 a slow one.
@pytest.mark.parametrize("number", [7, 8, 9])
@pytest.mark.parametrize(
    ("fault", "where", "what"),
    [
        ("drop", "lost", "closed without an answer"),
        ("502", "lost", "502 Bad Gateway"),
        ("hang", "lost", "TimeoutError"),
        ("cut", "lost", ""),
        ("another number", "mixed", ""),
        ("answered twice", "mixed", "after the answer"),
    ],
)
def test_each_fault_is_seen_and_named(fault, where, what, number):
    server = Faulty(lambda seen: fault if seen == number else "")
    log = io.StringIO()
    report, answers = load(server, timeout=0.5, log=log)
    rows = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [row["n"] for row in rows if row["how"] == where] == [number]
    assert len([row for row in rows if row["how"] == "answered"]) == 29
    assert [each["n"] for each in report[where]] == [number]
    assert what in report[where][0]["what"]
    assert report[where][0]["kind"] == ("get", "post", "slow")[(number - 1) % 3]
    assert report["answered"] == len(answers) == 29
    other = "mixed" if where == "lost" else "lost"
    assert report[other] == []
    assert report["lost_seconds"] == ([0] if where == "lost" else [])


def test_a_body_of_another_request_is_seen():
    report, _answers = load(Faulty(lambda number: "another body" if number == 8 else ""))
    assert [(each["n"], each["what"][:13]) for each in report["mixed"]] == [(8, "another body:")]


def test_bodies_differ_and_have_many_sizes():
    bodies = [steady.body_of(number) for number in range(1, 2000)]
    assert len(set(bodies)) == len(bodies)
    assert len({len(body) for body in bodies}) > 1000
    assert max(map(len, bodies)) < 8000


def test_a_body_that_nobody_reads_comes_with_every_other_get():
    sent = {number: steady.request(number, ("get", "post", "slow")[number % 3], "x", 1, 5000) for number in range(12)}
    assert [number for number, text in sent.items() if text.endswith(bytes(5000))] == [3, 9]
    assert all(text == steady.request(number, "get", "x", 1) for number, text in sent.items() if number in (0, 6))
    server = Faulty(lambda number: "drop" if number == 7 else "")
    report, _answers = load(server, unread=5000)
    assert [each["n"] for each in report["lost"]] == [7]


def test_what_the_app_did_twice_or_not_at_all_is_seen():
    faults = {5: "logged twice", 6: "unlogged"}
    server = Faulty(lambda number: faults.get(number, ""))
    _report, answers = load(server)
    assert steady.audit(answers, server.worked_on) == {"doubled": [5], "unknown": [6]}


def test_nobody_listens():
    async def nobody() -> dict:
        client = steady.Load(port=1, host="x", rate=200, timeout=1, first=1, slow=0)
        return await client.run(0.05, asyncio.Event())

    report = asyncio.run(nobody())
    assert report["sent"] == len(report["lost"]) == 10
    assert report["latency"] == {"get": {}, "post": {}, "slow": {}}


def test_it_never_waits_for_an_answer_to_send_the_next():
    """The first answer comes when the last request has arrived: a client that waited would lose them all."""
    server = Faulty()
    server.hold_until = 30
    report, _answers = load(server, timeout=20)
    assert (report["sent"], report["answered"]) == (30, 30)


def test_it_ends_at_sigterm_and_waits_for_what_is_due(tmp_path):
    """As a program: the report appears whole, with the answers that were still on their way; the log as it goes."""
    server, out, log = Faulty(), tmp_path / "report.json", tmp_path / "log"

    async def both() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        options = ["--port", str(port), "--slow", "0.5", "--first", "1000", "--timeline", "--out", str(out)]
        options += ["--log", str(log)]
        process = await asyncio.create_subprocess_exec(sys.executable, str(STEADY), *options)
        async with asyncio.timeout(20):
            while server.arrived < 20 or not log.read_text():
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0

    asyncio.run(both())
    report = json.loads(out.read_text())
    assert 20 <= report["sent"] == report["answered"] == len(report["timeline"]) < 200
    assert report["timeline"][0][0] == 1000
    assert sorted(json.loads(line)["n"] for line in log.read_text().splitlines()) == [
        row[0] for row in report["timeline"]
    ]


def test_its_help_says_what_it_does():
    said = subprocess.run([sys.executable, str(STEADY), "--help"], capture_output=True, text=True, check=True).stdout
    assert "Constant-rate load" in said
