"""What happens on a good day, under load: releases and rollbacks in every way, recycling, and things that die."""

from __future__ import annotations

import pytest


@pytest.mark.core
def test_a_good_deploy_and_a_rollback_by_a_persons_runs(site, first, load):
    """Each with what the person is told."""
    first.counted.nothing_lost()
    assert list(first.counted.releases) == [first.before, first.made]
    assert f"Release {first.made} is live in slot" in first.said
    before = site.deploy()
    with load() as running:
        now = site.deploy()
        said = site.good("rollback")
        assert f"Release {before} is live in slot" in said, said
        assert site.release == before
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, now]
    assert (site.history()[-1]["kind"], site.history()[-1]["outcome"]) == ("rollback", "live")
    site.alone()


def test_check_mode_says_what_would_be_done_and_does_nothing(site):
    live, before, main = site.live, site.release, site.main_pid(site.live)
    source, history = site.source(), site.history()
    said = " ".join(site.good("release", "--check", fastapi_source=source).split())
    assert f"would be live in slot {site.standby}, by swap." in said, said
    result = site.swap(site.clone(), _ansible_check_mode=True)
    assert result["changed"] and f"move the traffic to slot {site.standby}" in result["steps"], result
    assert (site.live, site.release, site.main_pid(live), site.history()) == (live, before, main, history)


@pytest.mark.core
def test_an_app_without_health_and_readiness(site, load):
    """It is served as any other, by the proxy's own health check too, and the person is told."""
    with load() as running:
        result = site.swap(site.clone("bare"), bake=1)
        assert not result.get("failed"), result
        assert "no /ready and no /health" in str(result["warnings"]), result
        for path in ("/health", "/ready"):
            status, text = site.ask.get(path)
            assert (status, f"no {path}" in text) == (200, True), text
        site.deploy()
    running.counted.nothing_lost()
    site.alone()


def test_20_swaps_and_5_rollbacks(site, load):
    """Each of 20 releases has the traffic once, none that should stay is pruned; then back, five times one further."""
    before = site.release
    with load() as running:
        for _ in range(19):
            site.deploy()
        # It prunes, too.
        site.good(fastapi_strategy="swap")
    running.counted.nothing_lost()
    entries = site.history()[-20:]
    assert {(entry["outcome"], entry["strategy"]) for entry in entries} == {("live", "swap")}
    served = [entry["release"] for entry in entries]
    assert list(running.counted.releases) == [before, *served]
    # Those of other tests that no deploy has tried yet stay beside.
    tried = {entry["release"] for entry in site.history()}
    assert set(served[-6:]) == set(site.ask.run("ls /srv/swap/releases").split()) & tried
    with load() as running:
        for _ in range(5):
            site.roll_back()
    running.counted.nothing_lost()
    assert {(entry["outcome"], entry["kind"]) for entry in site.history()[-5:]} == {("live", "rollback")}
    assert list(running.counted.releases) == served[:-7:-1]
    site.alone()


def test_5_restarts(site, load):
    """For hosts that hold one slot: the socket queues meanwhile."""
    slot = site.live
    with load() as running:
        for _ in range(5):
            site.deploy(strategy="restart")
    running.counted.nothing_lost()
    assert [entry["strategy"] for entry in site.history()[-5:]] == ["restart"] * 5
    assert (len(running.counted.releases), site.live) == (6, slot)
    site.alone()


def test_10_reloads(site, load):
    """SIGHUP: new workers from new code, under the arbiter that was there."""
    slot, main = site.live, site.main_pid(site.live)
    with load() as running:
        for _ in range(10):
            site.deploy(strategy="reload")
    running.counted.nothing_lost()
    assert [entry["strategy"] for entry in site.history()[-10:]] == ["reload"] * 10
    assert len({entry["release"] for entry in site.history()[-10:]}) == 10
    assert (site.live, site.main_pid(slot)) == (slot, main)
    site.alone()


def test_recycling_by_max_requests(site, load):
    """A worker ends after some 200 requests, and its successor serves."""
    site.good(fastapi_max_requests=200)
    with load("--rate 150 --slow 0.3") as running:
        workers = lambda: set(site.ask.run(f"pgrep -P {site.main_pid(site.live)}").split())  # noqa: E731
        seen: set[str] = set()
        site.ask.until("8 workers have come and gone", lambda: seen.update(workers()) or len(seen) >= 10, 60)
    running.counted.nothing_lost()
    site.deploy()


def test_a_killed_worker_loses_only_what_it_was_answering(site, load):
    with load() as running:
        victim = site.ask.run(f"sleep 3; pgrep -P {site.main_pid(site.live)}").split()[0]
        site.ask.run(f"kill -9 {victim}; sleep 4")
    counted = running.counted
    counted.nothing_wrong()
    assert counted.lost, "it was answering nothing, so this shows nothing"
    workers = [counted.worker_of.get(each["n"]) for each in counted.lost]
    assert set(workers) - {None} == {int(victim)}
    # Accepted in its last moment, and killed before it could write the line that says so.
    assert workers.count(None) <= 2
    assert counted.sent == counted.answered + len(counted.lost)


def test_a_killed_arbiter_loses_nothing(site, load):
    """It answers nothing itself: its workers finish what they are at, and the socket queues for their successors."""
    with load() as running:
        before = site.main_pid(site.live)
        site.ask.run(f"sleep 3; kill -9 {before}")
        site.ask.until("another arbiter", lambda: site.main_pid(site.live) not in (before, "0"))
        site.ask.run("sleep 4")
    running.counted.nothing_lost()


def test_a_changed_configuration_of_the_proxy(site, load):
    source = site.source()
    site.good("site", fastapi_source=source)
    before = site.ask.show("caddy.service", "MainPID")
    with load() as running:
        for size in ("11M", "10M"):
            said = site.good("site", fastapi_source=source, fastapi_max_body=size)
            assert "changed=1 " in said
    running.counted.nothing_lost()
    assert site.ask.show("caddy.service", "MainPID") == before
