"""Releases that come and go on three hosts while clients ask by the address that the balancers share."""

from __future__ import annotations

import pytest

FAILS_HERE = """
if os.environ.get("ODD") == "1":
    raise RuntimeError("only here")
"""
DIES_WHEN_LIVE = """
import threading, time
def _die():
    while not os.readlink("/srv/swap/live.sock").endswith(os.environ["FASTAPI_SLOT"] + ".sock"):
        time.sleep(0.05)
    os._exit(3)
if os.environ.get("ODD") == "1":
    threading.Thread(target=_die, daemon=True).start()
"""


@pytest.mark.core
def test_a_deploy_and_a_rollback(fleet, tally):
    (before,) = fleet.releases()
    with fleet.load() as load:
        said = fleet.good("release", fastapi_source=fleet.source("# another"))
    (after,) = fleet.releases()
    assert after != before, said
    assert set(load.counted.releases) == {before, after}
    tally("a release is deployed to three hosts", load)
    load.counted.nothing_lost()
    fleet.more["fastapi_serial"] = [1, "100%"]
    with fleet.load() as load:
        said = fleet.good("rollback")
    assert fleet.releases() == {before}
    # All at once, whatever deploys do.
    assert "of the inventory is for deploys alone" in " ".join(said.split()), said
    del fleet.more["fastapi_serial"]
    tally("it is rolled back", load)
    load.counted.nothing_lost()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (FAILS_HERE, "a release doesn't start on the third host"),
        (DIES_WHEN_LIVE, "a release dies on the third host in its watch"),
    ],
)
def test_a_release_that_fails_on_the_third_host_only(fleet, tally, line, fault):
    (before,) = fleet.releases()
    with fleet.load() as load:
        status, said = fleet.play("release", fastapi_source=fleet.source(line))
    assert status == 2, said
    assert f"because of {fleet.container('web3')}, so that" in said
    assert fleet.releases() == {before}
    tally(fault, load)
    if line == FAILS_HERE:
        load.counted.nothing_lost()
    else:
        # The process that dies loses what it was working on, and no more: a third of what is asked in its moment.
        load.counted.nothing_wrong()
        assert len(load.counted.lost) <= 30, f"{load.counted}\n{load.counted.lost[:10]}"
