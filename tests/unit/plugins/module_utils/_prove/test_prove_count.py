"""What is lost, late, doubled or none of it, by rows whose answer is known."""

from __future__ import annotations

import json

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._prove import count
from ansible_collections.graceful.deploy.plugins.module_utils._prove.count import Counting, Row, Seen, parse
from ansible_collections.graceful.deploy.plugins.module_utils._prove.phases import phases
from ansible_collections.graceful.deploy.plugins.module_utils._prove.worked import numbers_in

BEGAN = 1000.0


def seen(*rows: tuple[int, float, float, int], sent: int | None = None) -> Seen:
    """:param rows: path, seconds since the first request, seconds that it took, status."""
    made = [
        Row(n, which, BEGAN + at, took, status, 0.0, "" if status else "refused")
        for n, (which, at, took, status) in enumerate(rows)
    ]
    return Seen(BEGAN, BEGAN + 10, len(rows) if sent is None else sent, True, made)


STEADY = [(0, 0.0, 0.01, 200), (1, 0.1, 2.0, 404), (0, 0.2, 0.01, 200), (1, 0.3, 2.0, 404)]


def figures(*rows: tuple[int, float, float, int], late: float = 1.0, sent: int | None = None) -> dict:
    return Counting(seen(*STEADY, *rows, sent=sent), ["/", "/slow"], BEGAN + 5, late).figures()


@pytest.mark.parametrize(
    ("row", "lost"),
    [
        ((0, 6.0, 0.01, 200), ""),
        ((0, 6.0, 0.01, 502), "502"),
        ((0, 6.0, 30.0, 0), "refused"),
        # What its path didn't answer before, although it is no error by itself, or an answer of the other path.
        ((0, 6.0, 0.01, 404), "404 in place of 200"),
        ((1, 6.0, 0.01, 404), ""),
        ((1, 6.0, 0.01, 200), "200 in place of 404"),
        # The limit of the site's is nobody's loss.
        ((0, 6.0, 0.01, 429), ""),
    ],
)
def test_what_is_lost(row, lost):
    found = figures(row)
    assert found["lost"] == bool(lost)
    assert [reason["why"] for reason in found["lost_reasons"]] == ([lost] if lost else [])
    assert found["answered"] == found["sent"] - found["lost"] == 5 - bool(lost)
    assert found["limited"] == (row[3] == 429)


def test_what_nobody_heard_of_again_is_lost():
    found = figures((0, 6.0, 0.01, 200), sent=8)
    assert (found["sent"], found["lost"], found["lost_reasons"][0]["why"]) == (8, 3, count.UNHEARD)


def test_a_path_is_late_by_its_own_measure():
    """A slow one isn't late for being as slow as ever; a lost one is lost, and not late as well."""
    rows = [(0, 6.0, 0.9, 200), (0, 6.1, 1.1, 200), (1, 6.2, 3.9, 404), (1, 6.3, 4.1, 404), (0, 6.4, 9.0, 502)]
    found = figures(*rows)
    assert [(row["path"], row["seconds"]) for row in found["late_requests"]] == [("/", 1.1), ("/slow", 4.1)]
    assert (found["late"], found["lost"]) == (2, 1)
    assert [row["late_after"] for row in found["paths"]] == [1.0, 4.0]
    assert figures(*rows, late=0.5)["late"] == 3


def test_reasons_are_told_with_when_and_where():
    found = figures((0, 6.0, 0.1, 502), (1, 7.0, 0.1, 502), (0, 7.5, 0.1, 503))
    assert found["lost_reasons"] == [
        {"why": "502", "times": 2, "first": 6.0, "last": 7.0, "paths": ["/", "/slow"]},
        {"why": "503", "times": 1, "first": 7.5, "last": 7.5, "paths": ["/"]},
    ]
    counts = found["lost_curve"]["counts"]
    assert sum(counts) == 3 and counts[12] == 1 and counts[14] == 1 and counts[15] == 1


def test_of_many_that_were_lost_the_last_is_told_as_well_as_the_first():
    found = figures(*[(0, 6.0 + n / 100, 0.1, 502) for n in range(1001)])
    told = [row["at"] for row in found["lost_requests"]]
    assert len(told) <= count.TOLD and told[0] == 6.0 and told[-1] > 15.9 and found["lost"] == 1001
    assert [count.spread(range(n)) == list(range(n)) for n in (0, 1, count.TOLD)] == [True] * 3


def test_many_requests_are_drawn_by_the_slowest_of_each_moment():
    rows = [Row(n, n % 2, BEGAN + n / 100, 0.5 if n == 4321 else 0.01, 200) for n in range(10_000)]
    points = count.points(rows, BEGAN, BEGAN + 100)
    assert len(points) <= 2 * (count.PIECES + 1)
    assert (43.21, 500.0, 1) in points
    assert len(count.points(rows[:100], BEGAN, BEGAN + 1)) == 100


def test_the_two_stretches_are_apart():
    found = figures((0, 6.0, 0.2, 200), (0, 6.1, 0.4, 200))
    assert (found["before"]["count"], found["after"]["count"], found["after"]["max"]) == (4, 2, 400.0)
    assert count.percentiles([]) == {"count": 0}


def test_a_client_that_was_killed_leaves_what_can_be_read():
    rows = [{"began": BEGAN}, [1, 0, BEGAN, 0.1, 200, 0, ""], [0, 0, BEGAN, 0.2, 0, 0, "refused"]]
    text = "\n".join(map(json.dumps, rows)) + "\n[2, 0, 10"
    found = parse(text)
    assert (found.began, found.sent, found.ended, [row.number for row in found.rows]) == (BEGAN, 2, False, [0, 1])
    whole = parse("\n".join(map(json.dumps, [*rows, {"stopped": 5, "sent": 4}, {"ended": 6, "sent": 4}])))
    assert (whole.sent, whole.ended, whole.stopped) == (4, True, 5)


def test_a_number_that_was_worked_on_twice():
    lines = [
        b"GET / 200 request_id=prove-ab-1",
        b'{"request_id": "prove-ab-2"}',
        b"x prove-ab-1 y",
        b"prove-abc-1",
        b"",
    ]
    lines += [b"prove-ab-11", b"prove-other-1", b"improve-ab-5"]
    numbers = list(numbers_in(lines, "prove-ab"))
    assert numbers == [1, 2, 1, 11]
    assert count.doubled(numbers) == [1]
    assert count.doubled([1, 2, 3]) == []


def test_phases_follow_each_other_from_where_the_deploy_began():
    deploy = {"began": BEGAN + 2, "phases": {"start": 0.5, "ready": 1.0, "move": 0.0}}
    assert phases(deploy, BEGAN) == [
        {"phase": "start", "begin": 2.0, "end": 2.5},
        {"phase": "ready", "begin": 2.5, "end": 3.5},
        {"phase": "move", "begin": 3.5, "end": 3.5},
    ]
    assert phases({"began": BEGAN}, BEGAN) == []
