# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Gunicorn, Uvicorn and the app write, as whole lines that the journal can tell apart by PRIORITY.

==  =========================================================================
3   errors: of Gunicorn and Uvicorn, and lines of the app that name such a level
4   warnings, and what the app writes to stderr without a level
5   the rest of what the app and the servers say
6   the access log, and nothing else
7   lines of the app that name the level debug
==  =========================================================================

All of it goes through the one stream that systemd opened: that one has a large buffer, and journald knows which unit it
belongs to even when the writer is dead by the time its line is read.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ACCESS = "<6>"
# Critical is an error here too: at 2 and below journald writes to disk at once, and all wait for it.
_BY_NAME = {"trace": "<7>", "debug": "<7>", "info": "<5>", "success": "<5>", "warning": "<4>", "warn": "<4>"}
_BY_NAME |= dict.fromkeys(("error", "exception", "critical", "fatal"), "<3>")
_LEVEL = re.compile(r'[{,]\s*"(?:level|levelname|severity)":\s*"(\w{4,9})"')
# How logging, Loguru, structlog, Uvicorn and Gunicorn begin a line: a time where they have one, then the level.
_LEVELS = "TRACE|DEBUG|INFO|SUCCESS|WARN(?:ING)?|ERROR|CRITICAL|FATAL"
_TIME = r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,:+-]{0,16}Z?(?: [+-]\d{4})?\]?"
_NAMED = re.compile(
    rf"(?:{_TIME}[ |-]{{1,3}}(?:\[\d{{1,9}}\] )?)?\[(?P<boxed>{_LEVELS}|{_LEVELS.lower()}) {{0,8}}\]"
    rf"|(?:{_TIME}[ |-]{{1,3}})(?P<timed>{_LEVELS})\b"
    rf"|(?P<bare>{_LEVELS}):"
)
_MARKED = re.compile(r"<[0-7]>")
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass
class Request:
    """The request that a line belongs to; the worker class keeps it in ``request``.

    :param scope: the ASGI scope.
    :param answer: the ASGI message that began the answer, empty before.
    :param begun: monotonic time at which the worker had read the request's head.
    """

    scope: dict[str, Any]
    answer: dict[str, Any] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """X-Request-ID as the proxy sent it, else as the app answers it; empty where neither is short and plain."""
        for headers in (self.scope.get("headers"), self.answer.get("headers")):
            if not isinstance(headers, (list, tuple)):
                continue
            for name, value in headers:
                if name.lower() == b"x-request-id" and _SANE_ID.fullmatch(text := value.decode("latin-1")):
                    return text
        return ""


request: ContextVar[Request | None] = ContextVar("request", default=None)


def in_journal(descriptor: int) -> bool:
    """Whether it is the stream that systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def mark(line: str, default: str) -> str:
    """A line with its priority before it, as sd-daemon(3) has it; journald takes that off again.

    default: what a line gets that doesn't tell its level; empty where a level counts in JSON alone.
    """
    if line.startswith("{") and (found := _LEVEL.search(line)):
        return _BY_NAME.get(found[1].lower(), default) + line
    if default and (found := _NAMED.match(line)):
        return _BY_NAME[found[found.lastgroup or 0].lower()] + line
    return line if not line or _MARKED.match(line) else default + line


class Lines(io.TextIOWrapper):
    """Standard output or error with priorities, written line by line, each in one piece.

    What PYTHONUNBUFFERED makes of ``print("a", "b")`` is four pieces, between which another worker's may come.
    """

    def __init__(self, descriptor: int, default: str) -> None:
        raw = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - lives as long as the process
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self.default = default
        self.begins = True

    def write(self, text: str) -> int:
        if self.begins or "\n" in text[:-1]:
            first, *rest = text.split("\n")
            marked = [mark(first, self.default) if self.begins else first, *(mark(line, self.default) for line in rest)]
            super().write("\n".join(marked))
        else:
            super().write(text)
        if text:
            self.begins = text.endswith("\n")
        return len(text)


def take_streams() -> None:
    """Give this process, and the workers that it forks, standard streams with whole lines; once for each arbiter."""
    for name, descriptor, default in (("stdout", 1, ""), ("stderr", 2, "<4>")):
        if in_journal(descriptor) and not isinstance(getattr(sys, name), Lines):
            getattr(sys, name).flush()
            setattr(sys, name, Lines(descriptor, default))


def access_fields(record: logging.LogRecord) -> dict[str, Any] | None:
    """What a line of Uvicorn's access log says; None for every other line."""
    if not record.name.endswith(".access") or not isinstance(record.args, tuple) or len(record.args) != 5:
        return None
    return dict(zip(("client", "method", "path", "http", "status"), record.args, strict=True))


class Line(logging.Formatter):
    """A record as a person reads it: time, level, slot, message; what follows is on lines of its own.

    An access line ends in the seconds until the answer began, and the request's id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slot = os.environ.get("FASTAPI_SLOT", "")
        self.prefix = in_journal(1)

    def format(self, record: logging.LogRecord) -> str:
        access, current = access_fields(record), request.get()
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        text = self.text(record, when, access, current)
        if not self.prefix:
            return text
        priority = ACCESS if access else _BY_NAME.get(record.levelname.lower(), "<5>")
        return priority + text.replace("\n", "\n" + priority)

    def text(self, record: logging.LogRecord, when: str, access: dict[str, Any] | None, current: Request | None) -> str:
        head = f"{when.replace('+00:00', 'Z')} {record.levelname} {self.slot or '-'} "
        if access:
            took = f"{time.monotonic() - current.begun:.3f} {current.id or '-'}" if current else "- -"
            client, method, path, http, status = access.values()
            return f'{head}{client or "-"} "{method} {path} HTTP/{http}" {status} {took}'
        said = record.getMessage() + (f" (request {current.id})" if current and current.id else "")
        return head + said + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class Json(Line):
    """One JSON object a record: ``timestamp``, ``level``, ``logger``, ``event``, ``slot``; an ``exception`` where there
    is one, and the ``request_id`` of what belongs to a request.

    An access line has ``client``, ``method``, ``path``, ``http``, ``status`` and ``seconds`` (until the answer began).
    """

    def text(self, record: logging.LogRecord, when: str, access: dict[str, Any] | None, current: Request | None) -> str:
        fields: dict[str, Any] = {
            "timestamp": when,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": "request" if access else record.getMessage(),
            "slot": self.slot,
        }
        if access:
            fields |= access
            if current:
                fields["seconds"] = round(time.monotonic() - current.begun, 4)
        if current and current.id:
            fields["request_id"] = current.id
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


class Quiet(logging.Filter):
    """Keeps good answers on the health paths, asked every few seconds, out of the access log."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__()
        self.paths = set(paths)

    def filter(self, record: logging.LogRecord) -> bool:
        access = access_fields(record)
        return not access or str(access["path"]).partition("?")[0] not in self.paths or access["status"] != 200


def config(quiet_paths: list[str], form: str = "json") -> dict[str, Any]:
    """What Gunicorn's ``logconfig_dict`` takes; replaces its own loggers and handlers.

    quiet_paths: paths whose answers with status 200 are not logged.
    form: ``json``, or ``plain`` for people.
    """
    stream = {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stdout"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"quiet": {"()": Quiet, "paths": quiet_paths}},
        "formatters": {"line": {"()": {"json": Json, "plain": Line}[form]}},
        "handlers": {"console": stream, "access": {**stream, "filters": ["quiet"]}},
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
        },
    }
