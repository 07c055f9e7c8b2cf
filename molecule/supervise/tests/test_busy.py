"""A host with no CPU left is no hang: nothing is restarted, while releases come and go as well."""

from __future__ import annotations

import os
import time

import pytest

SECONDS = int(os.environ.get("SUPERVISE_BUSY", "60"))


@pytest.mark.alone
def test_nothing_is_restarted_while_all_cpus_are_busy(night, deploy):
    ask = night.ask
    since = night.now()
    ask.run(
        f"systemd-run --quiet --collect --unit=burn --property=RuntimeMaxSec={SECONDS + 120} --property=CPUWeight=1000 "
        "sh -c 'for n in $(seq $(($(nproc) * 2))); do python3 -c \"while True: pass\" & done; wait'"
    )
    end = time.monotonic() + SECONDS
    try:
        for strategy in ("swap", "reload", "swap"):
            deploy(strategy)
        before = night.arbiter, *night.workers
        ask.until("the time is over", lambda: time.monotonic() > end, SECONDS + 10)
        assert (night.arbiter, *night.workers) == before
    finally:
        ask.run("systemctl stop burn")
    assert night.said("WORKER TIMEOUT|Not alive", since) == []
    ask.run("journalctl --sync")
    supervisor = ask.run(f"journalctl --unit='night@*' --since=@{since:.0f} --output=cat --no-pager")
    assert "Watchdog timeout" not in supervisor
