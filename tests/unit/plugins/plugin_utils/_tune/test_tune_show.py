from __future__ import annotations

from ansible_collections.graceful.deploy.plugins.plugin_utils._tune import show

COUNT = {
    "workers": 1,
    "rate": 714.2,
    "p50": 8.44,
    "p95": 97.1,
    "p99": 1120.6,
    "errors": 0,
    "memory": 75 << 20,
    "cpu": 0.98,
    "load_cpu": 0.11,
    "idle": 0.4,
    "live_p95": 2.1,
    "connections": {},
    "stalls": None,
}


def result(**changes):
    counts = [COUNT, {**COUNT, "workers": 2, "rate": 1400.0, "cpu": 1.9}, {**COUNT, "workers": 3, "rate": 1450.0}]
    return {
        "counts": counts,
        "chosen": 2,
        "planned": 3,
        "asked": "GET /",
        "clients": 64,
        "think": 0.0,
        "seconds": 8.0,
        "ended": "The last two brought less than 5 % each.",
        "live_path": "/ready",
        "live_p95": 1.94,
        "cpus": 2.0,
        "when": "2026-11-30T17:20:00Z",
        **changes,
    }


def test_a_table_has_an_arrow_at_what_was_chosen():
    lines = show.table(result())
    assert [line.split()[:2] for line in lines[1:]] == [["1", "714"], ["->", "2"], ["3", "1,450"]]
    assert lines[1].split()[2:5] == ["8.4", "97", "1,121"]
    assert len({line.rstrip()[-3:] for line in lines[1:]}) == 1
    assert not lines[0].endswith("stalls")


def test_what_was_counted_is_a_column_and_else_isnt():
    counted = result(counts=[{**COUNT, "stalls": 4, "connections": {"PostgreSQL": 5}}], chosen=1)
    head, row = show.table(counted)
    assert head.split()[-2:] == ["connections", "stalls"]
    assert row.split()[-3:] == ["5", "PostgreSQL", "4"]


def test_the_planners_number_is_told_where_it_is_another():
    assert any(
        "without what was measured, is 3. It brought 100 % of the best." in note for note in show.notes(result())
    )
    assert any("is 9." in note and "brought" not in note for note in show.notes(result(planned=9)))
    assert any("chooses, too" in note for note in show.notes(result(planned=2)))


def test_an_app_that_waits_is_told_that_more_clients_may_want_more():
    spare = result(counts=[{**COUNT, "cpu": 0.3, "idle": 1.5}], chosen=1)
    assert any(
        "64 requests at once. For more, measure with more: -e clients=256." in note for note in show.notes(spare)
    )
    assert not any("CPU to spare" in note for note in show.notes(result()))
    assert not any("CPU to spare" in note for note in show.notes({**spare, "think": 0.1}))


def test_a_picture_marks_both_numbers_once():
    marks = [[(mark.x, mark.label) for mark in panel.marks] for panel in show.picture(result(), "hello", "web1").panels]
    assert marks[0] == [(2, "chosen"), (3, "the planner's")]
    assert marks[1:] == [[(2, ""), (3, "")]] * 3
    assert show.picture(result(planned=2), "a", "b").panels[0].marks[0].label == "chosen, and the planner's"
    assert [mark.x for mark in show.picture(result(planned=9), "a", "b").panels[0].marks] == [2]
