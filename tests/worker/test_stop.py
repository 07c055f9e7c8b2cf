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


@pytest.fixture
def children(monkeypatch):
    """Processes that stand for a unit's: start(code) gives the pid of one that has begun."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> int:
        program = [sys.executable, "-c", f"import signal, time\n{code}\nprint(flush=True)\ntime.sleep(60)"]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.readline()
        started.append(process)
        return process.pid

    monkeypatch.setattr(
        graceful_stop, "members", lambda: {each.pid: os.getpid() for each in started if each.poll() is None}
    )
    yield start
    for process in started:
        process.kill()
        process.wait()


DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def test_it_is_back_when_all_have_ended(children):
    pids = {children(""), children("")}
    began = time.monotonic()
    assert graceful_stop.end(pids, 30) == set()
    assert time.monotonic() - began < 10


def test_one_that_was_stopped_ends_too(children):
    pid = children("")
    os.kill(pid, signal.SIGSTOP)
    assert graceful_stop.end([pid], 30) == set()


def test_who_is_deaf_is_named_after_the_limit(children):
    deaf = children(DEAF)
    assert graceful_stop.end([deaf, children("")], 0.3) == {deaf}


def test_what_serves_is_killed_after_the_limit_and_what_is_left_is_told_then(children, monkeypatch):
    monkeypatch.setattr(graceful_stop, "LEFT_WAIT", 0.3)
    arbiter, left = children(DEAF), children("")
    monkeypatch.setattr(graceful_stop, "serving", lambda found, main: {main})
    graceful_stop.main(0.3, arbiter)
    assert graceful_stop.members() == {}
    assert left


def test_this_process_is_a_member_of_its_own_group_only_for_others(tmp_path):
    child = subprocess.Popen(["sleep", "30"])
    try:
        found = graceful_stop.members()
        assert found[child.pid] == os.getpid()
        assert os.getpid() not in found
    finally:
        child.kill()
        child.wait()
