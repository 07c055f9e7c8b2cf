"""Requests that wait for another process, as for a converter: it is told to stop by nobody while they do."""

from __future__ import annotations

import pytest
from deploys import ROOT

SECONDS = 6
# The pool's first: a process forked while another is being started keeps that one's pipe, and its request waits.
KINDS = "pool pool run shell run shell"
# Six requests, and back when each has its process.
WAIT = f"""
rm -f /run/child.*; n=0
for kind in {KINDS}; do
  n=$((n + 1))
  curl -s -m 40 -o /dev/null -w '%{{http_code}}\\n' "http://127.0.0.1/child/$kind?seconds={SECONDS}" \\
    >/run/child.$n 2>/dev/null </dev/null &
  [ $n = 2 ] && for i in $(seq 50); do [ "$(pgrep -cfx 'sleep {SECONDS}')" = 2 ] && break; sleep 0.1; done
done
for i in $(seq 50); do [ "$(pgrep -cfx 'sleep {SECONDS}')" = 6 ] && break; sleep 0.1; done
"""


def waiting(site) -> int:
    return int(site.ask.host.run(f"pgrep -cfx 'sleep {SECONDS}'").stdout)


@pytest.fixture
def left_behind(site) -> str:
    """A process in the live slot that no request waits for; its pid."""
    site.ask.until("the app serves", lambda: site.ask.get("/ready")[0] == 200)
    return site.ask.run("curl -s -m 5 -X POST 'http://127.0.0.1/left?seconds=300'").strip()


def all_answered(site, count, fault: str) -> None:
    site.ask.until("all have ended", lambda: site.ask.run("cat /run/child.*").count("\n") == 6, 30)
    statuses = site.ask.run("cat /run/child.*").split()
    count(f"requests wait for child processes: {fault}", 6, 6 - statuses.count("200"))
    assert statuses == ["200"] * 6


def runs(site, pid: str) -> bool:
    return site.ask.host.run(f"kill -0 {pid}").rc == 0


@pytest.mark.core
def test_a_swap(site, sabotage, left_behind, count):
    """What nobody waits for is told to end when the slot has: nothing has to be killed at the stop timeout."""
    old = site.live
    sabotage(WAIT, phase="move")
    site.deploy()
    assert waiting(site) == 6, "they had ended by then, so this shows nothing"
    all_answered(site, count, "a new release takes over")
    site.alone()
    assert site.ask.show(site.unit(old), "Result")["Result"] == "success"
    assert not runs(site, left_behind)


@pytest.mark.parametrize("strategy", ["restart", "reload"])
def test_in_the_live_slot(site, sabotage, left_behind, count, strategy):
    sabotage(WAIT, phase=strategy)
    site.deploy(strategy=strategy)
    all_answered(site, count, strategy)
    assert runs(site, left_behind) is (strategy == "reload")
    site.ask.host.run(f"kill {left_behind}")
    site.alone()


def test_workers_are_recycled(site, load, count):
    slot = site.live
    site.ask.run(
        f"sed -i 's/^max_requests = .*/max_requests = 100/' {ROOT}/slots/{slot}/gunicorn.conf.py; "
        f"systemctl reload {site.unit(slot)}"
    )
    workers = lambda: set(site.ask.run(f"pgrep -P {site.main_pid(slot)}").split())  # noqa: E731
    seen: set[str] = set()
    with load() as running:
        site.ask.run(WAIT)
        seen = workers()
        site.ask.until("both are others", lambda: not seen & workers(), 60)
        all_answered(site, count, "workers are recycled")
    running.counted.nothing_lost()
    site.deploy()
    site.alone()


WATCHDOG = 3
"""Seconds, for this test."""


@pytest.fixture
def watched(site):
    """A live slot whose arbiter is missed soon."""
    directory = "/run/systemd/system/swap@.service.d"
    site.ask.run(
        f"mkdir -p {directory}; printf '[Service]\\nWatchdogSec={WATCHDOG}\\n' >{directory}/test.conf; "
        "systemctl daemon-reload"
    )
    site.deploy()
    yield
    site.ask.run(f"rm -r {directory}; systemctl daemon-reload")
    site.deploy()


@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_the_arbiter_dies(site, count, watched, signal):
    """By somebody's hand, or of the watchdog because it hangs: its workers answer all that they have."""
    before = site.main_pid(site.live)
    site.ask.run(WAIT)
    site.ask.run(f"kill -{signal} {before}")
    all_answered(site, count, "the arbiter is killed" if signal == "KILL" else "the arbiter hangs")
    site.ask.until("another serves", lambda: site.ask.get("/ready")[0] == 200)
    assert site.main_pid(site.live) != before
    site.alone()
