from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.ranks import percentile
from ansible_collections.graceful.deploy.plugins.module_utils._tune.figures import (
    Count,
    bent,
    best,
    choose,
    line,
)


def counts(*rows: tuple[float, float], memory: int = 0) -> list[Count]:
    """Rate and p99 of 1, 2, 3... workers."""
    return [
        Count(number, int(rate) * 10, rate, p99 / 2, p99, p99, 0, memory=memory * number)
        for number, (rate, p99) in enumerate(rows, 1)
    ]


@pytest.mark.parametrize(
    ("rates", "ended"),
    [
        ([100], False),
        ([100, 100], False),
        # Both further ones have to bring nothing, and one that brings something begins anew.
        ([100, 101, 102], True),
        ([100, 200, 201], False),
        ([100, 200, 201, 202], True),
        ([100, 101, 120], False),
        ([100, 101, 120, 121, 122], True),
        # Beside the best before, not the one before: a bad second is no gain of the third.
        ([100, 60, 98], True),
        ([100, 200, 300, 400], False),
        ([0, 0, 0], False),
    ],
)
def test_the_sweep_ends_where_two_more_bring_nothing(rates, ended):
    assert bent(counts(*((rate, 10) for rate in rates))) == ended


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([(100, 50), (195, 30), (200, 30)], 2),
        ([(100, 50), (180, 30), (200, 30)], 3),
        # As much, and late: the third is what it costs to be in time.
        ([(98, 90), (99, 50), (100, 20)], 3),
        # 5 ms and half as long again are no reason for another worker.
        ([(98, 6), (99, 1.5), (100, 1.1)], 1),
        ([(98, 29), (99, 25), (100, 20)], 1),
        ([(100, 20)], 1),
    ],
)
def test_the_fewest_that_are_as_good_are_chosen(rows, chosen):
    found = choose(counts(*rows))
    assert found and found.workers == chosen


def test_errors_are_no_answers():
    one, two = counts((100, 10), (5000, 1))
    two = dataclasses.replace(two, errors=2000, requests=50000)
    assert (choose([one, two]), best([one, two])) == (one, one)
    assert choose([dataclasses.replace(one, errors=11)]) is None
    assert choose([dataclasses.replace(one, errors=10)]) is not None
    assert choose([dataclasses.replace(one, rate=0.0, requests=0)]) is None


def test_one_line_to_paste():
    rows = counts((700, 40), (1400, 25), (2140.4, 18), (2150, 18), (2180, 18), (2229, 18), memory=100)
    chosen = choose(rows)
    assert (
        line(rows, chosen) == "fastapi_workers: 3  # 2,140 requests/s, p99 18 ms, 96 % of the best with half its memory"
    )
    rows = counts((700, 40), (1400, 9.04), memory=100)
    assert line(rows, rows[1]) == "fastapi_workers: 2  # 1,400 requests/s, p99 9.0 ms, the best of 1 to 2"
    assert line(rows[:1], rows[0]) == "fastapi_workers: 1  # 700 requests/s, p99 40 ms"
    rows = counts((690, 40), (700, 40), (700.1, 40), memory=100)
    assert line(rows, rows[0]).endswith("99 % of the best with 33 % of its memory")
    rows = counts((690, 40), (700, 40))
    assert line(rows, rows[0]).endswith("99 % of the best")


def test_percentiles_are_of_what_was_measured():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, part) for part in (50, 95, 99)] == [51, 96, 100]
    assert (percentile([7.0], 99), percentile([], 50)) == (7, 0)
