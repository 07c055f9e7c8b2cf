"""What a record becomes on its way to the journal: whole lines, with the priority that tells what they are."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "roles" / "gunicorn" / "files"))
import graceful_logging


def record(message: str, *args: object, name: str = "app", level: int = logging.INFO, error: object = None):
    return logging.LogRecord(name, level, __file__, 1, message, args or None, error)


def access(path: str = "/items/1", status: int = 200):
    name = "uvicorn.access"
    return record('%s - "%s %s HTTP/%s" %d', "192.0.2.7:0", "GET", path, "1.1", status, name=name)


@pytest.fixture
def stream(monkeypatch):
    """A stream that is the journal's, as the app gets it, and what has come out of it."""
    reading, writing = os.pipe()
    status = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    made = graceful_logging.Lines(writing, "<4>")

    def written() -> str:
        made.flush()
        os.set_blocking(reading, False)
        try:
            return os.read(reading, 1 << 20).decode()
        except BlockingIOError:
            return ""

    yield made, written
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("plain", "<4>plain"),
        ('{"level": "error", "event": "x"}', '<3>{"level": "error", "event": "x"}'),
        ('{"event": "x", "severity": "DEBUG"}', '<7>{"event": "x", "severity": "DEBUG"}'),
        ('{"event": "x", "level": "strange"}', '<4>{"event": "x", "level": "strange"}'),
        ('{"event": "x"}', '<4>{"event": "x"}'),
        # journald at 2 and below would have everybody wait for the disk.
        ('{"levelname": "CRITICAL"}', '<3>{"levelname": "CRITICAL"}'),
        ("<6>already", "<6>already"),
        ("", ""),
    ],
)
def test_a_line_of_the_apps_own_has_its_level_or_that_of_its_stream(line, marked):
    assert graceful_logging.mark(line, "<4>") == marked


@pytest.mark.parametrize(
    ("line", "priority"),
    [
        ("2026-01-01 12:00:00.000 | INFO     | app.main:f:1 - started", 5),
        ("2026-01-01 12:00:00.000 | SUCCESS  | app.main:f:1 - done", 5),
        ("2026-01-01 12:00:00.000 | TRACE    | app.main:f:1 - x", 7),
        ("2026-01-01 12:00:00.000 | ERROR    | app.main:f:1 - broke", 3),
        ("INFO:     Uvicorn running", 5),
        ("INFO:root:text", 5),
        ("WARNING:root:text", 4),
        ("CRITICAL:root:text", 3),
        ("[INFO] text", 5),
        ("[ERROR   ] text", 3),
        ("2026-01-01 12:00:00,123 DEBUG app text", 7),
        ("2026-01-01 12:00:00,123 - INFO - text", 5),
        ("2026-01-01T12:00:00+01:00 ERROR text", 3),
        ("2026-01-01 12:00:00 [info     ] started          port=1", 5),
        ("[2026-01-01 12:00:00 +0000] [123] [INFO] Starting", 5),
        # No level, or not at its place.
        ("text INFO: more", 4),
        ("INFORMATION: x", 4),
        ("INFO about it", 4),
        ("Error: in words", 4),
        ("info: in words", 4),
        ("2026-01-01 text", 4),
        ("2026-01-01 12:00:00 INFORMED text", 4),
        ("2026-01-01 12:00:00 text ERROR", 4),
        ("[info", 4),
        (" INFO: indented", 4),
        ("Traceback (most recent call last):", 4),
    ],
)
def test_a_level_that_a_line_of_stderr_begins_with_counts(line, priority):
    """Loguru and logging write to standard error whatever they say. On standard output nothing is read but JSON."""
    assert graceful_logging.mark(line, "<4>") == f"<{priority}>{line}"
    assert graceful_logging.mark(line, "") == line


def test_a_print_in_pieces_is_one_line(stream):
    made, written = stream
    print("a", "b", sep=", ", end="", file=made)
    assert written() in ("", "<4>a, b")
    print(" and c\nnext", file=made)
    assert written().removeprefix("<4>a, b") in ("<4>a, b and c\n<4>next\n", " and c\n<4>next\n")


@given(st.lists(st.text(alphabet="ab{}\n<6>é\udc80", max_size=12), max_size=8))
def test_however_it_is_written_each_line_is_marked_once(pieces):
    reading, writing = os.pipe()
    made = graceful_logging.Lines(writing, "<4>")
    for piece in pieces:
        assert made.write(piece) == len(piece)
    made.flush()
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        found = file.read().decode()
    wanted = "".join(pieces).encode(errors="backslashreplace").decode()
    lines = zip(found.split("\n"), wanted.split("\n"), strict=True)
    assert all(line in (want, f"<4>{want}") and (not want or re.match("<[0-7]>", line)) for line, want in lines)


def test_an_access_line_has_what_was_asked_and_whose_it_was():
    scope = {"headers": [(b"X-Request-ID", b"ae90a31e")]}
    token = graceful_logging.request.set(graceful_logging.Request(scope))
    try:
        line = json.loads(graceful_logging.Json().format(access()))
        plain = graceful_logging.Line().format(access())
    finally:
        graceful_logging.request.reset(token)
    assert 0 <= line.pop("seconds") < 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", line.pop("timestamp"))
    assert line == {
        "level": "info",
        "logger": "uvicorn.access",
        "event": "request",
        "slot": "",
        "client": "192.0.2.7:0",
        "method": "GET",
        "path": "/items/1",
        "http": "1.1",
        "status": 200,
        "request_id": "ae90a31e",
    }
    assert re.search(r'INFO - 192\.0\.2\.7:0 "GET /items/1 HTTP/1\.1" 200 0\.00\d ae90a31e$', plain)


@pytest.mark.parametrize("value", [b"two words", b"x" * 65, b"new\nline", b'"}', b""])
def test_a_request_id_that_is_not_short_and_plain_is_none(value):
    assert graceful_logging.Request({"headers": [(b"x-request-id", value)]}).id == ""
    answer = {"headers": [(b"x-request-id", b"of-the-app")]}
    assert graceful_logging.Request({"headers": [(b"x-request-id", value)]}, answer).id == "of-the-app"


def test_each_line_of_a_plain_traceback_has_the_errors_priority(stream, monkeypatch):
    _made, _written = stream
    monkeypatch.setattr(graceful_logging, "in_journal", lambda _descriptor: True)
    try:
        raise ValueError("it\nbroke")
    except ValueError:
        told = graceful_logging.Line().format(record("no", level=logging.ERROR, error=sys.exc_info()))
    assert "broke" in told
    assert all(line.startswith("<3>") for line in told.split("\n"))
    assert graceful_logging.Json().format(access()).startswith("<6>{")


@pytest.mark.parametrize(
    ("path", "status", "kept"),
    [("/health", 200, False), ("/health?deep=1", 200, False), ("/health", 503, True), ("/healthy", 200, True)],
)
def test_only_good_answers_on_the_health_paths_are_kept_out(path, status, kept):
    quiet = graceful_logging.Quiet(["/health", "/ready"])
    assert quiet.filter(access(path, status)) is kept
    assert quiet.filter(record("/health %s", 200, name="app"))


@pytest.mark.parametrize("form", ["json", "plain"])
def test_the_configuration_is_one_that_logging_takes(form, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    loggers = [logging.getLogger(), logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        logging.config.dictConfig(graceful_logging.config(["/health"], form))
        logging.getLogger("gunicorn.access").handle(access("/health"))
        logging.getLogger("gunicorn.access").handle(access())
        logging.getLogger("gunicorn.error").error("no such app")
    finally:
        for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.level, logger.propagate = handlers, level, propagate
    first, second = out.getvalue().splitlines()
    assert ("/items/1" in first, "no such app" in second) == (True, True)
    assert (form == "json") == first.startswith("{")
