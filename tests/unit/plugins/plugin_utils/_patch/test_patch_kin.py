"""Which hosts stand in for which."""

from __future__ import annotations

from ansible_collections.graceful.deploy.plugins.plugin_utils._patch import kin


def test_the_order_is_that_of_the_two_plays():
    assert kin.ordered(["lb1", "web1", "lb2", "web2"], ["lb2", "lb1"]) == ["web1", "web2", "lb1", "lb2"]


def test_those_that_have_just_been_patched_are_asked_first():
    assert kin.others("web3", ["web1", "web2", "web3", "web4"]) == ["web2", "web1", "web4"]
    assert kin.others("web1", ["web1"]) == []
    assert kin.others("web9", ["web1"]) == ["web1"]


def test_one_that_is_ready_is_enough_and_each_other_is_named():
    ill, well = {"host": "web2", "unready": "isn't ready: /ready answers 503"}, {"host": "web3", "unready": ""}
    assert kin.alone([ill, well], balancer=False) == ""
    said = kin.alone([ill, {"host": "web4"}], balancer=False)
    assert said.startswith("No other host of the app is ready, so this one doesn't leave: web2 isn't ready")
    assert "web4 was not asked" in said and "-e leave_within=0" in said
    assert "No other balancer is ready" in kin.alone([], balancer=True)
