from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from app.request_id import RequestId, request_id_for
from app.settings import Settings
from tests.conftest import Lines


def test_index_names_release_slot_and_worker(client: TestClient) -> None:
    assert client.get("/").json() == {"name": "hello", "release": "abc123", "slot": "blue", "pid": os.getpid()}


def test_health_and_ready_without_a_database(client: TestClient) -> None:
    assert (client.get("/health").status_code, client.get("/health").text) == (200, "ok")
    assert (client.get("/ready").status_code, client.get("/ready").text) == (200, "ready")


def test_item(client: TestClient, lines: Lines) -> None:
    assert client.get("/items/7").json() == {"id": 7}
    assert client.get("/items/seven").status_code == 422
    (line,) = [line for line in lines() if line["event"] == "item_fetch"]
    assert (line["item_id"], line["path"], line["release"], line["slot"]) == (7, "/items/7", "abc123", "blue")


def test_upload_counts_and_hashes_a_stream(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 1000

    answer = client.post("/upload", content=chunks()).json()
    assert answer == {"bytes": 100_000, "sha256": hashlib.sha256(b"".join(chunks())).hexdigest()}
    assert client.post("/upload").json()["bytes"] == 0


@pytest.mark.parametrize("given", ["abc-123", "0f" * 32, "A.b_c"])
def test_a_sane_request_id_is_kept(client: TestClient, lines: Lines, given: str) -> None:
    answer = client.get("/items/1", headers={"X-Request-Id": given})
    assert answer.headers.get_list("X-Request-Id") == [given]
    assert [line["request_id"] for line in lines() if line["event"] == "item_fetch"] == [given]


@pytest.mark.parametrize("given", [None, "", "a" * 65, 'a"b', "a b", "a\n", "é", "{}"])
def test_any_other_request_id_is_replaced(given: str | None) -> None:
    made = request_id_for(given)
    assert made != given
    assert request_id_for(made) == made
    assert request_id_for(given) != made


def test_the_request_id_does_not_outlive_its_request(client: TestClient, lines: Lines) -> None:
    client.get("/items/1", headers={"X-Request-Id": "first"})
    client.get("/items/2")
    structlog.get_logger().info("between")
    first, second, between = (line for line in lines() if line["event"] in {"item_fetch", "between"})
    assert first["request_id"] == "first"
    assert second["request_id"] != "first"
    assert "request_id" not in between


@pytest.fixture
def broken_client() -> TestClient:
    """Endpoints that fail, behind the app's own middleware."""
    app = FastAPI()
    app.add_middleware(RequestId)

    @app.get("/at-once")
    async def at_once() -> None:
        password = "hunter2"  # noqa: F841, S105 (a local variable that must not reach the log)
        raise RuntimeError("broken\nover two lines")

    @app.get("/midway")
    async def midway() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError("broken midway")

        return StreamingResponse(body())

    @app.get("/gone")
    async def gone() -> None:
        raise ClientDisconnect

    # An exception that the middleware let through would be raised in the test.
    return TestClient(app)


def test_an_uncaught_exception_is_one_line_with_the_request_id(broken_client: TestClient, lines: Lines) -> None:
    answer = broken_client.get("/at-once", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "Internal Server Error", "request_id": "find-me"}
    assert answer.headers["X-Request-Id"] == "find-me"
    (line,) = [line for line in lines() if line["level"] == "error"]
    assert (line["event"], line["request_id"], line["path"]) == ("unhandled_exception", "find-me", "/at-once")
    assert "RuntimeError: broken\nover two lines" in line["exception"]
    assert "hunter2" not in str(lines())


def test_an_exception_after_the_response_began_is_logged(broken_client: TestClient, lines: Lines) -> None:
    assert broken_client.get("/midway").text == "begun"
    assert ["broken midway" in line["exception"] for line in lines() if line["level"] == "error"] == [True]


def test_a_client_that_goes_away_is_no_error(broken_client: TestClient, lines: Lines) -> None:
    TestClient(broken_client.app, raise_server_exceptions=False).get("/gone")
    assert [(line["event"], line["level"]) for line in lines()] == [("client_disconnected", "info")]


def test_lines_of_other_libraries_are_json_too(lines: Lines) -> None:
    logging.getLogger("some.library").warning("%d left", 3)
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("3 left", "warning", "some.library")


def test_settings_from_an_environment() -> None:
    assert Settings.from_env({}) == Settings.from_env({"DATABASE_URL": "", "DB_POOL_SIZE": "", "FASTAPI_RELEASE": ""})
    settings = Settings.from_env({"FASTAPI_RELEASE": "abc123", "DATABASE_URL": "secret", "DB_POOL_SIZE": "2"})
    assert (settings.release, settings.database_url, settings.db_pool_size) == ("abc123", "secret", 2)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("size", ["0", "-1", "many", "1.5"])
def test_a_wrong_pool_size_is_refused_by_name(size: str) -> None:
    with pytest.raises(ValueError, match=r"DB_POOL_SIZE is .*write a whole number"):
        Settings.from_env({"DB_POOL_SIZE": size})
