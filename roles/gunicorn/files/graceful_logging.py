# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gunicorn's and Uvicorn's own lines as JSON on stdout, one object a line, as structlog writes the app's."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any


class Json(logging.Formatter):
    """One JSON object a record: ``timestamp``, ``level``, ``logger``, ``event``; an ``exception`` where there is one.

    An access record of Uvicorn's has ``client``, ``method``, ``path``, ``status`` as fields of their own.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.name.endswith(".access") and isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            fields |= {"event": "request", "client": client, "method": method, "path": path}
            fields |= {"http": version, "status": status}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


class Quiet(logging.Filter):
    """Keeps good answers on the health paths, asked every few seconds, out of the access log."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__()
        self.paths = set(paths)

    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record.args, tuple) or len(record.args) != 5:
            return True
        path, status = str(record.args[2]).partition("?")[0], record.args[4]
        return path not in self.paths or status != 200


def config(quiet_paths: list[str]) -> dict[str, Any]:
    """What Gunicorn's ``logconfig_dict`` takes; replaces its own loggers and handlers.

    quiet_paths: paths whose answers with status 200 are not logged.
    """
    stream = {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"quiet": {"()": Quiet, "paths": quiet_paths}},
        "formatters": {"json": {"()": Json}},
        "handlers": {"console": stream, "access": {**stream, "filters": ["quiet"]}},
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
        },
    }
