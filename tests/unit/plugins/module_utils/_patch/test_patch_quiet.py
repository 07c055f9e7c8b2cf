"""When a host has left its balancers: by its log and its connections."""

from __future__ import annotations

import json

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App
from ansible_collections.graceful.deploy.plugins.module_utils._patch import quiet
from ansible_collections.graceful.deploy.plugins.module_utils._patch.quiet import Traffic, wait_for_one, wait_until_left

TABLE = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000: 00000002 00000000 00010000 0001 01 101 /run/shop/blue.sock
0001: 00000003 00000000 00000000 0001 03 102 /run/shop/blue.sock
0002: 00000003 00000000 00000000 0001 03 103 /run/shop/green.sock
0003: 00000003 00000000 00000000 0001 03 104 /run/other/blue.sock
0004: 00000003 00000000 00000000 0001 03 105
"""


class Seen(Traffic):
    """Requests come until a moment, and the last of them ends later."""

    def __init__(self, clock, until: float, ends: float) -> None:
        super().__init__(App("shop", "/srv/shop"), ["/none"])
        self.clock, self.until, self.ends = clock, until, ends

    def came(self) -> bool:
        return self.clock() < self.until

    def under_way(self) -> int:
        return int(self.clock() < self.ends)

    def last(self) -> str:
        return "GET /items of 10.0.0.9"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def left(until: float, ends: float, notice: float = 22, limit: float = 60) -> quiet.Left:
    clock = Clock()
    return wait_until_left([Seen(clock, until, ends)], notice, limit, clock, clock.sleep)


def test_connections_of_the_app_alone():
    assert quiet.connections(TABLE, {"/run/shop/blue.sock", "/run/shop/green.sock"}) == 2
    assert quiet.connections("", {"/run/shop/blue.sock"}) == 0


def test_a_quiet_moment_before_the_balancer_can_have_noticed_says_nothing():
    assert left(0, 0).seconds >= 22
    assert 22.5 <= left(20, 0).seconds < 24
    assert left(20, 0).coming == ""


def test_it_waits_for_what_is_under_way_and_not_for_ever():
    assert 40 <= left(5, 40).seconds < 41
    long = left(5, 1e9)
    assert (long.coming, long.under_way) == ("", 1) and long.seconds >= 60


def test_who_goes_on_to_come_is_named():
    assert left(1e9, 0).coming == "GET /items of 10.0.0.9"


def test_whether_one_comes_again():
    clock = Clock()
    assert wait_for_one([Seen(clock, 1, 0)], 5, clock, clock.sleep)
    assert not wait_for_one([Seen(clock, -1, 0)], 5, clock, clock.sleep)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"request": {"client_ip": "10.0.0.9", "method": "GET", "uri": "/a?token=x"}}, "GET /a of 10.0.0.9"),
        ({"request": {"remote_ip": "10.0.0.9", "method": "GET", "uri": "/a"}}, "GET /a of 10.0.0.9"),
        ({"client": "10.0.0.9", "method": "POST", "uri": "/b"}, "POST /b of 10.0.0.9"),
        ({"client": "10.0.0.9"}, ""),
        ([], ""),
    ],
)
def test_who_asked_is_read_off_either_log(entry, said):
    assert quiet.requester(json.dumps(entry)) == said
    assert quiet.requester("{") == ""


def test_lines_of_a_log_are_seen_once(tmp_path):
    log = tmp_path / "log"
    traffic = Traffic(App("shop", "/srv/shop"), [str(log)])
    assert not traffic.came()
    log.write_text(json.dumps({"client": "10.0.0.9", "method": "GET", "uri": "/"}) + "\n")
    assert traffic.came() and not traffic.came()
    assert traffic.last() == "GET / of 10.0.0.9"
