"""Releases that should never have been shipped, each deployed under load: nothing is lost, and the run says why."""

from __future__ import annotations

import pytest

BEFORE_THE_TRAFFIC = {
    "import": "canary: broken at import",
    "undeclared": "a_package_that_nobody_declared",
    "lifespan": "canary: no such queue",
    "unready": "503",
    "late": "503",
    "exit": "ended",
    "exit hard": "ended unexpectedly",
    "hog": "fastapi_memory_max",
}
# Seconds from the moment that a release dies or fails /health until the traffic is back on the one before.
BACK = 2.0


@pytest.mark.shared
@pytest.mark.parametrize("fault", BEFORE_THE_TRAFFIC)
def test_a_release_that_never_gets_the_traffic(site, load, fault):
    live, before, main = site.live, site.release, site.main_pid(site.live)
    with load() as running:
        limit = 4 if fault in ("unready", "late") else 20
        status, said = site.run(fastapi_source=site.source(fault), fastapi_ready_timeout=limit)
    text = " ".join(said.split())
    assert status == 2, said
    running.counted.nothing_lost()
    bad = site.history()[-1]
    assert list(running.counted.releases) == [before] != [bad["release"]]
    assert BEFORE_THE_TRAFFIC[fault] in text, said
    assert f"Release {bad['release']} did not become ready" in text, said
    if fault in ("import", "undeclared", "lifespan", "hog"):
        assert "Its last lines:" in text
    assert (bad["outcome"], bad["previous"]) == ("failed", before)
    assert bad["reason"]
    assert (site.live, site.main_pid(live)) == (live, main)
    site.alone()
    # The next good deploy needs no cleaning up.
    site.good()
    assert site.live != live
    site.alone()


@pytest.mark.parametrize("fault", ["dies", "dies whole", "unhealthy"])
def test_a_release_that_loses_the_traffic_again(site, load, say, fault):
    live, before = site.live, site.release
    with load() as running:
        status, said = site.run(fastapi_source=site.source(fault), fastapi_bake=3)
    text = " ".join(said.split())
    assert status == 2, said
    counted, bad = running.counted, site.history()[-1]
    counted.nothing_wrong()
    assert list(counted.releases) == [before, bad["release"]]
    assert (bad["outcome"], bad["previous"]) == ("moved back", before)
    assert "didn't stay well" in text, said
    assert f"The traffic is back on release {before}" in text, said
    if fault == "unhealthy":
        assert "500 unwell" in text, said
        began = min(each[2] for each in counted.timeline if each[4] == bad["release"])
        assert counted.lost == [], str(counted)
    else:
        assert "canary: dying" in text, said
        began = dying(site, running.since)
    late = [each for each in counted.timeline if each[4] == bad["release"] and each[2] > began + BACK]
    late += [each for each in counted.lost if each["at"] > began + BACK]
    back = min(each[2] for each in counted.timeline if each[4] == before and each[2] > began)
    say(f"traffic back {back - began:.2f} s after it went wrong, {len(counted.lost)} lost")
    assert late == [], f"late or lost: {late}"
    # What the dead workers were at is lost; nothing else.
    assert all(each["at"] < began + BACK for each in counted.lost), str(counted)
    assert site.live == live
    site.alone()
    site.good()
    site.alone()


def dying(site, since: str) -> float:
    """When a worker of the release first died, in seconds since the epoch."""
    site.ask.run("journalctl --namespace=swap --sync")
    journal = f"journalctl --namespace=swap --output=short-unix --no-pager --since=@{since} --grep='canary: dying'"
    return float(site.ask.run(journal).splitlines()[0].split()[0])


@pytest.mark.parametrize(
    ("strategy", "fault"), [("restart", "import"), ("restart", "lifespan"), ("reload", "lifespan")]
)
def test_a_bad_release_in_place(site, load, strategy, fault):
    """With one slot: what can be seen beforehand changes nothing, and what can't is undone while the socket queues."""
    live, before = site.live, site.release
    with load() as running:
        status, said = site.run(fastapi_source=site.source(fault), fastapi_strategy=strategy)
    assert status == 2, said
    assert BEFORE_THE_TRAFFIC[fault] in " ".join(said.split()), said
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before]
    assert (site.live, site.history()[-1]["outcome"]) == (live, "failed")
    site.alone()


def test_a_rollback_never_goes_to_a_release_that_died_after_its_watch(site):
    """It had gone live, and the next deploy mended it; so nobody rolled back from it."""
    good = site.release
    site.good(fastapi_source=site.source("dies whole"), fastapi_bake=0)
    dead = site.release
    service = f"swap@{site.live}.service"
    restarts = lambda: int(site.ask.show(service, "NRestarts")["NRestarts"])  # noqa: E731
    site.ask.until("systemd has started it again and again", lambda: restarts() > 2)
    site.good()
    site.good("rollback")
    assert site.release == good
    status, said = site.run("rollback", fastapi_release=dead)
    assert (status, "when" in said and "took its place" in said) == (2, True), said


def test_a_rollback_never_goes_to_a_bad_release(site):
    good = site.release
    site.good()
    left = site.release
    status, _said = site.run(fastapi_source=site.source("import"))
    bad = site.history()[-1]["release"]
    assert status == 2
    status, said = site.run("rollback", fastapi_release=bad)
    assert (status, bad in said, "known to be bad" in said) == (2, True, True), said
    # What was live before it is live: a reflex must not take that away.
    status, said = site.run("rollback")
    assert (status, "nothing to roll back from" in said, site.release) == (2, True, left), said
    site.good("rollback", fastapi_release=good)
    assert site.release == good
    status, said = site.run("rollback", fastapi_release=left)
    assert (status, "rolled back from" in said) == (2, True), said
    assert site.release == good
