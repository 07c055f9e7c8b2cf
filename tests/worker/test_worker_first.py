# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""At an app's first start one worker goes before the others, so that no two make the same tables."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import pytest
from gunicorn_process import Gunicorn, until

HOOKS = """
import pathlib
graceful_worker.configure(lifespan=0.5, live=str(pathlib.Path(__file__).parent / "live.sock"), socket="green.sock")
child_exit = graceful_worker.child_exit
"""


def named(gunicorn: Gunicorn, doing: str) -> list[int]:
    found = []
    for pid in gunicorn.workers():
        with contextlib.suppress(OSError):  # it may just have ended
            found += [pid] if Path(f"/proc/{pid}/comm").read_text() == f"gunicorn: {doing}\n" else []
    return found


def started(gunicorn: Gunicorn, count: int) -> bool:
    return len(named(gunicorn, "up")) == count


@pytest.mark.project("served", "tables made by `create_all()` at the start", "at the first one a worker goes first")
def test_a_first_start_makes_tables_once(gunicorn: Gunicorn) -> None:
    gunicorn.switch("lifespan-alone")
    gunicorn.start(workers=2, hooks=HOOKS)
    until(lambda: started(gunicorn, 2))
    assert len(gunicorn.events("startup")) == 2
    assert "ended unexpectedly" not in gunicorn.log() and "exited with code" not in gunicorn.log()


def test_the_others_start_together_after_one(gunicorn: Gunicorn) -> None:
    """Or the last of eight would start when a deploy has long given up."""
    gunicorn.switch("lifespan-slower")
    gunicorn.start(wait=False, workers=4, hooks=HOOKS)
    until(lambda: len(named(gunicorn, "wait")) == 3 and gunicorn.events("starting"))
    gunicorn.switch("lifespan-hang")
    until(lambda: started(gunicorn, 1))
    until(lambda: len(gunicorn.events("starting")) == 4)


def test_where_something_is_live_all_start_together(gunicorn: Gunicorn) -> None:
    """Also behind a link that leads nowhere: the live slot's socket is systemd's."""
    (gunicorn.directory / "live.sock").symlink_to("/run/hello/blue.sock")
    gunicorn.switch("lifespan-hang")
    gunicorn.start(wait=False, workers=3, hooks=HOOKS)
    until(lambda: len(gunicorn.events("starting")) == 3)


@pytest.mark.parametrize("fault", ["import-fault", "lifespan-fault"])
def test_a_first_one_that_fails_is_the_only_one_to_try(gunicorn: Gunicorn, fault: str) -> None:
    gunicorn.switch(fault)
    began = time.monotonic()
    gunicorn.start(wait=False, workers=4, hooks=HOOKS)
    assert gunicorn.exit_code() == 3
    assert time.monotonic() - began < 4
    assert len(gunicorn.events("starting")) == (fault == "lifespan-fault")
    assert gunicorn.log().count("import is broken") <= 2  # the source's line, and what it says
    assert "SIGKILL" not in gunicorn.log()


def test_a_first_one_that_is_killed_makes_room_for_the_next(gunicorn: Gunicorn) -> None:
    gunicorn.switch("lifespan-hang")
    gunicorn.start(wait=False, workers=2, hooks=HOOKS)
    until(lambda: gunicorn.events("starting") and named(gunicorn, "wait"))
    first, (second,) = named(gunicorn, "start"), named(gunicorn, "wait")
    gunicorn.switch("lifespan-hang", on=False)
    gunicorn.signal(signal.SIGKILL, first[0])
    until(lambda: second in named(gunicorn, "up"))
    until(lambda: started(gunicorn, 2))


def test_a_first_one_that_hangs_is_ended_and_nobody_is_who_waits(gunicorn: Gunicorn) -> None:
    gunicorn.switch("lifespan-hang")
    hooks = HOOKS.replace("lifespan=0.5", "lifespan=0.5, startup=2")
    gunicorn.start(wait=False, workers=3, hooks=hooks, timeout=1)
    until(lambda: len(named(gunicorn, "wait")) == 2 and gunicorn.events("starting"))
    first = int(gunicorn.events("starting")[0].split()[1])
    gunicorn.switch("lifespan-hang", on=False)
    until(lambda: started(gunicorn, 3), 15)
    assert gunicorn.log().count("WORKER TIMEOUT") == 1
    assert f"WORKER TIMEOUT (pid:{first})" in gunicorn.log()


def test_one_that_followed_and_fails_ends_the_first_start(gunicorn: Gunicorn) -> None:
    """As it did when all started together: a deploy needn't wait for what will never be."""
    gunicorn.switch("lifespan-once")
    gunicorn.start(wait=False, workers=2, hooks=HOOKS)
    assert gunicorn.exit_code() == 3
    assert len(gunicorn.events("startup")) == 1
    assert "filled already" in gunicorn.log()


def test_one_that_had_nothing_to_wait_for_follows_too(gunicorn: Gunicorn) -> None:
    """The first may be up before the second has begun."""
    gunicorn.switch("lifespan-once")
    gunicorn.start(workers=1, hooks=HOOKS)
    gunicorn.signal(signal.SIGTTIN)
    assert gunicorn.exit_code() == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_an_order_to_stop_ends_who_waits_at_once(gunicorn: Gunicorn, number: int) -> None:
    gunicorn.switch("lifespan-hang")
    gunicorn.start(wait=False, workers=3, hooks=HOOKS)
    until(lambda: len(named(gunicorn, "wait")) == 2 and gunicorn.events("starting"))
    one = named(gunicorn, "wait")[0]
    told = gunicorn.signal(number, one)
    until(lambda: one not in gunicorn.workers())
    assert time.monotonic() - told < 0.5
    until(lambda: len(named(gunicorn, "wait")) == 2)
    waiting = named(gunicorn, "wait")
    told = gunicorn.signal(number)
    until(lambda: not set(waiting) & set(gunicorn.workers()))
    assert time.monotonic() - told < 0.5
    assert gunicorn.exit_code() == 0
    assert len(gunicorn.events("starting")) == 1
    assert "SIGKILL" not in gunicorn.log() and "was killed in its startup" not in gunicorn.log()


@pytest.mark.parametrize("how", ["hup", "respawn"])
def test_once_one_was_up_all_start_together(gunicorn: Gunicorn, how: str) -> None:
    """Before the link is made, too: the tables are there."""
    gunicorn.start(workers=3, hooks=HOOKS)
    until(lambda: started(gunicorn, 3))
    gunicorn.switch("lifespan-hang")
    for pid in gunicorn.workers()[:2] if how == "respawn" else [None]:
        gunicorn.signal(signal.SIGTERM if pid else signal.SIGHUP, pid)
    until(lambda: len(gunicorn.events("starting")) == (5 if how == "respawn" else 6))


def test_who_followed_has_as_long_as_a_first_one(gunicorn: Gunicorn) -> None:
    """The first had the CPUs for itself: three times what it took may be too little for seven at once."""
    hooks = HOOKS.replace("lifespan=0.5", "lifespan=0.5, startup=20")
    gunicorn.switch("lifespan-alone")
    gunicorn.start(wait=False, workers=2, hooks=hooks, timeout=1)
    until(lambda: gunicorn.events("starting"))
    gunicorn.switch("lifespan-slowest")  # three times what the first took, and more
    until(lambda: started(gunicorn, 2), 15)
    assert "WORKER TIMEOUT" not in gunicorn.log()
