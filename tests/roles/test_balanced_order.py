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
    new, deploy, last = tasks[-3:]
    assert "not __fastapi_preflight.fleet.serves" in new["when"] and new["any_errors_fatal"] is True
    known, ask = yaml.safe_load((ROLE / "tasks" / "last.yml").read_text())
    assert new["block"][0]["ansible.builtin.include_tasks"] == known["ansible.builtin.include_tasks"] == "balance.yml"
    assert "fleet" in deploy["ansible.builtin.include_tasks"] and deploy["when"] == "not _fastapi_balances"
    assert last["ansible.builtin.include_tasks"] == "last.yml" and last["when"] == "_fastapi_balances"
    assert known["when"] == "fastapi_found.fleet.serves"
    assert ask["ansible.builtin.import_tasks"] == "ask.yml" and "when" not in ask


@pytest.mark.parametrize(("closed", "says"), [(True, "was, and answers lb1, lb2 alone since this run"), (False, "was")])
def test_a_host_that_was_closed_isnt_said_to_be_as_it_was_and_no_more(closed, says):
    text = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["_fastapi_has"]
    facts = {"_fastapi_moved": False, "__fastapi_stage": "begun", "fastapi_balancers": ["lb1", "lb2"]}
    facts |= {"__fastapi_back": {"skipped": True}, "__fastapi_left": {}, "__fastapi_closed": closed}
    assert Templar(DataLoader(), facts).template(trust_as_template(text)) == f"is as it {says}"


@pytest.mark.parametrize(
    ("behind", "part", "said", "seconds"),
    [
        (True, ["web3"], {"web3": "absent", "lb1": "absent"}, 22),
        # One stays, as far as this run goes.
        (True, ["web3", "lb1"], {"web3": "absent", "lb1": "absent", "lb2": "absent"}, 22),
        (True, ["web3", "lb1", "lb2"], {"web3": "absent", "lb1": "absent", "lb2": "present"}, 22),
        (True, ["web3", "lb1", "lb2"], {"web3": "absent", "lb1": "absent", "lb2": "absent"}, 0),
        # The play says it for all.
        (True, ["web3", "lb1", "lb2"], {}, 0),
        # The host's own variables say it, and the balancers stay.
        (True, ["web3", "lb1"], {"web3": "absent"}, 22),
        (True, ["web3", "lb1"], {"web3": "absent", "lb1": "present"}, 22),
        (False, ["web3"], {"web3": "absent"}, 0),
    ],
    ids=["alone", "with a balancer", "not both", "with both", "all of a play", "its own", "not the balancer", "none"],
)
def test_a_host_that_goes_alone_leaves_its_balancers_first(behind, part, said, seconds):
    task = yaml.safe_load((ROLE / "tasks" / "absent.yml").read_text())[0]["graceful.deploy.absent"]
    known = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    hostvars = {host: {"fastapi_state": said[host]} if host in said else {} for host in ["web3", "lb1", "lb2"]}
    facts = {"_fastapi_behind": behind, "fastapi_balancers": ["lb1", "lb2"], "ansible_play_hosts_all": part}
    facts |= {"fastapi_health_interval": "10", "hostvars": hostvars, "inventory_hostname": "web3"}
    facts["_fastapi_all_go"] = trust_as_template(known["_fastapi_all_go"])
    assert Templar(DataLoader(), facts).template(trust_as_template(task["leave_for"])) == seconds


@pytest.mark.parametrize(("known", "first"), [(True, "web2"), (False, "web1")], ids=["of role fastapi", "alone"])
def test_what_is_done_once_is_done_on_a_host_that_keeps_the_app(known, first):
    """Else migrations and timers would be nobody's."""
    gunicorn = yaml.safe_load((ROLE.parent / "gunicorn" / "vars" / "main.yml").read_text())
    facts = {"ansible_play_hosts_all": ["lb1", "web1", "web2"], "fastapi_name": "shop", "inventory_hostname": "web2"}
    facts |= {"hostvars": {"lb1": {}, "web1": {"fastapi_state": "absent"}, "web2": {}}, "_gunicorn_balancers": ["lb1"]}
    facts["_gunicorn_without"] = trust_as_template(gunicorn["_gunicorn_without"])
    if known:
        text = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["_fastapi_gone"]
        facts["_fastapi_gone"] = trust_as_template(text)
    assert Templar(DataLoader(), facts).template(trust_as_template(gunicorn["_gunicorn_first"])) == first


@pytest.mark.parametrize(
    ("serves", "tls", "passing", "refused"),
    [
        (False, "acme", {"web1": True, "web2": False}, True),
        # It has its certificate, or gets none; or nobody comes to the hosts, or nobody knows.
        (True, "acme", {"web1": True, "web2": True}, False),
        (False, "files", {"web1": True, "web2": True}, False),
        (False, "acme", {"web1": False, "web2": False}, False),
        (False, "acme", {}, False),
    ],
)
def test_a_new_balancer_asks_for_no_certificate_while_the_name_leads_to_the_hosts(serves, tls, passing, refused):
    """It would get none, and the run would end before a host has its second door."""
    tasks = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    names = [task["name"] for task in tasks]
    task = next(task for task in tasks if "ansible.builtin.fail" in task)
    assert names.index(task["name"]) < names.index(
        "Have balancers that are new before any of the app's hosts is closed"
    )
    found = {host: {"__fastapi_preflight": {"fleet": {"passing": each}}} for host, each in passing.items()}
    hosts = [{"name": "web1"}, {"name": "web2"}]
    facts = {"hostvars": {"web1": {}, "web2": {}} | found, "_fastapi_balances": True, "_fastapi_tls": tls}
    facts |= {"__fastapi_preflight": {"fleet": {"serves": serves, "hosts": hosts}}, "inventory_hostname": "lb1"}
    facts["_fastapi_passing"] = trust_as_template(
        yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["_fastapi_passing"]
    )
    templar = Templar(DataLoader(), facts)
    assert all(templar.evaluate_conditional(trust_as_template(each)) for each in task["when"]) is refused
    if refused:
        said = templar.template(trust_as_template(task["ansible.builtin.fail"]["msg"]))
        assert "lb1 is a new balancer" in said and "and web1 serves clients until then" in said
