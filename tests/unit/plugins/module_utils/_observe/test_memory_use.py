"""What workers take, read from the kernel's texts, and the value that follows from it."""

from __future__ import annotations

import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._observe.status import (
    Use,
    advice,
    parse_use,
    planned,
    use_of,
)

MIB = 1 << 20
ROLLUP = """5581a8a00000-7ffd0b5f9000 ---p 00000000 00:00 0                          [rollup]
Rss:               62000 kB
Pss:               40000 kB
Pss_Anon:          30000 kB
Shared_Clean:      12000 kB
"""
STATUS = """Name:\tpython
VmPeak:\t  300000 kB
VmHWM:\t   92000 kB
VmRSS:\t   62000 kB
Threads:\t2
"""


def test_the_peak_is_what_was_resident_less_what_is_shared():
    assert parse_use(ROLLUP, STATUS) == Use(40000 * 1024, 70000 * 1024)


def test_a_process_that_is_gone_has_no_use():
    assert parse_use("", "") is None
    assert use_of("999999999") is None


def test_this_process_has_one():
    use = use_of(str(os.getpid()))
    assert use is not None
    assert 0 < use.now <= use.peak


@pytest.mark.parametrize(
    ("high", "workers", "strategy", "each"),
    [(364, 2, "swap", 150), (664, 2, "reload", 150), (364, 0, "swap", None), (None, 2, "swap", None)],
)
def test_what_the_plan_gave_each(high, workers, strategy, each):
    assert planned(high and high * MIB, workers, strategy) == (each and each * MIB)


@pytest.mark.parametrize(
    ("peaks", "plan", "age", "said"),
    [
        ([140, 145], 150, 10, ""),
        (
            [140, 176],
            150,
            10,
            "a worker has taken up to 176M, and 150M are planned: write fastapi_worker_memory: 220M.",
        ),
        ([40, 41], 150, 10, ""),
        ([40, 41], 150, 4000, "with fastapi_worker_memory: 60M more of them would fit."),
        ([80, 81], 150, 4000, ""),
        ([], 150, 10, ""),
        ([40], None, 4000, ""),
    ],
)
def test_advice(peaks, plan, age, said):
    found = advice([peak * MIB for peak in peaks], plan and plan * MIB, age)
    assert found.endswith(said) and bool(found) == bool(said)
