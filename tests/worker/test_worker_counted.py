# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers that end without having been told to are counted, and systemd is told; those that were told to aren't."""

from __future__ import annotations

import signal
import socket

import pytest
from gunicorn_process import until

HOOK = "child_exit = graceful_worker.child_exit\n"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What the arbiter tells systemd: every STATUS line so far."""
    path = tmp_path / "notify"
    lines: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))

        def read() -> list[str]:
            while True:
                try:
                    text = listener.recv(4096).decode()
                except BlockingIOError:
                    return [line for line in lines if "unexpectedly" in line]
                lines.extend(line for line in text.splitlines() if line.startswith("STATUS="))

        yield read


def test_a_killed_worker_is_counted(gunicorn, told):
    gunicorn.start(hooks=HOOK)
    first = gunicorn.pid_of_answer()
    gunicorn.signal(signal.SIGKILL, first)
    (line,) = until(told)
    assert line.startswith(f"STATUS=1 worker(s) ended unexpectedly, the last (pid {first}) at ")
    second = until(lambda: set(gunicorn.workers()) - {first}).pop()
    gunicorn.pid_of_answer()
    gunicorn.signal(signal.SIGKILL, second)
    until(lambda: len(told()) == 2)
    assert told()[1].startswith("STATUS=2 worker(s) ")


@pytest.mark.parametrize("how", ["reload", "max_requests", "startup"])
def test_a_worker_that_was_told_to_end_is_not_counted(gunicorn, told, how):
    if how == "startup":
        gunicorn.start(hooks=HOOK)
        gunicorn.switch("lifespan-hang")
    else:
        gunicorn.start(hooks=HOOK, **({"max_requests": 3} if how == "max_requests" else {}))
    first = gunicorn.pid_of_answer()
    if how == "max_requests":
        for _ in range(3):
            gunicorn.pid_of_answer()
    else:
        gunicorn.signal(signal.SIGHUP)
    until(lambda: first not in gunicorn.workers())
    if how == "startup":
        # The new worker hangs in its startup, and the next reload ends it there.
        until(lambda: len(gunicorn.workers()) == 1 and gunicorn.events("starting")[1:])
        (hanging,) = gunicorn.workers()
        gunicorn.switch("lifespan-hang", on=False)
        gunicorn.signal(signal.SIGHUP)
        until(lambda: hanging not in gunicorn.workers(), 20)
    # One that is killed afterwards is the first that counts.
    killed = gunicorn.pid_of_answer()
    assert killed != first
    gunicorn.signal(signal.SIGKILL, killed)
    (line,) = until(told)
    assert line.startswith(f"STATUS=1 worker(s) ended unexpectedly, the last (pid {killed}) ")
