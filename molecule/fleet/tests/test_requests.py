"""What a request is on its way through a balancer and a host's own proxy."""

from __future__ import annotations

import json
import re

import pytest


@pytest.mark.core
def test_the_app_sees_the_client(fleet):
    own = fleet.own
    told = ("-H", "X-Request-ID: abcdefgh-1", "-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: https")
    status, body = fleet.get("/who", *told, "-H", "Host: shop.test")
    seen = json.loads(body)
    # What a client says of itself is believed by neither.
    assert (status, seen["client"], seen["scheme"], seen["host"], seen["id"]) == (
        200,
        own,
        "http",
        "shop.test",
        "abcdefgh-1",
    )
    host = seen["node"].removeprefix(f"{fleet.client}-")
    line = fleet.run(host, "cat /var/log/caddy/swap.access.log | grep abcdefgh-1 | tail -n 1")
    assert '"status":200' in line
    holder = next(name for name in fleet.balancers if fleet.shared in fleet.run(name, "hostname -I"))
    logs = "cat /var/log/*/swap.access.* | grep abcdefgh-1 | tail -n 1"
    assert own in fleet.run(holder, logs)


@pytest.mark.core
def test_hosts_answer_their_balancers_alone(fleet):
    assert fleet.get("/", address=fleet.address("web1"))[0] == 403
    assert fleet.get("/health", address=fleet.address("web1"))[0] == 403
    assert fleet.run("web1", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/").strip() == "200"


def test_a_run_that_changes_nothing_says_so_and_reloads_nothing(fleet):
    before = [
        fleet.run(host, "systemctl show -P StateChangeTimestampMonotonic caddy nginx keepalived")
        for host in fleet.balancers
    ]
    status, said = fleet.play("site", "--check", "--diff")
    assert status == 0 and "changed=1" not in said, said
    status, said = fleet.play("site", "--diff")
    recap = said.partition("PLAY RECAP")[2]
    assert status == 0 and recap.count("changed=0") == 5, said
    after = [
        fleet.run(host, "systemctl show -P StateChangeTimestampMonotonic caddy nginx keepalived")
        for host in fleet.balancers
    ]
    assert before == after


def test_reading_playbooks_say_what_a_balancer_is(fleet):
    report = fleet.where / "status.html"
    said = fleet.good("status", report=str(report))
    assert said.count(f"The shared address {fleet.shared} is here; keepalived is active.") == 1, said
    assert said.count(f"The shared address {fleet.shared} is not here; keepalived is active.") == 1, said
    text = report.read_text()
    assert "2 balancers before them: " in text and text.count("<td>3 of 3</td>") == 2, text
    assert said.count("hands requests to 3 of 3 hosts of the app") == 2, said
    for host in fleet.apps:
        assert len(re.findall(rf"{fleet.container(host)} +{fleet.address(host)}:80 +200 ready", said)) == 2, said
    fleet.good("logs")
    fleet.good("audit")


def test_a_host_that_is_leaving_gets_no_more_requests(fleet):
    """Whatever has its readiness path say 503: here a line in its own site."""
    site = "/etc/caddy/sites/swap.caddy"
    fleet.run("web2", f"cp {site} /root/kept")
    fleet.run("web2", f"sed -i 's|^\troute {{|\troute {{\\n\t\trespond /ready 503|' {site}; systemctl reload caddy")
    out = lambda: all("web2" not in fleet.serving(name) for name in fleet.balancers)  # noqa: E731
    try:
        with fleet.load_now() as load:
            # Two questions, each 2 s after the other.
            fleet.ask.until("web2 is out", out, 12)
    finally:
        fleet.run("web2", f"cp /root/kept {site}; systemctl reload caddy")
    load.counted.nothing_lost()
    fleet.settled()
