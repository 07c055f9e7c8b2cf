# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client, against answers that a daemon of version 0.5.0 gave; without the paths of its logs."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr import client as module
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.client import (
    Client,
    OxmgrError,
    Process,
    socket_in,
)

RECORDED = json.loads((Path(__file__).parent / "oxmgr-0.5.0.json").read_text())
SPEC = json.loads(RECORDED["start"]["request"])["spec"]


@contextlib.contextmanager
def answering(answer: bytes | Callable[[socket.socket], None]) -> Iterator[tuple[Client, list[bytes]]]:
    """A server of one question, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            link, _peer = server.accept()
            with link, contextlib.suppress(OSError):
                asked.append(link.makefile("rb").readline())
                if callable(answer):
                    answer(link)
                else:
                    link.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Client(server.getsockname(), limit=5), asked
        thread.join(10)


def recorded(name: str):
    return answering(RECORDED[name]["answer"].encode())


@pytest.mark.parametrize(
    ("name", "ask", "result"),
    [
        ("ping", lambda client: client.ping(), None),
        ("list_empty", lambda client: client.list(), {}),
        (
            "list_mixed",
            lambda client: client.list(),
            {
                "hello-blue": Process("hello-blue", "running", "running", 798, 1, None, 1796007937),
                "crasher": Process("crasher", "errored", "stopped", None, 2, 1, 1796007943),
                "clean": Process("clean", "stopped", "running", None, 0, 0, 1796007946),
            },
        ),
        (
            "status_after_kill",
            lambda client: client.status("hello-blue"),
            Process("hello-blue", "restarting", "running", None, 1, None, 1796007935),
        ),
        (
            "start",
            lambda client: client.start(SPEC),
            Process("hello-blue", "running", "running", 792, 0, None, 1796007935),
        ),
        ("stop", lambda client: client.stop("hello-blue"), None),
        ("delete", lambda client: client.delete("minimal"), None),
    ],
)
def test_what_a_daemon_answers(name, ask, result):
    with recorded(name) as (client, asked):
        assert ask(client) == result
    assert json.loads(asked[0]) == json.loads(RECORDED[name]["request"])
    assert asked[0].count(b"\n") == 1


def test_a_restart_says_the_new_process():
    with recorded("restart") as (client, _asked):
        assert client.restart("hello-blue").status == "running"


@pytest.mark.parametrize(
    ("name", "ask", "says"),
    [
        ("stop_unknown", lambda client: client.stop("hello-blue"), "stop hello-blue: process not found: hello-blue."),
        ("start_exists", lambda client: client.start(SPEC), "start: duplicate process name: hello-blue."),
        ("start_bad_name", lambda client: client.start(SPEC), "start: invalid process name: hello@blue."),
    ],
)
def test_a_refusal_is_a_sentence(name, ask, says):
    with recorded(name) as (client, _asked), pytest.raises(OxmgrError) as caught:
        ask(client)
    assert str(caught.value) == f"Oxmgr refuses to {says}"
    assert not caught.value.late


def test_a_daemon_closes_what_it_can_t_read():
    with (
        recorded("start_missing_field") as (client, _asked),
        pytest.raises(OxmgrError, match="without an answer") as it,
    ):
        client.start({})
    assert it.value.late


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "isn't Oxmgr"),
        (b"[]\n", "isn't Oxmgr"),
        (b'{"ok":1}\n', "isn't Oxmgr"),
        (b"\xff\n", "isn't Oxmgr"),
        (b'{"ok":true,"processes":[{"name":"x"}]}\n', "KeyError: 'status'"),
        (b'{"ok":true,"processes":[5]}\n', "no version that is known"),
        (b'{"ok":true', "without an answer"),
    ],
)
def test_what_isn_t_an_answer(answer, says):
    with answering(answer) as (client, _asked), pytest.raises(OxmgrError, match=says):
        client.list()


def test_an_answer_may_come_in_pieces():
    def slowly(link: socket.socket) -> None:
        for piece in (RECORDED["list_mixed"]["answer"][at : at + 700] for at in range(0, 9000, 700)):
            link.sendall(piece.encode())
            time.sleep(0.01)

    with answering(slowly) as (client, _asked):
        assert len(client.list()) == 3


def test_a_busy_daemon_is_given_up_by_the_limit_of_the_whole_question():
    def drip(link: socket.socket) -> None:
        for _byte in range(100):
            link.sendall(b" ")
            time.sleep(0.1)

    began = time.monotonic()
    with (
        answering(drip) as (client, _asked),
        pytest.raises(OxmgrError, match=r"hasn't answered stop in 0\.5 s") as caught,
    ):
        client.stop("hello-blue", limit=0.5)
    assert caught.value.late
    with pytest.raises(OxmgrError, match="hasn't answered ping"), answering(lambda _link: time.sleep(1)) as (client, _):
        client.ping(limit=0.3)
    assert time.monotonic() - began < 5


def test_what_has_begun_to_answer_has_no_more_time():
    def begin(link: socket.socket) -> None:
        time.sleep(0.8)
        link.sendall(b" ")
        time.sleep(1.5)

    with answering(begin) as (client, _asked):
        began = time.monotonic()
        with pytest.raises(OxmgrError, match="hasn't answered"):
            client.list(limit=1)
        assert time.monotonic() - began < 1.5


def test_an_answer_without_an_end(monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 1000)
    with answering(b" " * 200_000) as (client, _asked), pytest.raises(OxmgrError, match="longer than 1000 bytes"):
        client.list()


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with pytest.raises(OxmgrError, match=rf"can't be reached on 127\.0\.0\.1:{address[1]}: .*refused") as caught:
        Client(address).ping()
    assert not caught.value.late


def test_a_process_that_is_gone():
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(OxmgrError, match=f"network of Oxmgr's daemon, process {ended.pid}, can't be entered"):
        Client(pid=ended.pid).ping()


# A daemon in a network of its own, with its loopback up: unshare(CLONE_NEWNET), SIOCSIFFLAGS.
ALONE = """
import ctypes, fcntl, socket, struct, sys
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
    sys.exit(3)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))
server = socket.create_server(("127.0.0.1", 40000))
print("up", flush=True)
while True:
    link, _peer = server.accept()
    with link:
        link.makefile("rb").readline()
        link.sendall(sys.argv[1].encode())
"""


@pytest.fixture
def alone() -> Iterator[int]:
    """The pid of a daemon in a network of its own."""
    answer = RECORDED["ping"]["answer"]
    with subprocess.Popen([sys.executable, "-c", ALONE, answer], stdout=subprocess.PIPE, text=True) as daemon:
        if daemon.stdout is None or daemon.stdout.readline() != "up\n":
            daemon.wait()
            pytest.skip("no network of its own can be had here: that takes root's rights")
        yield daemon.pid
        daemon.kill()


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_daemon_in_a_network_of_its_own(alone, by_hand, monkeypatch):
    if by_hand:
        # As with Python 3.11.
        monkeypatch.delattr(os, "setns", raising=False)
    here = os.readlink("/proc/thread-self/ns/net")
    Client(pid=alone, limit=5).ping()
    assert os.readlink("/proc/thread-self/ns/net") == here
    with socket_in(alone) as made:
        made.settimeout(5)
        made.connect(("127.0.0.1", 40000))
    # From here nobody is there.
    with pytest.raises(OxmgrError, match="can't be reached"):
        Client(limit=1).ping()


def test_the_call_by_hand_tells_its_error(monkeypatch):
    monkeypatch.delattr(os, "setns", raising=False)
    with (
        open(os.devnull, "rb") as no_network,
        pytest.raises(OSError, match=r"Invalid argument|Operation not permitted"),
    ):
        module._enter(no_network.fileno())
    assert ctypes.CDLL(None).setns
