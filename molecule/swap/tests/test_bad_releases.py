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


@pytest.mark.core
def test_a_bad_release_by_a_persons_run(site, load):
    """What the person reads says why, and what serves."""
    live, before, main = site.live, site.release, site.main_pid(site.live)
    with load() as running:
        status, said = site.run(fastapi_source=site.source("import"))
        never_got_the_traffic(site, "import", status == 2, said, before)
        assert (site.live, site.main_pid(live)) == (live, main)
        site.alone()
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before]


def test_releases_that_never_get_the_traffic(site, load):
    served = [site.release]
    with load() as running:
        for fault in BEFORE_THE_TRAFFIC:
            live, before, main = site.live, site.release, site.main_pid(site.live)
            result = site.swap(site.clone(fault), ready_timeout=4 if fault in ("unready", "late") else 20)
            never_got_the_traffic(site, fault, result.get("failed"), result["msg"], before)
            assert (site.live, site.main_pid(live)) == (live, main), fault
            site.alone()
            # The next good deploy needs no cleaning up.
            served.append(site.deploy())
            assert site.live != live, fault
            site.alone()
    running.counted.nothing_lost()
    assert list(running.counted.releases) == served


def never_got_the_traffic(site, fault: str, failed: bool, said: str, before: str) -> None:
    text = " ".join(said.split())
    assert failed, f"{fault}: {said}"
    bad = site.history()[-1]
    assert bad["release"] != before, fault
    assert BEFORE_THE_TRAFFIC[fault] in text, f"{fault}: {said}"
    assert f"Release {bad['release']} did not become ready" in text, f"{fault}: {said}"
    if fault in ("import", "undeclared", "lifespan", "hog"):
        assert "Its last lines:" in text, fault
    assert (bad["outcome"], bad["previous"]) == ("failed", before), fault
    assert bad["reason"], fault


@pytest.mark.parametrize("fault", ["dies", "dies whole", pytest.param("unhealthy", marks=pytest.mark.core)])
def test_a_release_that_loses_the_traffic_again(site, load, say, fault):
    live, before = site.live, site.release
    with load() as running:
        result = site.swap(site.clone(fault), bake=3)
    assert result.get("failed"), result
    text = " ".join(result["msg"].split())
    counted, bad = running.counted, site.history()[-1]
    counted.nothing_wrong()
    assert list(counted.releases) == [before, bad["release"]]
    assert (bad["outcome"], bad["previous"]) == ("moved back", before)
    assert "didn't stay well" in text, result
    assert f"The traffic is back on release {before}" in text, result
    if fault == "unhealthy":
        assert "500 unwell" in text, result
        began = min(each[2] for each in counted.timeline if each[4] == bad["release"])
        assert counted.lost == [], str(counted)
    else:
        assert "canary: dying" in text, result
        began = dying(site, running.since)
    late = [each for each in counted.timeline if each[4] == bad["release"] and each[2] > began + BACK]
    late += [each for each in counted.lost if each["at"] > began + BACK]
    assert late == [], f"late or lost: {late}"
    # What the dead workers were at is lost; nothing else.
    assert all(each["at"] < began + BACK for each in counted.lost), str(counted)
    back = min(each[2] for each in counted.timeline if each[4] == before and each[2] > began)
    say(f"traffic back {back - began:.2f} s after it went wrong, {len(counted.lost)} lost")
    assert site.live == live
    site.alone()
    site.deploy()
    site.alone()


def dying(site, since: str) -> float:
    """When a worker of the release first died, in seconds since the epoch."""
    site.ask.run("journalctl --namespace=swap --sync")
    journal = f"journalctl --namespace=swap --output=short-unix --no-pager --since=@{since} --grep='canary: dying'"
    return float(site.ask.run(journal).splitlines()[0].split()[0])


def test_bad_releases_in_place(site, load):
    """With one slot: what can be seen beforehand changes nothing, and what can't is undone while the socket queues."""
    live, before = site.live, site.release
    with load() as running:
        for strategy, fault in (("restart", "import"), ("restart", "lifespan"), ("reload", "lifespan")):
            result = site.swap(site.clone(fault), strategy=strategy)
            assert result.get("failed"), result
            assert BEFORE_THE_TRAFFIC[fault] in " ".join(result["msg"].split()), result
            assert (site.live, site.history()[-1]["outcome"]) == (live, "failed"), (strategy, fault)
            site.alone()
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before]


def test_a_rollback_never_goes_to_a_release_that_died_after_its_watch(site):
    """It had gone live, and the next deploy put it right; so nobody rolled back from it."""
    good = site.release
    dead = site.deploy(site.clone("dies whole"))
    slot = site.live
    site.ask.until("it was started again and again", lambda: site.restarts(slot) > 2)
    site.deploy(site.clone())
    site.roll_back()
    assert site.release == good
    result = site.rollback(dead)
    assert result.get("failed") and "when" in result["msg"] and "took its place" in result["msg"], result


def test_a_rollback_never_goes_to_a_bad_release(site):
    good = site.release
    left = site.deploy()
    bad = site.clone("import")
    assert site.swap(bad).get("failed")
    result = site.rollback(bad)
    assert (result.get("failed"), bad in result["msg"], "known to be bad" in result["msg"]) == (True,) * 3, result
    # What was live before it is live: a reflex must not take that away.
    result = site.rollback()
    said = "nothing to roll back from" in result["msg"]
    assert (result.get("failed"), said, site.release) == (True, True, left), result
    site.roll_back(good)
    assert site.release == good
    result = site.rollback(left)
    assert (result.get("failed"), "a rollback left it" in result["msg"]) == (True, True), result
    assert site.release == good
