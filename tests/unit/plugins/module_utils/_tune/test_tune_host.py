from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._plan.capacity import Capacity
from ansible_collections.graceful.deploy.plugins.module_utils._plan.demand import Demand
from ansible_collections.graceful.deploy.plugins.module_utils._tune import host, live
from ansible_collections.graceful.deploy.plugins.module_utils._tune.room import full, measured

MIB = 1 << 20
HOST = Capacity(2, "affinity", 2048 * MIB, "MemTotal")


def test_idle_time_is_that_of_all_cpus():
    stat = "cpu  100 5 20 800 50 1 2 3 40 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert host.parse_idle(stat) == (850, 981)
    assert host.parse_idle("") == (0, 0)


def test_what_programs_can_still_get():
    assert host.parse_available("MemTotal: 9 kB\nMemAvailable:    1024 kB\n") == MIB
    assert host.parse_available("") is None


# proc_net_tcp(5): the second connection waits for its end, the third is to a port that is no database's.
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:D2F0 0100007F:1538 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 20 4
   1: 0100007F:D2F1 0100007F:1538 06 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000 20 4
   2: 0100007F:D2F2 0100007F:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0000 20 4
"""


def test_connections_are_told_by_their_port():
    assert host.parse_tcp(TCP) == {"4711": 5432, "4713": 443}


def test_a_process_steps_aside_and_its_control_group_too(tmp_path):
    group = tmp_path / "cpu" / "slot"
    group.mkdir(parents=True)
    (group / "cpu.shares").write_text("1024")
    process = subprocess.Popen(["sleep", "60"])
    try:
        host.step_aside("/slot", [str(process.pid)], str(tmp_path))
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 10
        assert (group / "cpu.shares").read_text() == "102"
    finally:
        process.kill()
        process.wait()


def test_cpu_is_read_from_either_kind_of_control_group(tmp_path):
    (tmp_path / "slot").mkdir()
    (tmp_path / "slot" / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    assert host.cpu_seconds("/slot", "", str(tmp_path)) == 1.5
    (tmp_path / "cpuacct" / "old").mkdir(parents=True)
    (tmp_path / "cpuacct" / "old" / "cpuacct.usage").write_text("2500000000\n")
    assert host.cpu_seconds("/old", "", str(tmp_path)) == 2.5
    assert host.cpu_seconds("", str(os.getpid()), str(tmp_path)) > 0


@pytest.mark.parametrize(
    ("count", "demand", "available", "limit", "why"),
    [
        (2, Demand(), None, None, ""),
        # Two slots of 5 x 150M and 64M need more than 2048M less a tenth and more.
        (6, Demand(), None, None, "beside the"),
        (5, Demand(), None, 400 * MIB, "fastapi_memory_max"),
        (5, Demand(memory_max=400 * MIB), None, None, "two slots with"),
        (2, Demand(), 400 * MIB, None, "400M are free"),
        (4, Demand(db_pool_size=5, db_max_connections=30), None, None, "would open 40 connections"),
        (3, Demand(db_pool_size=5, db_max_connections=30), None, None, ""),
    ],
)
def test_one_more_worker_has_to_have_room(count, demand, available, limit, why):
    said = full(count, 6, demand, HOST, available, limit)
    assert bool(said) == bool(why)
    assert why in said


def test_what_was_measured_takes_the_place_of_what_was_assumed():
    assert measured(Demand(), 40 * MIB, False).worker_memory == 50 * MIB
    assert measured(Demand(), 40 * MIB, True) == measured(Demand(), 0, False) == Demand()


def test_a_late_answer_counts_for_the_questions_that_it_held_up():
    assert live.filled(0.05) == [0.05]
    assert [round(each, 3) for each in live.filled(0.35)] == [0.35, 0.25, 0.15, 0.05]


def test_a_p95_that_doubles_ends_it_but_for_what_nobody_notices():
    assert vars(live.limits(0.2, 2)) == pytest.approx({"warn": 0.3, "stop": 0.4})
    assert vars(live.limits(0.001, 2)) == pytest.approx({"warn": 0.0135, "stop": 0.026})
    assert live.limits(0.2, 3).stop == pytest.approx(0.6)


def test_the_live_slots_trouble_is_that_of_now(monkeypatch):
    watch = live.LiveWatch(None, "/ready", 2)  # type: ignore[arg-type]
    watch.before, watch.limits = 0.01, live.limits(0.01, 2)
    monkeypatch.setattr(live.time, "monotonic", lambda: 100.0)
    watch.rows = [(95.0 + number / 10, 0.01) for number in range(50)]
    assert watch.trouble(90.0) == ""
    # Before it began it may have been slow; few answers are no p95.
    watch.rows = [(95.0 + number / 10, 0.5) for number in range(50)]
    assert (watch.trouble(99.0), watch.trouble(90.0)) == ("", "its p95 went from 10.0 ms to 500.0 ms")
    watch.failed = "/ready answers 503"
    assert watch.trouble(99.0) == "/ready answers 503"
