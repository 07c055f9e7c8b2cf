"""Who has to know is told of each outcome, once, within five seconds, and without a secret."""

from __future__ import annotations

import json
import shlex
import time

import pytest
from deploys import ROOT

PORT, FILE = 8097, "/run/told.jsonl"
AT = f"127.0.0.1:{PORT}"
KILL = "touch /run/killed; kill -9 $PPID"
SECRET = "canary-of-the-environment"
# Records what a program is given, under the name of who ran it.
RECORDER = """#!/bin/sh
{ id -un; echo "$*"; echo "$FASTAPI_EVENT_TEXT"; cat; } >>/run/told-by-hand/$(basename $0)
"""
TIMED = """
import subprocess, sys, time
begun = time.monotonic()
subprocess.run(["python3", "-BEsS", sys.argv[1]], input=b'{"event": "live"}', stdout=subprocess.DEVNULL, check=True)
print(time.monotonic() - begun)
"""
TARGETS = [
    {"url": f"http://{AT}/all", "headers": {"Authorization": "Bearer k3y-of-a-target"}},
    {"slack": f"http://{AT}/services/T0/B0/drawn0123456789"},
    {"mail": ["ops@example.org"]},
    # As somebody writes it who has `on` without quotes in YAML, and a command as text.
    {"command": "/usr/local/bin/told --to 'the team'", "on": ["moved_back", "cut_off"]},
]


class Told:
    """What was told on the host since the last question."""

    def __init__(self, ask) -> None:
        self.ask = ask

    def bodies(self, path: str = "/all") -> list[dict]:
        lines = self.ask.run(f"cat {FILE} 2>/dev/null || true").splitlines()
        return [row["body"] for row in map(json.loads, lines) if row["path"] == path]

    def forget(self) -> None:
        self.ask.run(f"rm -f {FILE} /run/told-by-hand/*")

    def only(self, event: str) -> dict:
        """The one message that all were told since the last forget()."""
        (message,) = self.bodies()
        assert message["event"] == event, message
        assert [body["text"] for body in self.bodies("/services/T0/B0/drawn0123456789")] == [message["text"]]
        letter = self.ask.run("cat /run/told-by-hand/sendmail")
        assert letter.count("To: ops@example.org") == 1 and letter.startswith("root\n-i -- ops@example.org\n"), letter
        self.forget()
        return message


@pytest.fixture
def told(ask, site):
    """Somebody who listens on the host, a sendmail, a command, and the targets as a run of release.yml leaves them."""
    ask.run(
        f"install -d -m 777 /run/told-by-hand; rm -f {FILE}; "
        f"printf %s '{RECORDER}' | tee /usr/local/bin/told >/usr/sbin/sendmail; "
        "chmod 755 /usr/local/bin/told /usr/sbin/sendmail; systemctl reset-failed told 2>/dev/null; "
        f"systemd-run --quiet --collect --unit=told python3 /opt/load/hooks.py {PORT} {FILE}"
    )
    # Who listens is asked for nothing: it would be recorded.
    ask.until("it listens", lambda: f":{PORT} " in ask.run("ss -ltn"))
    yield Told(ask)
    ask.run(
        f"systemctl stop told; rm -rf /usr/sbin/sendmail /usr/local/bin/told /run/told-by-hand {ROOT}/commands/notify"
    )


# What a run has written of TARGETS, by host.
_written: dict[str, dict] = {}


@pytest.fixture
def targets(ask, site, told):
    """Have the host tell these and those of TARGETS, which a run has brought to it once."""
    name = ask.host.backend.host
    if name not in _written:
        site.good("release", fastapi_notify=TARGETS)
        _written[name] = json.loads(ask.run(f"cat {ROOT}/commands/notify"))

    def write(*more: dict) -> None:
        file = {**_written[name], "targets": [*_written[name]["targets"], *more]}
        ask.run(f"umask 077; cat >{ROOT}/commands/notify <<'END'\n{json.dumps(file)}\nEND")
        told.forget()

    write()
    return write


@pytest.mark.core
def test_a_persons_runs_tell_and_the_next_without_targets_tells_nobody(site, told):
    """A deploy alone brings the targets, to root alone; an empty list takes them off the host."""
    before = site.release
    source = site.source()
    given = {"fastapi_source": source, "fastapi_notify": TARGETS, "fastapi_deployer": "push 17 by alice"}
    said = site.good("release", "--diff", **given)
    _written[site.ask.host.backend.host] = json.loads(site.ask.run(f"cat {ROOT}/commands/notify"))
    message = told.only("live")
    release = site.release
    known = {"app": "swap", "by": "push 17 by alice", "release": release, "previous": before, "lost": None}
    assert {key: message[key] for key in known} == known and message["host"] == site.ask.host.backend.host
    assert (
        message["text"].startswith(f"swap on {message['host']}: live after ")
        and "(by push 17 by alice)" in message["text"]
    )
    assert site.history()[-1]["by"] == "push 17 by alice"
    assert "k3y-of-a-target" not in said and "drawn0123456789" not in said
    assert site.ask.run(f"stat -c '%U %a' {ROOT}/commands/notify").split() == ["root", "600"]
    # A dry run is no news, and who else is to be told is no deploy.
    site.good("release", "--check", fastapi_notify=TARGETS)
    site.good("release", fastapi_source=source, fastapi_notify=TARGETS[:2])
    assert (told.bodies(), site.release) == ([], release)
    assert len(json.loads(site.ask.run(f"cat {ROOT}/commands/notify"))["targets"]) == 2
    site.good("release", fastapi_source=source, fastapi_notify=TARGETS)
    site.good("rollback", fastapi_deployer="bob")
    message = told.only("rolled_back")
    assert (message["by"], message["release"], message["previous"]) == ("bob", before, release)
    # As text of the command line.
    site.good("release", "-e", "fastapi_notify=[]")
    assert told.bodies() == []
    assert not site.ask.host.file(f"{ROOT}/commands/notify").exists
    # What the run says of a name that is none, before anything changes.
    status, text = site.run("release", fastapi_notify=[{"mail": "ops@example.org"}, {"command": "no-such-program"}])
    assert status == 2 and "no such program on the host" in " ".join(text.split()), text


def test_every_outcome_is_told(site, told, targets, load):
    before = site.release
    with load() as running:
        result = site.swap(site.clone("import"))
        assert result.get("failed") and len(result["told"]) == 3, result
        message = told.only("failed")
        bad = site.history()[-1]
        assert (message["release"], message["previous"]) == (bad["release"], before)
        assert "canary: broken at import" in message["reason"] and message["seconds"] == bad["seconds"]

        # What comes before a release, and has in it what is new in its environment.
        environment = site.first.swap.parameters["environment"] + f'PASSPHRASE="{SECRET}"\n'
        before_it = [f"echo {SECRET}; exit 3"]
        result = site.swap(site.clone(), environment=environment, before=before_it)
        assert result.get("failed"), result
        assert "echo ***; exit 3" in told.only("failed")["reason"]

        assert site.swap(site.clone("unhealthy"), bake=3).get("failed")
        by_hand = site.ask.run("cat /run/told-by-hand/told").splitlines()
        message = told.only("moved_back")
        assert "500 unwell" in message["reason"]
        assert by_hand[:3] == ["nobody", "--to the team", message["text"]] and json.loads(by_hand[3]) == message

        good = site.deploy()
        assert told.only("live")["release"] == good
        site.roll_back()
        assert told.only("rolled_back")["release"] == before
    running.counted.nothing_lost()
    site.alone()


def test_a_deploy_that_was_cut_off_is_told_once_by_status_or_by_the_next_run(site, told, targets, sabotage, recorded):
    site.good("status", keep=True, fastapi_name="swap")
    status = recorded("status_info")
    for first in ("status", "deploy"):
        told.forget()
        before, release = site.release, site.clone()
        sabotage(KILL, "ready")
        assert site.swap(release, by="ann@laptop") == {}
        site.ask.run("rm /run/killed /run/saboteur.json")
        assert told.bodies() == []
        if first == "status":
            assert status.call(_ansible_check_mode=True)["told"] == []
            assert len(status.call()["told"]) == 4
            assert status.call()["told"] == []
            message = told.only("cut_off")
            assert "was cut off in phase ready" in status.call()["text"]
            site.deploy(release)
            assert told.only("live")["release"] == release
        else:
            site.deploy(release)
            message, live = sorted(told.bodies(), key=lambda body: body["event"])
            assert (message["event"], live["event"]) == ("cut_off", "live")
            assert status.call()["told"] == []
            assert len(told.bodies()) == 2
        known = {
            "by": "ann@laptop",
            "release": release,
            "previous": before,
            "reason": "in phase ready",
            "seconds": None,
        }
        assert {key: message[key] for key in known} == known
    site.alone()


def test_a_target_that_is_down_costs_five_seconds_and_a_warning(site, told, targets, say):
    begun = time.monotonic()
    site.deploy()
    quick = time.monotonic() - begun
    told.only("live")
    targets(
        {"url": f"http://{AT}/hang"},
        {"slack": f"http://{AT}/500"},
        {"url": "http://127.0.0.1:9/refused"},
        {"url": "https://no-such-name.invalid/drawn0123456789"},
        {"command": ["sh", "-c", "trap '' TERM; sleep 3600"], "user": "nobody"},
    )
    begun = time.monotonic()
    result = site.swap(site.clone())
    took = time.monotonic() - begun
    assert not result.get("failed"), result
    assert len(result["told"]) == 3
    told.only("live")
    warnings = json.dumps(result["warnings"])
    for why in (
        f"url at {AT} could not be told: no answer within",
        f"slack at {AT} could not be told: it answers 500",
        "url at 127.0.0.1:9 could not be told: connection refused",
        "url at no-such-name.invalid could not be told: ",
        "command sh could not be told: no answer within",
    ):
        assert why in warnings, result
    assert "drawn0123456789" not in json.dumps(result)
    # By itself: what a deploy takes differs by as much on a machine that has other work.
    seconds = float(site.ask.run(f"python3 -c {shlex.quote(TIMED)} {ROOT}/commands/tell.py"))
    say(f"a deploy of {quick:.1f} s took {took:.1f} s with targets that hang; {seconds:.2f} s of it were theirs")
    assert seconds < 5
    assert site.ask.host.run("pgrep -u nobody sleep").rc != 0


def test_no_secret_is_told_and_a_try_of_the_targets_says_whom_it_reaches(site, told, targets):
    """By the module, for who sees a deploy fail before it moves anything, and by a shell on the host."""
    root, slot = ROOT, site.live
    site.ask.run(f"echo 'CANARY=\"{SECRET}\"' >{root}/slots/{slot}/env.told")
    who = f"push 18 at {time.time()}"
    event = {"event": "failed", "by": who, "reason": f"no way to {SECRET} and postgresql://a:b@db"}
    event |= {"unless_told_since": "2026-01-01T00:00:00Z"}
    tell = f"python3 -BEsS {root}/commands/tell.py"
    said = json.loads(site.ask.run(f"{tell} <<'END'\n{json.dumps(event)}\nEND"))
    site.ask.run(f"rm {root}/slots/{slot}/env.told")
    assert said["not_told"] == [] and len(said["told"]) == 3
    message = told.only("failed")
    assert message["reason"] == "no way to [CANARY] and postgresql://[hidden]@db"
    assert message["previous"] == site.release
    again = json.loads(site.ask.run(f"{tell} <<'END'\n{json.dumps(event)}\nEND"))
    assert again["told"] == [] and f"{who} was told" in again["nobody"]
    # The module does the same.
    words = {"name": "swap", "event": "live", "reason": "a test"}
    status, text = site.control.run("molecule/swap/tell.yml", told=words)
    assert status == 0 and f"slack at {AT}" in text, text
    assert told.only("live")["reason"] == "a test"
    status, text = site.control.run("molecule/swap/tell.yml", "--check", told=words)
    assert status == 0 and told.bodies() == [], text
    # Whom it can't tell is no failure of the task.
    targets({"slack": f"http://{AT}/500"})
    status, text = site.control.run("molecule/swap/tell.yml", told=words)
    assert status == 0 and f"slack at {AT} could not be told: it answers 500" in " ".join(text.split()), text
