"""fastapi_processes and fastapi_timers: what is refused, in which words, and what of them the host is told."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._app.problems import HIDDEN, Problem
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import check as inputs
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import processes
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.specification import load_spec
from hypothesis import example, given
from hypothesis import strategies as st

CANARY = "k4n4ry"
WORKER = {"command": "celery -A app.tasks worker --concurrency 2"}
CLEANUP = {"command": "python -m app.cleanup", "schedule": "*-*-* 03:30"}


def worker(**keys: object) -> Problem | None:
    return processes.entries("processes", {"worker": {**WORKER, **keys}})


def cleanup(**keys: object) -> Problem | None:
    return processes.entries("timers", {"cleanup": {**CLEANUP, **keys}})


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"instances": 1, "stop_timeout": "300", "stop_signal": "SIGINT", "memory_max": "400M", "hosts": "first"},
        {
            "instances": 64,
            "stop_timeout": 86400,
            "memory_max": 1 << 28,
            "hosts": "all",
            "writable_paths": ["/var/lib/a"],
        },
        {"env": {"A": CANARY, "B": 5, "C": True}, "writable_paths": []},
        {"command": "arq app.worker.Settings --name \"$NAME (a; b)\" 'x|y' a\\;b x#y"},
        {"command": "sh -c 'a && exec b'"},
        {"command": 'rq worker "$(hostname)"'},
        {"command": "celery --opt=1 A=2"},
    ],
)
def test_a_good_process_passes(keys: dict[str, object]) -> None:
    assert worker(**keys) is None


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"schedule": "*/5 * * * *", "timeout": 90, "hosts": "all"},
        {"schedule": "@daily", "timeout": "7d", "hosts": "first"},
        {"command": "cd data && A=1 python -m app.cleanup | tee log; echo 'done'", "timeout": "1s"},
    ],
)
def test_a_good_timer_passes(keys: dict[str, object]) -> None:
    assert cleanup(**keys) is None


COMMANDS = [
    (None, "text, and not empty"),
    ("  ", "text, and not empty"),
    (["celery"], "text, and not empty"),
    ("celery worker\n", "on one line, without tabs. Put it on one line, behind >- where"),
    ("celery\tworker", "on one line"),
    ("celery 'worker", "a quote in it doesn't close"),
    ('celery "worker', "a quote in it doesn't close"),
    ("celery worker\\", "a backslash ends it"),
]


@pytest.mark.parametrize(("command", "part"), COMMANDS)
def test_a_command_that_no_shell_could_read_is_refused(command: object, part: str) -> None:
    for problem in (worker(command=command), cleanup(command=command)):
        assert problem is not None and problem.wrong.startswith("command of ") and part in problem.sentence


@pytest.mark.parametrize("char", ";&|<>()`#")
def test_more_than_one_program_is_refused_in_a_process(char: str) -> None:
    problem = worker(command=f"celery '{char}' {char}{CANARY}")
    assert problem is not None
    assert f"it has '{char}' outside of quotes" in problem.wrong and "a script that ends with exec" in problem.advice
    assert CANARY not in problem.sentence


def test_what_stands_where_the_program_has_to_be_is_refused() -> None:
    problem = worker(command=f"TOKEN={CANARY} celery worker")
    assert problem is not None and "begins with TOKEN=" in problem.wrong and "env: {TOKEN: '...'}" in problem.advice
    assert CANARY not in problem.sentence
    problem = worker(command="exec celery worker")
    assert problem is not None and problem.advice == "Leave exec out."


def test_a_comma_of_a_command_s_is_not_yaml_s() -> None:
    """`{command: celery worker -Q late,early, stop_timeout: 90}`: YAML ends the command at the first comma."""
    problem = worker(command="celery worker -Q late", early=None)
    assert problem is not None and problem.advice.endswith("put the command in quotes; else take it out.")


BAD = [
    ("instances", 0, "instances of worker is 0:", "Write instances: 1. To run none, take it out."),
    ("instances", "auto", "Written, 1 means that there are never two", "Write instances: 1."),
    ("instances", 65, "from 1 to 64", "Write instances: 64."),
    ("instances", True, "is true", "Write instances: 1."),
    ("stop_timeout", "5m", "a whole number of seconds, from 1 to 86400", "Write stop_timeout: 300."),
    ("stop_timeout", 0, "is 0", "Write stop_timeout: 1."),
    ("stop_timeout", 90000, "is 90000", "Write stop_timeout: 86400."),
    ("stop_signal", "TERM", "one of SIGTERM, SIGINT", "Write stop_signal: SIGTERM."),
    ("stop_signal", "sigquit", "is 'sigquit'", "Write stop_signal: SIGQUIT."),
    ("stop_signal", "SIGKILL", "one of", "Write stop_signal: SIG"),
    ("memory_max", "400MB", "it has to be a size", "Write memory_max: 400M."),
    ("memory_max", 0, "above zero", "Write memory_max: 100M."),
    ("writable_paths", "/var/lib/a", "it has to be a list", "Write writable_paths: [/var/lib/hello]."),
    ("writable_paths", ["/etc"], "/etc is the system's", "/etc/hello"),
    ("hosts", "web1", "one of all, first", "Write hosts: all."),
    ("hosts", ["all"], 'is ["all"]', "Write hosts: all."),
    ("env", f"A={CANARY}", "env of worker: it has to be a dictionary", "`NAME: value`"),
    ("env", {"A B": CANARY}, "env of worker: A B in it:", "Name it A_B."),
    ("env", {"A": f"{CANARY}\n"}, "A in it: its value holds a newline", "base64"),
    ("env", {"FASTAPI_PROCESS": CANARY}, "FASTAPI_PROCESS in it: it says which process", "another name"),
    ("env", {"LISTEN_FDS": CANARY}, "LISTEN_FDS in it", "Take it out."),
]


@pytest.mark.parametrize(("key", "value", "wrong", "advice"), BAD)
def test_a_bad_key_of_a_process_is_refused(key: str, value: object, wrong: str, advice: str) -> None:
    problem = worker(**{key: value})
    assert problem is not None and problem.value is HIDDEN
    assert problem.sentence.startswith(f"fastapi_processes: {key} of worker")
    assert wrong in problem.wrong and advice in problem.advice
    assert CANARY not in problem.sentence


TIMERS = [
    ("schedule", "60 * * * *", "is '60 * * * *': cron's minutes go from 0 to 59", "Write 0 to 59"),
    ("schedule", "0 3 L * *", "systemd has ~", "Write schedule: '*-*~01 03:00'."),
    ("schedule", 750, "is 750: it has to be text", "in quotes"),
    ("timeout", "1 hour", "from 1s to 7d", "Write timeout: 1h."),
    ("timeout", "15 minutes", "is '15 minutes'", "Write timeout: 15min."),
    ("timeout", "8d", "is '8d'", "Write timeout: 7d."),
    ("timeout", 0, "is 0", "Write timeout: 1h."),
    ("timeout", None, "is null", "Write timeout: 1h."),
    ("hosts", "one", "one of first, all", "Write hosts: first."),
]


@pytest.mark.parametrize(("key", "value", "wrong", "advice"), TIMERS)
def test_a_bad_key_of_a_timer_is_refused(key: str, value: object, wrong: str, advice: str) -> None:
    problem = cleanup(**{key: value})
    assert problem is not None and problem.sentence.startswith(f"fastapi_timers: {key} of cleanup")
    assert wrong in problem.wrong and advice in problem.advice


SHAPES = [
    ("processes", ["worker"], "a mapping of names", "{worker: {command: celery -A app.tasks worker}}."),
    ("processes", {"worker": f"celery {CANARY}"}, "worker has to be a mapping with command", "Write worker: {command:"),
    ("timers", {"x": None}, "x has to be a mapping with command and schedule", "Write x: {command:"),
    ("processes", {"worker": {}}, "worker has no command.", "Write worker: {command:"),
    ("timers", {"x": {"command": "a"}}, "x has no schedule.", "schedule: '*-*-* 03:30'}"),
    ("timers", {"x": {}}, "x has no command and no schedule.", "Write x:"),
    ("processes", {"a": {**WORKER, "stop-timeout": 5}}, "a has 'stop-timeout'", "Write stop_timeout for it."),
    ("processes", {"a": {**WORKER, "instanses": 5}}, "there are only command, instances", "Write instances for it."),
    ("processes", {"a": {"cmd": CANARY}}, "a has 'cmd'", "Write command for it."),
    ("processes", {"a": {**WORKER, "environment": {"A": CANARY}}}, "a has 'environment'", "Write env for it."),
    ("processes", {"a": {**WORKER, "replicas": 2}}, "a has 'replicas'", "Write instances for it."),
    ("processes", {"a": {**WORKER, "schedule": "@daily"}}, "a has 'schedule'", "that is for fastapi_timers."),
    ("timers", {"a": {**CLEANUP, "cron": "@daily"}}, "a has 'cron'", "Take it out."),
    ("timers", {"a": {"command": "x", "cron": "@daily"}}, "a has 'cron'", "Write schedule for it."),
    ("timers", {"a": {**CLEANUP, "env": {"A": CANARY}}}, "a has 'env'", "that is for fastapi_processes."),
    ("processes", {"a": {**WORKER, 5: 5}}, "a has 5", "Take it out."),
    ("processes", {"Worker": WORKER}, "'Worker' becomes part of a unit's name", "Name it worker."),
    ("processes", {"my worker": WORKER}, "'my worker'", "Name it my-worker."),
    ("processes", {"a.b": WORKER}, "1 to 31 lower-case letters", "Name it a-b."),
    ("processes", {"a" * 32: WORKER}, "1 to 31", f"Name it {'a' * 31}."),
    ("timers", {True: CLEANUP}, "true becomes part", "Name it cleanup."),
    ("processes", {"web": WORKER}, "web is what status and logs call", "Name it web-worker."),
    ("processes", {"blue": WORKER}, "blue", "Name it blue-worker."),
    ("timers", {"green": CLEANUP}, "green", "Name it green-cleanup."),
]


@pytest.mark.parametrize(("variable", "value", "wrong", "advice"), SHAPES)
def test_bad_names_and_shapes_are_refused(variable: str, value: object, wrong: str, advice: str) -> None:
    problem = processes.entries(variable, value)
    assert problem is not None and problem.value is HIDDEN
    assert wrong in problem.wrong and advice in problem.advice
    assert problem.wrong.endswith(".") and problem.advice.endswith(".")
    assert CANARY not in problem.sentence


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("aZ09*/- ;'\"\\\n=smhd", max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "env", 1]), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("variable", "key"), [(variable, key) for variable in processes.KEYS for key in processes.KEYS[variable]]
)
@given(value=anything | st.text("aZ09*/- ;'\"\\\n=smhdLW#?", max_size=9))
@example("a b")
@example("0 3 15W * *")
@example("400 mb")
@example("9 weeks")
def test_a_proposed_value_of_a_key_passes(variable: str, key: str, value: object) -> None:
    entry = {**(WORKER if variable == "processes" else CLEANUP), key: value}
    problem = processes.entries(variable, {"a": entry})
    if problem is None:
        return
    assert "\n" not in problem.sentence and problem.sentence.endswith(".")
    # A path's shortest form is proposed for the entry, not for the list.
    written = re.fullmatch(rf"Write {key}: (?:('[^']*').*|(.*?))\.(?: To run none, take it out\.)?", problem.advice)
    if written and "shortest form" not in problem.wrong:
        assert (
            processes.entries(variable, {"a": entry | yaml.safe_load(f"{{{key}: {written[1] or written[2]}}}")}) is None
        ), problem


def test_one_name_for_both_is_refused() -> None:
    spec = load_spec()
    values = {name: option["default"] for name, option in spec.items() if "default" in option}
    values |= {
        "name": "shop",
        "source": "/src",
        "root": "/srv/shop",
        "group": "deploy",
        "tls": "off",
        "proxy_timeout": 65,
    }
    values |= {"max_requests_jitter": 0, "processes": {"a": WORKER, "b": WORKER}, "timers": {"b": CLEANUP}}
    ((variable, sentence),) = inputs.check(values, spec)
    assert variable == "timers"
    assert sentence.startswith("fastapi_timers: b is in fastapi_processes as well") and "such as b-timer." in sentence
    ((variable, sentence),) = inputs.check(values | {"processes": {"b": {}}}, spec)
    assert variable == "processes" and "b has no command" in sentence


@pytest.mark.parametrize(
    ("name", "meant"),
    [("celery", "processes"), ("background_workers", "processes"), ("process", "processes"), ("cron", "timers")],
)
def test_what_others_call_them_leads_here(name: str, meant: str) -> None:
    ((_name, sentence),) = inputs.check_names([f"fastapi_{name}"], load_spec())
    assert f"Write fastapi_{meant} instead." in sentence


BOTH = {
    "name": "shop",
    "processes": {
        "worker": {**WORKER, "env": {"A": CANARY}, "writable_paths": ["/var/lib/a"]},
        "beat": {**WORKER, "hosts": "first"},
    },
    "timers": {"cleanup": {**CLEANUP, "schedule": "0 3 1 * mon"}, "each": {**CLEANUP, "hosts": "all"}},
}


def test_what_is_on_the_first_host_alone_is_refused_where_that_is_left_out() -> None:
    assert processes.left_out(BOTH, "web1", ["web1", "web2"]) == []
    beat, timer = processes.left_out(BOTH, "web1", ["web2"])
    assert beat.sentence.startswith("fastapi_processes: beat runs on web1 alone, the first host of shop, and --limit")
    assert timer.sentence == (
        "fastapi_timers: cleanup runs on web1 alone, the first host of shop, and --limit leaves that out: it would "
        "stay on the old release. Take web1 into --limit, or run without --limit."
    )
    assert processes.left_out({"name": "shop", "processes": {}, "timers": {}}, "web1", ["web2"]) == []


def test_the_host_is_told_what_it_has_and_no_secret() -> None:
    first = processes.for_host(BOTH, first=True)
    assert first == {
        "processes": {"worker": ["/var/lib/a"], "beat": []},
        "timers": {"cleanup": ["*-*-01 03:00:00", "Mon *-*-* 03:00:00"], "each": ["*-*-* 03:30"]},
    }
    other = processes.for_host(BOTH, first=False)
    assert (set(other["processes"]), set(other["timers"])) == ({"worker"}, {"each"})
    assert CANARY not in str(first) and "celery" not in str(first)
