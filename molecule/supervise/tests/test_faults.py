"""Deaths, and what an app may do to its host."""

from __future__ import annotations

import json
import time
from datetime import datetime

import pytest
from conftest import NAME, ROOT, SCENARIO, START, one_replaced


@pytest.mark.core
def test_a_worker_is_killed(night):
    before = night.workers
    seen = night.under(
        "a worker dies (SIGKILL)", lambda: night.ask.run(f"kill -KILL {before[0]}"), one_replaced(night, before)
    )
    # What it was at: two seconds' worth of a third of the half of 30 requests a second, and a few.
    assert len(seen.lost) < 30, str(seen)
    assert seen.again < START


def test_a_worker_crashes(night):
    """The traceback is in the journal, and no core file anywhere."""
    before = night.workers
    seen = night.under(
        "a worker crashes (SIGSEGV)",
        lambda: night.ask.run("curl -s -m 5 -X POST http://127.0.0.1/fault/segfault || true"),
        one_replaced(night, before),
    )
    assert len(seen.lost) < 30, str(seen)
    assert seen.again < START
    assert night.said("Fatal Python error: Segmentation fault", seen.struck)
    assert night.said(r"app/main.py\", line \d+ in fault", seen.struck)
    assert "core" not in night.ask.run(f"ls /srv/{NAME}/releases/*/")


def test_a_fork_bomb_ends_at_the_limit(night):
    """Bounded by TasksMax; the host doesn't feel it. The children that stay keep the memory that they share."""
    answers: list[dict] = []

    def strike() -> None:
        out = night.ask.host.run("curl -s -m 60 -X POST http://127.0.0.1/fault/forks").stdout
        answers.append(json.loads(out) if out.startswith("{") else {})

    seen = night.under("a fork bomb (TasksMax)", strike, night.up)
    most = int(night.show("TasksMax")["TasksMax"])
    assert answers[0].get("forks", 0) < most
    assert seen.again < 90
    night.ask.run(f"systemctl restart {night.unit}")


def test_journald_is_restarted(night):
    """The app writes on to the socket that it has; what it says meanwhile is there afterwards."""
    before = night.look()
    seen = night.under(
        "the journal's service is restarted",
        lambda: night.ask.run(f"systemctl restart systemd-journald@{NAME}.service systemd-journald.service"),
        night.up,
    )
    assert seen.lost == [], str(seen)
    after = night.look()
    assert (after.arbiter, after.workers) == (before.arbiter, before.workers)
    marker = str(time.time_ns())
    night.ask.run(f"curl -s -m 5 -o /dev/null 'http://127.0.0.1/slow?seconds=0&marker={marker}'")
    logged = f"journalctl --namespace={NAME} --sync; journalctl --namespace={NAME} --output=cat | grep {marker}"
    night.ask.until("it is logged", lambda: night.ask.host.run(logged).stdout)


def test_the_disk_under_the_logs_is_full(night):
    """A small file system in place of the journal's directory, filled to the last block."""
    place = f"/var/log/journal/$(cat /etc/machine-id).{NAME}"
    restart = f"systemctl restart systemd-journald@{NAME}.service"
    night.ask.run(f"mount -t tmpfs -o size=16m,mode=2755 tmpfs {place} && {restart}")
    try:
        seen = night.under(
            "the disk under the logs is full",
            lambda: night.ask.host.run(f"dd if=/dev/zero of={place}/full bs=1M count=64"),
            night.up,
        )
        assert night.ask.run(f"df --output=avail {place} | tail -1").strip() == "0"
    finally:
        night.ask.run(f"umount --lazy {place}; {restart}")
    assert seen.lost == [], str(seen)


def test_the_disk_under_the_release_is_full(night):
    """A small file system in place of the app's directory, filled to the last block; workers come and go in it."""
    unit, place = night.unit, "/mnt/release"
    night.ask.run(
        f"systemctl stop {unit}; mkdir -p {place}; mount -t tmpfs -o size=1g,mode=755 tmpfs {place}; "
        f"cp -a {ROOT}/. {place}/; mount --bind {place} {ROOT}; systemctl start {unit}"
    )
    try:
        night.ask.until("the app is well", night.up)
        before = night.workers

        def strike() -> None:
            night.ask.host.run(f"dd if=/dev/zero of={ROOT}/full bs=1M")
            night.ask.run(f"kill -TERM {before[0]}")

        seen = night.under("the disk under the release is full", strike, one_replaced(night, before))
        assert night.ask.run(f"df --output=avail {ROOT} | tail -1").strip() == "0"
    finally:
        night.ask.run(f"systemctl stop {unit}; umount --lazy {ROOT} {place}; systemctl start {unit}")
    assert seen.lost == [], str(seen)


@pytest.fixture
def clock(night):
    """Moves the wall clock of the app alone, by two lines in the environment of its slot."""
    source, library, setting = "/opt/clock.c", "/opt/clock.so", f"{ROOT}/shared/switches/clock"
    night.ask.run(
        f"cat >{source} <<'END'\n{(SCENARIO / 'clock.c').read_text()}END\n"
        "apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null 2>&1; "
        f"gcc -Wall -Werror -O2 -shared -fPIC -o {library} {source}; echo 0 >{setting}; chmod 644 {setting}"
    )
    environment, unit = f"{ROOT}/slots/{night.live}/env", night.unit
    lines = f"LD_PRELOAD={library}\nCLOCK_JUMP={setting}\n"
    night.ask.run(f"cp -a {environment} /run/usual; printf '{lines}' >>{environment}; systemctl restart {unit}")
    yield lambda seconds: night.ask.run(f"echo {seconds} >{setting}")
    night.ask.run(f"cp -a /run/usual {environment}; systemctl restart {unit}")


def test_the_clock_jumps(night, clock):
    before = night.wait()
    for hours in (1, -1):
        seen = night.under(f"the clock jumps ({hours:+d}h)", lambda seconds=hours * 3600: clock(seconds), night.up)
        # It did, by the app's own log.
        said = [line["timestamp"] for line in night.ask.log(NAME, night.unit) if line.get("event") == "request"][-1]
        assert abs(datetime.fromisoformat(said).timestamp() - night.now() - hours * 3600) < 60, said
        assert seen.lost == [], str(seen)
        clock(0)
    after = night.look()
    assert (after.arbiter, after.workers) == (before.arbiter, before.workers)
