"""fastapi_canary on the control node: what it may be, and what it can't be had with."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._swap.compare import Limits
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.canary import BOUNDS, check, entry, forgotten

GOOD = {"share": "10%", "seconds": 120}


@pytest.mark.parametrize(
    "value",
    [
        {},
        GOOD,
        {"share": 10, "seconds": "120"},
        {"share": "50 %", "seconds": 3600},
        {**GOOD, "errors": 0.5, "slower": 0, "requests": 1000},
    ],
)
def test_what_is_taken(value):
    assert entry("canary", value) is None
    if value:
        assert 1 <= Limits.of(value).share <= 50


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("10%", "a mapping"),
        (True, "a mapping"),
        ({"share": "10%"}, "no seconds"),
        ({"seconds": 60}, "no share"),
        ({**GOOD, "share": "60%"}, "1% to 50%"),
        ({**GOOD, "share": "0%"}, "1% to 50%"),
        ({**GOOD, "share": 0.1}, "1% to 50%"),
        ({**GOOD, "share": "10%;\n"}, "1% to 50%"),
        ({**GOOD, "share": "١٠"}, "1% to 50%"),
        ({**GOOD, "seconds": 0}, "from 1 to 3600"),
        ({**GOOD, "seconds": "2m"}, "from 1 to 3600"),
        ({**GOOD, "seconds": 1.5}, "whole number"),
        ({**GOOD, "requests": 5}, "from 20"),
        ({**GOOD, "errors": -1}, "from 0 to 100"),
        ({**GOOD, "errors": True}, "from 0 to 100"),
        ({**GOOD, "slower": "twice"}, "percent"),
        ({**GOOD, "secs": 5}, "'secs' in it is unknown"),
        ({**GOOD, 5: 5}, "unknown"),
    ],
)
def test_what_is_refused_and_what_to_write(value, word):
    problem = entry("canary", value)
    assert problem and word in problem.sentence, problem
    assert "Write " in problem.sentence or "Take it out" in problem.sentence


def test_what_it_cannot_be_had_with():
    assert check({}) == check({"canary": {}, "proxy": "none"}) == check({"canary": GOOD, "proxy": "nginx"}) == []
    for values, word in (
        ({"proxy": "none"}, "proxy"),
        ({"strategy": "restart"}, "one slot"),
        ({"strategy": "reload"}, "one slot"),
    ):
        (problem,) = check({"canary": GOOD, **values})
        assert word in problem.sentence and "Write " in problem.advice


def test_the_bounds_are_of_what_there_is():
    assert {"share", *BOUNDS} == {*Limits.__dataclass_fields__}


ALIVE = "-C -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=30"


@pytest.mark.parametrize(
    ("canary", "options", "told"),
    [
        ({"share": 10, "seconds": "900"}, ["-C -o ControlPersist=60s", "", None], True),
        ({"share": 10, "seconds": 241}, [], True),
        ({"share": 10, "seconds": 240}, [], False),
        ({"share": 10, "seconds": 900}, ["", ALIVE], False),
        ({"share": 10, "seconds": 900}, ["-oserveraliveinterval=9"], False),
        ({}, [], False),
    ],
)
def test_a_canary_that_may_outlast_its_connection_is_warned_of(canary, options, told):
    said = forgotten(canary, options)
    assert bool(said) is told
    assert not said or (f"takes {canary['seconds']} s" in said and ALIVE in said)


@pytest.mark.parametrize("path", ["ansible.cfg", "examples/ci/play", "plugins/plugin_utils/_push/ship.py"])
def test_all_connections_that_are_ours_to_set_are_kept_alive(path):
    text = (Path(__file__).parents[5] / path).read_text()
    assert "ServerAliveInterval=30" in text and "ControlMaster=auto -o ControlPersist=60s" in text
