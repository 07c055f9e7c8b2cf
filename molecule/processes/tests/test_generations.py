"""What becomes of the old processes and the new where something is wrong, is asked for in vain, or is cut off."""

from __future__ import annotations

import subprocess

import pytest
from conftest import GENERATIONS, ROOT, Site


def boot(ask, seconds: int) -> None:
    """A reboot of a container's systemd; what hasn't ended then is killed."""
    restart = ["docker", "restart", "--time", str(seconds), ask.host.backend.host]
    subprocess.run(restart, check=True, capture_output=True, timeout=120)
    ask.until("the host is back", lambda: ask.host.run("systemctl is-active multi-user.target").rc == 0, 60)
    ask.until("clients are served", lambda: ask.get("/ready")[0] == 200, 60)


@pytest.mark.parametrize("process", [pytest.param("worker", marks=pytest.mark.core), "beat"])
def test_a_process_that_dies_after_the_move_brings_all_of_it_back(site: Site, ask, load, watcher, count, process):
    before, live, pids = site.release, site.live, site.pids()
    bad = site.clone(process)
    with load() as web, watcher() as watched:
        result = site.swap(bad, bake=1)
        assert result.get("failed"), result
        ask.until("the old ones run on", lambda: site.pids().keys() == pids.keys())
        site.whole()
    assert f"process {process} ended (exit-code, status 3) right after its start: celery" in result["msg"], result
    assert f"The traffic is back on release {before}" in result["msg"], result
    assert "canary: no such exchange" in result["msg"], result
    report = web.report
    assert report["lost"] == [] and report["mixed"] == [], f"lost {report['lost'][:5]}"
    assert list(report["releases"]) == [before, bad]
    count(f"a release's process dies after the move: {process}", report["sent"], len(report["lost"]))
    # They were never told to stop, but for the one that may not run twice.
    assert (site.release, site.live, site.numbers()) == (before, live, [live])
    after = site.pids()
    assert {name: pid for name, pid in after.items() if name != "beat1"} == {
        name: pid for name, pid in pids.items() if name != "beat1"
    }
    assert after["beat1"] not in (pids["beat1"], "0")
    assert watched.report["most"] == 1, watched.report
    assert site.history()[-1]["outcome"] == "moved back"
    marked = {row["release"]: row for row in site.status()["releases"]}[bad]
    assert marked["state"] == "bad" and f"process {process} ended" in marked["why"], marked
    assert ask.run("systemctl list-units --all --plain --no-legend 'jobs.*' | grep -c ' not-found ' || true") == "0\n"


def test_processes_alone_that_do_not_stay_leave_all_as_it_was(site: Site):
    """The release isn't to blame, and its web is left alone."""
    before, live, pids, main = site.release, site.live, site.pids(), site.ask.get("/")[1]
    worker = {**site.wanted["processes"]["worker"], "command": "python -c 'print(4)'"}
    result = site.swap(before, bake=1, processes={**site.wanted["processes"], "worker": worker})
    assert result.get("failed") and "What ends by itself is one for fastapi_timers" in result["msg"], result
    assert f"Release {before} serves" in result["msg"], result
    assert "python -c 'print(4)'" in result["msg"] and result["msg"].count("..") == 0, result
    site.whole()
    assert (site.release, site.live, site.ask.get("/")[1]) == (before, live, main)
    assert {name for name, pid in site.pids().items() if pids[name] != pid} == {"beat1"}
    assert {row["release"]: row["state"] for row in site.status()["releases"]}[before] == "live"


@pytest.mark.core
def test_a_command_that_is_not_in_the_release_is_said_before_anything_moves(site: Site):
    before, live, pids, there = site.release, site.live, site.pids(), site.numbers()
    slot = site.ask.run(f"readlink {ROOT}/live.sock")
    for command, lacks in (("cellery -A app.tasks worker", "cellery"), ("python -m app.takss", "app.takss")):
        worker = {**site.wanted["processes"]["worker"], "command": command}
        result = site.swap(site.clone(), bake=1, processes={**site.wanted["processes"], "worker": worker})
        assert result.get("failed") and "Nothing has moved." in result["msg"], result
        assert "worker" in result["msg"] and lacks in result["msg"], result
    stock = {**site.wanted["timers"]["stock"], "command": "python -m app.stokc"}
    result = site.swap(site.clone(), timers={"stock": stock})
    assert result.get("failed") and "app.stokc" in result["msg"] and "Nothing has moved." in result["msg"], result
    assert (site.release, site.live, site.pids()) == (before, live, pids)
    assert site.ask.run(f"readlink {ROOT}/live.sock") == slot
    assert site.numbers() == there
    assert site.ask.run(f"ls -A {GENERATIONS} {ROOT}/slots | grep '^[.]' || true") == ""
    site.whole()


def test_what_is_taken_out_ends_and_what_is_changed_alone_moves_alone(site: Site, ask):
    release = site.release
    slot = ask.run(f"readlink {ROOT}/live.sock")
    fewer = {name: spec for name, spec in site.wanted["processes"].items() if name != "beat"}
    assert site.swap(release, processes=fewer, timers={}, _ansible_check_mode=True)["changed"]
    site.whole()
    _, result = site.told(release, processes=fewer, timers={})
    assert result["changed"], result
    live = site.live
    ask.until("the old ones have ended", lambda: site.states(live - 1) <= {"inactive"})
    assert set(site.pids()) == {"worker1", "queue1", "queue2"}
    # The web has what it had: neither its slot nor its workers are others.
    assert ask.run(f"readlink {ROOT}/live.sock") == slot
    assert not site.swap(release, processes=fewer, timers={})["changed"]
    there = set(ask.run("cd /etc/systemd/system; ls -d jobs.* *.wants/jobs.*").split())
    assert there == {
        *(f"jobs.{name}.{live}@.service" for name in ("worker", "queue")),
        *(f"multi-user.target.wants/jobs.{unit}.service" for unit in
          (f"worker.{live}@1", f"queue.{live}@1", f"queue.{live}@2")),
    }  # fmt: skip
    _, result = site.told(release, processes={}, timers={})
    ask.until("all have ended", lambda: site.states(live) <= {"inactive"})
    assert not site.swap(release, processes={}, timers={})["changed"]
    assert ask.run(f"ls -d {GENERATIONS} /etc/systemd/system/jobs.* 2>/dev/null || true") == ""
    site.deploy(release)
    site.whole()


@pytest.mark.core
def test_a_second_run_changes_nothing(site: Site):
    """Nor does a person's: Molecule's idempotence, see molecule.yml."""
    live, pids = site.live, site.pids()
    result = site.swap(site.release)
    assert not result["changed"] and result["steps"] == [], result
    assert (site.live, site.pids()) == (live, pids)


@pytest.mark.core
def test_a_reboot_starts_the_live_generation_alone(site: Site, ask):
    """Though the one before is at a job, which isn't over when the host goes."""
    long = site.send("early", 300)
    site.until(long, "begun")
    release = site.deploy()
    old, live = site.live - 1, site.live
    assert site.states(old) >= {"deactivating"}
    boot(ask, 3)
    ask.until("all of it runs", lambda: set(site.pids()) == {"worker1", "queue1", "queue2", "beat1"})
    assert (site.live, site.release, site.states(old)) == (live, release, set())
    site.whole()
    assert site.of(long) == []
    # A boot cuts off nobody's deploy: the next run has nothing to do but to tidy up.
    assert not site.swap(release)["changed"]
    assert site.numbers() == [live]
    for kind in ("late", "early", "arq"):
        assert site.until(site.send(kind, 0.1)).release == release
