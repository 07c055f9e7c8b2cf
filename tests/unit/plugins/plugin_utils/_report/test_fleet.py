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


def balancer(**more: t.Any) -> dict[str, t.Any]:
    hosts = [{"host": f"web{number}", "ready": True, "answer": "200 ready"} for number in (1, 2)]
    base = {"name": "shop", "proxy": "nginx is active", "balances": hosts, "certificate": {"ends": NOW + 60 * DAY}}
    return base | {"shared": {"address": "192.0.2.10", "here": False, "keepalived": "active"}} | more


HERE = {"address": "192.0.2.10", "here": True, "keepalived": "active"}
LEFT_OUT = [{"host": "web1", "ready": True, "answer": "200"}, {"host": "web2", "ready": False, "answer": "503 leaving"}]
LEAVING = {"since": "2026-11-28T08:04:00Z", "by": "ann"}


def test_balancers_that_are_well_have_nothing_to_look_at():
    text = page({"web1": facts(), "web2": facts(), "lb1": balancer(shared=HERE), "lb2": balancer()}, NOW)
    assert "To look at" not in text
    assert "2 hosts, all with release 3f2a9c81d04e. 2 balancers before them: lb1 has 192.0.2.10." in text
    assert "<td>192.0.2.10, here</td>" in text and "<td>web1, web2</td><td>-</td>" in text
    assert "<h2>Balancers" not in page({"web1": facts()}, NOW)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"balances": LEFT_OUT}, ">web2: 503 leaving (leaving since 2026-11-28T08:04:00Z, by patch.yml of ann)</td>"),
        ({"balances": LEFT_OUT[1:]}, "lb1</b> no host of the app is ready, so clients get 503."),
        ({"proxy": "nginx is failed"}, "lb1</b> nginx is failed."),
        ({"shared": HERE | {"keepalived": "failed"}}, "lb1</b> keepalived is failed"),
        ({"shared": HERE | {"here": False}}, "192.0.2.10</b> no balancer has it"),
        ({"certificate": {"ends": NOW + 5 * DAY}}, "lb1</b> the certificate ends in 5 days."),
    ],
)
def test_what_is_wrong_with_a_balancer_is_told(more, said):
    before = {"lb1": balancer(**{"shared": HERE} | more), "lb2": balancer()}
    assert said in page({"web1": facts(), "web2": facts(leaving=LEAVING), **before}, NOW)


def test_an_address_that_two_balancers_have_is_told():
    text = page({"lb1": balancer(shared=HERE), "lb2": balancer(shared=HERE)}, NOW)
    assert "192.0.2.10</b> several balancers have it at once." in text
    one = {"lb1": balancer(balances=LEFT_OUT), "lb2": balancer(balances=LEFT_OUT, shared=HERE)}
    assert "web2</b> gets no requests from lb1, lb2: 503 leaving</li>" in page(one, NOW)


@pytest.mark.parametrize(
    ("more", "lb2"), [({"balancers": ["lb1", "lb2"]}, {"lb2": None}), ({"balancers": ["lb1", "lb2"]}, {}), ({}, {})]
)
def test_an_address_that_nobody_seems_to_have_is_judged_when_both_were_asked(more, lb2):
    text = page({"lb1": balancer(**more), **lb2}, NOW)
    other = "lb2" if more else "the other balancer"
    assert f"192.0.2.10</b> lb1 doesn&#x27;t have it, and {other} wasn&#x27;t asked." in text
    assert "no balancer has it" not in text
    assert "wasn&#x27;t asked" not in page({"lb1": balancer(shared=HERE), **lb2}, NOW)


def test_a_canarys_figures_are_in_the_timeline_and_the_table():
    counted = {"share": 10, "requests": 310, "errors": 13, "p95": 21.0}
    counted |= {"live_requests": 2790, "live_errors": 3, "live_p95": 19.0}
    text = page({"web1": facts(history=[entry(2), entry(1, canary=counted, outcome="moved back")])}, NOW)
    assert text.count("4.2 % of 310, 21 ms / 0.1 % of 2,790, 19 ms") == 2
    assert '<th class="wraps">canary / live: errors, p95</th>' in text
    assert "canary / live" not in page({"web1": facts()}, NOW)


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
    out = [{"host": bad, "ready": False, "answer": bad}]
    fleet[f"{bad}2"] = balancer(name=bad, proxy=bad, balances=out, shared=HERE | {"address": bad, "keepalived": bad})
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
