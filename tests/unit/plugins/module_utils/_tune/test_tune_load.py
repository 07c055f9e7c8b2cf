from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._tune.load import (
    Kind,
    Target,
    adjusted,
    allot,
    command,
    cycle,
    good,
    off,
    read_log,
    shares,
    split,
    uris,
)
from hypothesis import given
from hypothesis import strategies as st

TARGET = Target("app.example.org", "https", "/run/hello/green.sock", 0.0)


def divided(kinds, clients, think):
    return split(kinds, clients, shares(kinds), think)


def test_paths_are_asked_by_their_shares_and_not_in_a_row():
    order = cycle([Kind("/a", share=6), Kind("/b", share=2)])
    assert (Counter(order), "/b" in order[:3], "/b" in order[3:]) == (Counter({"/a": 3, "/b": 1}), True, False)
    assert cycle([Kind("/a", share=9)]) == ["/a"]


@given(st.integers(1, 200), st.lists(st.floats(0.001, 1000), min_size=1, max_size=20))
def test_clients_are_divided_and_nobody_is_left_out(whole, weights):
    parts = allot(whole, weights)
    assert min(parts) >= 1
    assert sum(parts) == max(whole, len(weights))


def test_what_takes_longer_gets_more_clients_until_it_is_asked_as_often():
    kinds = [Kind("/", share=2), Kind("/", "POST", "{}", "application/json")]
    wanted = shares(kinds)
    get, post = wanted
    took = {get: 0.03, post: 0.002}
    weights: dict = dict(wanted)
    for _round in range(5):
        seen = {get: 0, post: 0}
        for stream in split(kinds, 64, weights, 0):
            group = (stream.method, stream.body, stream.content_type)
            seen[group] += int(stream.clients / took[group])
        weights = adjusted(weights, wanted, seen)
    assert off(wanted, seen) < 0.25
    assert off(wanted, {get: 20, post: 10}) == 0
    assert off(wanted, {get: 10, post: 20}) == pytest.approx(1.0)
    assert adjusted(weights, wanted, {}) == weights


def test_paths_of_one_method_are_one_process_after_the_other_each_beginning_elsewhere():
    streams = divided([Kind("/a"), Kind("/b", share=2)], 64, 0)
    assert [stream.paths[0] for stream in streams] == ["/b", "/a", "/b"]
    assert {tuple(sorted(stream.paths)) for stream in streams} == {("/a", "/b", "/b")}
    assert sum(stream.clients for stream in streams) == 64
    assert {stream.after for stream in streams} == {0.0}


def test_clients_that_pause_begin_one_after_the_other():
    streams = divided([Kind("/")], 64, 0.8)
    assert [round(stream.after, 3) for stream in streams] == [round(number * 0.05, 3) for number in range(16)]
    assert [stream.clients for stream in streams] == [4] * 16
    assert len(divided([Kind("/")], 3, 0.8)) == 3


def test_it_asks_as_a_client_through_the_proxy():
    (stream,) = divided([Kind("/items", "POST", '{"a": 1}', "application/json")], 8, 0)
    words = command(stream, TARGET, "/x/0", 2, 8)
    assert words[:2] == ["h2load", "--h1"]
    for word in (
        "--clients=8",
        "--duration=8000ms",
        "--warm-up-time=2000ms",
        "--base-uri=unix:/run/hello/green.sock",
        "--log-file=/x/0.log",
        "--input-file=/x/0.uris",
        "--data=/x/0.body",
        "--header=:method: POST",
        "--header=Content-Type: application/json",
        "--header=X-Forwarded-Proto: https",
        "--header=X-Forwarded-Host: app.example.org",
        "--header=X-Request-ID: graceful-tune",
        # The proxies keep no connection to the app, and one that is kept stays with one worker.
        "--header=Connection: close",
    ):
        assert word in words
    assert not [word for word in words if "Host:" in word and "Forwarded" not in word]
    assert uris(stream, TARGET.host) == "http://app.example.org/items\n"


def test_a_pause_is_a_rate_of_each_client_on_a_connection_that_stays():
    target = Target("localhost", "http", "/s", 0.25)
    words = command(divided([Kind("/")], 1, 0.25)[0], target, "/x/0", 1, 2)
    assert "--rps=4" in words
    assert not [word for word in words if "Connection" in word or "--data" in word]


# As 1.52 and 1.64 have written it; the last two are of a connection that was reset and a request under way.
LOG = """1796058782339999\t200\t10410
1796058782340390\t404\t448
1796058782340400\t-1\t99
1796058782340401\t0\t99
"""


def test_the_log_tells_status_and_seconds():
    assert read_log(LOG) == [(200, 0.01041), (404, 0.000448), (0, 0.000099)]
    assert read_log("") == read_log("nonsense\n1\t2\n1\t200\t\n") == []


@pytest.mark.parametrize(
    ("status", "fine"), [(200, True), (204, True), (307, True), (404, False), (503, False), (0, False)]
)
def test_errors_are_what_isnt_answered_well(status, fine):
    assert good(status) == fine
