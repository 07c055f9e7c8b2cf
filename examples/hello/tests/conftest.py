"""A client whose app runs in this process, lifespan included."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import main
from app.logs import configure_logs
from app.settings import Settings

Connect = Callable[[Settings], AbstractContextManager[TestClient]]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    @contextmanager
    def connected(settings: Settings) -> Iterator[TestClient]:
        monkeypatch.setattr(main, "settings", settings)
        with TestClient(main.app) as client:
            yield client

    return connected


@pytest.fixture
def client(connect: Connect) -> Iterator[TestClient]:
    """The app without a database."""
    with connect(Settings(release="abc123", slot="blue")) as client:
        yield client


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What was logged so far, each line parsed; a line that isn't one JSON object fails the test."""
    stream = io.StringIO()
    configure_logs("abc123", "blue", stream)

    def read() -> list[dict[str, Any]]:
        parsed = [json.loads(line) for line in stream.getvalue().splitlines()]
        # The test client logs its requests through the same root logger.
        return [line for line in parsed if not line["logger"].startswith("httpx")]

    yield read
    configure_logs("abc123", "blue")
