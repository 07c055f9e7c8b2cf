# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._plan.timeouts import (
    OXMGR,
    PREFIX,
    RUNGS,
    PlanProblem,
    Refusal,
    Supervisor,
    Timeouts,
    climb,
    drain_timeout,
    swap_patience,
)
from hypothesis import given
from hypothesis import strategies as st

SECONDS = st.integers(1, 400)
TIMEOUTS = st.builds(
    Timeouts,
    timeout=SECONDS,
    graceful_timeout=SECONDS,
    lifespan_timeout=SECONDS,
    stop_timeout=SECONDS,
    proxy_timeout=st.none() | SECONDS,
)


def write_in(timeouts: Timeouts, problem: PlanProblem) -> Timeouts:
    return replace(timeouts, **{problem.variable.removeprefix(PREFIX): problem.passing_value})


def holds(values: dict[str, int]) -> bool:
    """The contract's ladder, written out once more."""
    drain = drain_timeout(values["graceful_timeout"], values["lifespan_timeout"])
    return (
        drain >= 1
        and drain + values["lifespan_timeout"] < values["graceful_timeout"]
        and values["graceful_timeout"] + 5 <= values["stop_timeout"]
        and values["timeout"] < values["proxy_timeout"]
        and swap_patience(values["stop_timeout"]) >= values["stop_timeout"]
    )


def test_the_defaults_hold():
    values, problems = climb(Timeouts())
    assert not problems
    assert (values["proxy_timeout"], swap_patience(values["stop_timeout"])) == (65, 55)
    assert drain_timeout(30, 5) == 24
    assert holds(values)


@pytest.mark.parametrize(
    ("timeouts", "names", "passing"),
    [
        (Timeouts(graceful_timeout=6), ("lifespan_timeout is 5", "graceful_timeout is 6"), 7),
        (Timeouts(graceful_timeout=50), ("graceful_timeout is 50", "stop_timeout is 45"), 55),
        (Timeouts(graceful_timeout=41), ("graceful_timeout is 41", "stop_timeout is 45"), 46),
        (Timeouts(proxy_timeout=60), ("timeout is 60", "proxy_timeout is 60"), 61),
    ],
)
def test_a_broken_rung_names_both_values_and_what_mends_it(timeouts, names, passing):
    problem = climb(timeouts)[1][0]
    for name in names:
        assert PREFIX + name in str(problem)
    assert problem.passing_value == passing
    assert str(problem).endswith(f"Write {problem.variable}: {passing} or more.")
    # What it would cost stands between the values and the proposal.
    assert len(str(problem).split(": ", 1)[1].split(". Write")[0]) > 40


def test_the_sentence_word_for_word():
    assert str(climb(Timeouts(graceful_timeout=50))[1][0]) == (
        "fastapi_graceful_timeout is 50 and fastapi_stop_timeout is 45: systemd would kill Gunicorn before it has "
        "drained, and cut the requests in flight. Write fastapi_stop_timeout: 55 or more."
    )


def test_all_broken_rungs_at_once_and_what_follows_from_mending_one():
    problems = climb(Timeouts(lifespan_timeout=40, proxy_timeout=1))[1]
    assert [(problem.variable, problem.passing_value) for problem in problems] == [
        ("fastapi_graceful_timeout", 42),
        ("fastapi_stop_timeout", 47),
        ("fastapi_proxy_timeout", 61),
    ]
    assert "fastapi_graceful_timeout would then be 42" in str(problems[1])


@given(TIMEOUTS)
def test_no_problem_exactly_where_the_ladder_holds(timeouts):
    values, problems = climb(timeouts)
    given_values = {**values, **{name: value for name, value in vars(timeouts).items() if value is not None}}
    assert (not problems) == holds(given_values)


@given(TIMEOUTS)
def test_every_proposal_applied_passes(timeouts):
    values, problems = climb(timeouts)
    for problem in problems:
        timeouts = write_in(timeouts, problem)
    again, left = climb(timeouts)
    assert not left
    assert holds(again)
    assert again == values


@given(TIMEOUTS)
def test_no_smaller_value_mends_a_rung(timeouts):
    problems = climb(timeouts)[1]
    for problem in problems:
        short = timeouts
        for other in problems:
            if other is problem:
                other = replace(other, passing_value=other.passing_value - 1)
            short = write_in(short, other)
        assert climb(short)[1]


@given(TIMEOUTS)
def test_what_isn_t_given_never_breaks_a_rung(timeouts):
    open_ended = replace(timeouts, proxy_timeout=None)
    assert not {problem.variable for problem in climb(open_ended)[1]} & {
        "fastapi_proxy_timeout",
    }


def test_rungs_are_ordered_so_that_a_mended_value_is_what_the_next_is_held_to():
    done: set[str] = set()
    for rung in RUNGS:
        assert rung.lower not in {later.upper for later in RUNGS} - done
        done.add(rung.upper)


def test_a_refusal_says_each_problem_on_a_line():
    problems = climb(Timeouts(graceful_timeout=50, proxy_timeout=60))[1]
    refusal = Refusal(problems)
    assert refusal.problems == problems
    assert str(refusal).splitlines() == [problem.sentence for problem in problems]


# Oxmgr: with our own oxfile its ladder is systemd's, and after SIGTERM it has an end of its own.

CAPPED = Supervisor(
    "Oxmgr",
    cap=15,
    signal=("SIGTERM", "SIGINT"),
    names={"stop_timeout": "stop_timeout_secs", "graceful_timeout": "--graceful-timeout", "stop_signal": "stop_signal"},
)


def test_oxmgr_is_named_where_it_would_kill():
    (problem,) = climb(Timeouts(graceful_timeout=50), OXMGR)[1]
    assert str(problem) == (
        "fastapi_graceful_timeout is 50 and fastapi_stop_timeout is 45: Oxmgr would kill Gunicorn before it has "
        "drained, and cut the requests in flight. Write fastapi_stop_timeout: 55 or more."
    )


@given(TIMEOUTS)
def test_our_own_oxfile_has_the_ladder_of_systemd(timeouts):
    values, problems = climb(timeouts, OXMGR)
    assert values == climb(timeouts)[0]
    assert [problem.passing_value for problem in problems] == [one.passing_value for one in climb(timeouts)[1]]


def test_no_stop_timeout_helps_after_sigterm():
    values, problems = climb(Timeouts(graceful_timeout=30, stop_timeout=45), CAPPED)
    (problem,) = problems
    assert (problem.variable, problem.value, problem.passing_value) == ("stop_signal", "SIGTERM", "SIGINT")
    assert str(problem) == (
        "--graceful-timeout is 30: after SIGTERM Oxmgr waits 15 s at most, whatever stop_timeout_secs says, and kills "
        'Gunicorn before it has drained, and the requests in flight with it. Write stop_signal = "SIGINT", at which '
        "Uvicorn's workers drain too, or --graceful-timeout 10 or less."
    )
    # With SIGINT all of it is waited.
    assert values["stop_timeout"] == 45


@pytest.mark.parametrize(
    ("graceful", "written", "passes", "waits"), [(10, 45, True, 15), (11, 45, False, 45), (10, 15, True, 15)]
)
def test_the_end_after_sigterm_is_what_counts(graceful, written, passes, waits):
    values, problems = climb(Timeouts(graceful_timeout=graceful, stop_timeout=written), CAPPED)
    assert (not problems) == passes
    assert values["stop_timeout"] == waits


def test_the_value_of_an_oxfile_is_fixed_in_its_own_words():
    short = replace(CAPPED, seconds={"stop_timeout": 5, "graceful_timeout": 8})
    (problem,) = climb(Timeouts(), short)[1]
    assert (problem.variable, problem.passing_value) == ("stop_timeout_secs", 13)
    assert "--graceful-timeout is 8 and stop_timeout_secs is 5" in str(problem)
    assert str(problem).endswith("Write stop_timeout_secs = 13 or more.")
    both = climb(Timeouts(), replace(short, seconds={"stop_timeout": 5, "graceful_timeout": 3}))[1]
    assert [str(one).rpartition("Write ")[2] for one in both] == [
        "--graceful-timeout 7 or more.",
        "stop_timeout_secs = 12 or more.",
    ]


@given(TIMEOUTS)
def test_every_proposal_applied_passes_under_oxmgr_too(timeouts):
    supervisor = replace(CAPPED, names={})
    values, problems = climb(timeouts, supervisor)
    for problem in problems:
        if problem.variable == "fastapi_stop_signal":
            supervisor = replace(supervisor, cap=None)
        else:
            timeouts = write_in(timeouts, problem)
    assert climb(timeouts, supervisor) == (values, [])
    assert supervisor.cap is None or values["graceful_timeout"] + 5 <= min(values["stop_timeout"], 15)
