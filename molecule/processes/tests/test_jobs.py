"""Jobs that are counted while releases change: none is forgotten, and each is done by whom it should."""

from __future__ import annotations

import os

import pytest
from conftest import LONG_LIMIT, ROOT, Site, seconds_of, twice

RATE = 9
"""Jobs a second, a third of each kind."""
ROUNDS = 3 if os.environ.get("ASK_BOTH") else 1
"""Of four deploys and a rollback each: at night there is the time for more."""
LONG = 70
"""Seconds of a long job, unless it is ended before: less than a generation has to end (job_completion_wait)."""


JOBS = {
    "late": "Celery, acknowledged when it is done (acks_late): at least once",
    "early": "Celery, acknowledged when it begins: at most once",
    "arq": "arq, none of whose workers was killed: once",
}


@pytest.mark.core
def test_each_job_is_done_while_releases_change_and_a_worker_is_killed(
    site: Site, ask, load, producer, watcher, count, say
):
    """Three kinds of jobs, each with another promise: see tasks.py and jobs.py."""
    ask.run("queue-cli del jobs >/dev/null")
    served: list[str] = []
    gaps = []

    def at_work(release: str) -> None:
        """Each kind is done by the release; then it is known which has done what."""
        served.append(release)
        kinds = lambda: {job.kind for job in site.jobs() if (job.release, job.event) == (release, "done")}  # noqa: E731
        ask.until(f"release {release} does jobs", lambda: kinds() == {"late", "early", "arq"}, LONG_LIMIT)

    with load() as web, watcher() as watched, producer(RATE) as produced:
        at_work(site.release)
        for bake in (1, 0) * (2 * ROUNDS - 1):
            release, result = site.told(bake=bake)
            at_work(release)
            gaps.append(result["msg"])
        for _ in range(ROUNDS - 1):
            at_work(site.roll_back())
            at_work(site.deploy())
        # One of Celery's, whose children are killed with it. What they were at is found again when the visibility
        # timeout is over, by the next worker that starts.
        killed = site.pids()["worker1"]
        ask.run(f"kill -9 {killed}")
        ask.until("it was started again", lambda: site.pids().get("worker1") not in (killed, "0", None))
        at_work(site.deploy())
        at_work(site.roll_back())
        assert served[-1] == served[-3]
        at_work(site.deploy())
    sent = {kind: set(numbers) for kind, numbers in produced.report.items()}
    numbers = sent["late"] | sent["early"] | sent["arq"]
    assert len(numbers) > 100

    def left() -> set[int]:
        """Those that are not done; of those that are never done twice, not even begun."""
        done = {job.n for job in site.jobs() if job.event == "done" or job.kind == "early"}
        return numbers - done

    # A worker that starts looks for what others have left: a deploy helps after the kill that was less than the
    # visibility timeout before the last one.
    ask.until("each job was taken", lambda: len(left()) < 10, LONG_LIMIT)
    if left():
        ask.run("sleep 8")
        site.deploy()
    ask.until("each job is done", lambda: not left(), LONG_LIMIT)
    site.whole()
    seen = [job for job in site.jobs() if job.n in numbers]
    begun = {kind: [job for job in seen if (job.kind, job.event) == (kind, "begun")] for kind in sent}
    done = {kind: [job.n for job in seen if (job.kind, job.event) == (kind, "done")] for kind in sent}
    lost = {kind: sent[kind] - set(done[kind]) for kind in sent}
    for kind in sent:
        say(f"{kind}: {len(sent[kind])} sent, {len(lost[kind])} lost, {len(twice(done[kind]))} done twice")
        count(JOBS[kind], len(sent[kind]), len(lost[kind]), what="jobs")
    assert lost["late"] == lost["arq"] == set(), f"lost {lost}"
    # At most once, and what is lost is what the killed one was at: two children of it.
    assert twice(job.n for job in begun["early"]) == []
    assert {job.main for job in begun["early"] if job.n in lost["early"]} <= {int(killed)}, f"lost {lost['early']}"
    assert len(lost["early"]) <= 2
    # None of its workers was killed: told to stop, it has finished what it was at.
    assert twice(done["arq"]) == []
    assert twice(job.n for job in begun["arq"]) == []
    # At least once. Twice is what the killed one had done, or had waiting, without having said so yet.
    assert len(twice(done["late"])) <= 4
    # Old and new ones have done them: each that was live.
    for kind in ("late", "early", "arq"):
        assert {job.release for job in begun[kind]} >= set(served), kind
    assert web.report["lost"] == [] and web.report["mixed"] == [], f"lost {web.report['lost'][:5]}"
    assert set(web.report["releases"]) <= set(served)
    # Never two schedulers, though each of these deploys and the rollback has brought another one.
    assert (watched.report["most"], len(watched.report["pids"]) >= len(served)) == (1, True), watched.report
    say(f"{len(served) - 1} deploys and rollbacks")
    assert all("beat stood still for " in said for said in gaps), gaps
    say(f"no scheduler for at most {watched.report['none']} s; {gaps[0].partition(').')[2].strip()}")


@pytest.mark.core
def test_a_long_job_is_finished_by_its_release_through_two_deploys(site: Site, ask, say):
    """Deploys don't wait for it, its release isn't pruned, and the next generations take the new jobs."""
    first = site.release
    jobs = [site.send(kind, LONG) for kind in ("early", "arq")]
    for number in jobs:
        assert site.until(number, "begun").release == first
    took, second = seconds_of(site.deploy)
    say(f"a deploy took {took:.1f} s while a job of {LONG} s was at work")
    assert not any(map(site.of, jobs)), "they were over before the deploy was, so this shows nothing"
    states = {row["unit"]: row["state"] for row in site.status()["processes"]}
    old = site.live - 1
    assert states[f"jobs.worker.{old}@1.service"] == "finishing"
    assert states[f"jobs.worker.{old + 1}@1.service"] == "live"
    # The third generation is to find it at work.
    more = site.send("early", LONG)
    for number in (more, site.send("late", 0.1), site.send("arq", 0.1)):
        assert site.until(number, "begun").release == second
    # A person's run, which prunes: two releases are kept.
    site.run()
    third = site.release
    assert not any(map(site.of, [*jobs, more])), "they were over before the deploy was, so this shows nothing"
    assert {first, second, third} <= set(ask.run(f"ls {ROOT}/releases").split())
    assert site.numbers() == [old, old + 1, old + 2]
    for kind in ("late", "arq"):
        assert site.until(site.send(kind, 0.1)).release == third
    site.end(*jobs, more)
    for number, release in ((jobs[0], first), (jobs[1], first), (more, second)):
        # By whom it was begun, and once.
        assert (site.until(number).release, len(site.of(number))) == (release, 1)
    site.whole()
    # What has ended is tidied up by the next run, which has nothing else to do; then its release may go.
    assert not site.swap(third)["changed"]
    assert site.numbers() == [site.live]
    files = ask.run("ls /etc/systemd/system").split()
    assert {name for name in files if name.startswith("jobs.") and "@" in name} == {
        f"jobs.{process}.{site.live}@.service" for process in ("worker", "queue", "beat")
    }
