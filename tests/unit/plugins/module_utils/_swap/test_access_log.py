"""The lines of both proxies' access logs, and following a log that is renamed."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._swap.access_log import LONGEST, Log, Seen, parse
from hypothesis import given
from hypothesis import strategies as st

# As Debian's Caddy 2.6.2 and nginx 1.22 wrote them.
CADDY = {
    "level": "info",
    "ts": "2026-11-30T21:14:02.123456789Z",
    "logger": "http.log.access.log0",
    "msg": "handled request",
    "request": {"remote_ip": "127.0.0.1", "method": "GET", "uri": "/?n=1", "headers": {"X-Graceful-Side": ["canary"]}},
    "user_id": "",
    "duration": 0.00421,
    "size": 24,
    "status": 200,
    "resp_headers": {"X-Graceful-Side": ["live"], "Content-Type": ["application/json"]},
}
NGINX = {
    "time": "2026-11-30T21:24:55+00:00",
    "status": 200,
    "method": "GET",
    "host": "front",
    "uri": "/seen?lot=1",
    "protocol": "HTTP/1.1",
    "duration": 0.250,
    "size": 434,
    "client": "127.0.0.1",
    "request_id": "canary",
    "upstream_duration": "0.004",
    "user_agent": '"side":"canary"',
    "upstream_status": "200",
    "side": "live",
}


def line(row: dict, **changes: object) -> bytes:
    return json.dumps({**row, **changes}).encode()


def answered(side: str, kind: str = "text/plain") -> dict:
    return {"X-Graceful-Side": [side], "Content-Type": [kind]}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (line(CADDY), Seen("live", False, 0.00421)),
        (line(CADDY, resp_headers=answered("canary"), status=502), Seen("canary", True, 0.00421)),
        (line(CADDY, resp_headers=answered("canary"), status=404), Seen("canary", False, 0.00421)),
        (line(CADDY, resp_headers=answered("canary"), status=101, duration=40.5), Seen("canary", False, None)),
        (line(CADDY, resp_headers=answered("live", "text/event-stream; charset=utf-8")), Seen("live", False, None)),
        # What a client says of it counts for nothing.
        (line(CADDY, resp_headers={"Content-Type": ["text/plain"]}), None),
        (line(CADDY, resp_headers=answered("me")), None),
        (line(NGINX), Seen("live", False, 0.004)),
        (line(NGINX, side="canary", status=500, upstream_status="500"), Seen("canary", True, 0.004)),
        # Where a second one was asked, it is the first that failed.
        (line(NGINX, side="canary", upstream_status="502, 200", upstream_duration="-, 0.1"), Seen("canary", True, 0.1)),
        # A client that went away before there was an answer.
        (line(NGINX, status=499, upstream_status="-", upstream_duration="-"), Seen("live", False, 0.25)),
        (line(NGINX, side="canary", status=101, upstream_status="101"), Seen("canary", False, None)),
        (line(NGINX, side=""), None),
        (line(NGINX, side=["canary"]), None),
        (b'"canary"', None),
        (b'{"side": "canary", "status": "200", "duration": 1}', None),
        (b'{"side": "canary"', None),
        (b"[" * 100_000 + b"canary", None),
    ],
)  # fmt: skip
def test_a_line(text, seen):
    assert parse(text) == seen


@given(st.binary() | st.from_regex(rb'\{"(side|status|duration|resp_headers)": .*canary.*\}'))
def test_any_bytes_are_no_reason_to_fail(text):
    assert parse(text) is None or parse(text).side in ("canary", "live")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(line(NGINX) + b"\n")
    return path


def add(path, *sides: str) -> None:
    with path.open("ab") as file:
        file.writelines(line(NGINX, side=side) + b"\n" for side in sides)


def new(log: Log) -> list[str]:
    return [seen.side for seen in log.new()]


def test_what_was_there_before_does_not_count(path):
    log = Log(str(path))
    assert new(log) == []
    add(path, "canary", "live")
    assert new(log) == ["canary", "live"]
    assert new(log) == []
    log.close()


def test_half_a_line_is_read_when_it_is_whole(path):
    log = Log(str(path))
    text = line(NGINX, side="canary") + b"\n"
    with path.open("ab", buffering=0) as file:
        file.write(text[:40])
        assert new(log) == []
        file.write(text[40:])
    assert new(log) == ["canary"]
    log.close()


def test_a_log_that_is_renamed_and_begun_anew(path):
    log = Log(str(path))
    add(path, "canary")
    path.rename(f"{path}.1")
    assert new(log) == ["canary"]
    with open(f"{path}.1", "ab") as file:
        file.write(line(NGINX, side="canary") + b"\n")
    add(path, "live", "live")
    assert new(log) == ["canary", "live", "live"]
    add(path, "canary")
    assert new(log) == ["canary"]
    log.close()


def test_a_line_without_an_end_takes_no_memory(path):
    log = Log(str(path))
    with path.open("ab") as file:
        file.write(b"canary" * (LONGEST // 3) + b"\n")
    add(path, "canary")
    assert new(log)[-1:] == ["canary"]
    with path.open("ab") as file:
        file.write(b"x" * (3 * LONGEST))
    assert new(log) == [] and log.rest == b""
    with path.open("ab") as file:
        file.write(b'"}\n' + line(NGINX) + b"\n")
    assert new(log) == ["live"]
    log.close()


def test_a_log_that_is_not_there_yet_is_read_from_its_first_line(path):
    path.unlink()
    log = Log(str(path))
    assert new(log) == []
    add(path, "canary", "live")
    assert new(log) == ["canary", "live"]
    add(path, "canary")
    assert new(log) == ["canary"]
    log.close()
    path.unlink()
    Log(str(path)).close()


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_what_the_proxys_user_could_have_put_there_is_not_read(path, kind):
    path.unlink()
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    with pytest.raises(OSError, match=str(path)):
        Log(str(path))
