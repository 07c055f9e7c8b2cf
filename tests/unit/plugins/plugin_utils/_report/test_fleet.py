"""The page of all hosts, by what status says of each."""

from __future__ import annotations

import html.parser
import time
import typing as t

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._report.fleet import page, summary, to_look_at

NOW = 1_795_000_000.0
DAY = 86400


def entry(days: float, **more: t.Any) -> dict[str, t.Any]:
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - days * DAY))
    base = {"started": started, "release": "3f2a9c81d04e", "kind": "deploy", "seconds": 4.2, "by": "ann@laptop"}
    return base | {"outcome": "live", "reason": ""} | more


def facts(**more: t.Any) -> dict[str, t.Any]:
    live = {
        "state": "live",
        "since": NOW - 3 * DAY,
        "workers": 2,
        "restarts": 0,
        "memory": 80 << 20,
        "memory_max": 460 << 20,
        "worker_memory_planned": 150 << 20,
        "note": "",
        "advice": "",
        "ready": "/ready answers 200 ready",
    }
    idle = live | {"state": "stopped", "workers": 0, "memory": 0, "ready": ""}
    slots = {"blue": live | more.pop("blue", {}), "green": idle}
    base = {"name": "shop", "live": "blue", "release": "3f2a9c81d04e", "slots": slots, "maintenance": False}
    base |= {"deploying": {}, "cut_off": {}, "history": [entry(3)], "processes": [], "timers": [], "pushes": []}
    return base | {"certificate": {"ends": NOW + 60 * DAY}, "stalls": {}} | more


def looked_at(**more: t.Any) -> str:
    return "\n".join(what for _host, what in to_look_at({"web1": facts(**more)}, NOW))


def test_a_fleet_that_is_well_has_nothing_to_look_at():
    fleet = {"web1": facts(), "web2": facts()}
    assert list(to_look_at(fleet, NOW)) == []
    assert summary(fleet) == "2 hosts, all with release 3f2a9c81d04e."
    assert "To look at" not in page(fleet, NOW)


def test_two_releases_are_told_with_their_hosts():
    fleet = {"web1": facts(), "web2": facts(), "web3": facts(release="81d04e3f2a9c"), "web4": None}
    assert summary(fleet) == (
        "4 hosts with 2 releases: 3f2a9c81d04e on web1, web2; 81d04e3f2a9c on web3; web4 couldn't be asked."
    )
    assert summary({"web1": facts(), "web2": facts(release=None)}).endswith("web1; nothing live on web2.")
    assert summary({"web1": None}) == "1 host, and none could be asked."
    assert summary({"web1": facts(release=None)}) == "1 host, and nothing is live on any."
    assert list(to_look_at(fleet, NOW)) == [("web4", "couldn't be asked.")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"live": None, "release": None}, "nothing is live"),
        ({"maintenance": True}, "maintenance page"),
        ({"leaving": {"since": "2026-11-28T08:04:00Z"}}, "leaving since 2026-11-28T08:04:00Z"),
        ({"cut_off": {"phase": "watch"}}, "cut off in phase watch"),
        ({"blue": {"note": "systemd has restarted it 3 time(s)"}}, "blue: systemd has restarted it"),
        ({"blue": {"memory": 420 << 20}}, "blue has 420M of 460M."),
        ({"blue": {"ready": "/ready answers 503 no database"}}, "503 no database"),
        ({"certificate": {"ends": NOW + 19 * DAY}}, "ends in 19 days"),
        ({"certificate": {"ends": NOW - 1}}, "has ended"),
        ({"stalls": {"times": 1, "seconds": 2.0, "where": "app/a.py:3 in f"}}, "2.0 s (app/a.py:3 in f)"),
        ({"history": [entry(1, outcome="failed", reason="no such module\nTraceback")]}, "failed: no such module"),
        ({"timers": [{"timer": "tidy", "outcome": "exit 1", "next": "", "command": "x", "note": "it failed"}]}, "tidy"),
    ],
)
def test_what_is_wrong_is_told(more, said):
    assert said in looked_at(**more)


def test_what_isnt_near_its_limit_isnt():
    assert looked_at(certificate={"ends": NOW + 21 * DAY}, blue={"memory": 380 << 20}) == ""
    assert looked_at(certificate={}) == ""


def test_commands_before_a_release_are_no_deploy():
    history = [entry(2), entry(1, kind="before", outcome="ran")]
    assert looked_at(history=history) == ""
    text = page({"web1": facts(history=history)}, NOW)
    assert text.count('<i class="') - text.count('<i class="key') == 1
    assert "<td>ran</td>" in text


class Parsed(html.parser.HTMLParser):
    """What stays open, and what a browser would run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: t.Any) -> None:
        self.seen.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_takes_no_markup_of_an_app():
    bad = "<script>alert(1)</script>\" onmouseover='x'"
    process = {"process": bad, "service": bad, "release": bad, "command": bad, "note": bad}
    push = {"number": 1, "state": bad, "received": bad, "commit": bad, "by": bad, "reason": bad}
    history = [entry(2, by=bad, reason=bad, kind=bad, outcome=bad, release=bad)]
    fleet = {bad: facts(name=bad, processes=[process], pushes=[push], history=history), "web2": None}
    text = page(fleet, NOW)
    parsed = Parsed(text)
    assert parsed.open == []
    assert "script" not in parsed.seen
    assert "onmouseover='x'" not in text.replace("&#x27;", "'").replace("&quot;", '"') or "<script>" not in text
    assert "http" not in text.replace("https://", "")


def test_the_timeline_has_each_deploy_of_a_month_and_what_was_lost():
    history = [
        entry(40),
        entry(15, kind="rollback"),
        entry(1, proved={"sent": 1200, "lost": 2}),
        entry(0.5, outcome="failed"),
    ]
    text = page({"web1": facts(history=history)}, NOW)
    assert text.count('<i class="') - text.count('<i class="key') == 3
    assert 'class="back" style="left:50.00%"' in text
    assert "2 of 1,200 lost" in text
    assert "Deploys of the last" not in page({"web1": facts(history=[entry(40)])}, NOW)
