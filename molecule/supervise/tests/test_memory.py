"""One worker runs away: it is killed and replaced, and nothing else happens."""

from __future__ import annotations

import json

import pytest
from conftest import LIMIT, START, one_replaced


@pytest.mark.core
def test_a_runaway_worker_is_killed_alone(night):
    """OOMPolicy=continue: MemoryMax ends the worker that eats it, the unit and the other worker go on."""
    arbiter, before, unit = night.arbiter, night.workers, night.unit
    seen = night.under(
        "a worker eats all memory (MemoryMax)",
        lambda: night.ask.run("curl -s -m 1 -X POST http://127.0.0.1/fault/hog || true"),
        one_replaced(night, before),
    )
    assert night.arbiter == arbiter
    assert len({*night.workers} & {*before}) == 1
    assert night.show("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    (killed,) = {*before} - {*night.workers}
    # Only what the runaway itself was at.
    assert len(seen.lost) < 30, str(seen)
    assert seen.again < START + 5
    assert night.said(rf"Worker \(pid:{killed}\) was sent SIGKILL", seen.struck)
    assert "ended unexpectedly" in night.ask.show(unit, "StatusText")["StatusText"]


def test_a_worker_without_file_descriptors_is_replaced(night):
    """It can answer its own question, but drops whom it accepts: that is found out as soon as any other failure."""
    before = night.workers
    seen = night.under(
        "a worker runs out of file descriptors",
        lambda: night.ask.run("curl -s -m 5 -X POST http://127.0.0.1/fault/files || true"),
        one_replaced(night, before),
    )
    assert night.said("Not alive: .*Too many open files", seen.struck)
    assert seen.again < LIMIT + START


def test_status_says_what_workers_take(night, control):
    status, said = control.run("status", fastapi_name="night")
    assert status == 0
    row = next(line for line in said.splitlines() if " live " in line and "active (running)" in line)
    assert "M of 400M" in row and "M of 150M" in row, json.dumps(row)
