"""A balancer as preflight sees it."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.files import Room
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import balance

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
}
PARAMS = {"name": "hello", "proxy": "caddy", "http_port": 80, "tls": "off", "domains": [], "redirect_domains": []}


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
        ({"disks": [Room("/var", 1, 1 << 20, None, False)]}, "/var has 1 MB free"),
        ({"sites": {"/etc/caddy/sites/x.caddy": ["http://:80"]}}, "already serves"),
    ],
)
def test_what_isnt_is_told(changes: dict, says: str) -> None:
    (problem, *more), _warnings = balance.judge(PARAMS | {"balancer_address": "10.201.13.100/24"}, FACTS | changes)
    assert more == [] and says in problem.sentence
