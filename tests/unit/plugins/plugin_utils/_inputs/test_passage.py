"""The way of a live app's hosts behind balancers, and back: nobody is turned away before they come the other way."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import fleet, passage

KNOWN = {"names": ["lb1"], "balancers": ["192.0.2.11"]}
HOST = passage.Host("shop", "web1", "open", "auto", ["lb1"], ["web1", "lb1"], KNOWN, lambda: False)
DNS = {
    "shop.test": {"192.0.2.1"},
    "www.shop.test": {"192.0.2.1", "192.0.2.2"},
    "web1": {"192.0.2.1"},
    "192.0.2.2": {"192.0.2.2"},
    "half.shop.test": {"192.0.2.1", "192.0.2.9"},
}


@pytest.mark.parametrize(
    ("site", "direct", "leads", "then"),
    [
        # The first run closes nobody, wherever the name leads.
        ("open", "auto", True, "passing"),
        ("passing", "auto", False, "passing"),
        ("passing", "auto", True, "behind"),
        ("behind", "auto", False, "behind"),
        ("", "auto", False, "behind"),
        ("open", "refused", False, "behind"),
        ("behind", "served", True, "passing"),
        ("", "served", True, "passing"),
    ],
)
def test_the_way_in(site: str, direct: str, leads: bool, then: str) -> None:
    host = dataclasses.replace(HOST, site=site, direct=direct, leads=lambda: leads)
    assert (passage.step(host)[0], passage.step(host)[2]) == (then, None)


@pytest.mark.parametrize(
    ("site", "direct", "leads", "then"),
    [
        ("behind", "auto", False, "passing"),
        ("passing", "auto", False, "passing"),
        ("passing", "auto", True, "open"),
        ("passing", "served", False, "open"),
        ("open", "auto", False, "open"),
        ("", "auto", False, "open"),
    ],
)
def test_the_way_back(site: str, direct: str, leads: bool, then: str) -> None:
    host = dataclasses.replace(HOST, listed=[], site=site, direct=direct, leads=lambda: leads)
    said = passage.step(host)
    assert (said[0], said[2]) == (then, None)
    assert ("have the site's name lead to the hosts" in said[1]) is (then == "passing")
    # Of a site of before it was written down nobody knows whom to let in.
    assert passage.step(dataclasses.replace(host, known={"names": [], "balancers": []}))[0] == "open"


def test_a_new_host_says_when_it_gets_requests() -> None:
    alone = dataclasses.replace(HOST, site="", part=["web1"])
    assert "web1 gets no requests for shop before site.yml has run for lb1 too" in passage.step(alone)[1]
    assert passage.step(dataclasses.replace(alone, part=["web1", "lb1"]))[1] == ""


def test_names_are_looked_up_where_it_matters_alone() -> None:
    def never() -> bool:
        raise AssertionError

    for site in ("open", "behind", ""):
        passage.step(dataclasses.replace(HOST, site=site, leads=never))
    for site in ("open", ""):
        passage.step(dataclasses.replace(HOST, listed=[], site=site, leads=never))


@pytest.mark.parametrize(
    ("domains", "leads"),
    [
        (["shop.test"], True),
        (["shop.test", "www.shop.test"], True),
        (["*.shop.test"], True),
        # Some clients come elsewhere still, or nobody knows.
        (["shop.test", "half.shop.test"], False),
        (["new.test"], False),
        ([], False),
    ],
)
def test_a_site_leads_somewhere_where_all_its_names_do(domains: list[str], leads: bool) -> None:
    assert passage.leading(domains, ["web1", "192.0.2.2"], lambda name: DNS.get(name, set())) is leads


def test_an_address_is_its_own_and_a_bad_name_leads_nowhere() -> None:
    assert passage.addresses("192.0.2.1") == {"192.0.2.1"} and passage.addresses("2001:db8::1") == {"2001:db8::1"}
    assert passage.addresses("a" * 70 + ".invalid") == passage.addresses("x.invalid") == set()


def gone(site: str, **changes: object) -> tuple[dict, list, list]:
    values = {"name": "shop", "balancers": [], "domains": ["shop.test"], "tls": "files", "direct": "auto"}
    inventory = fleet.Inventory("web1", ["web1", "lb1"], ["lb1", "web1"], lambda host: {}, lambda name: "")
    host = {"site": site, "balancers": KNOWN}
    return passage.go(values | changes, host, {}, inventory, ["web1"], True)


def test_a_balancer_that_is_left_in_the_inventory_is_none_of_the_apps_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        passage, "addresses", lambda name: {"lb1": {"192.0.2.11"}, "shop.test": {"192.0.2.11"}}.get(name, set())
    )
    placed, problems, warnings = gone("passing")
    assert placed["passing"] and placed["first"] == "web1" and problems == [] and len(warnings) == 1


def test_no_certificate_is_asked_for_where_the_name_leads_to_the_balancers() -> None:
    problem = gone("behind", tls="acme")[1][0]
    assert problem.variable == "tls" and "fastapi_tls: files for the time being" in problem.sentence
    # One that was there before is renewed.
    assert gone("passing", tls="acme")[1] == []
