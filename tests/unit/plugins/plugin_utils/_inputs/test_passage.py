"""The way of a live app's hosts behind balancers, and back: nobody is turned away before they come the other way."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import fleet, passage

KNOWN = {"names": ["lb1"], "balancers": ["192.0.2.11"]}
HOST = passage.Host("shop", "web1", "open", "auto", ["lb1"], ["web1", "lb1"], KNOWN)


@pytest.mark.parametrize(
    ("site", "direct", "then"),
    [
        ("open", "auto", "passing"),
        # Run after run, until a person says that clients come by the balancers.
        ("passing", "auto", "passing"),
        ("returning", "auto", "passing"),
        ("behind", "auto", "behind"),
        ("", "auto", "behind"),
        ("open", "refused", "behind"),
        ("passing", "refused", "behind"),
        ("returning", "refused", "behind"),
        ("behind", "served", "passing"),
        ("", "served", "passing"),
    ],
)
def test_the_way_in(site: str, direct: str, then: str) -> None:
    host = dataclasses.replace(HOST, site=site, direct=direct)
    said = passage.step(host)
    assert (said[0], said[2]) == (then, None)
    assert ("write fastapi_direct: refused and run site.yml" in said[1]) is (then == "passing" and direct == "auto")


@pytest.mark.parametrize(
    ("site", "direct", "then"),
    [
        ("behind", "auto", "returning"),
        # Whatever was written while there were balancers.
        ("behind", "served", "returning"),
        ("passing", "served", "returning"),
        ("passing", "refused", "returning"),
        ("returning", "auto", "returning"),
        ("returning", "refused", "returning"),
        ("returning", "served", "open"),
        ("open", "auto", "open"),
        ("open", "refused", "open"),
        ("", "auto", "open"),
    ],
)
def test_the_way_back(site: str, direct: str, then: str) -> None:
    host = dataclasses.replace(HOST, listed=[], site=site, direct=direct)
    said = passage.step(host)
    assert (said[0], said[2]) == (then, None)
    advice = "run site.yml again" if direct == "served" else "write fastapi_direct: served and run site.yml"
    assert (f"the site's name leads to the hosts {passage.OVER}, {advice}" in said[1]) is (then == "returning")


def test_a_site_that_doesnt_say_whom_to_let_in_is_written_first() -> None:
    nobody = dataclasses.replace(HOST, listed=[], site="behind", known={"names": [], "balancers": []})
    problem = passage.step(nobody)[2]
    assert problem and "Write the list once more and run site.yml" in problem.sentence


def test_a_new_host_says_when_it_gets_requests() -> None:
    alone = dataclasses.replace(HOST, site="", part=["web1"])
    assert "web1 gets no requests for shop before site.yml has run for lb1 too" in passage.step(alone)[1]
    assert passage.step(dataclasses.replace(alone, part=["web1", "lb1"]))[1] == ""


def gone(site: str, **changes: object) -> tuple[dict, list, list]:
    values = {"name": "shop", "balancers": [], "tls": "files", "direct": "auto"}
    inventory = fleet.Inventory("web1", ["web1", "lb1"], ["lb1", "web1"], lambda host: {}, lambda name: "")
    host = {"site": site, "balancers": KNOWN}
    return passage.go(values | changes, host, {}, lambda: inventory, "web1", ["web1"], True)


def test_a_balancer_that_is_left_in_the_inventory_is_none_of_the_apps_hosts() -> None:
    placed, problems, warnings = gone("passing")
    assert placed["passing"] and placed["returning"] and placed["first"] == "web1"
    assert problems == [] and len(warnings) == 1
    assert gone("returning", direct="served") == ({}, [], [])


def test_no_certificate_is_asked_for_where_the_name_leads_to_the_balancers() -> None:
    problem = gone("behind", tls="acme")[1][0]
    assert problem.variable == "tls" and "fastapi_tls: files for the time being" in problem.sentence
    # One that was there before is renewed, and who says that the name leads to the hosts is believed.
    assert gone("passing", tls="acme")[1] == gone("behind", tls="acme", direct="served")[1] == []


def test_without_balancers_no_other_host_is_looked_at() -> None:
    """Each of fifty would look at fifty."""

    def never() -> fleet.Inventory:
        raise AssertionError

    values = {"name": "shop", "balancers": [], "tls": "acme", "direct": "auto"}
    for site in ("", "open"):
        assert passage.go(values, {"site": site}, {}, never, "web1", ["web1"], True) == ({}, [], [])
