from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator

import asyncpg
import pytest
from fastapi.testclient import TestClient

from app import main
from app.db import Database
from app.settings import Settings
from tests.conftest import Connect, Lines

DATABASE_URL = os.environ.get("DATABASE_URL", "")
with_postgresql = pytest.mark.skipif(
    not DATABASE_URL, reason="DATABASE_URL isn't set: readiness was not asked of a real PostgreSQL"
)


def answers(client: TestClient) -> tuple[int, int]:
    return client.get("/health").status_code, client.get("/ready").status_code


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that takes connections and never says a word, as a database that hangs does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def url_of(listener: socket.socket) -> str:
    return f"postgresql://nobody:secret@127.0.0.1:{listener.getsockname()[1]}/none"


def test_a_database_that_is_away_stops_no_start(connect: Connect, listener: socket.socket) -> None:
    url = url_of(listener)
    listener.close()
    with connect(Settings(database_url=url)) as client:
        assert answers(client) == (200, 503)


def test_a_database_that_hangs_is_answered_for_in_time(connect: Connect, listener: socket.socket) -> None:
    with connect(Settings(database_url=url_of(listener))) as client:
        start = time.monotonic()
        assert answers(client) == (200, 503)
        assert time.monotonic() - start < 3


def test_an_unusable_url_is_not_ready_and_not_logged(connect: Connect, lines: Lines) -> None:
    with connect(Settings(database_url="postgresql://app:x7q/zz@127.0.0.1/app")) as client:
        assert answers(client) == (200, 503)
    assert [line["error"] for line in lines() if line["event"] == "database_not_ready"] == ["ValueError"]
    assert "x7q" not in str(lines())


@with_postgresql
def test_ready_with_postgresql(connect: Connect) -> None:
    with connect(Settings(database_url=DATABASE_URL)) as client:
        assert answers(client) == (200, 200)


@with_postgresql
def test_ready_again_after_the_server_dropped_the_connection(connect: Connect) -> None:
    async def drop(pool: asyncpg.Pool) -> None:
        pid = await pool.fetchval("SELECT pg_backend_pid()")
        administrator = await asyncpg.connect(DATABASE_URL)
        assert await administrator.fetchval("SELECT pg_terminate_backend($1)", pid)
        await administrator.close()
        async with asyncio.timeout(5):
            while pool.get_size() > 0:  # noqa: ASYNC110 (the pool has no event for it)
                await asyncio.sleep(0.01)

    with connect(Settings(database_url=DATABASE_URL)) as client:
        assert client.portal is not None
        client.portal.call(drop, main.app.state.db.pool)
        assert answers(client) == (200, 200)


@with_postgresql
def test_a_busy_pool_is_still_ready(connect: Connect) -> None:
    async def ask_with_all_in_use(db: Database) -> bool:
        async with db.pool.acquire(), db.pool.acquire():
            assert db.pool.get_size() == 2
            return await db.ready()

    with connect(Settings(database_url=DATABASE_URL, db_pool_size=2)) as client:
        assert client.portal is not None
        assert client.portal.call(ask_with_all_in_use, main.app.state.db)


@with_postgresql
def test_the_shutdown_closes_every_connection(connect: Connect) -> None:
    with connect(Settings(database_url=DATABASE_URL)) as client:
        assert answers(client) == (200, 200)
        pool = main.app.state.db.pool
        assert pool.get_size() == 1
    assert pool.get_size() == 0
