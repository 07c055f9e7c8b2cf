# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker that doesn't come up: the first ends the service, with its reason; a respawned one is tried again."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from gunicorn_process import Gunicorn, load, until

BROKEN = {  # switch: what the log says of it
    "import-fault": "RuntimeError: the import is broken",
    "import-exit": "SystemExit: no settings",
    "lifespan-fault": "Traceback: ConnectionError('the database is away')",
}
EVERY_FAULT = pytest.mark.parametrize("fault", BROKEN)


@pytest.mark.parametrize("workers", [1, 6])
@EVERY_FAULT
def test_first_start_that_fails_ends_the_arbiter(gunicorn: Gunicorn, fault: str, workers: int) -> None:
    gunicorn.switch(fault)
    began = time.monotonic()
    gunicorn.start(wait=False, workers=workers)
    assert gunicorn.exit_code() == 3
    assert time.monotonic() - began < 3
    assert BROKEN[fault] in gunicorn.log()
    assert "Worker failed to boot" in gunicorn.log()
    assert workers > 1 or gunicorn.log().count(BROKEN[fault]) == 1


def test_a_worker_says_by_its_name_that_it_has_started(gunicorn: Gunicorn) -> None:
    """What a deploy waits for: another worker's answers tell nothing of one that is still starting."""

    def names() -> list[str]:
        return sorted(Path(f"/proc/{pid}/comm").read_text() for pid in gunicorn.workers())

    gunicorn.start(workers=2)
    until(lambda: names() == ["gunicorn: up\n"] * 2)
    gunicorn.switch("lifespan-hang")
    first = gunicorn.workers()
    gunicorn.signal(signal.SIGTERM, first[0])
    until(lambda: len(set(gunicorn.workers()) - set(first)) == 1 and first[0] not in gunicorn.workers())
    assert names().count("gunicorn: up\n") == 1
    # How far it has come is told where it takes too long.
    until(lambda: "gunicorn: start\n" in names())


def test_first_start_without_the_apps_attribute_fails_the_same_way(gunicorn: Gunicorn) -> None:
    gunicorn.start("apps:nothing", wait=False)
    assert gunicorn.exit_code() == 3
    assert "Failed to find attribute 'nothing' in 'apps'" in gunicorn.log()
    assert "Traceback" in gunicorn.log()


def test_first_start_that_fails_in_fastapis_lifespan_shows_the_traceback(gunicorn: Gunicorn) -> None:
    gunicorn.switch("lifespan-fault")
    gunicorn.start("apps:fastapi_app()", wait=False)
    assert gunicorn.exit_code() == 3
    assert 'ConnectionError("the database is away")' in gunicorn.log()  # the line of the source
    assert gunicorn.log().count("Traceback") == 1


@EVERY_FAULT
def test_respawn_that_fails_leaves_the_others_at_work_and_recovers(gunicorn: Gunicorn, fault: str) -> None:
    tries = 2 if fault == "lifespan-fault" else 1
    gunicorn.start(workers=2)
    until(lambda: len(gunicorn.events("startup")) == 2)
    healthy, ending = sorted(gunicorn.workers())
    gunicorn.switch(fault)
    with load(gunicorn, clients=4) as result:
        gunicorn.signal(signal.SIGTERM, ending)
        until(lambda: gunicorn.log().count("Respawned worker did not start") == tries)
        assert gunicorn.process.poll() is None
        gunicorn.switch(fault, on=False)
        until(lambda: len(gunicorn.events("startup")) == 3)
    assert result["lost"] == {}
    assert result["answered"] > 100
    assert healthy in gunicorn.workers()
    assert gunicorn.log().count(BROKEN[fault]) == tries
    assert len(set(re.findall(r"(\d+)\) exited with code 1", gunicorn.log()))) == tries  # Gunicorn 23 says it twice
    gunicorn.stop()
    assert gunicorn.exit_code() == 0


@pytest.mark.parametrize("preload", [False, True])
def test_every_worker_failing_after_a_hup_is_waited_out(gunicorn: Gunicorn, preload: bool) -> None:
    """The database is away while nothing is up any more: no exit, so no start limit of the supervisor's either."""
    gunicorn.start(workers=2, preload_app=preload)
    gunicorn.switch("lifespan-fault")
    gunicorn.signal(signal.SIGHUP)
    until(lambda: gunicorn.log().count("the next try is in 1.0 s") >= 2)
    gunicorn.switch("lifespan-fault", on=False)
    gunicorn.pid_of_answer()
    assert gunicorn.process.poll() is None


def test_wait_between_tries_grows_and_keeps_its_heartbeat(gunicorn: Gunicorn) -> None:
    gunicorn.start(timeout=1)
    gunicorn.switch("lifespan-fault")
    gunicorn.signal(signal.SIGTERM, gunicorn.workers()[0])
    until(lambda: gunicorn.log().count("the next try is in") == 3, 15)
    waits = [float(wait) for wait in re.findall(r"next try is in ([0-9.]+) s", gunicorn.log())[:3]]
    assert waits == sorted(waits) and waits[0] == 1 < waits[1] and 2 <= waits[2] < 5
    assert "WORKER TIMEOUT" not in gunicorn.log()


@pytest.mark.parametrize("how", ["worker", "stop"])
def test_waiting_worker_answers_sigterm_at_once(gunicorn: Gunicorn, how: str) -> None:
    gunicorn.switch("import-handler")
    gunicorn.start()
    gunicorn.switch("lifespan-fault")
    gunicorn.signal(signal.SIGTERM, gunicorn.workers()[0])
    until(lambda: "the next try is in 1.0 s" in gunicorn.log())
    waiting = gunicorn.workers()[0]
    told = gunicorn.signal(signal.SIGTERM, None if how == "stop" else waiting)
    until(lambda: gunicorn.process.poll() is not None if how == "stop" else waiting not in gunicorn.workers())
    assert time.monotonic() - told < 0.9
    assert gunicorn.process.poll() == (0 if how == "stop" else None)


@pytest.mark.parametrize("fault", ["import-hang", "lifespan-hang"])
def test_respawn_that_hangs_is_ended_by_the_timeout(gunicorn: Gunicorn, fault: str) -> None:
    gunicorn.start(workers=1, timeout=1)
    gunicorn.switch(fault)
    gunicorn.signal(signal.SIGTERM, gunicorn.workers()[0])
    until(lambda: "WORKER TIMEOUT" in gunicorn.log())
    gunicorn.switch(fault, on=False)
    gunicorn.pid_of_answer()


def test_respawn_as_slow_as_the_first_start_is_left_alone(gunicorn: Gunicorn) -> None:
    gunicorn.switch("lifespan-slower")
    gunicorn.start(timeout=1)
    gunicorn.signal(signal.SIGTERM, gunicorn.workers()[0])
    # Each SIGWINCH has the arbiter look at its workers' heartbeats, which it otherwise does once a second.
    until(lambda: gunicorn.signal(signal.SIGWINCH) and len(gunicorn.events("startup")) == 2)
    assert "WORKER TIMEOUT" not in gunicorn.log()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_sigterm_within_a_hanging_startup(gunicorn: Gunicorn, loop: str) -> None:
    gunicorn.switch("lifespan-hang")
    gunicorn.start(wait=False, lifespan=0.5, kwargs={"http": "auto", "loop": loop})
    until(lambda: gunicorn.events("starting"))
    told = gunicorn.stop()
    assert gunicorn.exit_code() == 0
    assert 0.5 <= time.monotonic() - told < 3
    assert len(gunicorn.events("startup-cleanup")) == 1
    assert "Startup cut" in gunicorn.log()
    assert "SIGKILL" not in gunicorn.log()


def test_sigterm_within_a_startup_that_ends_in_time_shuts_down(gunicorn: Gunicorn) -> None:
    gunicorn.switch("lifespan-slow")
    gunicorn.start(wait=False)
    until(lambda: gunicorn.events("starting"))
    gunicorn.stop()
    assert gunicorn.exit_code() == 0
    assert [line.split()[0] for line in gunicorn.events()] == ["starting", "startup", "shutting-down", "shutdown"]


def test_sigterm_within_a_startup_that_then_fails_is_no_failed_boot(gunicorn: Gunicorn) -> None:
    gunicorn.switch("lifespan-slow")
    gunicorn.switch("lifespan-fault")
    gunicorn.start(wait=False)
    until(lambda: gunicorn.events("starting"))
    gunicorn.stop()
    assert gunicorn.exit_code() == 0
    assert "failed to boot" not in gunicorn.log()


def test_sigterm_within_the_import(gunicorn: Gunicorn) -> None:
    gunicorn.switch("import-hang")
    gunicorn.start(wait=False)
    until(lambda: gunicorn.events("importing"))
    told = gunicorn.stop()
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 1


SLOW_FORK = """
def post_fork(server, worker):
    import pathlib, time
    (pathlib.Path(__file__).parent / "forked").touch()
    time.sleep(0.5)
"""


def test_sigterm_right_after_the_fork(gunicorn: Gunicorn) -> None:
    """Before Worker.init_signals(), where the worker still has the arbiter's handlers."""
    gunicorn.start(wait=False, hooks=SLOW_FORK)
    until((gunicorn.directory / "forked").exists)
    told = gunicorn.stop()
    assert gunicorn.exit_code() == 0
    assert time.monotonic() - told < 3
    assert gunicorn.events() == []
    assert "SIGKILL" not in gunicorn.log()


@pytest.mark.parametrize("app", ["apps:fastapi_app", "apps:fastapi_app()"])
def test_a_factory_is_called_however_it_is_written(gunicorn: Gunicorn, app: str) -> None:
    pytest.importorskip("fastapi")
    gunicorn.start(app)
    assert "[WARNING]" not in gunicorn.log() and gunicorn.events("startup")


def test_where_a_factory_fails_is_told(gunicorn: Gunicorn) -> None:
    gunicorn.start("apps:broken_factory", wait=False)
    assert gunicorn.exit_code() == 3
    assert "in broken_factory" in gunicorn.log() and "TypeError" in gunicorn.log()
