# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom graceful_stop.py tells to end, and for how long it waits; in a unit: molecule/swap/tests/test_children.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "roles" / "gunicorn" / "files"))

import graceful_stop

ARBITER, WORKER, OTHER, CONVERTER, LEFT = 10, 11, 12, 20, 30
# A converter is a worker's child; what was left behind has lost its parent.
UNIT = {ARBITER: 1, WORKER: ARBITER, OTHER: ARBITER, CONVERTER: WORKER, LEFT: 1}


def test_arbiter_and_workers_serve_and_what_they_started_does_not():
    assert graceful_stop.serving(UNIT, ARBITER) == {ARBITER, WORKER, OTHER}


def test_workers_outlive_their_arbiter():
    orphans = {WORKER: 1, OTHER: 1, CONVERTER: WORKER}
    assert graceful_stop.serving(orphans, 0) == {WORKER, OTHER}


def test_an_arbiter_that_was_just_killed_is_none():
    assert graceful_stop.serving({WORKER: 1, CONVERTER: WORKER}, ARBITER) == {WORKER}


@pytest.fixture
def children():
    """Processes that stand for a unit's: start(code) gives the pid of one that has begun."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> int:
        program = [sys.executable, "-c", f"import signal, time\n{code}\nprint(flush=True)\ntime.sleep(60)"]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.readline()
        started.append(process)
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_it_is_back_when_all_have_ended(children):
    slow = children("signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), exit()))")
    began = time.monotonic()
    graceful_stop.end([slow, children(""), 1 << 22])
    assert 0.4 < time.monotonic() - began < 10


def test_one_that_was_stopped_ends_too(children):
    pid = children("")
    os.kill(pid, signal.SIGSTOP)
    graceful_stop.end([pid])


def test_a_worker_that_was_forked_meanwhile_is_told_too(monkeypatch):
    found = [{ARBITER: 1, WORKER: ARBITER, CONVERTER: WORKER}, {OTHER: 1}, {}]
    told: list[set[int]] = []
    monkeypatch.setattr(graceful_stop, "members", lambda: found.pop(0))
    monkeypatch.setattr(graceful_stop, "end", told.append)
    graceful_stop.main(ARBITER)
    assert told == [{ARBITER, WORKER}, {OTHER}]


def test_the_processes_of_its_own_cgroup_are_the_units(children):
    pid = children("")
    found = graceful_stop.members()
    assert found[pid] == os.getpid()
    assert os.getpid() not in found


def test_without_a_cgroup_nobody_is(monkeypatch):
    """What can't be read would be equal to that of every process that has just ended."""
    monkeypatch.setattr(graceful_stop, "read", lambda _pid, _name: "")
    assert graceful_stop.members() == {}
