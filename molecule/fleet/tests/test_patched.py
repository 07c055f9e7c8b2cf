"""patch.yml over all hosts: one after the other is emptied, rebooted and put back, the balancers last."""

from __future__ import annotations

from conftest import APPS, BALANCERS, docker


def booted(fleet, host: str) -> str:
    return fleet.run(host, "stat -c %Y /run/systemd").strip()


def test_each_host_is_rebooted_and_nobody_waits_for_it(fleet, tally):
    hosts = [*APPS, *BALANCERS]
    for host in hosts:
        # A reboot ends a container; so it is started again.
        docker("update", "--restart=always", fleet.container(host))
        fleet.run(host, "touch /run/reboot-required")
    before = {host: booted(fleet, host) for host in hosts}
    release = fleet.releases()
    try:
        with fleet.load() as load:
            said = fleet.good("patch")
            # The last one to be rebooted hands requests to all again.
            fleet.settled()
    finally:
        for host in hosts:
            docker("update", "--restart=no", fleet.container(host))
    assert [host for host in hosts if booted(fleet, host) == before[host]] == [], said
    assert fleet.releases() == release
    assert said.count("left the balancers in ") == len(APPS), said
    assert said.count("handed the address over") == len(BALANCERS), said
    assert all(fleet.run(host, "ls -d /srv/swap/leaving /srv/swap/patching", check=False) == "" for host in APPS)
    assert all(fleet.run(host, "ls /var/lib/graceful-patch").strip() == "deploy.lock" for host in BALANCERS)
    assert all(fleet.run(host, "systemctl is-active keepalived").strip() == "active" for host in BALANCERS)
    tally("each host is patched and rebooted", load)
    load.counted.nothing_wrong()
    # Of a balancer that goes down what it was itself answering: slow requests of a second, of which ten come in each.
    assert len(load.counted.lost) <= 2 * 30, load.counted
