"""Numbers of workers are measured, and nothing of what serves notices, whatever ends the run."""

from __future__ import annotations

import re

import pytest
from tunes import SLEEP, cut_off

pytestmark = pytest.mark.core


def test_twice_the_workers_bring_twice_as_much(measured):
    """Each request keeps its worker for 50 ms, so one worker answers 20 a second at most."""
    one, two, three = measured.result["counts"]
    assert [count["workers"] for count in (one, two, three)] == [1, 2, 3]
    assert 0.5 * 20 < one["rate"] <= 1.05 * 20, measured.said
    assert 1.5 * one["rate"] < two["rate"] < 1.2 * three["rate"], measured.said
    assert one["p50"] > 1.5 * two["p50"] > 100, measured.said
    assert {count["errors"] for count in (one, two, three)} == {0}
    # A worker is some 30 MB and more; asleep it takes next to no CPU.
    assert 30 << 20 < one["memory"] < two["memory"] < three["memory"] < 400 << 20
    assert two["memory"] - one["memory"] > 15 << 20
    assert one["cpu"] < 0.7
    assert measured.result["installed"] == ["nghttp2-client"]


def test_a_person_reads_a_table_and_a_line_to_paste(measured):
    assert measured.result["line"] in measured.said
    assert re.search(rf"^-> +{measured.result['chosen']}  ", measured.said, re.M), measured.said
    assert measured.result["line"].startswith(f"fastapi_workers: {measured.result['chosen']}  # ")
    kinds = {path.suffix for path in measured.files}
    assert {".json", ".html"} <= kinds
    # Where there is an index to have the library from.
    assert {".svg", ".png"} <= kinds or "There is no picture" in measured.said


def test_clients_notice_nothing_and_all_is_as_before(measured):
    measured.counted.nothing_lost()
    assert measured.counted.sent > 500
    assert [line for line in measured.after.splitlines() if line not in measured.before] == []
    assert measured.before == measured.after


def test_an_event_loop_that_stands_still_is_counted(tune):
    """By the lines of the slot that is measured, whoever keeps it alive."""
    (count,) = tune.call(paths=[SLEEP | {"body": "import time; time.sleep(0.7)"}], seconds=2)["counts"]
    assert count["stalls"] and count["errors"] == 0, count


def test_it_is_killed_and_the_next_deploy_finds_its_way(site, tune, load, ask, status):
    before = len(site.history())
    with load() as running:
        cut_off(site, tune, ask)
        assert status()["cut_off"] == {}
        served = site.deploy()
    running.counted.nothing_lost()
    assert list(running.counted.releases)[-1] == served
    site.alone()
    assert "interrupted" not in {entry["outcome"] for entry in site.history()[before:]}
