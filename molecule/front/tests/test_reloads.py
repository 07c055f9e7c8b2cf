"""The proxy's own part in losing nothing: reloads under load, and none where nothing has changed."""

from __future__ import annotations

import pytest
from conftest import UPGRADE

# Of a hundred requests a second; what a version loses in 15 reloads at most, where it can't do without.
MOST_LOST = {"caddy": 0, "current": 15, "nginx": 0}


@pytest.mark.core
def test_fifteen_reloads_under_load(door, load, say, differs):
    with load("--rate 100 --slow 0.5") as running:
        door.ask.run(f"for i in $(seq 15); do systemctl reload {door.proxy}; sleep 0.5; done")
    say(f"15 reloads: {running}")
    if running.lost and door.kind == "current":
        differs("reload")
    assert len(running.lost) <= MOST_LOST[door.kind], str(running)
    assert running.report["mixed"] == [], f"lost in other answers: {running.report['mixed']}"


def test_a_websocket_over_a_reload(door, say, differs):
    """Closed late or not at all, where the version can."""
    door.ask.run(f"systemd-run --quiet --collect --on-active=2 systemctl reload {door.proxy}")
    (said,) = door.talk(door.at("open", [[0, UPGRADE]], limit=6))
    assert said["raw"].startswith("HTTP/1.1 101")
    say(f"a WebSocket {'was closed by the reload' if said['closed'] else 'outlived the reload'}")
    if door.kind == "caddy":
        differs("websocket")
        return
    assert not said["closed"], said["seconds"]
    assert said["raw"].count('"release"') > 20


def test_a_request_over_a_restart_of_the_proxy(door):
    """What is under way is finished by a stop."""
    url = "http://127.0.0.1:8080/slow?seconds=4"
    door.ask.run(
        "rm -f /run/long; systemd-run --quiet --collect --unit=long --working-directory=/run sh -c "
        f"'curl -s -m 20 -o /dev/null -w %{{http_code}} \"{url}\" >long.part; mv long.part long'"
    )
    door.ask.until("it is under way", lambda: door.ask.host.run("ss -Htn state established dport = :8080").stdout)
    door.ask.run(f"systemctl restart {door.proxy}")
    door.ask.until("it is answered", lambda: door.ask.host.file("/run/long").exists, 15)
    assert door.ask.run("cat /run/long") == "200"
    door.ask.until("the proxy serves", lambda: door.get("/seen").status == 200)
