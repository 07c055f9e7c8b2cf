"""In which order balancers and the app's hosts are changed, and what is said where that ends half-way."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[2] / "roles" / "fastapi"


def test_new_balancers_come_before_the_apps_hosts_and_others_after():
    tasks = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    new, deploy, known, ask = tasks[-4:]
    assert "not __fastapi_preflight.fleet.serves" in new["when"] and new["any_errors_fatal"] is True
    assert new["block"][0]["ansible.builtin.include_tasks"] == known["ansible.builtin.include_tasks"] == "balance.yml"
    assert "fleet" in deploy["ansible.builtin.include_tasks"] and deploy["when"] == "not _fastapi_balances"
    assert known["when"].endswith("and __fastapi_preflight.fleet.serves")
    assert ask["ansible.builtin.include_tasks"] == "ask.yml" and ask["when"] == "_fastapi_balances"


@pytest.mark.parametrize(("closed", "says"), [(True, "was, and answers lb1, lb2 alone since this run"), (False, "was")])
def test_a_host_that_was_closed_isnt_said_to_be_as_it_was_and_no_more(closed, says):
    text = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["_fastapi_has"]
    facts = {"_fastapi_moved": False, "__fastapi_stage": "begun", "fastapi_balancers": ["lb1", "lb2"]}
    facts |= {"__fastapi_back": {"skipped": True}, "__fastapi_left": {}, "__fastapi_closed": closed}
    assert Templar(DataLoader(), facts).template(trust_as_template(text)) == f"is as it {says}"


@pytest.mark.parametrize(
    ("behind", "part", "seconds"),
    [(True, ["web3"], 22), (True, ["web3", "lb1"], 0), (False, ["web3"], 0)],
    ids=["alone", "with a balancer", "no balancers"],
)
def test_a_host_that_goes_alone_leaves_its_balancers_first(behind, part, seconds):
    task = yaml.safe_load((ROLE / "tasks" / "absent.yml").read_text())[0]["graceful.deploy.absent"]
    facts = {"_fastapi_behind": behind, "fastapi_balancers": ["lb1", "lb2"], "ansible_play_hosts_all": part}
    facts["fastapi_health_interval"] = "10"
    assert Templar(DataLoader(), facts).template(trust_as_template(task["leave_for"])) == seconds
