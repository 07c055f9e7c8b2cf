"""Readiness: no traffic for an app that isn't, and no outage made of less."""

from __future__ import annotations

import pytest

INTERVAL = 2  # fastapi_health_interval


@pytest.mark.core
def test_a_database_that_goes_away(door, load, say, differs):
    """Under load: quick 503s with Retry-After, and none any more an interval after the database is back."""
    stop, start = "systemctl stop postgresql 'postgresql@*'", "systemctl start postgresql"
    there = "timeout 30 sh -c \"until runuser -u postgres -- psql -c 'select 1' >/dev/null 2>&1; do sleep 0.1; done\""
    with load("--rate 40 --slow 0.2") as running:
        try:
            stopped = float(door.ask.run(f"{stop}; date +%s.%N"))
            door.ask.until("clients get 503", lambda: door.get("/seen").status == 503, 3 * INTERVAL + 3)
            door.cases()
            for answer in door.get_all(["/seen?case"] * 20):
                assert (answer.status, answer.by_app) == (503, False)
                assert answer.headers["retry-after"] == str(INTERVAL)
            assert door.cases() == []
            # Other sites stay, and what the proxy gives itself.
            assert door.get("/seen", "shop").status == 200
            assert door.get("/static/hello.txt").status == 200
            # Alive is another question, but not to who asks what clients get.
            held = door.get("/health", X_Graceful_Gated="1")
            assert (held.status, held.by_app) == (503, False)
            assert {(answer.status, answer.by_app) for answer in door.get_all(["/health"] * 20)} == {(200, True)}
        finally:
            back = float(door.ask.run(f"{start}; {there}; date +%s.%N"))
        door.ask.until("clients are served", lambda: door.get("/seen").status == 200, 3 * INTERVAL)
    refused = running.lost
    resets = [each for each in refused if "Connection reset" in each["what"]]
    if resets and door.proxy == "caddy":
        differs("unread")
        # The load's requests with a body, which are POSTs and every other GET.
        bare = [each for each in resets if each["kind"] == "slow" or (each["kind"] == "get" and not each["n"] % 2)]
        refused = [each for each in refused if each not in resets or each in bare]
    assert {each["what"][:12] for each in refused} == {"HTTP/1.1 503"}, str(running)
    slowest = max(each["seconds"] for each in refused)
    first, last = refused[0], refused[-1]
    say(
        f"503 after {first['at'] - stopped:.1f} s, the slowest of {len(refused)} in {slowest:.3f} s, "
        f"the last {last['at'] - back:.1f} s after the database was back"
    )
    assert slowest < 1
    assert last["at"] - back < INTERVAL + 1
    # From the first to the last: an app that isn't ready has no traffic in between.
    assert len(running.lost) > 0.9 * (last["n"] - first["n"])


def test_one_bad_answer_is_no_outage(door, load):
    with load("--rate 40 --slow 0.2") as running:
        door.turn("fail-ready")
        door.ask.until("it was asked", lambda: not door.ask.host.file("/srv/open/shared/switches/fail-ready").exists, 8)
        door.ask.run(f"sleep {INTERVAL}")
    assert running.lost == [], str(running)


def test_one_slow_answer_is_no_outage(door, load):
    with load("--rate 40 --slow 0.2") as running:
        door.turn("slow-ready", "3")
        door.ask.until("it was asked", lambda: not door.ask.host.file("/srv/open/shared/switches/slow-ready").exists, 8)
        door.ask.run(f"sleep {3 + INTERVAL}")
    assert running.lost == [], str(running)


def test_a_restart_in_place_is_no_outage(door, load, say):
    """The socket queues meanwhile."""
    slot = door.ask.run("basename $(readlink /srv/open/live.sock) .sock").strip()
    with load("--rate 40 --slow 0.2") as running:
        door.ask.run(f"systemctl restart open@{slot}.service")
        door.ask.until("it is back", lambda: door.get("/ready").status == 200, 20)
    say(f"restart in place: {running}")
    assert running.lost == [], str(running)


def test_a_proxy_that_starts_before_the_app(door, load, say):
    """And an app that takes two intervals to start. The article's Caddyfile answers 503 for ten seconds then; here
    clients wait for as long as the app takes."""
    slot = door.ask.run("basename $(readlink /srv/open/live.sock) .sock").strip()
    takes = 2 * INTERVAL + 1
    door.turn("slow-start", str(takes))
    try:
        # The first connection to its socket starts the app.
        status, seconds = door.ask.run(
            f"systemctl stop open@{slot}.service {door.proxy}; systemctl start {door.proxy};"
            "curl -s -m 20 -o /dev/null -w '%{http_code} %{time_total}' http://127.0.0.1:8080/seen"
        ).split()
    finally:
        door.ask.run("rm /srv/open/shared/switches/slow-start")
    say(f"an app that takes {takes} s to start: the first answer came after {float(seconds):.1f} s")
    assert status == "200"
    assert float(seconds) > takes / 2
    # Nor is it an outage afterwards.
    with load("--rate 40 --slow 0.2") as running:
        door.ask.run(f"sleep {INTERVAL}")
    assert running.lost == [], str(running)
