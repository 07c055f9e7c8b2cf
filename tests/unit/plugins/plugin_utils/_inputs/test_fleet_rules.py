"""Balancers in front of an app's hosts: what is refused, and who is where."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import check as inputs
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import fleet
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.specification import load_spec

ROLES = Path(__file__).resolve().parents[5] / "roles"
PLACES = {"web1": "192.0.2.1", "web2": "192.0.2.2", "lb1": "192.0.2.11", "lb2": "192.0.2.12"}


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("balancers", "lb1", "Write fastapi_balancers: [lb1]."),
        ("balancers", "lb1, lb2", "Write fastapi_balancers: [lb1, lb2]."),
        ("balancers", [5], "it has to be a list of hosts' names."),
        ("balancers", ["lb1", "lb1"], "lb1 is in it twice."),
        ("balancer_address", "192.0.2.10", "Write fastapi_balancer_address: 192.0.2.10/24."),
        ("balancer_address", "192.0.2.10/0", "Write fastapi_balancer_address: 192.0.2.10/24."),
        ("balancer_address", "192.0.2.10/24\n}", "with the prefix of its network"),
        ("balancer_address", "lb.example.com/24", "Write fastapi_balancer_address: 192.0.2.10/24."),
        ("address", "http://web1", "an address or a host name"),
        ("address", "web1:80", "an address or a host name"),
        ("address", "a b", "an address or a host name"),
    ],
)
def test_bad_values_say_what_to_write(variable: str, value: object, says: str) -> None:
    problem = inputs.RULES[variable](variable, value)
    assert problem and says in problem.sentence


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("balancers", []),
        ("balancers", ["lb1", "lb2.example.com"]),
        ("balancer_address", "192.0.2.10/24"),
        ("balancer_address", "2001:db8::10/64"),
        ("address", "web1.example.com"),
        ("address", "2001:db8::1"),
    ],
)
def test_good_values_pass(variable: str, value: object) -> None:
    assert inputs.RULES[variable](variable, value) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"proxy": "none"}, "fastapi_proxy is none"),
        ({"tls": "internal"}, "an authority of its own"),
        ({"balancers": ["lb1"], "balancer_address": "192.0.2.10/24"}, "fastapi_balancers has 1"),
        ({"balancers": [], "balancer_address": "192.0.2.10/24"}, "fastapi_balancers is empty"),
        ({"balancers": ["lb1", "lb2", "lb3"], "tls": "acme"}, "there are more than two"),
    ],
)
def test_what_doesnt_go_together_is_refused(changes: dict, says: str) -> None:
    values = {"balancers": ["lb1", "lb2"], "proxy": "caddy", "tls": "off", "balancer_address": ""} | changes
    (problem,) = fleet.check(values)
    assert says in problem.sentence
    assert fleet.check({**values, **dict.fromkeys(changes), "proxy": "caddy", "tls": "files"}) == []


def placed(me: str, variables: dict[str, dict] | None = None, apps: list[str] | None = None, **changes: object):
    given = variables or {}
    values = {"balancers": ["lb1", "lb2"], "http_port": 80, "balancer_address": "", "address": "", "webhook_host": ""}
    inventory = fleet.Inventory(
        me=me,
        known=[*PLACES],
        apps=apps or [*PLACES],
        variables=lambda host: given.get(host, {}),
        resolve=lambda name: PLACES.get(name, fleet.resolve(name) if name[0].isdigit() else ""),
    )
    return fleet.place(values | changes, inventory)


def test_an_apps_host_knows_its_balancers() -> None:
    found, problems = placed("web2", balancer_address="192.0.2.10/24")
    assert problems == []
    assert found["part"] == "app" and found["first"] == "web1"
    # Requests come from a balancer's own address, or from the one that it has for the moment.
    assert found["balancers"] == ["192.0.2.11", "192.0.2.12", "192.0.2.10"]


def test_a_balancer_knows_the_apps_hosts_and_the_other_balancer() -> None:
    found, problems = placed("lb2", {"web1": {"fastapi_http_port": 8080}, "web2": {"ansible_host": "2001:db8::2"}})
    assert problems == []
    assert [host["dial"] for host in found["hosts"]] == ["192.0.2.1:8080", "[2001:db8::2]:80"]
    assert [peer["name"] for peer in found["peers"]] == ["lb1"]
    assert (found["rank"], found["pushes"]) == (1, "192.0.2.1:8080")
    assert 1 <= found["router"] <= 255
    assert placed("lb1", webhook_host="web2")[0]["pushes"] == "192.0.2.2:80"


def test_the_port_of_the_play_counts_for_all_and_a_balancers_own_for_itself() -> None:
    assert placed("lb1", http_port=8080)[0]["hosts"][0]["dial"] == "192.0.2.1:8080"
    mine = {"lb1": {"fastapi_http_port": 8080}}
    assert placed("lb1", mine, http_port=8080)[0]["hosts"][0]["dial"] == "192.0.2.1:80"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"balancers": ["lb1", "lb9"]}, "lb9 in it isn't a host of the inventory"),
        ({"apps": ["lb1", "lb2"]}, "no host is left for the app"),
        ({"variables": {"web2": {"fastapi_address": "web2.invalid"}}}, "web2: web2.invalid has no address"),
        ({"variables": {"web2": {"ansible_host": "127.0.1.1"}}}, "each host would take that for itself"),
        ({"variables": {"web2": {"ansible_host": "192.0.2.11"}}}, "and so is lb1: the app's hosts and the balancers"),
        ({"balancer_address": "192.0.2.11/24"}, "that is lb1's own"),
        ({"balancer_address": "2001:db8::10/64"}, "of the other kind of address"),
    ],
)
def test_who_cant_be_found_is_refused(changes: dict, says: str) -> None:
    found, (problem, *more) = placed("web1", **changes)
    assert found == {} and more == []
    assert says in problem.sentence


def test_lists_that_differ_are_refused() -> None:
    listed = {"fastapi_balancers": ["lb1", "lb2"]}
    assert placed("web1", dict.fromkeys(PLACES, listed))[1] == []
    # lb2 would have been taken for one of the app's hosts.
    (problem,) = placed("web1", {name: listed for name in PLACES if name != "lb2"})[1]
    assert "lb2 has []" in problem.sentence and "group_vars/all" in problem.sentence


@pytest.mark.parametrize("role", ["caddy", "nginx"])
def test_all_that_a_site_reads_counts_on_a_balancer(role: str) -> None:
    """What isn't checked there would be read unchecked."""
    spec = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]
    read = {name.removeprefix("fastapi_") for name in spec["options"]} - {"found"}
    assert read <= fleet.FOR_BALANCING <= load_spec().keys()


def test_an_old_caddy_is_told_of() -> None:
    assert fleet.warnings("nginx", {"caddy": {}}) == fleet.warnings("caddy", {}) == []
    assert fleet.warnings("caddy", {"caddy": {"version": "2.11.7", "current": True}}) == []
    assert "Caddy 2.6.2" in fleet.warnings("caddy", {"caddy": {"version": "2.6.2", "current": False}})[0]
