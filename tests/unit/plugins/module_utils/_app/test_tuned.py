from __future__ import annotations

import json

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import tuned
from ansible_collections.graceful.deploy.plugins.module_utils._plan.capacity import Capacity
from ansible_collections.graceful.deploy.plugins.module_utils._plan.flow import plan_for

MIB = 1 << 20
NOTE = {"workers": 3, "at": "2026-11-30T17:20:00Z", "rate": 57.5, "p99": 18, "cpus": 2.0, "worker_memory": 80 * MIB}
HOST = Capacity(2, "affinity", 4096 * MIB, "MemTotal")


def test_a_note_is_read_and_nonsense_isnt(tmp_path):
    (tmp_path / tuned.NAME).write_text(json.dumps(NOTE))
    found = tuned.read(str(tmp_path))
    assert found == tuned.Tuned(3, "2026-11-30T17:20:00Z", 57.5, 18.0, 2.0, 80 * MIB)
    assert found.day == "2026-11-30"
    assert tuned.read(str(tmp_path / "nowhere")) is None
    for text in ("", "[]", "{}", json.dumps(NOTE)[:-5]):
        (tmp_path / tuned.NAME).write_text(text)
        assert tuned.read(str(tmp_path)) is None


@pytest.mark.parametrize(
    "changes", [{"workers": 0}, {"workers": "x"}, {"cpus": 0}, {"worker_memory": -1}, {"rate": None}]
)
def test_what_nobody_can_have_measured_is_no_note(changes):
    assert tuned.parse({**NOTE, **changes}) is None


def test_plans_choose_what_was_measured():
    plan = plan_for({}, HOST, tuned=tuned.parse(NOTE))
    assert (plan["workers"], plan["bound_by"], plan["worker_memory"]) == (3, "tuned", "100M")
    assert plan["explanation"].startswith(
        "3 workers, as tune.yml has measured on 2026-11-30; by rule it would be 2 for"
    )
    # What a worker has taken since, if it is more.
    assert plan_for({}, HOST, 200 * MIB, tuned=tuned.parse(NOTE))["worker_memory"] == "250M"


def test_a_number_that_somebody_wrote_stays():
    plan = plan_for({"workers": 1}, HOST, tuned=tuned.parse(NOTE))
    assert (plan["workers"], plan["bound_by"]) == (1, "workers")


def test_other_cpus_make_it_worthless():
    plan = plan_for({}, Capacity(4, "affinity", 4096 * MIB, "MemTotal"), tuned=tuned.parse(NOTE))
    assert (plan["workers"], plan["bound_by"]) == (4, "cpu")
    assert "with 2 CPU(s) where there are others now: run it again" in plan["explanation"]


def test_what_the_host_cant_carry_isnt_started():
    plan = plan_for({}, Capacity(2, "affinity", 512 * MIB, "MemTotal"), tuned=tuned.parse(NOTE))
    assert (plan["workers"], plan["bound_by"]) == (1, "memory")
