"""From systemd to Oxmgr and back, on a host that serves: nothing is lost, and nothing of the one that goes is left."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import PROGRAM, left_of_oxmgr
from deploys import NAME, Site

PROGRAMS = "/usr/local/lib/graceful-oxmgr-"
PHASES = "fill start put ready enable move disable watch drain done"
KILL = "touch /run/killed; kill -9 $PPID"
TOLD = ("files", "unit", "socket")
_calls: dict[str, Any] = {}


@pytest.fixture
def by_systemd(site, recorded) -> Any:
    """The module as a deploy under systemd calls it; made once for each host, by a person's run there and back."""
    name = site.ask.host.backend.host
    if name not in _calls:
        site.good(keep=True, fastapi_supervisor="systemd")
        _calls[name] = recorded("swap", "by_systemd")
        site.alone(oxmgr=False)
        site.good()
        site.alone()
    return _calls[name]


def change(site, by_systemd, oxmgr: bool, release: str) -> dict:
    """A call of the module for a release, under one supervisor or the other."""
    call = site.first.swap if oxmgr else by_systemd
    return call.call(release=release, bake=0)


def arbiter(site, oxmgr: bool) -> str:
    return site.main_pid(site.live) if oxmgr else Site.main_pid(Systemd(site), site.live)


class Systemd(Site):
    """The same site, by its units under systemd."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.ask, site.control, site.tmp_path, site.first, site.options)


@pytest.mark.core
def test_there_and_back_by_a_persons_runs(site, load, tally):
    """The same release: what a person changes is one line. A second run changes nothing, and status says who it is."""
    source = site.source()
    site.good(fastapi_source=source)
    release = site.release
    for oxmgr, name in ((False, "systemd"), (True, "oxmgr")):
        slot = site.live
        with load() as running:
            checked = site.good("site", "--check", fastapi_source=source, fastapi_supervisor=name)
            assert site.live == slot
            said = site.good("site", fastapi_source=source, fastapi_supervisor=name)
        tally(f"from {'Oxmgr to systemd' if name == 'systemd' else 'systemd to Oxmgr'}", running)
        running.counted.nothing_lost()
        assert list(running.counted.releases) == [release]
        assert f"would be live in slot {site.live}" in " ".join(checked.split()), checked
        assert f"Release {release} is live in slot {site.live}" in " ".join(said.split()), said
        site.alone(oxmgr)
        assert "changed=0 " in site.good("site", fastapi_source=source, fastapi_supervisor=name)
        assert "changed=0 " in site.good("site", "--check", fastapi_source=source, fastapi_supervisor=name)
        assert ("Oxmgr" in site.good("status")) is oxmgr


@pytest.mark.core
def test_what_oxmgr_had_goes_with_the_last_slot_that_it_ran(site, ask, load, tally):
    """The next deploy after the way back to systemd; and a person's run brings it all again."""
    site.good(fastapi_supervisor="systemd")
    site.alone(oxmgr=False)
    # The slot before this one is still filled for it.
    assert f"/usr/local/bin/{NAME}-oxmgr" in left_of_oxmgr(ask)
    source = site.source()
    with load() as running:
        said = site.good(fastapi_source=source, fastapi_supervisor="systemd")
    running.counted.nothing_lost()
    assert "What Oxmgr had of it is gone from the host" in " ".join(said.split()), said
    assert left_of_oxmgr(ask) == []
    site.alone(oxmgr=False)
    assert "changed=0 " in site.good("site", fastapi_source=source, fastapi_supervisor="systemd")
    with load() as running:
        site.good(fastapi_source=source)
    running.counted.nothing_lost()
    site.alone()


@pytest.mark.core
def test_another_program_of_oxmgrs(site, ask, load, tally, tmp_path):
    """An upgrade, and the way back: the daemons start anew with it, and requests wait in the sockets meanwhile. The
    program that nothing runs any more goes."""
    source, other = site.source(), tmp_path / "oxmgr"
    # Another one by its digest, and to the kernel the same.
    other.write_bytes(ask.host.run(f"cat {PROGRAM}").stdout_bytes + b"\0")
    site.good(fastapi_source=source)
    slot, release = site.live, site.release
    before = ask.run(f"readlink {PROGRAM}").strip()
    for what, brought in (("upgraded", {"fastapi_oxmgr": str(other)}), ("downgraded", {})):
        daemon, program = site.daemon(slot), ask.run(f"readlink {PROGRAM}").strip()
        checked = site.good("site", "--check", fastapi_source=source, **brought)
        assert "changed=0 " not in checked and site.daemon(slot) == daemon
        with load() as running:
            site.good("site", fastapi_source=source, **brought)
        tally(f"Oxmgr is {what}", running)
        running.counted.nothing_lost()
        now = ask.run(f"readlink {PROGRAM}").strip()
        assert now != program and site.daemon(slot) not in (daemon, "0")
        assert ask.run(f"readlink /proc/{site.daemon(slot)}/exe").strip() == now
        assert ask.run(f"ls -d {PROGRAMS}*").split() == [now]
        assert (site.live, site.release) == (slot, release)
        site.alone()
        assert "changed=0 " in site.good("site", fastapi_source=source, **brought)
    assert now == before


def test_a_program_that_doesnt_run_changes_nothing(site, ask, load, tmp_path):
    """It is started once before anything that serves is started anew by it."""
    half = tmp_path / "oxmgr"
    content = ask.host.run(f"cat {PROGRAM}").stdout_bytes
    half.write_bytes(content[: len(content) // 2] + b"0.5.0Oxmgr process manager OXMGR_DAEMON_ADDR")
    source, link = site.source(), ask.run(f"readlink {PROGRAM}")
    site.good(fastapi_source=source)
    daemon = site.daemon(site.live)
    with load() as running:
        status, said = site.run("site", fastapi_source=source, fastapi_oxmgr=str(half))
    assert status == 2 and "Nothing goes by this Oxmgr yet" in " ".join(said.split()), said
    running.counted.nothing_lost()
    assert (site.daemon(site.live), ask.run(f"readlink {PROGRAM}")) == (daemon, link)
    site.alone()
    site.good("site", fastapi_source=source)
    assert ask.run(f"ls {PROGRAMS}*") == link


@pytest.mark.parametrize("oxmgr", [False, True], ids=["to systemd", "to Oxmgr"])
def test_the_module_is_killed_between_the_two(site, by_systemd, load, tally, sabotage, oxmgr):
    """At each phase, and the next run for the same finishes it."""
    change(site, by_systemd, not oxmgr, site.release)
    with load() as running:
        for phase in PHASES.split():
            site.alone(not oxmgr)
            release = site.clone()
            sabotage(KILL, *(("", "_app/slots.py", "put") if phase == "put" else (phase,)))
            assert change(site, by_systemd, oxmgr, release) == {}, phase
            site.ask.run("rm /run/killed /run/saboteur.json")
            result = change(site, by_systemd, oxmgr, release)
            assert result and not result.get("failed"), f"{phase}: {result}"
            assert site.release == release, phase
            site.alone(oxmgr)
            # And for the next phase back, with the same release.
            result = change(site, by_systemd, not oxmgr, release)
            assert result and not result.get("failed"), f"{phase}, back: {result}"
    tally(f"deploys from {'systemd to Oxmgr' if oxmgr else 'Oxmgr to systemd'} are killed", running)
    running.counted.nothing_lost()
    change(site, by_systemd, True, site.release)
    site.alone()


def test_one_that_was_cut_off_may_be_taken_back(site, by_systemd, load, sabotage):
    """Killed on its way, and the next run has the old supervisor again."""
    with load() as running:
        for phase in ("ready", "disable", "drain"):
            release = site.clone()
            sabotage(KILL, phase)
            assert change(site, by_systemd, False, release) == {}, phase
            site.ask.run("rm /run/killed /run/saboteur.json")
            result = change(site, by_systemd, True, release)
            assert result and not result.get("failed"), f"{phase}: {result}"
            assert site.release == release, phase
            site.alone()
    running.counted.nothing_lost()


def test_a_bad_release_on_the_way_changes_nothing(site, by_systemd, load):
    """What served goes on under the supervisor that it has, and starts at boot by that."""
    live, before, main = site.live, site.release, site.main_pid(site.live)
    with load() as running:
        result = change(site, by_systemd, False, site.clone("import"))
        assert result.get("failed") and "canary: broken at import" in result["msg"], result
        assert (site.live, site.release, site.main_pid(live)) == (live, before, main)
        site.alone()
        # It is well enough to start again.
        site.ask.run(f"kill -9 {main}")
        site.ask.until("another arbiter", lambda: site.main_pid(live) not in (main, "0"))
        site.ask.until("it serves", lambda: site.ask.get("/ready")[0] == 200)
    running.counted.nothing_lost()


def test_a_rollback_goes_by_the_supervisor_that_runs(site, by_systemd, load):
    """Over a change of it: a rollback is of code."""
    before = site.release
    change(site, by_systemd, False, site.clone())
    with load() as running:
        result = by_systemd.call(release="", rollback=True, front_port=0, bake=0)
        assert result and not result.get("failed"), result
    running.counted.nothing_lost()
    assert site.release == before
    site.alone(oxmgr=False)
    # Both slots are systemd's now, so that Oxmgr has to be brought again.
    site.good()
    site.alone()


@pytest.mark.parametrize("strategy", ["restart", "reload"])
def test_in_place(site, by_systemd, load, strategy):
    """For hosts that hold one slot."""
    # Both are Oxmgr's, so that it stays.
    site.deploy()
    for oxmgr in (False, True):
        call = site.first.swap if oxmgr else by_systemd
        release = site.clone()
        with load() as running:
            result = call.call(release=release, bake=0, strategy=strategy)
        assert result and not result.get("failed"), result
        running.counted.nothing_lost()
        assert site.release == release
        site.alone(oxmgr)
