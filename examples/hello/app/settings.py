"""What the environment says, read once when the app is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "hello"
    release: str = "development"
    slot: str = "none"
    # It holds a password, so it stays out of repr() and with that out of tracebacks and logs.
    database_url: str | None = field(default=None, repr=False)
    db_pool_size: int = 5

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; raises ValueError for a value that can't be used. An empty value counts as not set."""
        size = env.get("DB_POOL_SIZE") or str(cls().db_pool_size)
        if not size.isdecimal() or int(size) < 1:
            raise ValueError(f"DB_POOL_SIZE is {size!r}: write a whole number, 1 or more")
        return cls(
            # graceful.deploy sets these three for every app.
            name=env.get("FASTAPI_NAME") or cls().name,
            release=env.get("FASTAPI_RELEASE") or cls().release,
            slot=env.get("FASTAPI_SLOT") or cls().slot,
            database_url=env.get("DATABASE_URL") or None,
            db_pool_size=int(size),
        )
