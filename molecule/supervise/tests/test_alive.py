"""Whatever hangs is ended and replaced within interval times failures and a start, and one line says what was seen."""

from __future__ import annotations

import pytest
from conftest import INTERVAL, LIMIT, ROOT, START, WATCHDOG, one_replaced


def replaced(night, *gone: int):
    """A condition: these processes are no more, and all is served."""
    return lambda: (now := night.look()).well and not set(gone) & {now.arbiter, *now.workers}


def one_line(night, pattern: str, since: float, count: int = 1) -> None:
    night.ask.until(f"{count} of {pattern}", lambda: len(night.said(pattern, since)) >= count)
    lines = night.said(pattern, since)
    assert len(lines) == count, lines


def test_the_arbiter_is_stopped(night):
    before = night.look()
    arbiter, workers = before.arbiter, before.workers
    seen = night.under(
        "the arbiter hangs (SIGSTOP)",
        lambda: night.ask.run(f"kill -STOP {arbiter}"),
        replaced(night, arbiter, *workers),
    )
    # The workers served on, and then drained.
    assert seen.lost == [], str(seen)
    assert seen.again < WATCHDOG + night.slow + START
    assert len(night.supervisor_said("Watchdog timeout", seen.struck)) == 1
    assert night.show("NRestarts")["NRestarts"] != "0"


def test_all_workers_are_stopped(night):
    before = night.look()
    arbiter, workers = before.arbiter, before.workers
    seen = night.under(
        "all workers hang (SIGSTOP)",
        lambda: night.ask.run(f"kill -STOP {' '.join(map(str, workers))}"),
        replaced(night, *workers),
    )
    assert seen.again < LIMIT + START
    assert night.arbiter == arbiter
    one_line(night, "WORKER TIMEOUT", seen.struck, 2)


@pytest.mark.core
def test_one_worker_is_stopped(night):
    before = night.look()
    one, other = before.workers
    seen = night.under(
        "one worker of two hangs (SIGSTOP)", lambda: night.ask.run(f"kill -STOP {one}"), replaced(night, one)
    )
    assert seen.again < LIMIT + START
    after = night.look()
    assert after.arbiter == before.arbiter
    assert other in after.workers
    one_line(night, rf"WORKER TIMEOUT \(pid:{one}\)", seen.struck)


@pytest.mark.core
def test_one_event_loop_is_blocked(night):
    """By sync code in an async function; the journal says in which line."""
    before = night.workers
    seen = night.under(
        "one event loop is blocked by sync code",
        lambda: night.ask.run("curl -s -m 1 -X POST http://127.0.0.1/fault/block || true"),
        one_replaced(night, before),
    )
    assert seen.again < LIMIT + START
    one_line(night, "WORKER TIMEOUT", seen.struck)
    one_line(night, r"app/main.py\", line \d+ in fault", seen.struck)


def test_all_event_loops_are_blocked(night):
    before = night.workers
    # Each worker is asked within an interval, and blocks then.
    seen = night.under(
        "all event loops are blocked by sync code",
        lambda: night.ask.run(f"cd {ROOT}/shared/switches; touch block; sleep {INTERVAL + 1}; rm block"),
        replaced(night, *before),
    )
    assert seen.again < LIMIT + INTERVAL + START
    one_line(night, "WORKER TIMEOUT", seen.struck, 2)
    one_line(night, r"app/main.py\", line \d+ in health", seen.struck, 2)


@pytest.mark.parametrize(
    ("switch", "line", "fault"),
    [
        (
            "deadlock",
            rf"Not alive: /health has not answered for {2 * INTERVAL + 1} s; it waits at .*main.py:\d+",
            "the app deadlocks",
        ),
        ("unwell", "Not alive: /health was bad 3 times in a row, at last with status 500", "/health answers 500"),
    ],
    ids=["deadlock", "unwell"],
)
def test_the_app_is_not_well(night, switch, line, fault):
    state = night.look()
    arbiter, before = state.arbiter, state.workers

    def strike() -> None:
        night.switch(switch)
        if switch == "deadlock":
            # Both have deadlocked by then, and their successors shall not.
            night.ask.run("sleep 2")
            night.switch(switch, on=False)

    seen = night.under(fault, strike, replaced(night, *before))
    assert seen.again < LIMIT + night.slow + START
    if switch == "unwell":
        # It drained.
        assert seen.lost == [], str(seen)
    assert night.arbiter == arbiter
    one_line(night, line, seen.struck, 2)


def test_a_loop_that_stands_still_is_told_with_its_line(night, control):
    """A call that holds it for a second ends nobody, and every client of that worker waits."""
    began = night.now()
    night.ask.run("curl -s -m 5 -X POST http://127.0.0.1/fault/nap")
    one_line(
        night, r"The event loop stood still for 1\.\d\d s at app/main\.py:\d+ in fault: time\.sleep\(1\.2\)", began
    )
    status, said = control.run("status", fastapi_name="night")
    assert status == 0, said
    shown = " ".join(said.split())
    assert "an event loop stood still" in shown, said
    assert "(app/main.py:" in shown, said
