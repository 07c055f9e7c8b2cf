"""When a canary counts as worse: for what a person would call worse, and not by chance."""

from __future__ import annotations

import math
import random

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._swap.compare import (
    CHANCE,
    LAST,
    Limits,
    Side,
    at_least,
    by_chance,
    enough,
    figures,
    said,
    tells,
    worse,
)
from hypothesis import given
from hypothesis import strategies as st

LIMITS = Limits(share=10, seconds=60)


def side(requests: int, errors: int = 0, seconds: float = 0.02) -> Side:
    made = Side()
    for number in range(requests):
        made.add(number < errors, seconds)
    return made


def drawn(generator: random.Random, requests: int, errors: float, seconds: float) -> Side:
    """Answers by chance: a part of them errors, and times of which some are many times as long as most."""
    made = Side()
    for _ in range(requests):
        made.add(generator.random() < errors, generator.lognormvariate(math.log(seconds), 1))
    return made


def test_errors_that_are_no_chance_are_told_with_both_figures():
    told = worse(side(310, 13), side(2790, 3), LIMITS)
    assert told == "errors 4.2 % of 310 requests against 0.1 % of 2,790"


@pytest.mark.parametrize(
    ("canary", "live"),
    [
        ((310, 3), (2790, 3)),  # below the limit, however sure
        ((2, 2), (2000, 0)),  # two errors are none
        ((20, 3), (40, 1)),  # may be chance
        ((310, 30), (2790, 270)),  # what serves is as bad
        ((0, 0), (2000, 0)),
        ((0, 0), (0, 0)),
        ((50, 50), (0, 0)),  # nothing to compare with
    ],
)
def test_what_is_no_reason_to_go_back(canary, live):
    # Only errors are looked at here: few requests are a reason of their own.
    assert worse(side(*canary), side(*live), LIMITS, warm=False) == ""


def test_a_release_of_which_all_fails_goes_back_after_a_few_requests():
    assert worse(side(4, 4), side(36), LIMITS, warm=False)


def test_one_that_is_slower_is_told_with_both_times_and_the_limit():
    assert worse(side(200, seconds=0.48), side(1800, seconds=0.1), LIMITS) == (
        "p95 480 ms of 200 requests against 100 ms of 1,800, where 151 ms may be"
    )
    assert worse(side(200, seconds=0.48), side(1800, seconds=0.1), LIMITS, warm=False) == ""


@pytest.mark.parametrize(
    ("canary", "live", "requests"),
    [(0.06, 0.02, 200), (0.14, 0.1, 200), (0.9, 0.1, 99)],
    ids=["within the floor", "within the limit", "too few"],
)
def test_one_that_may_be_so_much_slower_goes_on(canary, live, requests):
    assert worse(side(requests, seconds=canary), side(requests * 9, seconds=live), LIMITS) == ""


def test_limits_are_the_users():
    loose = Limits.of({"share": "10%", "seconds": "30", "errors": 5, "slower": "400", "requests": 20})
    assert (loose.share, loose.seconds, loose.requests, loose.errors, loose.slower) == (10, 30, 20, 5.0, 400.0)
    assert Limits.of({"share": 50, "seconds": 1}) == Limits(share=50, seconds=1)
    assert worse(side(310, 13), side(2790, 3), loose) == ""
    assert worse(side(200, seconds=0.48), side(1800, seconds=0.1), loose) == ""


def test_one_that_hangs_goes_back_though_no_log_has_it():
    assert worse(side(3), side(540), LIMITS) == "of about 60 requests that it was given it has answered 3"
    # It answers all, and a part of it is slow: chance would blame it where there are many.
    assert worse(side(31), side(540), LIMITS) == ""
    assert worse(side(501), side(9000), LIMITS, last=True) == ""


@pytest.mark.parametrize(
    ("given", "answered", "at_once", "at_last"),
    [(38, 0, True, True), (11, 0, True, True), (6, 0, False, True), (38, 9, True, True), (16, 5, False, True)]
    + [(3, 0, False, False), (16, 7, False, False), (0, 0, False, False)],
)
def test_how_few_answers_are_no_chance(given, answered, at_once, at_last):
    told = f"of about {given} requests that it was given it has answered {answered}"
    assert worse(side(answered), side(given * 9), LIMITS) == (told if at_once else "")
    assert worse(side(answered), side(given * 9), LIMITS, last=True) == (told if at_last else "")
    assert worse(side(answered), side(given * 9), LIMITS, warm=False) == ""


@pytest.mark.parametrize(
    ("canary", "live", "goes_back"),
    [((3, 3), (27, 0), True), ((3, 3), (9, 0), True), ((2, 2), (18, 0), False), ((3, 3), (5, 0), False)]
    + [((3, 3), (27, 9), False), ((3, 0), (27, 27), False)],
)
def test_errors_of_which_few_are_seen_count_at_the_last_look(canary, live, goes_back):
    assert worse(side(*canary), side(*live), LIMITS) == ""
    assert bool(worse(side(*canary), side(*live), LIMITS, last=True)) == goes_back


def often(share: int, given: float, errors: float, canaries: int) -> float:
    """The part of canaries that go back although both sides are equal, each looked at fifty times and a last one."""
    generator, limits, back = random.Random(f"{share} {given} {errors}"), Limits(share=share, seconds=25), 0
    for _ in range(canaries):
        canary, live = Side(), Side()
        for look in range(50):
            for into, part in ((canary, share), (live, 100 - share)):
                mean = given / share * part / 50
                for _request in range(_poisson(generator, mean)):
                    into.requests += 1
                    into.errors += generator.random() < errors
            if worse(canary, live, limits, look >= 10):
                back += 1
                break
        else:
            back += bool(worse(canary, live, limits, last=True))
    return back / canaries


def _poisson(generator: random.Random, mean: float) -> int:
    least, product, count = math.exp(-mean), generator.random(), 0
    while product > least:
        product, count = product * generator.random(), count + 1
    return count


@pytest.mark.parametrize("share", [5, 30, 50])
@pytest.mark.parametrize("given", [1, 6, 20])
@pytest.mark.parametrize("errors", [0.0, 0.1, 0.5])
def test_two_that_are_equal_and_have_few_requests_go_on_nearly_always(share, given, errors):
    """Seeded, so it is the same each time. One in a hundred is what it may be, and chance may make it three here."""
    assert often(share, given, errors, 100) <= 0.03


@given(st.integers(0, 60), st.integers(0, 600), st.integers(1, 50))
def test_fewer_answers_are_never_better_and_its_part_is_never_too_few(answered, beside, share):
    limits, live = Limits(share=share), side(beside)
    if answered and worse(side(answered), live, limits, last=True):
        assert worse(side(answered - 1), live, limits, last=True)
    if worse(side(answered), live, limits):
        assert worse(side(answered), live, limits, last=True)
    if answered >= beside * share / (100 - share) / 2:
        assert worse(side(answered), live, limits, last=True) == ""


def test_two_that_are_equal_go_on_nearly_always():
    """Two hundred canaries, each looked at again and again as a deploy does; with errors, slow ones, few and many."""
    generator = random.Random(18)
    back = 0
    for number in range(200):
        canary, live = Side(), Side()
        for _ in range(10):
            for into, count in ((canary, 1), (live, 9)):
                more = drawn(generator, count * (5 + number % 40), errors=0.02, seconds=0.05)
                into.requests += more.requests
                into.errors += more.errors
                into.times.update(more.times)
            if worse(canary, live, LIMITS):
                back += 1
                break
    assert back <= 1


def test_one_that_is_worse_goes_back_nearly_always():
    generator = random.Random(18)
    for _ in range(100):
        live = drawn(generator, 2700, errors=0.002, seconds=0.05)
        assert worse(drawn(generator, 300, errors=0.06, seconds=0.05), live, LIMITS)
        assert worse(drawn(generator, 300, errors=0.002, seconds=0.15), live, LIMITS)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_chance_is_counted_as_by_going_through_all_ways(bad, good, others_bad, others_good):
    of, others = bad + good, others_bad + others_good
    ways = math.comb(of + others, of)
    worst = range(bad, min(of, bad + others_bad) + 1)
    exact = sum(math.comb(bad + others_bad, k) * math.comb(good + others_good, of - k) for k in worst) / ways
    assert by_chance(bad, of, others_bad, others) == pytest.approx(exact, rel=1e-6)


@given(st.integers(1, 60), st.data())
def test_how_probable_so_many_are(of, data):
    count = data.draw(st.integers(0, of))
    exact = sum(math.comb(of, k) * 0.05**k * 0.95 ** (of - k) for k in range(count, of + 1))
    assert at_least(count, of, 0.05) == pytest.approx(exact, rel=1e-6)


@given(st.integers(0, 300), st.floats(0, 1), st.integers(0, 3000), st.floats(0, 1))
def test_more_errors_are_never_better(requests, part, beside, others):
    """And a release without any goes on, whatever serves."""
    bad, live = int(requests * part), side(beside, int(beside * others))
    if worse(side(requests, bad), live, LIMITS, warm=False) and bad < requests:
        assert worse(side(requests, bad + 1), live, LIMITS, warm=False)
    assert worse(side(requests), live, LIMITS, warm=False) == ""


@given(st.lists(st.floats(0.0001, 300), min_size=1, max_size=200))
def test_p95_is_right_to_two_percent(times):
    made = Side()
    for seconds in times:
        made.add(False, seconds)
    exact = sorted(times)[math.ceil(0.95 * len(times)) - 1]
    assert made.p95 == pytest.approx(exact, rel=0.02)
    assert made.above(300 * 1.02) == 0


def test_what_a_person_reads_and_what_is_kept():
    canary, live = side(310), side(2790, 3)
    assert said(canary, live, LIMITS, 60.2) == (
        "As a canary with 10 % of the requests for 60 s it was no worse: 310 requests, errors 0.0 %, p95 20 ms; "
        "the live release: 2,790 requests, errors 0.1 %, p95 20 ms."
    )
    assert figures(canary, live, 10, 60.24) == {
        "share": 10,
        "seconds": 60.2,
        "requests": 310,
        "errors": 0,
        "p95": pytest.approx(20, rel=0.02),
        "live_requests": 2790,
        "live_errors": 3,
        "live_p95": pytest.approx(20, rel=0.02),
    }
    assert "too few requests came to compare times: each side needs 100" in said(side(30), side(270), LIMITS, 60)
    for few in (side(3), Side()), (Side(), Side()), (side(50), Side()), (side(2), side(18)), (Side(), side(18)):
        told = said(*few, LIMITS, 60)
        assert "too few requests to tell whether it is worse" in told and "well" not in told and "no more" not in told
        assert not tells(*few) and not enough(*few, LIMITS)
    assert tells(side(3), side(27)) and tells(side(3), side(27, 27))
    assert figures(Side(), Side(), 10, 1)["p95"] is None
    assert CHANCE < 0.001 < LAST < 0.01
