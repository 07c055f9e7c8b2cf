"""What is counted is what was: nothing lost in a deploy, and what is broken on purpose is seen, and seen right."""

from __future__ import annotations

import time

import pytest


@pytest.mark.core
def test_a_deploy_loses_nothing_and_the_figures_go_everywhere(ask, prove):
    done = prove.run(
        "deploy", fastapi_source=prove.source(), paths="/,/slow?seconds=0.3,/nowhere", rate=30, fail_on_lost=1
    ).well()
    figures = done.figures
    assert (figures["lost"], figures["doubled"], figures["limited"]) == (0, 0, 0), done.said
    # Each was worked on once, by the app's own word.
    assert figures["worked_on"] == figures["answered"] == figures["sent"] > 100
    assert [row["answers"] for row in figures["paths"]][2].keys() == {"404"}
    assert "/nowhere answers 404" in done.said
    assert {"start", "ready", "move", "watch"} <= {row["phase"] for row in figures["phases"]}
    begins = [row["begin"] for row in figures["phases"]]
    # The deploy lies within what was seen, and after the steady stretch.
    assert figures["steady_seconds"] < begins[0] and begins == sorted(begins)
    assert figures["phases"][-1]["end"] < figures["drained"] + 1 < figures["seconds"] + 1
    entry = prove.history()[-1]
    assert entry["outcome"] == "live" and entry["proved"]["sent"] == figures["sent"]
    assert entry["proved"]["lost"] == 0
    assert f"0 of {figures['sent']}" in prove.control.run("status", fastapi_name="swap")[1]
    told = prove.told()[-1]
    assert (told["event"], told["lost"], told["sent"]) == ("proved", 0, figures["sent"]), told
    assert told["release"] == entry["release"]
    assert {path.suffix for path in done.into.iterdir()} == {".json", ".svg", ".png", ".html"}
    prove.nothing_left()


@pytest.mark.core
def test_a_proxy_that_is_down_for_a_second_is_seen_and_fails_the_gate(ask, prove):
    with prove.start("nothing", seconds=10, fail_on_lost=1) as process:
        prove.asked(3)
        ask.run(f"systemctl stop {prove.proxy}")
        stopped = time.monotonic()
        while time.monotonic() < stopped + 1:
            time.sleep(0.1)
        ask.run(f"systemctl start {prove.proxy}")
        done = prove.ended(process)
    figures = done.figures
    assert done.status == 2 and "fail_on_lost=1 fails the run" in done.said, done.said
    assert figures["lost"] > 10 and figures["sent"] == figures["lost"] + figures["answered"] == 200
    # What the app hasn't worked on was lost; what was lost on the way back it may have.
    unseen = figures["sent"] - figures["worked_on"]
    assert unseen <= figures["lost"] <= unseen + 2
    assert any(
        "refused" in reason["why"] or "Connect call failed" in reason["why"] for reason in figures["lost_reasons"]
    )
    assert figures["deploy"] is None and "proved" not in prove.history()[-1].get("proved", {})
