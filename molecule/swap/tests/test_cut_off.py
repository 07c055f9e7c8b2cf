"""Deploys that are cut off, doubled or starved of disk: the live release serves throughout, the next run converges."""

from __future__ import annotations

import json
import os
import signal

import pytest

SITE = "/usr/lib/python3/dist-packages"
KILL = "touch /run/killed; kill -9 $PPID"
FILL = "head -c 2G /dev/zero >/srv/filler 2>/dev/null"


@pytest.fixture
def sabotage(ask):
    """Have a shell command run inside a module when a phase of `swap` begins or a function of another has ended."""
    ask.run(f"cp /opt/load/saboteur.py {SITE}; echo import saboteur >{SITE}/saboteur.pth")

    def plan(command: str, phase: str = "", file: str = "_swap/swap.py", function: str = "phase") -> None:
        text = json.dumps({"file": file, "function": function, "phase": phase, "command": command})
        ask.run(f"cat >/run/saboteur.json <<'END'\n{text}\nEND")

    yield plan
    ask.run(f"rm -f /run/saboteur.json {SITE}/saboteur.*")


# Phases in their order, and `put`: the slot has its new directory, and nothing else has happened yet.
CUTS = {
    "swap": "fill before start put ready enable move disable watch drain done",
    "restart": "fill check restart put ready watch done",
    "reload": "fill check reload put ready watch drain done",
}


@pytest.mark.shared
@pytest.mark.parametrize(("strategy", "where"), [(way, each) for way, cuts in CUTS.items() for each in cuts.split()])
def test_the_module_is_killed(site, load, sabotage, strategy, where):
    """SIGKILL when the phase begins; the next run of the same release takes the steps that are missing."""
    before, slot = site.release, site.live
    variables = {"fastapi_source": site.source(), "fastapi_strategy": strategy}
    variables["fastapi_before_swap"] = ["true"] if where == "before" else []
    with load() as running:
        sabotage(KILL, *(("", "_app/slots.py", "put") if where == "put" else (where,)))
        status, said = site.run(**variables)
        assert status != 0 and site.ask.host.file("/run/killed").exists, said
        site.ask.run("rm /run/killed /run/saboteur.json")
        site.good(**variables)
    running.counted.nothing_lost()
    now = site.release
    assert list(running.counted.releases) == [before, now]
    assert (site.live == slot) == (strategy != "swap")
    phase = {"swap": "start"}.get(strategy, strategy) if where == "put" else where
    cut = [entry for entry in site.history()[-3:] if entry["reason"] == f"cut off in phase {phase}"]
    assert [entry["release"] for entry in cut] == [now]
    site.alone()


def test_a_release_whose_deploy_was_cut_off_can_be_gone_back_to(site, sabotage):
    """Cut off when nothing was left to do but to say so: it serves, and the history has to know."""
    source = site.source()
    sabotage(KILL, "done")
    assert site.run(fastapi_source=source)[0] != 0
    site.ask.run("rm /run/saboteur.json")
    site.good(fastapi_source=source)
    good = site.release
    site.good()
    site.good("rollback")
    assert site.release == good


@pytest.mark.shared
@pytest.mark.parametrize("phase", ["disable", "done"])
def test_a_rollback_that_is_killed_is_finished_by_the_next(site, load, sabotage, phase):
    """Not done once more, one release further back; what it left is known to be bad."""
    good = site.release
    site.good()
    left = site.release
    with load() as running:
        sabotage(KILL, phase)
        assert site.run("rollback")[0] != 0
        site.ask.run("rm /run/killed /run/saboteur.json")
        site.good("rollback")
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [left, good]
    last = site.history()[-1]
    assert (last["kind"], last["release"], last["previous"], last["outcome"]) == ("rollback", good, left, "live")
    site.alone()
    status, said = site.run("rollback", fastapi_release=left)
    assert (status, "rolled back from" in said) == (2, True), said


def test_the_control_node_is_gone_mid_run(site, load, sabotage):
    """kill -9 of all of ansible-playbook while a phase lasts; what it had started ends by itself or is taken up."""
    before = site.release
    source = site.source()
    with load() as running:
        sabotage("touch /run/there; sleep 2", "ready")
        process = site.start(fastapi_source=source)
        site.ask.until("the phase", lambda: site.ask.host.file("/run/there").exists)
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
        source = site.source()
        first = site.start(fastapi_source=source)
        site.ask.until("the first is under way", lambda: site.ask.host.file("/run/there").exists)
        since = json.loads(site.ask.run("cat /srv/swap/deploy.lock"))["since"]
        status, said = site.run()
        site.ask.run("touch /run/go-on; rm /run/there /run/saboteur.json")
        first_said = first.communicate(timeout=60)[0]
        site.ask.run("rm /run/go-on")
    text = " ".join(said.split())
    assert status == 2, said
    assert f"began at {since}" in text, said
    assert "in phase ready" in text, said
    assert "@" in text.partition(" began at ")[0].split()[-1], said
    assert first.returncode == 0, first_said
    running.counted.nothing_lost()
    assert len(running.counted.releases) == 2
    site.good(fastapi_source=source)
    site.alone()


@pytest.mark.shared
@pytest.mark.parametrize("phase", ["fill", "start", "enable", "move", "watch", "drain"])
def test_the_disk_is_full_in_a_phase(site, load, sabotage, phase):
    """Not a byte is free from the phase on: the deploy fails with the reason or ends well, and what serves goes on."""
    before = site.release
    source = site.source()
    with load() as running:
        sabotage(FILL, phase)
        status, said = site.run(fastapi_source=source)
        site.ask.run("rm -f /srv/filler /run/saboteur.json")
        assert status == 0 or "No space left" in said, said
        site.good(fastapi_source=source)
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, site.release]
    site.alone()


@pytest.mark.shared
@pytest.mark.parametrize("function", ["_release/archive.py:read_manifest", "_release/install.py:set_times"])
def test_the_disk_is_full_while_the_release_is_built(site, load, sabotage, function):
    """No half-made release stays, and the reason is told."""
    before = site.release
    with load() as running:
        file, name = function.split(":")
        sabotage(FILL, file=file, function=name)
        status, said = site.run()
        site.ask.run("rm /srv/filler /run/saboteur.json")
        assert status == 2, said
        assert "No space left" in said or "0 kB free" in said, said
        assert site.ask.run("ls -A /srv/swap/releases | grep '^\\.' || true") == ""
        site.good()
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, site.release]
    site.alone()


@pytest.mark.shared
@pytest.mark.parametrize("function", ["_release/archive.py:unpack", "_release/install.py:write_record"])
def test_the_builder_of_a_release_is_killed(site, load, sabotage, function):
    """SIGKILL while a release is half made: the next run removes what is there of it, and makes a whole one."""
    before = site.release
    source = site.source()
    with load() as running:
        file, name = function.split(":")
        sabotage(KILL, file=file, function=name)
        status, said = site.run(fastapi_source=source)
        assert status != 0 and site.ask.host.file("/run/killed").exists, said
        site.ask.run("rm /run/killed /run/saboteur.json; ls -d /srv/swap/releases/.building-*")
        site.good(fastapi_source=source)
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, site.release]
    site.alone()


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
    site.good()
    site.alone()


def test_a_host_that_was_half_deployed_by_hand(site, load):
    """Somebody filled the standby slot, started it, put a half release beside the others, and left."""
    with load() as running:
        standby = site.standby
        before = site.release
        site.ask.run(
            f"cd /srv/swap; rm -rf slots/{standby}; cp -a slots/{site.live} slots/{standby}; "
            f"systemctl enable --now swap@{standby}.socket swap@{standby}.service; "
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
    live = site.live
    site.ask.run(f"systemctl disable --now swap@{live}.service swap@{live}.socket; rm /srv/swap/live.sock")
    site.good()
    # The proxy has seen that nothing was ready, and looks again after its interval.
    site.ask.until("clients are served", lambda: site.ask.get("/ready")[0] == 200, 15)
    site.alone()
