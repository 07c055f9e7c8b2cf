"""Hosts that lose their power under load."""

from __future__ import annotations

import subprocess
import time

import pytest


def docker(*words: str) -> None:
    subprocess.run(["docker", *words], capture_output=True, check=True, timeout=60)


@pytest.mark.core
def test_a_host_of_the_app_dies(fleet, tally):
    with fleet.load() as load:
        time.sleep(2)
        at = time.time()
        docker("kill", fleet.container("web2"))
        # As long as it takes to notice it twice over, and to see that nothing comes after.
        time.sleep(8)
        docker("start", fleet.container("web2"))
        fleet.settled()
    tally("a host of the app loses its power", load)
    load.counted.nothing_wrong()
    # What it was itself answering: of a third of 30 requests a second, those that may not be repeated, or were at work.
    late = [each for each in load.counted.lost if each["at"] > at + 1.5]
    assert late == [], f"{load.counted}: lost later: {late[:10]}"
    assert len(load.counted.lost) <= 10, f"{load.counted}\n{load.counted.lost[:10]}"


@pytest.mark.core
def test_the_balancer_that_has_the_address_dies(fleet, tally):
    holder = next(name for name in fleet.balancers if fleet.shared in fleet.run(name, "hostname -I"))
    other = next(name for name in fleet.balancers if name != holder)
    with fleet.load() as load:
        time.sleep(2)
        at = time.time()
        docker("kill", fleet.container(holder))
        fleet.ask.until(f"{other} has the address", lambda: fleet.shared in fleet.run(other, "hostname -I"), 15)
        taken = time.time() - at
        time.sleep(4)
        docker("start", fleet.container(holder))
        fleet.settled()
    # It has come back, and left the address where it is.
    assert fleet.shared in fleet.run(other, "hostname -I")
    tally("the balancer that has the address loses its power", load, again=round(load.counted.slowest, 1))
    load.counted.nothing_wrong()
    late = [each for each in load.counted.lost if each["at"] > at + taken + 1]
    assert late == [], f"{load.counted}: lost after {taken:.1f} s: {late[:10]}"
    # What it had in hand, and what was refused until its address was gone.
    assert len(load.counted.lost) <= 90, f"{load.counted}\n{load.counted.lost[:10]}"


def test_a_balancers_proxy_that_hangs_gives_the_address_up(fleet, tally):
    """Its machine is well, so only a question to its own front can tell."""
    holder = next(name for name in fleet.balancers if fleet.shared in fleet.run(name, "hostname -I"))
    other = next(name for name in fleet.balancers if name != holder)
    unit = {"caddy": "caddy", "nginx": "nginx"}["nginx" if fleet.debian == "bookworm" else "caddy"]
    fleet.run(holder, f"systemctl kill --kill-whom=all --signal=SIGSTOP {unit}")
    try:
        fleet.ask.until(f"{other} has the address", lambda: fleet.shared in fleet.run(other, "hostname -I"), 15)
        fleet.ask.until("clients are served", lambda: fleet.get()[0] == 200, 10)
    finally:
        fleet.run(holder, f"systemctl kill --kill-whom=all --signal=SIGCONT {unit}")
    fleet.settled()
