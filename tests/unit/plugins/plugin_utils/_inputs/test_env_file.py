"""The environment file, against a second reading of systemd's grammar; tests/systemd/ asks the real one."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import env_file
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.env_file import problems, render
from hypothesis import given
from hypothesis import strategies as st

CANARY = "k4n4ry"


def read_back(text: str) -> dict[str, str]:
    """Double-quoted assignments, one a line, as parse_env_file_internal() of systemd reads them."""
    found = {}
    for line in text.split("\n")[:-1]:
        name, _equals, rest = line.partition("=")
        assert rest[0] == '"' and len(rest) > 1
        value, position = "", 1
        while rest[position] != '"':
            if rest[position] == "\\":
                position += 1
                if rest[position] not in '"\\`$':
                    value += "\\"
            value += rest[position]
            position += 1
        assert position == len(rest) - 1, "something follows the closing quote"
        found[name] = value
    return found


# Lists of characters: as the alphabet of text() the loud ones would be merged with the thousands of quiet ones.
_characters = st.one_of(st.sampled_from("\"'\\`$%# \t"), st.characters(exclude_categories=["Cs"]))
good_values = st.lists(_characters, max_size=20).map("".join).filter(lambda value: not problems({"X": value}))
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(lambda name: name not in env_file.RESERVED)


@given(st.dictionaries(names, good_values, max_size=8))
def test_every_value_is_read_back_exactly(env: dict[str, str]) -> None:
    assert read_back(render(env)) == env


@given(st.dictionaries(names, good_values, min_size=2, max_size=5))
def test_the_order_of_the_dictionary_does_not_matter(env: dict[str, str]) -> None:
    assert render(env) == render(dict(reversed(env.items())))


@given(st.text(), st.text())
def test_what_is_rendered_has_one_line_a_variable(name: str, value: str) -> None:
    if not problems({name: value}):
        assert render({name: value}).count("\n") == 1


@pytest.mark.parametrize(
    "value", ["\\", '\\"', "\\\\", "a\\", '"', "'", "`id`", "$HOME", "\\$", " a ", "# a", "a;b", "%h", "🦀"]
)
def test_hard_values_are_read_back_exactly(value: str) -> None:
    assert read_back(render({"A": value, "B": "b"})) == {"A": value, "B": "b"}


def test_an_empty_environment_is_an_empty_file() -> None:
    assert render({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (5, "5"), (1.5, "1.5"), (-1, "-1"), ("", ""), ("007", "007"), ("yes", "yes")],
)
def test_scalars_become_text(value: object, text: str) -> None:
    assert read_back(render({"X": value})) == {"X": text}


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "no value"),
        ({"a": CANARY}, "a dictionary"),
        ([CANARY], "a list"),
        (datetime.date(2024, 1, 1), "read as a date"),
        (CANARY.encode(), "binary"),
        (f"{CANARY}\n", "a newline"),
        (f"a\r{CANARY}", "a carriage return"),
        (f"a\0{CANARY}", "a NUL"),
        (f"\x1b[0m{CANARY}", "U+001B"),
        (f"{CANARY}\x7f", "U+007F"),
        (f"{CANARY}\ud800", "U+D800"),
        (f"{CANARY}\ufdd0", "U+FDD0"),
        (f"{CANARY}\U0001ffff", "U+1FFFF"),
        (CANARY * 22000, "131072"),
    ],
)
def test_a_value_that_would_not_arrive_is_refused_without_showing_it(value: object, part: str) -> None:
    (problem,) = problems({"DATABASE_URL": value})
    assert problem.name == "DATABASE_URL"
    assert part in problem.wrong
    assert problem.write
    with pytest.raises(ValueError, match="DATABASE_URL") as caught:
        render({"DATABASE_URL": value})
    assert CANARY not in f"{problem}{caught.value}"


@pytest.mark.parametrize("name", ["", "1ST", "A-B", "A B", "A.B", "ÄÖ", "A\n", "A\0", 5, True, None, f"A={CANARY}"])
def test_a_bad_name_is_refused(name: object) -> None:
    (problem,) = problems({name: CANARY})
    assert "letters, digits and underscores" in problem.wrong
    assert CANARY not in str(problem)
    fitting = problem.write.removeprefix("Name it ").removesuffix(".")
    assert env_file.NAME.fullmatch(fitting)


@pytest.mark.parametrize("name", sorted(env_file.RESERVED))
def test_a_name_that_would_override_the_plan_is_refused_with_what_to_do(name: str) -> None:
    (problem,) = problems({name: CANARY})
    assert problem.name == name
    assert problem.wrong.endswith(".") and problem.write.endswith(".")
    assert CANARY not in str(problem)


def test_what_systemd_sets_for_a_service_is_refused() -> None:
    """Those of systemd.exec(5) that a service of ours has: EnvironmentFile= would win over them."""
    names = "CREDENTIALS_DIRECTORY INVOCATION_ID JOURNAL_STREAM LISTEN_FDS LISTEN_FDNAMES LISTEN_PID LOG_NAMESPACE"
    names += " MAINPID MANAGERPID MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE NOTIFY_SOCKET SYSTEMD_EXEC_PID"
    names += " WATCHDOG_PID WATCHDOG_USEC FDSTORE"
    assert [problem.name for problem in problems(dict.fromkeys(names.split(), "x"))] == names.split()


def test_all_problems_are_told_at_once() -> None:
    found = problems({"A": "good", "B": None, "C-D": 1, "PYTHONHOME": "/x", "E": "a\nb"})
    assert [problem.name for problem in found] == ["B", "C-D", "PYTHONHOME", "E"]


def test_the_whole_has_a_limit() -> None:
    env = {f"V{number}": "x" * 100_000 for number in range(10)}
    assert problems(env) == []
    (problem,) = problems({**env, "ONE_MORE": "x" * 60_000})
    assert problem.name == ""
    assert str(env_file.MAX_TOTAL) in problem.wrong


def test_one_variable_may_be_as_long_as_linux_takes_it() -> None:
    longest = "x" * (env_file.MAX_ASSIGNMENT - len("X=") - 1)
    assert problems({"X": longest}) == []
    assert problems({"X": longest + "x"}) != []


@pytest.mark.parametrize("env", [None, [], "A=b", 5])
def test_only_a_dictionary_is_an_environment(env: object) -> None:
    (problem,) = problems(env)
    assert "dictionary" in problem.wrong
