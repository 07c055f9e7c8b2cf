"""What is left of a run that was killed, and who is told of one that goes on."""

from __future__ import annotations

from tunes import cut_off, slots


def test_the_next_run_finds_its_way(site, tune, load, ask):
    before, serves = slots(site), site.release
    with load() as running:
        cut_off(site, tune, ask)
        assert tune.call()["counts"][0]["rate"] > 0
        assert slots(site) == before
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [serves]


def test_a_deploy_is_told_who_measures(site, tune, status):
    process = tune.start()
    tune.at("1 worker")
    result = site.swap(site.clone())
    assert (result["failed"], "tune.yml is measuring swap on this host: " in result["msg"]) == (True, True), result
    assert "tune.yml measures in slot" in status()["text"]
    assert len(tune.ended(process)["counts"]) == 1
    assert tune.note() == {}
