"""A balancer as preflight sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.files import Room
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import balance, ways

# Recorded on Debian 13: a default route, a network, and one that is down.
ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010DC90A	0003	0	0	0	00000000	0	0	0
eth0	000DC90A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
"""
NONE = "0" * 32
ROUTES6 = f"""20010db8000000000000000000000000 40 {NONE} 00 {NONE} 00000100 00000002 00000000 00000001     eth1
fe800000000000000000000000000000 40 {NONE} 00 {NONE} 00000100 00000003 00000000 00000001     eth0
20010db8000000000000000000000001 80 {NONE} 00 {NONE} 00000000 00000004 00000000 80200001     eth1
"""
FACTS = {
    "os": {"id": "debian", "version_id": "13"},
    "pid1": "systemd",
    "systemd": 257,
    "uid": 0,
    "disks": [Room("/var", 1, 10 << 30, None, False)],
    "ports": [],
    "left_sites": {},
    "sites": {},
    "certificates": {"now": 0},
    "app": False,
    "interface": "eth0",
    "site": "",
    "shares": False,
    "shared": [],
    "ways": {"from": {"web1": "10.201.13.12"}, "local": True},
}
HOSTS = [{"name": "web1", "address": "10.201.13.11"}]
PARAMS = {"here": "lb1", "fleet": {"hosts": HOSTS, "address": "10.201.13.12", "router": 7}}
PARAMS |= {"name": "hello", "proxy": "caddy", "http_port": 80, "tls": "off", "domains": [], "redirect_domains": []}
OTHER = {"app": "blog", "address": "10.201.13.99", "interface": "eth0", "router": 8}


@pytest.mark.parametrize(
    ("address", "interface"),
    [("10.201.13.100", "eth0"), ("10.1.2.3", "eth1"), ("192.0.2.1", ""), ("2001:db8::10", "eth1"), ("fe80::1", "")],
)
def test_the_interface_is_the_one_whose_network_has_the_address(address: str, interface: str) -> None:
    known = [*balance.parse_routes(ROUTES), *balance.parse_routes6(ROUTES6)]
    assert balance.interface_of(address, known) == interface


def test_a_fit_host_is_fit() -> None:
    assert balance.judge(PARAMS | {"balancer_address": "10.201.13.100/24"}, FACTS) == ([], [])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"app": True}, "runs hello itself, and a balancer has no app"),
        ({"interface": ""}, "no interface of this host is in that network"),
        ({"shared": [OTHER | {"address": "10.201.13.100"}]}, "blog shares that address on this host already"),
        ({"shared": [OTHER | {"router": 7}]}, "by the number 7, by which it knows 10.201.13.99 of blog"),
        (
            {"ways": {"from": {"web1": "10.201.13.3"}, "local": True}},
            "lb1 comes to web1 (10.201.13.11) from 10.201.13.3",
        ),
        ({"ways": {"from": {"web1": ""}, "local": True}}, "lb1 has no way to web1 (10.201.13.11)"),
        ({"ways": {"from": {"web1": "10.201.13.12"}, "local": False}}, "which no interface of it has"),
        ({"disks": [Room("/var", 1, 1 << 20, None, False)]}, "/var has 1 MB free"),
        ({"sites": {"/etc/caddy/sites/x.caddy": ["http://:80"]}}, "already serves"),
    ],
)
def test_what_isnt_is_told(changes: dict, says: str) -> None:
    (problem, *more), _warnings = balance.judge(PARAMS | {"balancer_address": "10.201.13.100/24"}, FACTS | changes)
    assert more == [] and says in problem.sentence


def test_what_another_app_has_is_no_matter_of_this_one() -> None:
    shares = PARAMS | {"balancer_address": "10.201.13.100/24"}
    others = [OTHER, OTHER | {"router": 7, "interface": "eth1"}]
    assert balance.judge(shares, FACTS | {"shared": others}) == ([], [])
    # Nor is it where this one shares none.
    assert balance.judge(PARAMS, FACTS | {"shared": [OTHER | {"router": 7}]}) == ([], [])


@pytest.mark.parametrize(
    ("host", "source", "refused"), [("10.201.13.11", "10.201.13.3", True), ("8.8.4.4", "10.201.13.3", False)]
)
def test_an_outer_address_is_given_on_the_way_and_no_other(host: str, source: str, refused: bool) -> None:
    """Where the balancer's own is none of its interfaces', as in a cloud, only a private way is known to be wrong."""
    fleet = {"hosts": [{"name": "web1", "address": host}], "address": "8.8.8.8", "router": 7}
    found = balance.judge(PARAMS | {"fleet": fleet}, FACTS | {"ways": {"from": {"web1": source}, "local": False}})[0]
    assert bool(found) is refused


def test_a_way_is_wrong_once_and_the_shared_address_is_good() -> None:
    fleet = {"hosts": [{"name": "web1", "address": "10.0.0.1"}, {"name": "web2", "address": "10.0.0.2"}]}
    params = PARAMS | {"fleet": fleet | {"address": "10.0.0.9", "router": 7}, "balancer_address": "10.201.13.100/24"}

    def found(source: str) -> int:
        places = {"from": dict.fromkeys(("web1", "web2"), source), "local": True}
        return len(balance.judge(params, FACTS | {"ways": places})[0])

    assert (found("10.0.0.9"), found("10.201.13.100"), found("10.0.0.3")) == (0, 0, 1)


def test_the_way_is_asked_of_the_kernel() -> None:
    assert ways.source_to("127.0.0.1") == "127.0.0.1" and ways.is_local("127.0.0.1")
    assert not ways.is_local("192.0.2.1")
    fleet = {"hosts": [{"name": "web1", "address": "127.0.0.9"}], "address": "192.0.2.1"}
    assert ways.read_ways(fleet) == {"from": {"web1": "127.0.0.1"}, "local": False}


def test_what_keepalived_was_told_is_read(tmp_path: Path) -> None:
    for app, address in (("blog", "192.0.2.10"), ("shop", "192.0.2.20"), ("wiki", "2001:db8::10")):
        (tmp_path / f"{app}.conf").write_text(WRITTEN.replace("192.0.2.10", address))
    (tmp_path / "odd.conf").write_text("# of somebody's own\n")
    rows = ways.read_shared("shop", str(tmp_path))
    common = {"interface": "eth0", "router": 7}
    assert rows == [
        {"app": "blog", "address": "192.0.2.10", **common},
        {"app": "wiki", "address": "2001:db8::10", **common},
    ]


WRITTEN = """vrrp_instance blog {
    state BACKUP
    interface eth0
    virtual_router_id 7
    virtual_ipaddress {
        192.0.2.10/24
    }
}
"""
