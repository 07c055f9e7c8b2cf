"""Deploys that are cut off, doubled or starved of disk: the live release serves throughout, the next run converges."""

from __future__ import annotations

import json
import os
import signal

import pytest

KILL = "touch /run/killed; kill -9 $PPID"
HELD = """for each in /srv/swap/releases/*/; do
  if grep -q "FLOCK .* READ .*:$(stat -c %i $each) " /proc/locks; then echo held; fi
done"""
FILL = "head -c 2G /dev/zero >/srv/filler 2>/dev/null"


# Phases in their order, and `put`: the slot has its new directory, and nothing else has happened yet.
CUTS = {
    "swap": "fill before start put ready enable move disable watch drain done",
    "restart": "fill check restart put ready watch done",
    "reload": "fill check reload put ready watch drain done",
}


def cut_off(site, sabotage, release: str, strategy: str, where: str) -> None:
    """SIGKILL when a phase begins; the next call for the same release takes the steps that are missing."""
    slot = site.live
    before = {"before": ["true"]} if where == "before" else {}
    sabotage(KILL, *(("", "_app/slots.py", "put") if where == "put" else (where,)))
    result = site.swap(release, strategy=strategy, **before)
    assert (result, site.ask.host.file("/run/killed").exists) == ({}, True), f"{where}: {result}"
    site.ask.run("rm /run/killed /run/saboteur.json")
    if before:
        site.deploy(release, strategy=strategy, **before)
    site.deploy(release, strategy=strategy)
    assert site.release == release, where
    assert (site.live == slot) == (strategy != "swap"), where
    phase = {"swap": "start"}.get(strategy, strategy) if where == "put" else where
    cut = [entry for entry in site.history()[-3:] if entry["reason"] == f"cut off in phase {phase}"]
    assert [entry["release"] for entry in cut] == [release], where
    site.alone()


@pytest.mark.parametrize("strategy", CUTS)
def test_the_module_is_killed(site, load, sabotage, strategy):
    served = [site.release]
    with load() as running:
        for where in CUTS[strategy].split():
            served.append(site.clone())
            cut_off(site, sabotage, served[-1], strategy, where)
    running.counted.nothing_lost()
    assert list(running.counted.releases) == served


@pytest.mark.core
def test_the_module_is_killed_on_both_sides_of_the_move(site, load, sabotage):
    """The heart of the one above: started and never proved, and moved but not watched."""
    served = [site.release]
    with load() as running:
        for where in ("ready", "watch"):
            served.append(site.clone())
            cut_off(site, sabotage, served[-1], "swap", where)
    running.counted.nothing_lost()
    assert list(running.counted.releases) == served


def test_a_release_whose_deploy_was_cut_off_can_be_gone_back_to(site, sabotage):
    """Cut off when nothing was left to do but to say so: it serves, and the history has to know."""
    good = site.clone()
    sabotage(KILL, "done")
    assert site.swap(good) == {}
    site.ask.run("rm /run/killed /run/saboteur.json")
    site.deploy(good)
    site.deploy()
    site.roll_back()
    assert site.release == good


def test_a_rollback_that_is_killed_is_finished_by_the_next(site, load, sabotage):
    """Not done once more, one release further back; what it left is known to be bad."""
    for phase in ["disable", "done"]:
        good = site.release
        left = site.deploy()
        with load() as running:
            sabotage(KILL, phase)
            assert site.rollback() == {}
            site.ask.run("rm /run/killed /run/saboteur.json")
            site.roll_back()
        running.counted.nothing_lost()
        assert list(running.counted.releases) == [left, good]
        last = site.history()[-1]
        told = (last["kind"], last["release"], last["previous"], last["outcome"])
        assert told == ("rollback", good, left, "live")
        site.alone()
        result = site.rollback(left)
        assert (result.get("failed"), "a rollback left it" in result["msg"]) == (True, True), result


def test_the_control_node_is_gone_mid_run(site, load, sabotage):
    """kill -9 of all of ansible-playbook while a phase lasts; what it had started ends by itself or is taken up."""
    before = site.release
    source = site.source()
    with load() as running:
        sabotage("touch /run/there; sleep 2", "ready")
        process = site.start(fastapi_source=source)
        # A whole run comes before it, and other hosts may be at work on this machine.
        site.ask.until("the phase", lambda: site.ask.host.file("/run/there").exists, 90)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        site.ask.run("rm /run/there /run/saboteur.json")
        site.ask.until(
            "nobody deploys any more", lambda: site.ask.host.run("flock -n /srv/swap/deploy.lock true").rc == 0
        )
        site.good(fastapi_source=source)
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, site.release]
    site.alone()


def test_two_deploys_at_once(site, load, sabotage):
    """The second is told who holds the lock and since when; the first isn't disturbed."""
    with load() as running:
        sabotage("touch /run/there; until [ -e /run/go-on ]; do sleep 0.1; done", "ready")
        release = site.clone()
        first = site.begin(release)
        try:
            site.ask.until("the first is under way", lambda: site.ask.host.file("/run/there").exists)
            since = json.loads(site.ask.run("cat /srv/swap/deploy.lock"))["since"]
            status, said = site.run()
        finally:
            # Else it would hold the lock for ever.
            site.ask.run("touch /run/go-on; rm -f /run/there /run/saboteur.json")
        result = site.first.swap.result(first)
        site.ask.run("rm /run/go-on")
    text = " ".join(said.split())
    assert status == 2, said
    assert f"began at {since}" in text, said
    assert "in phase ready" in text, said
    assert "@" in text.partition(" began at ")[0].split()[-1], said
    assert result and not result.get("failed"), result
    running.counted.nothing_lost()
    assert len(running.counted.releases) == 2
    site.deploy(release)
    site.alone()


@pytest.mark.core
def test_two_deploys_at_once_of_which_one_waits_for_the_other(site, load, sabotage):
    """Two people's runs, each of a release of its own and with units of its own: both end well, one after the other."""
    known = len(site.history())
    with load() as running:
        before = site.release
        # Whichever is first goes on when the other waits for it, which holds its release meanwhile.
        sabotage("until [ -e /run/go-on ]; do sleep 0.1; done", "ready")
        # Few are kept, so that each would have the other's go.
        given = {"fastapi_lock_wait": "300", "fastapi_keep_releases": 2}
        first, second = (site.start(**given, fastapi_health_interval=each) for each in (9, 11))
        try:
            site.ask.until("the other waits", lambda: "held" in site.ask.run(HELD), 120)
        finally:
            site.ask.run("touch /run/go-on; rm -f /run/saboteur.json")
        said = [process.communicate(timeout=400)[0] for process in (first, second)]
        site.ask.run("rm /run/go-on")
        assert [first.returncode, second.returncode] == [0, 0], said
    deploys = site.history()[known:]
    assert [entry["outcome"] for entry in deploys] == ["live", "live"], said
    assert [entry["previous"] for entry in deploys] == [before, deploys[0]["release"]]
    # The one that had to wait has said so, once.
    waits = [text.count("waits up to 300 s for another deploy: ") for text in said]
    assert sorted(waits) == [0, 1], said
    assert f"with release {deploys[0]['release']}" in " ".join(said[waits.index(1)].split())
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, *(entry["release"] for entry in deploys)]
    assert site.release == deploys[1]["release"]
    # The units, too, are the second one's, which had looked at the host before the first one wrote them.
    interval = (9, 11)[waits.index(1)]
    assert f"WatchdogSec={3 * interval}\n" in site.ask.run("cat /etc/systemd/system/swap@.service")
    assert site.ask.show(site.unit(site.live), "NeedDaemonReload") == {"NeedDaemonReload": "no"}
    site.alone()


def test_a_rollback_waits_for_a_deploy_and_goes_back_from_it(site, load, sabotage):
    """What it goes back from is what is live when its turn has come, and not when it was asked for."""
    good = site.release
    with load() as running:
        sabotage("touch /run/there; sleep 3", "ready")
        release = site.clone()
        first = site.begin(release)
        site.ask.until("the first is under way", lambda: site.ask.host.file("/run/there").exists)
        site.ask.run("rm -f /run/there /run/saboteur.json")
        result = site.rollback(lock_wait=60)
        assert not site.first.swap.result(first).get("failed")
    assert not result.get("failed"), result
    assert f"with release {release}" in result["waited"], result
    assert (result["release"], site.release) == (good, good)
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [good, release]
    site.alone()


def test_the_disk_is_full_in_a_phase(site, load, sabotage):
    """Not a byte is free from the phase on: the deploy fails with the reason or ends well, and what serves goes on."""
    served = [site.release]
    with load() as running:
        for phase in ["fill", "start", "enable", "move", "watch", "drain"]:
            served.append(site.clone())
            sabotage(FILL, phase)
            result = site.swap(served[-1], bake=1)
            site.ask.run("rm /srv/filler /run/saboteur.json")
            assert result, f"{phase}: it was killed"
            assert not result.get("failed") or "No space left" in result["msg"], f"{phase}: {result}"
            site.deploy(served[-1])
            site.alone()
    running.counted.nothing_lost()
    assert list(running.counted.releases) == served


def test_the_making_of_a_release_is_cut_off(site, load, sabotage, recorded):
    """By a full disk: no half-made release stays, and the reason is told. By SIGKILL while it is half made: the next
    run removes what is there of it, and makes a whole one."""
    # None may be pruned: the release's environment comes from another one.
    site.good(keep=True, fastapi_keep_releases=1000)
    made = site.release
    install = recorded("release_host").call
    served = [made]
    with load() as running:
        for where in ["_release/archive.py:read_manifest", "_release/install.py:set_times"]:
            served += anew(site, made)
            file, name = where.split(":")
            sabotage(FILL, file=file, function=name)
            result = install()
            site.ask.run("rm /srv/filler /run/saboteur.json")
            assert result.get("failed"), result
            assert "No space left" in result["msg"] or "0 kB free" in result["msg"], f"{where}: {result}"
            assert site.ask.run("ls -A /srv/swap/releases | grep '^\\.' || true") == ""
            assert install()["changed"]
            served.append(site.deploy(made))
        for where in ["_release/archive.py:unpack", "_release/install.py:write_record"]:
            served += anew(site, made)
            file, name = where.split(":")
            sabotage(KILL, file=file, function=name)
            assert (install(), site.ask.host.file("/run/killed").exists) == ({}, True), where
            site.ask.run("rm /run/killed /run/saboteur.json; ls -d /srv/swap/releases/.building-*")
            assert install()["changed"]
            served.append(site.deploy(made))
            site.alone()
    running.counted.nothing_lost()
    assert set(running.counted.releases) == set(served)


def anew(site, made: str) -> list[str]:
    """Have the host as it was before a release: in neither slot, and not there. What was deployed for that."""
    deployed = []
    while made in (site.held("blue"), site.held("green")):
        deployed.append(site.deploy())
    site.alone()
    site.ask.run(f"rm -rf /srv/swap/releases/{made}")
    return deployed


def test_a_corrupted_archive(site, tmp_path):
    """A source archive that a download cut short."""
    before = site.main_pid(site.live)
    archive = tmp_path / "source.tar.gz"
    assert os.system(f"tar -C {site.source()} -czf {archive} .") == 0
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    status, said = site.run(fastapi_source=str(archive))
    assert (status, str(archive) in said) == (2, True), said
    assert site.main_pid(site.live) == before
    archive.write_bytes(whole)
    site.good(fastapi_source=str(archive))
    site.alone()


def test_a_wheel_is_missing(site):
    """A version that the index doesn't have."""
    before = site.main_pid(site.live)
    status, said = site.run(fastapi_source=site.source(**{"requirements.txt": "fastapi==0.165.0\nhttptools==99.0\n"}))
    assert (status, "httptools" in said) == (2, True), said
    assert site.main_pid(site.live) == before
    site.deploy()
    site.alone()


def test_a_host_that_was_half_deployed_by_hand(site, load):
    """Somebody filled the standby slot, started it, put a half release beside the others, and left."""
    with load() as running:
        standby = site.standby
        before = site.release
        site.ask.run(
            f"cd /srv/swap; rm -rf slots/{standby}; cp -a slots/{site.live} slots/{standby}; "
            f"systemctl enable --now swap@{standby}.socket {site.unit(standby)}; "
            "mkdir -p releases/by-hand/app releases/.building-x-1/app; echo '{' >deploy.lock"
        )
        site.good()
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, site.release]
    site.alone()
    # What has no record isn't ours to prune.
    site.ask.run("rm -r /srv/swap/releases/by-hand")


def test_a_service_that_somebody_stopped(site):
    """The live slot stopped and disabled by hand, the link gone: the next run serves again."""
    live, release = site.live, site.clone()
    site.ask.run(f"systemctl disable --now {site.unit(live)} swap@{live}.socket; rm /srv/swap/live.sock")
    site.deploy(release)
    # The proxy has seen that nothing was ready, and looks again after its interval.
    site.ask.until("clients are served", lambda: site.ask.get("/ready")[0] == 200, 15)
    site.alone()
