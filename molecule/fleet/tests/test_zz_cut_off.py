"""Hosts that are lost in each phase, as they tell themselves: clients notice nothing, and no other one has a release of
its own then."""

from __future__ import annotations

import subprocess
import uuid

import pytest
from conftest import CANARY, NAME, PROXIES, ROOT

SLOT = f"$(basename $(readlink {ROOT}/live.sock) .sock)"
OTHER = f"$(if [ {SLOT} = blue ]; then echo green; else echo blue; fi)"
UNWELL_WHEN_LIVE = """
if os.environ.get("ODD") == "1":
    mine = os.environ["FASTAPI_SLOT"] + ".sock"
    faults.Health.well = lambda self: not os.readlink("/srv/swap/live.sock").endswith(mine)
"""
"""Lines of an app that isn't well where it has the traffic; it answers all the same."""
PHASES = {
    "checks": "true",
    "build": f"[ $(ls -A {ROOT}/releases | wc -l) -gt $(cat /run/releases) ]",
    "standby": f"systemctl is-active {NAME}@{OTHER}.service",
    "canary": f"[ -e /run/{NAME}/canary ]",
    "move": f'grep -q \'"phase": "watch"\' {ROOT}/deploy.lock',
    "back": f'grep -q \'"kind": "rollback"\' {ROOT}/deploy.lock',
}


def ended(fleet, host: str) -> None:
    """What goes on there without the control node has ended."""
    held = ["docker", "exec", fleet.container(host), "flock", "--nonblock", f"{ROOT}/deploy.lock", "true"]
    fleet.ask.until(f"{host} has ended", lambda: subprocess.run(held, capture_output=True).returncode == 0, 60)


@pytest.fixture
def lose(fleet):
    """Deploy, and lose a host in a phase: the source, what was said, and what had been live."""

    def run(phase: str, host: str, line: str = "", **variables: object) -> tuple[str, str, str]:
        (before,) = fleet.releases()
        fleet.run(host, f"ls -A {ROOT}/releases | wc -l >/run/releases")
        source = fleet.source(f"# {uuid.uuid4()}{line}")
        said = fleet.cut("release", host, PHASES[phase], fastapi_source=source, **variables)
        ended(fleet, host)
        name = fleet.container(host)
        known = f"{name} can't be reached any more: status.yml says what it has when it is back"
        assert (f"[{name}]: UNREACHABLE!" if phase == "checks" else known) in said, said
        assert fleet.releases(but=host) == {before}, said
        return source, said, before

    return run


def test_a_host_that_is_cut_off_in_each_phase(fleet, lose, tally):
    def made_good(source: str) -> None:
        fleet.good("release", fastapi_source=source)
        assert len(fleet.releases()) == 1

    fleet.have_canaries()
    with fleet.load() as load:
        # Before anybody has moved, all are as they were.
        for phase, host in (("checks", "web2"), ("build", "web3"), ("standby", "web2")):
            _source, said, before = lose(phase, host)
            assert fleet.releases() == {before}, f"{phase}: {said}"
        # The first goes on by itself, and has the release in the end; the others haven't.
        source, said, _before = lose("canary", "web1", fastapi_canary={**CANARY, "seconds": 3})
        assert all(f"{fleet.container(host)} is as it was." in said for host in ("web2", "web3")), said
        made_good(source)
        source, said, _before = lose("move", "web1")
        made_good(source)
        # One of the rest: those that have moved go back.
        source, said, before = lose("move", "web3")
        assert all(f"{fleet.container(host)} is back on release {before}." in said for host in ("web1", "web2")), said
        made_good(source)
        # The third is ill, and the first is lost as it goes back.
        _source, said, before = lose("back", "web1", line=UNWELL_WHEN_LIVE)
        assert f"because of {fleet.container('web3')}, {fleet.container('web1')}, so that" in said, said
        made_good(fleet.source("# the next one"))
    tally("a host is cut off from the control node in each phase of a deploy", load)
    load.counted.nothing_lost()


def test_a_balancer_that_is_cut_off_in_its_step(fleet, tally):
    site = "/etc/caddy/sites/swap.caddy"
    if PROXIES[fleet.debian] == "nginx":
        site = "/etc/nginx/sites-enabled/zz-graceful-swap.conf"
    fleet.run("lb2", f"cp {site} /run/before")
    changed = {"fastapi_headers": {"X-Step": "two"}}
    with fleet.load() as load:
        said = fleet.cut("site", "lb2", f"! cmp -s {site} /run/before", **changed)
        assert f"[{fleet.container('lb2')}]: UNREACHABLE!" in said, said
        fleet.good("site", **changed)
        for host in fleet.balancers:
            assert "x-step: two" in fleet.get("/", "-i", address=fleet.address(host))[1].lower(), host
    tally("a balancer is cut off from the control node in its step of `site.yml`", load)
    load.counted.nothing_lost()
