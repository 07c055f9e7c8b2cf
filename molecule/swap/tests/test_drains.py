"""What is still open when a release is replaced: streams are told to go, long requests are cut at the drain's limit."""

from __future__ import annotations

import json
import time

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
        site.good()
        now = site.release
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
    workers = site.ask.run(f"pgrep -P {site.main_pid(old)}").split()
    site.ask.run(
        "rm -f /run/long; (curl -s -m 60 -o /dev/null -w '%{http_code} %{time_total}' "
        "'http://127.0.0.1/slow?seconds=50' >/run/long.part; mv /run/long.part /run/long) >/dev/null 2>&1 &"
    )
    with load() as running:
        site.good()
    running.counted.nothing_lost()
    site.ask.until("the long request ended", lambda: site.ask.host.file("/run/long").exists)
    status, took = site.ask.run("cat /run/long").split()
    assert status == "503"
    assert float(took) < 30
    drain = site.history()[-1]["phases"]["drain"]
    assert DRAIN <= drain < DRAIN + 5
    cut = told(site, "Cut by the shutdown after", began)
    assert len(cut) == 1 and "GET /slow" in cut[0], cut
    stopped = [json.loads(line)["pid"] for line in told(site, '"event": "stopped"', began)]
    assert {str(pid) for pid in stopped} >= set(workers)
    site.alone()


def test_a_lifespan_shutdown_that_hangs_is_cut(site, load):
    site.good(fastapi_source=site.source("stubborn"))
    began = time.time()
    with load() as running:
        site.good()
    running.counted.nothing_lost()
    assert len(told(site, "Lifespan shutdown cut", began)) == 2
    assert site.history()[-1]["phases"]["drain"] < 10
    site.alone()
