"""What breaks or is told to Oxmgr by hand, under load: the socket is systemd's and queues meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import NAME
from test_children import WAIT

STARTED = 60
"""Seconds within which another arbiter serves: what hangs is missed after 12 s, at one of Oxmgr's checks, each 10 s."""


@pytest.fixture
def struck(site, load, tally):
    """Have something done under load, wait until another arbiter serves, and record what was lost, which is nothing."""

    def strike(fault: str, how: Callable[[str], object], daemon_stays: bool) -> None:
        slot = site.live
        before, daemon = site.main_pid(slot), site.daemon(slot)
        with load() as running:
            site.ask.run("sleep 2")
            how(slot)
            site.ask.until("another arbiter", lambda: site.main_pid(slot) not in (before, "0"), STARTED)
            site.ask.until("it serves", lambda: site.ask.get("/ready")[0] == 200)
            site.ask.run("sleep 2")
        tally(fault, running)
        running.counted.nothing_lost()
        assert (site.daemon(slot) == daemon) is daemon_stays
        assert site.ask.host.run(f"kill -0 {before}").rc, "the old arbiter lives"
        assert site.live == slot
        site.alone()

    return strike


def kill(site, pid: Callable[[str], str], signal: str) -> Callable[[str], object]:
    return lambda slot: site.ask.run(f"kill -{signal} {pid(slot)}")


def test_the_arbiter_is_killed(site, struck):
    before = site.restarts(site.live)
    struck("the arbiter dies (SIGKILL)", kill(site, site.main_pid, "KILL"), True)
    assert site.restarts(site.live) == before + 1
    assert "running (Oxmgr)" in site.good("status")


@pytest.mark.core
def test_the_arbiter_hangs(site, struck):
    """Oxmgr's own health check sees that it tells nothing any more, and ends it; its workers finish their requests."""
    slot = site.live
    before = site.main_pid(slot)
    workers = site.ask.run(f"pgrep -P {before}").split()
    struck("the arbiter hangs (SIGSTOP)", kill(site, site.main_pid, "STOP"), True)
    gone = lambda: all(site.ask.host.run(f"kill -0 {pid}").rc for pid in workers)  # noqa: E731
    site.ask.until("its workers have ended", gone)


@pytest.mark.core
def test_oxmgr_is_killed(struck, site):
    struck("Oxmgr itself dies (SIGKILL)", kill(site, site.daemon, "KILL"), False)


def test_oxmgr_is_told_to_end(struck, site):
    """By which it writes down that nothing is to run: nothing goes by that."""
    struck("Oxmgr's daemon stop", lambda slot: site.tell(slot, "daemon stop"), False)


def test_the_unit_is_restarted(struck, site):
    struck("systemctl restart", lambda slot: site.ask.run(f"systemctl restart {site.unit(slot)}"), False)


def test_the_unit_is_stopped_and_started(struck, site):
    def stop_and_start(slot: str) -> None:
        site.ask.run(f"systemctl stop {site.unit(slot)}; sleep 1; systemctl start {site.unit(slot)}")

    struck("systemctl stop, and start after a second", stop_and_start, False)


@pytest.mark.core
def test_a_slot_is_restarted_by_oxmgr(struck, site):
    """By the command that a person types."""
    struck("oxmgr restart", lambda slot: site.ask.run(f"{NAME}-oxmgr restart {NAME}-{slot}"), True)


def test_a_persons_command_shows_the_slots_and_refuses_what_ends_them(site, ask):
    site.alone()
    slot, main = site.live, site.main_pid(site.live)
    rows = json.loads(ask.run(f"{NAME}-oxmgr list --json"))
    assert [(row["name"], row["status"], str(row["pid"])) for row in rows] == [(f"{NAME}-{slot}", "running", main)]
    for words in ("daemon stop", f"stop {NAME}-{slot}", "stop all", f"delete {NAME}-{slot}", f"reload {NAME}-{slot}"):
        assert ask.host.run(f"{NAME}-oxmgr {words}").rc == 1, words
    assert ask.host.run(f"runuser -u nobody -- {NAME}-oxmgr list").rc == 1
    assert site.main_pid(slot) == main


def test_new_workers_by_systemctl_reload(site, load, tally):
    slot, main = site.live, site.main_pid(site.live)
    workers = lambda: set(site.ask.run(f"pgrep -P {main}").split())  # noqa: E731
    before = workers()
    with load() as running:
        site.ask.run(f"systemctl reload {site.unit(slot)}")
        site.ask.until("all workers are others", lambda: len(workers()) == 2 and not workers() & before)
    tally("systemctl reload", running)
    running.counted.nothing_lost()
    assert site.main_pid(slot) == main


def test_a_worker_that_takes_all_memory_is_killed_alone(site, load, tally):
    slot, main = site.live, site.main_pid(site.live)
    daemon = site.daemon(slot)
    workers = lambda: set(site.ask.run(f"pgrep -P {main}").split())  # noqa: E731
    before = workers()
    with load() as running:
        site.ask.host.run("curl -s -m 20 -X POST http://127.0.0.1/hog")
        site.ask.until("one worker is another", lambda: len(workers()) == 2 and len(workers() & before) == 1)
        site.ask.run("sleep 2")
    tally("a worker eats all memory (MemoryMax)", running)
    running.counted.nothing_wrong()
    (victim,) = before - workers()
    assert {running.counted.worker_of.get(each["n"]) for each in running.counted.lost} <= {int(victim), None}
    assert (site.main_pid(slot), site.daemon(slot)) == (main, daemon)


def test_a_slot_that_a_person_stopped_is_started_by_the_next_run(site):
    """Oxmgr's own stop: the daemon runs, the slot doesn't, and everybody is told so."""
    slot, release = site.live, site.release
    assert site.tell(slot, f"stop {NAME}-{slot}").rc == 0
    assert site.main_pid(slot) == "0"
    assert "stopped" in site.good("status")
    result = site.swap(release)
    assert result.get("changed") and not result.get("failed"), result
    site.ask.until("clients are served", lambda: site.ask.get("/ready")[0] == 200)
    assert site.release == release
    site.alone()


RESTARTS = {
    "oxmgr restart": lambda site, slot: site.tell(slot, f"restart {NAME}-{slot}"),
    "systemctl restart": lambda site, slot: site.ask.run(f"systemctl restart --no-block {site.unit(slot)}"),
    "the arbiter is killed": lambda site, slot: site.ask.run(f"kill -9 {site.main_pid(slot)}"),
    "the arbiter hangs": lambda site, slot: site.ask.run(f"kill -STOP {site.main_pid(slot)}"),
    "Oxmgr is killed": lambda site, slot: site.ask.run(f"kill -9 {site.daemon(slot)}"),
}


@pytest.mark.parametrize("how", RESTARTS)
def test_requests_that_wait_for_a_child_process_are_answered(site, count, how):
    """Workers aren't in the group that gets Oxmgr's signal, so neither is what their requests wait for."""
    slot = site.live
    before = site.main_pid(slot)
    site.ask.run(WAIT)
    RESTARTS[how](site, slot)
    site.ask.until("all have ended", lambda: site.ask.run("cat /run/child.*").count("\n") == 6, 40)
    statuses = site.ask.run("cat /run/child.*").split()
    count(f"requests wait for child processes: {how}", 6, 6 - statuses.count("200"))
    assert statuses == ["200"] * 6, "lost"
    site.ask.until("another arbiter", lambda: site.main_pid(slot) not in (before, "0"), STARTED)
    site.ask.until("it serves", lambda: site.ask.get("/ready")[0] == 200)
    site.alone()
