"""What keeps it from beginning, and what ends it: nothing is changed by either."""

from __future__ import annotations

import pytest
from deploys import ROOT
from tunes import slots


@pytest.fixture(autouse=True)
def as_before(ask, site, measured):
    before = slots(site)
    yield
    site.gone(site.standby)
    after = slots(site)
    assert [line for line in after.splitlines() if line not in before] == []
    assert after == before


def refused(result: dict, *words: str) -> None:
    assert result.get("failed"), result
    assert [word for word in words if word not in result["msg"]] == [], result["msg"]


def test_no_room_for_a_second_slot(tune):
    refused(tune.call(worker_memory="1T"), "fastapi_worker_memory")


def test_a_host_whose_cpus_are_in_use(tune, ask):
    ask.run(
        "for n in $(seq $(nproc)); do systemd-run --quiet --collect --unit=busy-$n sh -c 'while :; do :; done'; done"
    )
    try:
        refused(tune.call(idle=90), "The host is busy", "-e idle=")
    finally:
        ask.run("systemctl stop 'busy-*'")


def test_a_path_that_is_answered_with_an_error(tune):
    refused(tune.call(paths=[{"path": "/nowhere"}]), "GET /nowhere", "404")


def test_check_mode_starts_nothing(tune, ask):
    result = tune.call(_ansible_check_mode=True)
    assert "Would measure up to 1 worker(s) of swap" in result["msg"], result


def test_what_serves_gets_slow(tune, site, ask):
    """On purpose: somebody keeps the workers that serve, for as long as the run goes on."""
    ask.run(
        f"cat >/run/keep.sh <<'END'\nwhile :; do curl -s --unix-socket {ROOT}/live.sock http://localhost/python "
        "-d 'import time; time.sleep(0.4)' >/dev/null; done\nEND"
    )
    process = tune.start(slower=2, seconds=30)
    tune.at("1 worker")
    for number in range(4):
        ask.run(f"systemd-run --quiet --collect --unit=keep-{number} sh /run/keep.sh")
    try:
        result = tune.ended(process)
    finally:
        ask.run("systemctl stop 'keep-*'")
    refused(result, "because the slot that serves suffered: ", "all is as it was")
    ask.until("it serves again", lambda: ask.get("/ready")[0] == 200)


def test_a_deploy_is_under_way(tune, site, ask, sabotage):
    sabotage("touch /run/there; while [ ! -e /run/go ]; do sleep 0.1; done", "fill")
    release = site.clone()
    process = site.begin(release)
    ask.until("it has the lock", lambda: ask.host.file("/run/there").exists)
    try:
        refused(tune.call(), "Another deploy of swap is moving traffic on this host")
    finally:
        ask.run(f"kill -9 $(sed 's/.*\"pid\": \\([0-9]*\\).*/\\1/' {ROOT}/deploy.lock); touch /run/go")
        process.communicate()
    # Now it was cut off, which is for the next deploy to see.
    refused(tune.call(), "was cut off in phase fill", "release.yml")
    ask.run(f": >{ROOT}/deploy.lock; rm -rf {ROOT}/slots/.[!.]* /run/there /run/go {ROOT}/releases/{release}")
