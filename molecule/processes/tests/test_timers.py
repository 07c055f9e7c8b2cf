"""A command that runs at times: one run after the other, each from one release to its end."""

from __future__ import annotations

import itertools

import pytest
from conftest import Job, Site, jobs


@pytest.fixture
def often(site: Site):
    """The timer, at every other second; afterwards as variables.yml has it."""
    site.ask.run("queue-cli del runs >/dev/null")
    stock = {**site.wanted["timers"]["stock"], "calendars": ["*:*:0/2"]}
    yield {"stock": stock}
    site.ask.run("queue-cli del stock:seconds stock:fail >/dev/null")
    site.deploy(site.release)


def test_a_run_across_a_deploy_ends_on_its_release_and_none_overlaps(site: Site, ask, often):
    def runs() -> list[Job]:
        return jobs(ask.run("queue-cli --raw lrange runs 0 -1"))

    ask.run("queue-cli set stock:seconds 15 >/dev/null")
    first = site.deploy(timers=often)
    ask.until("a run has begun", lambda: [run for run in runs() if run.release == first])
    ask.run("queue-cli set stock:seconds 3 >/dev/null")
    second = site.deploy(timers=often)
    assert [run.event for run in runs()] == ["begun"], "it was over before the deploy was, so this shows nothing"
    row = site.status()["timers"][0]
    assert (row["timer"], row["outcome"], row["note"]) == ("stock", "running", ""), row
    ask.until("runs of the next release", lambda: len([run for run in runs() if run.release == second]) >= 4, 60)
    seen = runs()
    assert {run.release for run in seen} == {first, second}
    # Two at once would be begun, begun, done, done. Each time is over before the next begins, three seconds later.
    pairs = list(itertools.batched(seen, 2)) if hasattr(itertools, "batched") else list(zip(seen[::2], seen[1::2]))  # noqa: B905
    for begun, done in (pair for pair in pairs if len(pair) == 2):
        assert (begun.event, done.event, begun.main) == ("begun", "done", done.main), seen
        assert begun.release == done.release
    site.whole()


def test_a_run_that_fails_is_seen(site: Site, ask, often):
    ask.run("queue-cli set stock:fail 1 >/dev/null")
    site.deploy(site.release, timers=often)
    row = ask.until("status tells of it", lambda: [row for row in site.status()["timers"] if "failed" in row["note"]])[
        0
    ]
    assert "status 3" in row["outcome"] and row["last"] and row["next"], row
    assert "its last run failed (exit-code, status 3)" in row["note"] and "canary: a shelf is missing" in row["note"]
    assert "canary: a shelf is missing" in site.status()["text"]
    assert "canary: a shelf is missing" in ask.run("jobs-logs -P stock")
    assert "canary: a shelf is missing" not in ask.run("jobs-logs -P worker")
    ask.run("queue-cli del stock:fail >/dev/null")
    ask.until("the next one is well again", lambda: site.status()["timers"][0]["outcome"] == "ended well")
