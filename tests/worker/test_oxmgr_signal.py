# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/oxmgr.md says of a hand-made oxfile's stop signal: Oxmgr sends it to the whole group, and Uvicorn's own
worker drains of SIGINT while Gunicorn waits for it."""

from __future__ import annotations

import signal

import pytest
from gunicorn_process import Client, Gunicorn, until


def in_flight(gunicorn: Gunicorn) -> Client:
    """A request of 2 s that the app has begun to work on."""
    gunicorn.start(worker_class="uvicorn_worker.UvicornWorker", graceful_timeout=4)
    before = len(gunicorn.events("request"))
    client = gunicorn.connect().get("/slow?2")
    until(lambda: len(gunicorn.events("request")) > before)
    return client


def tell(gunicorn: Gunicorn, number: int) -> None:
    """The arbiter and its workers, as a group is told."""
    for pid in (gunicorn.process.pid, *gunicorn.workers()):
        gunicorn.signal(number, pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_uvicorn_s_worker_drains_of_a_signal_to_the_group(gunicorn: Gunicorn, number: int) -> None:
    client = in_flight(gunicorn)
    tell(gunicorn, number)
    assert client.rest().startswith(b"HTTP/1.1 200 ")
    assert gunicorn.exit_code() == 0
    assert gunicorn.events("shutdown")


def test_of_sigquit_it_goes_on_until_it_is_killed(gunicorn: Gunicorn) -> None:
    in_flight(gunicorn)
    tell(gunicorn, signal.SIGQUIT)
    gunicorn.exit_code()
    assert "was sent SIGKILL" in gunicorn.log()
    assert not gunicorn.events("shutdown")


def test_of_sigusr2_it_dies_at_once(gunicorn: Gunicorn) -> None:
    client = in_flight(gunicorn)
    gunicorn.signal(signal.SIGUSR2, gunicorn.workers()[0])
    assert client.rest() == b""
    assert not gunicorn.events("shutdown")
