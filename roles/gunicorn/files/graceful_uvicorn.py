# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gunicorn's side of Uvicorn, for every Uvicorn that apps pin.

Each version of the package uvicorn-worker needs certain ones of Uvicorn, and ``uvicorn.workers`` is deprecated. What
both do is little, and written here on ``uvicorn.Config`` alone, so that an app's own Uvicorn is the one that serves it.
scripts/worker-versions runs the tests of the worker with old and new ones.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import time
from typing import Any, ClassVar

from gunicorn import version_info
from gunicorn.workers.base import Worker
from gunicorn.workers.workertmp import WorkerTmp
from uvicorn.config import Config


class Heartbeat(WorkerTmp):
    """A worker's heartbeat by a clock that nobody sets, for Gunicorn 21, which goes by the time of day: a clock that is
    put right would have all workers killed. From 22 on it is Gunicorn's own."""

    def notify(self) -> None:
        now = time.monotonic()
        os.utime(self.fileno(), (now, now))

    def last_update(self) -> float:
        return time.time() - time.monotonic() + os.fstat(self.fileno()).st_mtime


class UvicornWorker(Worker):
    """Runs ``_serve()``, which a subclass has, in the event loop that Uvicorn chooses."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "auto", "http": "auto"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if version_info < (22,):
            self.tmp.close()
            self.tmp = Heartbeat(self.cfg)
        for name, own in (("uvicorn.error", self.log.error_log), ("uvicorn.access", self.log.access_log)):
            logger = logging.getLogger(name)
            logger.handlers = own.handlers
            logger.setLevel(own.level)
            logger.propagate = False
        settings: dict[str, Any] = {
            "app": None,
            "log_config": None,
            "timeout_keep_alive": self.cfg.keepalive,
            "limit_max_requests": self.max_requests,
            "forwarded_allow_ips": self.cfg.forwarded_allow_ips,
            "backlog": self.cfg.backlog,
        }
        self.config = Config(**settings | self.CONFIG_KWARGS)

    def init_process(self) -> None:
        # Uvicorn before 0.36 sets the loop's policy, a later one hands out a factory (uvicorn/config.py).
        if not hasattr(self.config, "get_loop_factory"):
            self.config.setup_event_loop()
        super().init_process()

    def init_signals(self) -> None:
        # Gunicorn's handlers would swallow the exit codes of child processes (uvicorn#894). Uvicorn sets its own.
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        # Reopening logs doesn't disturb a request by interrupting its system calls.
        signal.siginterrupt(signal.SIGUSR1, False)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        # As Gunicorn does for main:create_app(). Uvicorn would call it too, with a warning, and hide where it failed.
        if is_factory(self.wsgi):
            self.wsgi = self.wsgi()

    def run(self) -> None:
        choose = getattr(self.config, "get_loop_factory", lambda: None)
        with asyncio.Runner(loop_factory=choose()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        raise NotImplementedError


def is_factory(app: object) -> bool:
    """Whether it is a plain function without arguments, as in ``main:create_app``."""
    if not inspect.isfunction(app) or inspect.iscoroutinefunction(app):
        return False
    try:
        inspect.signature(app).bind()
    except TypeError:
        return False
    return True
