"""A host more, and a host less."""

from __future__ import annotations


def test_a_host_is_added_and_removed(fleet, tally):
    fleet.boot("web4")
    fleet.apps.append("web4")
    fleet.up.append("web4")
    try:
        with fleet.load_now() as load:
            said = fleet.good("site")
            fleet.settled()
        assert fleet.serving("lb1") == {"web1", "web2", "web3", "web4"}, said
        tally("a host is added", load)
        load.counted.nothing_lost()
    finally:
        fleet.apps.remove("web4")
    with fleet.load_now() as load:
        said = fleet.good("site")
    # It is no more in the inventory, and runs still.
    assert all("web4" not in fleet.serving(balancer) for balancer in fleet.balancers), said
    assert fleet.run("web4", "systemctl is-active caddy").strip() == "active"
    tally("a host is removed", load)
    load.counted.nothing_lost()
