"""A part of the requests first: a good release goes on, a bad one goes back by itself, and nothing else is lost."""

from __future__ import annotations

import json

import pytest

SHARE = 30
THERE = "/run/swap/canary"
RATE = "--rate 90 --slow 0.3"


@pytest.fixture(scope="module")
def shared_out() -> set[str]:
    """Hosts whose site has the branch."""
    return set()


@pytest.fixture
def tried(site, shared_out):
    """Deploy a release by the module, with a canary."""
    host = site.ask.host.backend.host
    if host not in shared_out:
        site.good("site", fastapi_canary={"share": f"{SHARE}%", "seconds": 1})
        shared_out.add(host)

    def begin(fault: str = "", seconds: int = 6, **limits: object):
        canary = {"share": f"{SHARE} %", "seconds": seconds, "requests": 30, **limits}
        return site.begin(site.clone(fault), canary=canary)

    return begin


def ended(site) -> None:
    """Nothing of a canary is left."""
    assert not site.ask.host.file(THERE).exists
    site.alone()


def got(counted, release: str) -> float:
    """The percentage of its time's answers that a release gave, of those sent while it was the canary."""
    mine = [each for each in counted.timeline if each[4] == release]
    begun, end = min(each[2] for each in mine), max(each[2] for each in mine)
    return 100 * len(mine) / len([each for each in counted.timeline if begun <= each[2] <= end])


@pytest.mark.core
def test_a_good_canary_goes_on_and_one_with_errors_goes_back(site, load, tried):
    before = site.release
    with load(RATE) as running:
        result = site.first.swap.result(tried())
        assert not result.get("failed"), result
        good = result["release"]
        entry = site.history()[-1]
        ended(site)
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, good] and site.release == good
    figures = entry["canary"]
    assert "As a canary with 30 % of the requests for 6 s it was no worse" in result["msg"], result
    assert 5.5 < result["phases"]["canary"] < 12, result
    requests, beside = figures["requests"], figures["live_requests"]
    # Six seconds of 90 requests, drawn by lot: further off than this is one in a million.
    assert requests + beside > 300 and 18 < 100 * requests / (requests + beside) < 42, figures
    assert (figures["errors"], figures["live_errors"]) == (0, 0), figures
    with load(RATE) as running:
        result = site.first.swap.result(tried("errors", 30))
    counted, bad = running.counted, site.history()[-1]
    assert result.get("failed") and "didn't stay well as a canary: errors " in result["msg"], result
    assert f"Release {good} serves as before." in result["msg"], result
    assert (bad["outcome"], bad["blames"], bad["previous"]) == ("moved back", True, good), bad
    assert bad["canary"]["errors"] >= 3 and bad["canary"]["live_errors"] == 0, bad
    # Its own errors and nothing else, for much less than the time that it might have had.
    assert {each["what"] for each in counted.lost} == {"HTTP/1.1 500 Internal Server Error"}, str(counted)
    assert bad["phases"]["canary"] < 20, bad
    counted.nothing_wrong()
    assert site.release == good
    ended(site)
    said = site.good("status")
    assert "canary / live: errors, p95" in said, said
    assert site.rollback(bad["release"]).get("failed")


def test_a_slow_canary_goes_back(site, load, tried):
    before = site.release
    with load(RATE) as running:
        result = site.first.swap.result(tried("slow", 40))
    assert result.get("failed") and "didn't stay well as a canary: p95 1," in result["msg"], result
    running.counted.nothing_lost()
    assert site.release == before
    ended(site)


def test_a_canary_that_is_not_ready_any_more_goes_back(site, load, tried):
    before = site.release
    with load(RATE) as running:
        result = site.first.swap.result(tried("tires", 40))
    assert result.get("failed") and "didn't stay well as a canary: " in result["msg"], result
    assert "503 not ready" in result["msg"] and site.history()[-1]["phases"]["canary"] < 20, result
    running.counted.nothing_lost()
    assert site.release == before
    ended(site)


def test_a_canary_that_nobody_asks_goes_on_and_says_so(site, tried):
    result = site.first.swap.result(tried(seconds=2))
    assert not result.get("failed"), result
    assert "it had too few requests to tell whether it is worse" in result["msg"], result
    assert site.release == result["release"]
    ended(site)


def test_a_canary_that_is_killed_goes_back(site, load, tried):
    """Its arbiter and workers at once. What they were answering is lost, but for GETs, which what serves is asked."""
    before = site.release
    with load(RATE) as running:
        process = tried(seconds=40)
        site.ask.until("it has requests", lambda: site.ask.host.file(THERE).exists)
        site.ask.run(f"sleep 2; systemctl kill --signal=KILL {site.unit(site.standby)}")
        result = site.first.swap.result(process)
    assert result.get("failed") and "didn't stay well as a canary" in result["msg"], result
    counted = running.counted
    posts = {each[0] for each in counted.timeline if each[1] == "post"}
    assert (counted.mixed, counted.unknown, posts & {*counted.doubled}) == ([], [], set()), str(counted)
    assert {each["kind"] for each in counted.lost} <= {"post"} and len(counted.lost) < 10, str(counted)
    assert site.release == before
    assert site.history()[-1]["phases"]["canary"] < 20
    ended(site)


@pytest.mark.core
def test_a_module_that_is_killed_leaves_no_canary(site, load, tried):
    before = site.release
    with load(RATE) as running:
        process = tried(seconds=60)
        site.ask.until("it has requests", lambda: site.ask.host.file(THERE).exists)
        pid = json.loads(site.ask.run("sleep 1; cat /srv/swap/deploy.lock"))["pid"]
        site.ask.run(f"kill -9 {pid}")
        process.wait()
        site.ask.until("the canary has ended", lambda: not site.ask.host.file(THERE).exists, 5)
        now = site.deploy()
    running.counted.nothing_lost()
    assert [entry["reason"] for entry in site.history()[-2:]] == ["cut off in phase canary", ""]
    assert site.release == now and before in running.counted.releases
    ended(site)


def test_what_has_no_canary_says_so(site, tried):
    """In place there is no second slot; and of a site that knows nothing of it, a deploy alone makes none."""
    canary = {"share": "30%", "seconds": 1}
    result = site.swap(site.clone(), canary=canary, strategy="restart")
    assert "No canary (fastapi_canary): the release takes over by restart" in result["msg"], result
    result = site.swap(site.clone(), canary={"share": "20%", "seconds": 1}, front_follows=False)
    assert result.get("failed") and "Run site.yml once" in result["msg"], result
    result = site.swap(site.clone(), canary={"share": "20%", "seconds": 1}, front_follows=True)
    assert "the next one will have" in str(result["warnings"]), result
    ended(site)
