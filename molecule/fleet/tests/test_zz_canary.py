"""A part of the requests of the first hosts goes to a release first. The sites have the branch for it from here on."""

from __future__ import annotations

import pytest
from conftest import CANARY


@pytest.fixture
def tried(fleet):
    """Deploy to the fleet, with a canary on the hosts of the first batch; exit status and what was said."""
    fleet.have_canaries()

    def run(seconds: int, fault: str = "", **variables: object) -> tuple[int, str]:
        source = fleet.source("# another", fault)
        return fleet.play("release", fastapi_source=source, fastapi_canary={**CANARY, "seconds": seconds}, **variables)

    return run


def test_a_good_canary_on_the_hosts_of_the_first_batch_goes_on(fleet, tried, tally):
    (before,) = fleet.releases()
    with fleet.load() as load:
        status, said = tried(10, fastapi_serial=[2, "100%"])
    assert status == 0, said
    (after,) = fleet.releases()
    assert after != before
    for host in ("web1", "web2"):
        figures = fleet.history(host)[-1]["canary"]
        assert f"{fleet.container(host)}: Release {after}" in said
        assert figures["requests"] > 10 and figures["live_requests"] > 30, figures
        assert (figures["errors"], figures["live_errors"]) == (0, 0), figures
    assert "canary" not in fleet.history("web3")[-1]
    tally("a canary on two hosts that is good goes on", load)
    load.counted.nothing_lost()


@pytest.mark.parametrize(("fault", "why"), [("errors", "errors "), ("slow", "p95 ")])
def test_a_bad_canary_takes_its_host_back_and_nobody_moves(fleet, tried, tally, fault, why):
    (before,) = fleet.releases()
    with fleet.load() as load:
        status, said = tried(40, fault)
    said = " ".join(said.split())
    assert status == 2 and f"didn't stay well as a canary: {why}" in said, said
    assert f"because of {fleet.container('web1')}, so that" in said
    assert all(f"{fleet.container(host)} is as it was" in said for host in ("web2", "web3")), said
    assert fleet.releases() == {before}
    tried_here = fleet.history("web1")[-1]
    figures = tried_here["canary"]
    assert (tried_here["outcome"], tried_here["blames"]) == ("moved back", True)
    # For much less than the time that it might have had.
    assert figures["seconds"] < 30 and figures["live_errors"] == 0, figures
    assert all(fleet.history(host)[-1]["release"] != tried_here["release"] for host in ("web2", "web3"))
    tally(f"a canary on one host that {'answers 500' if fault == 'errors' else 'is slow'} goes back", load)
    load.counted.nothing_wrong()
    # What it has itself answered badly, and nothing else; some of them after the last look.
    assert {each["what"] for each in load.counted.lost} <= {"HTTP/1.1 500 Internal Server Error"}, load.counted.lost
    assert len(load.counted.lost) < figures["errors"] + 10, f"{load.counted} {figures}"
