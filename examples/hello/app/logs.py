"""JSON lines on stdout; the supervisor stores and rotates them."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logs(release: str, slot: str, stream: TextIO | None = None) -> None:
    """Send the app's log lines, and those of libraries that use `logging`, to `stream` (stdout) as JSON.

    Gunicorn's and Uvicorn's own loggers, the access log among them, have their own handlers and are left alone.
    """

    def add_release(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        # During a deploy two releases write at the same time.
        event.update(release=release, slot=slot)
        return event

    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *common],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                add_release,
                # A plain traceback in one string. The dict form would also log local variables: passwords, tokens.
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
