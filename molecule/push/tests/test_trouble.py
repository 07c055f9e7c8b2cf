"""Whatever goes wrong with a push, what serves goes on, and the next push finds its way."""

from __future__ import annotations

import subprocess

import pytest
from conftest import LIMIT, NAME


@pytest.mark.core
def test_what_does_not_import_is_told_and_the_old_one_serves(pushed, load, tally):
    live = pushed.live
    with load() as running:
        note = pushed.became(pushed.taken(pushed.commit(fault="import")))
        assert note["state"] == "failed" and "broken at import" in note["reason"], note
        assert pushed.live == live
        # Once, by the deploy itself, with the reason and who has pushed.
        (told,) = pushed.heard(note["number"])
        assert told["event"] == "failed" and "broken at import" in told["reason"] and told["commit"] == note["commit"]
        good = pushed.deployed(pushed.commit())
        assert [told["event"] for told in pushed.heard(good["number"])] == ["live"]
    running.counted.nothing_lost()
    tally("a push that doesn't import, and the next one", running)


def test_what_needs_a_package_that_is_not_there_is_told(pushed):
    live = pushed.live
    note = pushed.became(pushed.taken(pushed.commit(requirements__txt="fastapi==0.165.0\nno-such-package-here==1.0\n")))
    assert note["state"] == "failed" and "no-such-package-here" in note["reason"], note
    assert pushed.live == live
    # That failed before any host was reached, so the one who ran it tells.
    pushed.ask.until("it is told", lambda: pushed.heard(note["number"]), LIMIT)
    (told,) = pushed.heard(note["number"])
    assert told["event"] == "failed" and "no-such-package-here" in told["reason"], told
    pushed.ask.run("cd /opt/work; git checkout -q HEAD~1 -- requirements.txt")
    pushed.deployed(pushed.commit())


@pytest.mark.parametrize(
    ("phase", "reached"),
    [
        ("as it collects", f"{NAME}-logs --deploys --since @{{since}} | grep 'TASK .*collect what'"),
        # What a module does as it does it is in the lock alone.
        ("as it moves the traffic", f"grep phase /srv/{NAME}/deploy.lock"),
    ],
)
def test_a_deploy_that_is_killed_is_begun_once_more(pushed, ask, load, tally, phase, reached):
    with load() as running:
        commit = pushed.commit()
        since = ask.run("date +%s").strip()
        number = pushed.taken(commit)
        pushed.running(number)
        ask.until(phase, lambda: ask.host.run(reached.format(since=since)).rc == 0, LIMIT)
        ask.run(f"systemctl kill --signal KILL {NAME}-deploys.service")
        note = pushed.became(number)
        assert (note["state"], note["tries"]) == ("deployed", 2), (note, pushed.log())
        assert pushed.live == commit
    running.counted.nothing_lost()
    tally(f"the deploying process killed, {phase}", running)


def test_a_deploy_that_is_killed_twice_leaves_the_next_push_its_turn(pushed, ask):
    number = pushed.taken(pushed.commit())
    for tries in (1, 2):
        ask.until(f"try {tries}", lambda: pushed.notes().get(number, {}).get("tries") == tries, LIMIT)  # noqa: B023
        ask.run(f"systemctl kill --signal KILL {NAME}-deploys.service")
    note = pushed.became(number)
    assert note["state"] == "cut off" and "2 times" in note["reason"], note
    pushed.deployed(pushed.commit())


@pytest.mark.core
def test_what_was_under_way_at_a_reboot_is_deployed_after_it(pushed, ask):
    commit = pushed.commit()
    number = pushed.taken(commit)
    pushed.running(number)
    subprocess.run(["docker", "restart", "--time", "60", ask.host.backend.host], check=True, capture_output=True)
    ask.until("the app serves again", lambda: ask.host.run("curl -sf http://127.0.0.1/ready").rc == 0, LIMIT)
    note = pushed.became(number)
    assert note["state"] == "deployed", (note, pushed.log())
    assert pushed.live == commit
    pushed.deployed(pushed.commit())


HOLDER = """
import fcntl, json, time

file = open("/srv/swap/deploy.lock", "r+")
fcntl.flock(file, fcntl.LOCK_EX)
json.dump({"by": "ann@laptop", "since": "today", "release": "", "phase": "watch"}, file)
file.flush()
time.sleep(300)
"""


def test_a_push_waits_for_who_deploys_by_hand(pushed, ask):
    ask.run(f"cat >/run/holder.py <<'END'\n{HOLDER}\nEND")
    ask.run("systemd-run --quiet --collect --unit=holder python3 /run/holder.py")
    try:
        commit = pushed.commit()
        number = pushed.taken(commit)
        ask.until("it says for whom it waits", lambda: "ann@laptop" in pushed.log(), LIMIT)
    finally:
        ask.run("systemctl stop holder; : >/srv/swap/deploy.lock")
    assert pushed.became(number)["state"] == "deployed"
    assert pushed.live == commit


@pytest.mark.core
def test_it_can_be_stopped_for_a_while(pushed, ask):
    commit = pushed.commit()
    pushed.deployed(commit)
    ask.run(f"systemctl stop {NAME}-webhook.socket")
    assert pushed.told(commit)[0] in (502, 503)
    ask.run(f"systemctl start {NAME}-webhook.socket")
    pushed.deployed(commit)


def test_the_listener_comes_back(pushed, ask):
    unit = f"{NAME}-webhook-hooks.service"
    before = ask.show(unit, "MainPID")["MainPID"]
    ask.run(f"systemctl kill --signal KILL {unit}")

    def again() -> bool:
        now = ask.show(unit, "ActiveState", "MainPID")
        return now["ActiveState"] == "active" and now["MainPID"] not in ("0", before)

    ask.until("it listens again", again)
    pushed.deployed(pushed.commit())
