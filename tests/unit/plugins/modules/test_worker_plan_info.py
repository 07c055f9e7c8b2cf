# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._plan.capacity import Capacity, CapacityError
from ansible_collections.graceful.deploy.plugins.module_utils._plan.checks import HOST_MEMORY
from ansible_collections.graceful.deploy.plugins.module_utils._plan.flow import (
    ARGUMENT_SPEC,
    plan_for,
    plan_from_params,
    whole_number,
)
from ansible_collections.graceful.deploy.plugins.module_utils._plan.handmade import read_oxfile
from ansible_collections.graceful.deploy.plugins.module_utils._plan.sizes import parse_size
from ansible_collections.graceful.deploy.plugins.module_utils._plan.timeouts import (
    PREFIX,
    PlanProblem,
    Refusal,
    Timeouts,
    climb,
)
from ansible_collections.graceful.deploy.plugins.modules import worker_plan_info as worker_plan
from cgroup_trees import NAMES, lay_out
from hypothesis import example, given
from hypothesis import strategies as st

MIB = 1 << 20
HOST = Capacity(4, "affinity", 4096 * MIB, "MemTotal")

# What people write, good and bad, for each option.
# An alphabet of its own, for all of Unicode takes Hypothesis seconds in a fresh checkout, and fails its health check.
TEXT = st.text("0159KMGTkmb.-+_% \n\t'\"\x00é٤😀", max_size=6)
JUNK = st.sampled_from(("many", "", "yes", True, False, 2.5, [], "150MB", "-1", "1.5G", None)) | TEXT
NUMBER = st.integers(-5, 400) | st.integers(0, 90).map(str) | JUNK
SIZE = st.integers(1, 900).map(lambda n: f"{n}M") | st.integers(0, 2**33) | JUNK
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        name: SIZE
        if name in ("worker_memory", "memory_max")
        else st.sampled_from(spec["choices"]) | JUNK
        if "choices" in spec
        else NUMBER
        for name, spec in ARGUMENT_SPEC.items()
    },
)
CAPACITIES = st.builds(Capacity, st.integers(1, 64), st.just("affinity"), st.integers(0, 2**35), st.just("MemTotal"))


def problems_of(params, capacity=HOST) -> list[PlanProblem]:
    with pytest.raises(Refusal) as caught:
        plan_for(params, capacity)
    return caught.value.problems


def write_in(problem: PlanProblem, params: dict, capacity: Capacity) -> tuple[dict, Capacity]:
    if problem.variable == HOST_MEMORY:
        memory = parse_size(problem.passing_value)
        return params, Capacity(capacity.cpus, capacity.cpu_source, memory, capacity.memory_source)
    return {**params, problem.variable.removeprefix(PREFIX): problem.passing_value}, capacity


def test_the_defaults_make_a_plan_with_everything_that_the_roles_take():
    plan = plan_for({}, HOST)
    assert plan.pop("explanation").startswith("4 workers for 4 CPUs (affinity); memory would allow 24 of 150M each. ")
    assert plan.pop("strategy_reason").startswith("Releases take over by swap: ")
    assert plan == {
        "workers": 4,
        "caps": {"cpu": 4, "memory": 24, "database": None},
        "bound_by": "cpu",
        "strategy": "swap",
        "worker_memory": "150M",
        "worker_memory_bytes": 150 * MIB,
        # Half of what the host can give, for either slot.
        "memory_max": "1843M",
        "memory_max_bytes": 1843 * MIB,
        "memory_worst_case": "3686M",
        "memory_worst_case_bytes": 3686 * MIB,
        "memory_available_bytes": 4096 * MIB - 4096 * MIB // 10,
        "timeout": 60,
        "graceful_timeout": 30,
        "lifespan_timeout": 5,
        "drain_timeout": 24,
        "stop_timeout": 45,
        "proxy_timeout": 65,
        "swap_patience": 55,
        "capacity": {
            "cpus": 4,
            "cpu_source": "affinity",
            "memory": 4096 * MIB,
            "memory_source": "MemTotal",
            "own": None,
            "beside": [],
            "others": [],
        },
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_host_gets_a_plan(name, tmp_path):
    plan = plan_from_params({}, lay_out(name, tmp_path), lambda: 2)
    assert plan["workers"] in (1, 2)
    assert plan["explanation"].count(". ") == 1


def test_what_was_measured_counts_unless_a_value_is_written():
    assert plan_for({}, HOST, 700 * MIB)["worker_memory"] == "880M"
    assert plan_for({"worker_memory": "auto"}, HOST, 700 * MIB)["workers"] == 4
    assert plan_for({"worker_memory": "200M"}, HOST, 700 * MIB)["worker_memory"] == "200M"


def test_none_and_what_is_missing_are_the_defaults():
    assert plan_for(dict.fromkeys(ARGUMENT_SPEC), HOST) == plan_for({}, HOST)
    assert plan_for({"name": "shop", "env": {}}, HOST) == plan_for({}, HOST)


def test_numbers_may_be_text_as_on_the_command_line():
    asked = {"workers": "3", "timeout": "90", "worker_memory": 200 * MIB}
    plan = plan_for(asked, HOST)
    assert (plan["workers"], plan["proxy_timeout"], plan["caps"]["memory"]) == (3, 95, 18)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (4, 4),
        ("4", 4),
        ("-4", -4),
        (0, 0),
        (True, None),
        ("4.0", None),
        (4.0, None),
        ("", None),
        ("٤", None),
        ("4\n", None),
    ],
)
def test_whole_number(value, number):
    assert whole_number(value) == number


@pytest.mark.parametrize(
    ("params", "variable", "passing", "says"),
    [
        ({"workers": "many"}, "workers", "auto", "fastapi_workers is 'many': write auto, or a whole number, 1 or more"),
        ({"workers": True}, "workers", "auto", "fastapi_workers is True"),
        ({"workers": "2.5"}, "workers", "auto", "fastapi_workers is '2.5'"),
        ({"workers": 0}, "workers", 1, "fastapi_workers is 0"),
        ({"workers": "-2"}, "workers", 1, "fastapi_workers is -2"),
        ({"workload": "web"}, "workload", "io", "'web', and it can be one of: io, cpu, mixed"),
        ({"strategy": "rolling"}, "strategy", "auto", "one of: auto, swap, restart, reload"),
        ({"worker_memory": "300 MB"}, "worker_memory", "300M", "such as 300M"),
        ({"worker_memory": "lots"}, "worker_memory", "150M", "'lots' is not a size"),
        ({"memory_max": "half"}, "memory_max", "", "'half' is not a size"),
        ({"memory_max": "0"}, "memory_max", "", "above zero"),
        ({"memory_max": "200M"}, "memory_max", "214M", "one worker of fastapi_worker_memory 150M"),
        ({"timeout": "60s"}, "timeout", 60, "whole number of seconds, 1 or more"),
        ({"lifespan_timeout": 0}, "lifespan_timeout", 5, "whole number of seconds, 1 or more"),
        ({"proxy_timeout": -1}, "proxy_timeout", 0, "whole number of seconds, 0 or more"),
        ({"db_pool_size": -1}, "db_pool_size", 0, "whole number of connections, 0 or more"),
    ],
)
def test_values_that_can_t_be_read(params, variable, passing, says):
    (problem,) = problems_of(params)
    assert (problem.variable, problem.passing_value) == (PREFIX + variable, passing)
    assert says in str(problem)
    assert plan_for({**params, variable: passing}, HOST)["workers"] >= 1


def test_values_plan_and_ladder_are_refused_together():
    problems = problems_of({"workload": "web", "workers": 900, "graceful_timeout": 50, "proxy_timeout": 60})
    assert [problem.variable for problem in problems] == [
        "fastapi_workload",
        "fastapi_workers",
        "fastapi_stop_timeout",
        "fastapi_proxy_timeout",
    ]


@given(PARAMS, CAPACITIES)
@example({"workers": "many", "worker_memory": "150", "graceful_timeout": 99, "memory_max": "1M"}, HOST)
def test_every_proposal_applied_passes(params, capacity):
    try:
        plan_for(params, capacity)
        return
    except Refusal as refusal:
        problems = refusal.problems
    assert problems
    for problem in problems:
        assert "\n" not in str(problem)
        assert len(str(problem)) < 500
        params, capacity = write_in(problem, params, capacity)
    assert plan_for(params, capacity)["workers"] >= 1


@given(PARAMS, CAPACITIES)
def test_a_plan_passes_its_own_ladder_and_can_be_written_down(params, capacity):
    for _attempt in range(2):
        try:
            plan = plan_for(params, capacity)
            break
        except Refusal as refusal:
            for problem in refusal.problems:
                params, capacity = write_in(problem, params, capacity)
    assert (
        climb(
            Timeouts(
                timeout=plan["timeout"],
                graceful_timeout=plan["graceful_timeout"],
                lifespan_timeout=plan["lifespan_timeout"],
                stop_timeout=plan["stop_timeout"],
                proxy_timeout=plan["proxy_timeout"],
            )
        )[1]
        == []
    )
    assert plan["drain_timeout"] >= 1
    assert plan["swap_patience"] >= plan["stop_timeout"]
    for name in ("worker_memory", "memory_max", "memory_worst_case"):
        assert parse_size(plan[name]) == plan[name + "_bytes"]
    assert json.loads(json.dumps(plan)) == plan


# With a hand-made oxfile.

OXFILE = """
[[apps]]
name = "api"
command = "gunicorn app.main:app -k uvicorn_worker.UvicornWorker"
cwd = "/srv/api"
max_restarts = 4294967295
stop_signal = "SIGINT"
stop_timeout_secs = 40
"""
WORKER = """
[[apps]]
name = "worker"
command = "celery -A app worker"
max_restarts = 10
"""


def refused(text: str, params: dict | None = None, name: str = "") -> list[PlanProblem]:
    with pytest.raises(Refusal) as caught:
        plan_for(params or {}, HOST, oxfile=read_oxfile(text, name)[0])
    return caught.value.problems


def test_an_oxfile_that_fits_takes_the_place_of_the_stop_timeout():
    oxfile, advice = read_oxfile(OXFILE)
    assert advice == []
    plan = plan_for({"stop_timeout": 600}, HOST, oxfile=oxfile)
    assert (plan["graceful_timeout"], plan["stop_timeout"], plan["swap_patience"]) == (30, 40, 50)


@pytest.mark.parametrize("signal", ["SIGTERM", "TERM", None])
def test_after_sigterm_the_stop_timeout_is_15(signal):
    line = f'stop_signal = "{signal}"' if signal else ""
    text = OXFILE.replace('stop_signal = "SIGINT"', line)
    (problem,) = refused(text)
    assert (problem.variable, problem.passing_value) == ("stop_signal", "SIGINT")
    assert "fastapi_graceful_timeout is 30: after SIGTERM Oxmgr waits 15 s at most" in str(problem)
    plan = plan_for({"graceful_timeout": 10}, HOST, oxfile=read_oxfile(text)[0])
    assert (plan["stop_timeout"], plan["drain_timeout"]) == (15, 4)


def test_a_signal_that_oxmgr_doesn_t_know_is_sigterm_to_the_ladder():
    problems = refused(OXFILE.replace("SIGINT", "SIGSTOP"))
    assert [(problem.variable, problem.passing_value) for problem in problems] == [
        ("oxfile api.stop_signal", "SIGTERM"),
        ("stop_signal", "SIGINT"),
    ]


def test_what_is_unset_is_5_seconds_and_the_command_has_gunicorn_s():
    text = OXFILE.replace("stop_timeout_secs = 40", "").replace("UvicornWorker", "UvicornWorker --graceful-timeout=8")
    (problem,) = refused(text, {"graceful_timeout": 300})
    assert (problem.variable, problem.value, problem.passing_value) == ("stop_timeout_secs", 5, 13)
    assert "--graceful-timeout is 8 and stop_timeout_secs is 5" in str(problem)


def test_the_file_and_the_ladder_are_refused_together_and_values_aren_t_told():
    text = OXFILE.replace('stop_signal = "SIGINT"\nstop_timeout_secs = 40', 'stop_timeout = "45s"\nsecret = "k4n4ry"')
    problems = refused(text, {"workers": 0})
    assert [problem.variable for problem in problems] == [
        "oxfile api.stop_timeout",
        "oxfile api.secret",
        "fastapi_workers",
        "stop_signal",
    ]
    assert "k4n4ry" not in str([vars(problem) for problem in problems])


def test_which_app_of_several():
    oxfile, advice = read_oxfile(OXFILE + WORKER)
    assert plan_for({}, HOST, oxfile=oxfile)["stop_timeout"] == 40
    assert "worker is restarted 10 times in its life" in advice[0]
    problems = refused(OXFILE + WORKER, name="worker")
    assert [problem.variable for problem in problems] == ["stop_signal", "stop_timeout_secs"]
    (problem,) = refused(OXFILE + OXFILE.replace('"api"', '"other"'))
    assert str(problem) == "oxfile_app is not given: the oxfile has several apps. Write one of api, other."
    (problem,) = refused(OXFILE, name="web")
    assert (str(problem), problem.passing_value) == (
        "oxfile_app is web: no app of the oxfile is called web. Write one of api.",
        "api",
    )


def test_the_file_of_the_guide_has_nothing_to_say_of():
    guide = (Path(__file__).resolve().parents[4] / "docs" / "oxmgr.md").read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    oxfile, advice = read_oxfile(text)
    assert advice == []
    assert plan_for({}, HOST, oxfile=oxfile)["stop_timeout"] == 45


def test_what_is_no_oxfile_is_said_once():
    (problem,) = refused("[[apps]")
    assert (problem.variable, problem.passing_value) == ("oxfile", None)


# The module itself.


def test_documentation_has_the_options_of_the_argument_spec():
    options = yaml.safe_load(worker_plan.DOCUMENTATION)["options"]
    documented = {
        name: {key: option[key] for key in ("type", "choices", "default") if key in option}
        for name, option in options.items()
    }
    takes = {name: {**spec} for name, spec in worker_plan.ARGUMENTS.items()}
    assert takes["oxfile"].pop("no_log")
    assert documented == takes


def test_documentation_has_what_is_returned():
    returned = yaml.safe_load(worker_plan.RETURN)
    plan = plan_for({}, HOST)
    capacity = plan.pop("capacity")
    assert set(returned["plan"]["contains"]) == set(plan)
    assert set(returned["plan"]["contains"]["caps"]["contains"]) == set(plan["caps"])
    assert set(returned["capacity"]["contains"]) == set(capacity)
    problem = problems_of({"workers": 0})[0]
    assert set(returned["problems"]["contains"]) == set(vars(problem))


def test_examples_pass():
    for task in yaml.safe_load(worker_plan.EXAMPLES):
        if "graceful.deploy.worker_plan_info" in task:
            assert plan_for(task["graceful.deploy.worker_plan_info"], HOST)["workers"]


def run_module(arguments: dict, check: bool = False) -> tuple[int, dict]:
    """Runs the file as Ansible would, arguments on standard input."""
    profile = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check}}
    collections = str(Path(__file__).resolve().parents[4] / ".collections")
    code = (
        "from ansible.module_utils.testing import patch_module_args\n"
        "import json, sys\n"
        "from ansible_collections.graceful.deploy.plugins.modules import worker_plan_info as worker_plan\n"
        "with patch_module_args(json.load(sys.stdin)['ANSIBLE_MODULE_ARGS']):\n"
        "    worker_plan.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(profile),
        env={**os.environ, "PYTHONPATH": collections},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("check", [False, True])
def test_the_module_says_its_plan(check):
    code, result = run_module({}, check)
    assert code == 0
    assert result["changed"] is False
    assert result["msg"] == result["plan"]["explanation"]
    assert result["capacity"]["cpus"] > 0


def test_the_module_refuses_with_every_problem():
    code, result = run_module({"workers": "many", "graceful_timeout": 50})
    assert code == 1
    assert result["failed"] is True
    assert [problem["variable"] for problem in result["problems"]] == ["fastapi_workers", "fastapi_stop_timeout"]
    assert result["msg"].splitlines() == [problem["sentence"] for problem in result["problems"]]


def test_the_module_reads_an_oxfile_and_warns_of_what_is_worth_knowing():
    code, result = run_module({"supervisor": "oxmgr", "oxfile": OXFILE + WORKER})
    assert code == 0
    assert result["plan"]["stop_timeout"] == 40
    assert "worker is restarted 10 times" in result["advice"][0]
    # What a warning is made of differs by ansible-core.
    assert result["advice"][0] in json.dumps(result["warnings"])
    code, result = run_module({"supervisor": "oxmgr", "oxfile": OXFILE.replace("SIGINT", "SIGTERM")})
    assert (code, result["problems"][0]["passing_value"]) == (1, "SIGINT")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"oxfile": OXFILE}, "Write supervisor: oxmgr."),
        ({"oxfile_app": "api", "supervisor": "oxmgr"}, "missing parameter(s) required by 'oxfile_app': oxfile"),
    ],
)
def test_an_oxfile_without_oxmgr_and_the_other_way_round(arguments, says):
    code, result = run_module(arguments)
    assert code == 1
    assert says in result["msg"]


def test_a_host_that_is_no_linux_is_refused(tmp_path):
    with pytest.raises(CapacityError, match="Linux"):
        plan_from_params({}, str(tmp_path), lambda: 2)
