"""The database pool of one worker process, bounded in connections and in every wait."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

log = structlog.get_logger(__name__)

# Seconds. Getting a connection, asking and giving it back may each take this long, so that a readiness probe is
# answered within 3 s even when the database hangs. Proxies commonly give a probe 5 s.
PROBE_TIMEOUT = 1.0
CONNECT_TIMEOUT = 5.0
# Shorter than the drain of a deploy (24 s by default): a slow query then fails by itself instead of being cut.
COMMAND_TIMEOUT = 20.0
# Shorter than what the lifespan shutdown gets (fastapi_lifespan_timeout, 5 s by default).
CLOSE_TIMEOUT = 3.0


class Database:
    """A pool of at most `pool_size` connections. Without a URL there is no pool, and nothing to wait for."""

    def __init__(self, url: str | None, pool_size: int) -> None:
        self._url = url
        self._pool_size = pool_size
        self._pool: asyncpg.Pool | None = None

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise RuntimeError("there is no database: set DATABASE_URL")
        return self._pool

    async def open(self) -> None:
        """Make the pool. It connects with the first query, so a database that is away doesn't stop the start."""
        if self._url is not None:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._pool_size,
                timeout=CONNECT_TIMEOUT,
                command_timeout=COMMAND_TIMEOUT,
            )

    async def close(self) -> None:
        """Wait for connections in use to come back, then close all; past CLOSE_TIMEOUT drop them."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE_TIMEOUT)
        except TimeoutError:
            # asyncpg has terminated the connections when its close() was cancelled.
            log.warning("database_close_timeout", seconds=CLOSE_TIMEOUT)

    async def ready(self) -> bool:
        """Whether the database answers, asked through the pool that requests use. Never raises, never hangs."""
        if self._pool is None:
            return True
        if self._pool.get_size() == self._pool.get_max_size() and self._pool.get_idle_size() == 0:
            # Busy is not away: to answer 503 here would turn a busy moment into an outage. A connection stuck in
            # a dead database comes back after COMMAND_TIMEOUT at the latest, and the next probe asks with it.
            return True
        try:
            async with self._pool.acquire(timeout=PROBE_TIMEOUT) as connection:
                await connection.fetchval("SELECT 1", timeout=PROBE_TIMEOUT)
        except Exception as exc:
            # The name says enough (ConnectionRefusedError, InvalidPasswordError, TimeoutError); the message of an
            # unusable URL can hold a piece of the password.
            log.warning("database_not_ready", error=type(exc).__name__)
            return False
        return True
