"""What is still open when a release is replaced: streams are told to go, long requests are cut at the drain's limit."""

from __future__ import annotations

import json
import time

import pytest

# graceful_timeout - lifespan_timeout - 1 in variables.yml.
DRAIN = 9


def told(site, word: str, since: float) -> list[str]:
    site.ask.run("journalctl --namespace=swap --sync")
    lines = site.ask.run(f"journalctl --namespace=swap --since=@{since:.0f} --output=cat --no-pager").splitlines()
    return [line for line in lines if word in line]


def test_streams_are_told_and_come_back_to_the_new_release(site, load, say):
    """WebSockets are closed with 1012 (service restart), event streams are completed; none outlives the drain."""
    before = site.release
    with load() as running:
        site.ask.run(
            "rm -f /run/streams.json; systemd-run --quiet --collect --unit=streams "
            "python3 /opt/load/streams.py --each 10 --seconds 120 --out /run/streams.json; sleep 2"
        )
        now = site.deploy(bake=1)
        site.gone(site.standby)
        site.ask.run("sleep 2; systemctl stop streams")
    running.counted.nothing_lost()
    streams = json.loads(site.ask.run("cat /run/streams.json"))
    stopped = moved(site)
    for kind, how in (("ws", "1012"), ("sse", "end")):
        mine = [each for each in streams if each["kind"] == kind]
        old = [each for each in mine if each["release"] == before]
        assert len(old) == 10
        assert [each["how"] for each in old] == [how] * 10, old
        lasted = max(each["ended"] for each in old) - stopped
        say(f"10 {kind} ended with {how}, the last {lasted:.1f} s after the traffic had moved")
        assert lasted < DRAIN + 5
        new = [each for each in mine if each["release"] == now and each["ended"] is None]
        assert len(new) == 10
        assert all(each["messages"] > 3 for each in new)
        # Each was opened again once: nothing was refused or went to the old one again.
        assert len(mine) == 20


def moved(site) -> float:
    """When the link that says which slot is live was made, in seconds since the epoch."""
    return float(site.ask.run("stat -c %.Y /srv/swap/live.sock"))


def test_a_request_longer_than_the_drain_is_cut_and_told(site, load):
    """It gets an answer that says so, at the limit; the lifespan shutdown runs, the log names what was cut."""
    began = time.time()
    old = site.live
    release = site.clone()
    workers = site.ask.run(f"pgrep -P {site.main_pid(old)}").split()
    with load() as running:
        deploy_with_a_request(site, 50, release)
        # The run is over, and the old slot isn't: everybody who asks is told so, and nothing is left to do.
        assert site.history()[-1]["phases"]["drain"] < 2
        assert draining(site, old)
        assert not site.ask.host.file("/run/long").exists
        assert site.swap(release)["changed"] is False
        assert draining(site, old), "it had ended by then, so this shows nothing"
        # systemd starts anew, and has to know what it was at.
        site.ask.run("systemctl daemon-reexec")
        site.gone(old)
    running.counted.nothing_lost()
    site.ask.until("the long request ended", lambda: site.ask.host.file("/run/long").exists)
    status, took = site.ask.run("cat /run/long").split()
    assert status == "503"
    assert float(took) < 40
    assert DRAIN <= drained(site, old) < DRAIN + 5
    cut = told(site, "Cut by the shutdown after", began)
    assert len(cut) == 1 and "GET /slow" in cut[0], cut
    stopped = [json.loads(line)["pid"] for line in told(site, '"event": "stopped"', began)]
    assert {str(pid) for pid in stopped} >= set(workers)
    site.alone()


@pytest.mark.core
def test_what_waits_in_the_old_slots_queue_is_answered(site, load, sabotage):
    """Its workers are frozen shortly before the traffic moves, and go on when the old slot is due to be stopped."""
    before = site.release
    workers = " ".join(site.ask.run(f"pgrep -P {site.main_pid(site.live)}").split())
    with load() as running:
        thaw = f"(sleep 2; kill -CONT {workers}) >/dev/null 2>&1 &"
        sabotage(f"touch /run/there; kill -STOP {workers}; sleep 0.5; {thaw}", "move")
        now = site.deploy()
        site.ask.run("rm /run/there /run/saboteur.json")
    running.counted.nothing_lost()
    assert list(running.counted.releases) == [before, now]
    site.alone()


def test_a_lifespan_shutdown_that_hangs_is_cut(site, load):
    site.deploy(site.clone("stubborn"))
    site.alone()
    began = time.time()
    with load() as running:
        site.deploy()
    running.counted.nothing_lost()
    site.alone()
    assert len(told(site, "Lifespan shutdown cut", began)) == 2
    assert 1 < drained(site, site.standby) < 10


@pytest.mark.parametrize("kind", [pytest.param("deploy", marks=pytest.mark.core), "rollback"])
def test_a_run_waits_for_the_slot_that_it_needs(site, load, kind):
    """It comes while the slot that it would fill still has a request, which is answered."""
    site.deploy()
    site.alone()
    old = site.live
    with load() as running:
        deploy_with_a_request(site, DRAIN - 3, site.clone())
        assert draining(site, old)
        if kind == "rollback":
            site.roll_back()
        else:
            site.deploy()
    running.counted.nothing_lost()
    assert site.ask.run("cat /run/long").split()[0] == "200"
    assert (site.live, site.history()[-1]["outcome"], site.history()[-1]["kind"]) == (old, "live", kind)
    site.alone()


def test_a_stop_that_was_lost_is_made_good(site, load):
    """The slot was told to stop, and then not any more: the next run tells it again."""
    release = site.deploy()
    site.alone()
    old = site.standby
    with load() as running:
        site.ask.run(f"systemctl start swap@{old}.socket")
        assert site.swap(release)["changed"] is True
    running.counted.nothing_lost()
    site.alone()


def test_an_end_that_takes_too_long_is_seen(site):
    """What a drain can't end is killed by systemd, when the run is over: the status says so until the slot is used."""
    old = site.live
    long_request(site, 50)
    site.deploy()
    site.ask.run(f"kill -STOP $(pgrep -P {site.main_pid(old)}) {site.main_pid(old)}")
    assert state(site, old) == "draining"
    site.gone(old)
    assert "its end took longer than fastapi_stop_timeout" in site.good("status")
    site.deploy()
    site.alone()
    assert site.ask.run("systemctl --failed --plain --no-legend --no-pager") == ""


def deploy_with_a_request(site, seconds: int, release: str) -> None:
    """A deploy, and a request that begins shortly before the traffic moves: the proxy waits for one 25 s at most."""
    new = site.standby
    with site.begin(release) as process:
        site.ask.until("the new slot starts", lambda: not inactive(site, new), 60)
        long_request(site, seconds)
        result = site.first.swap.result(process)
    assert result and not result.get("failed"), result


def long_request(site, seconds: int) -> None:
    """Begin a request beside the load; /run/long gets its status and how long it took."""
    site.ask.run(
        "rm -f /run/long; (curl -s -m 60 -o /dev/null -w '%{http_code} %{time_total}' "
        f"'http://127.0.0.1/slow?seconds={seconds}' >/run/long.part; mv /run/long.part /run/long) >/dev/null 2>&1 &"
    )


def draining(site, slot: str) -> bool:
    """By systemd itself: a run of the status takes a good part of a drain."""
    return site.ask.show(site.unit(slot), "ActiveState")["ActiveState"] == "deactivating"


def inactive(site, slot: str) -> bool:
    return site.ask.show(site.unit(slot), "ActiveState")["ActiveState"] in ("inactive", "failed")


def state(site, slot: str) -> str:
    """What the status says of a slot."""
    rows = [line.split() for line in site.good("status").splitlines()]
    return next(row[1] for row in rows if row[:1] == [slot])


def drained(site, slot: str) -> float:
    """Seconds that the slot's service took from the order to stop until it had ended, by systemd's own log: it forgets
    the times of a unit that has ended."""
    service = site.unit(slot)
    journal = f"journalctl --no-pager --output=short-unix --lines=50 _PID=1 UNIT={service}"
    lines = [line.split() for line in site.ask.run(journal).splitlines()]
    times = [float(next(line[0] for line in reversed(lines) if word in line)) for word in ("Stopping", "Stopped")]
    return times[1] - times[0]
