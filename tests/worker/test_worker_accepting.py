# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The turns of the event loop between accept() and the first read, one by one, at which a shutdown may begin."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
import uvloop
from gunicorn_process import WORKER_DIR
from uvicorn.config import Config
from uvicorn.server import Server

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CLIENTS = 3


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def config() -> Config:
    return Config(app, lifespan="off", log_config=None, timeout_keep_alive=1)


def plain() -> Server:
    return Server(config())


def graceful(monkeypatch: pytest.MonkeyPatch) -> Server:
    import graceful_worker

    monkeypatch.setattr(graceful_worker, "_exit_within", lambda seconds, code: None)
    return graceful_worker.GracefulServer(
        SimpleNamespace(
            config=config(),
            drain=2.0,
            lifespan=1.0,
            log=logging.getLogger("test"),
            notify=lambda: None,
            came_up=lambda: None,
            ended=bytearray(1),
            question=None,
            slow_callback=0.0,
        )
    )


def lost(loop_name: str, server: Server, path: Path, turns: int, how: str) -> int:
    """How many of three requests nobody answers that are sent at a turn of the loop before or in the shutdown.

    how: "new", sent on new connections that many turns before; "used", on kept-alive ones; "late", on new ones that
    many turns after its beginning.
    One still in the listening socket's queue is not lost: with the socket held by systemd the next worker takes it.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.setblocking(False)
    held = listener.dup()
    clients = [socket.socket(socket.AF_UNIX) for _ in range(CLIENTS)]

    async def run() -> None:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listener])
        if how == "used":
            for client in clients:
                client.connect(str(path))
                client.sendall(REQUEST)
            while server.server_state.total_requests < CLIENTS:
                await asyncio.sleep(0.01)
            for client in clients:
                client.recv(1000)
        shutdown = asyncio.create_task(server.shutdown(sockets=[listener])) if how == "late" else None
        for _ in range(turns if how == "late" else 0):
            await asyncio.sleep(0)
        for client in clients:
            if how != "used":
                client.connect(str(path))
            client.sendall(REQUEST)
        for _ in range(turns if how != "late" else 0):
            await asyncio.sleep(0)
        await (shutdown or server.shutdown(sockets=[listener]))

    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
        runner.run(run())
    queued = 0
    while True:
        try:
            held.accept()[0].close()
        except BlockingIOError:
            break
        queued += 1
    answered = 0
    for client in clients:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            answered += client.recv(1000).startswith(b"HTTP/1.1 200 ")
        client.close()
    held.close()
    return CLIENTS - answered - queued


def lost_by_turn(loop: str, server: Callable[[], Server], path: Path, how: str) -> dict[int, int]:
    turns = range(8)
    with ThreadPoolExecutor(len(turns)) as pool:
        return dict(
            zip(turns, pool.map(lambda turn: lost(loop, server(), path / str(turn), turn, how), turns), strict=True)
        )


@pytest.mark.parametrize("how", ["new", "used", "late"])
@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_lost_at_any_turn(loop: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(WORKER_DIR))
    result = lost_by_turn(loop, lambda: graceful(monkeypatch), tmp_path, how)
    assert not any(result.values()), result


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio's own, of what it dropped
@pytest.mark.parametrize(("loop", "how"), [("asyncio", "new"), ("asyncio", "used"), ("uvloop", "used")])
def test_the_plain_server_loses_some(loop: str, how: str, tmp_path: Path) -> None:
    """What makes the test above one that can fail. (uvloop reads what has come in the turn of the accept.)"""
    if (loop, how) == ("asyncio", "used") and tuple(map(int, uvicorn.__version__.split(".")[:2])) < (0, 24):
        pytest.skip("an older Uvicorn waits for these, for ever")
    result = lost_by_turn(loop, plain, tmp_path, how)
    print(result)
    assert any(result.values())
