"""patch.yml: security alone, out of the balancers, rebooted where it has to be; the first that stays away ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from deploys import NAME, ROOT, SWAP

MARK, NOTE = f"{ROOT}/leaving", f"{ROOT}/patching"
NOBODY = "nobody-asks-this-one"
"""A host of the inventory that isn't there: whoever asks it fails."""
REPLACED = "python=$(readlink -f /usr/bin/python3); cp -p $python $python.new; mv $python.new $python"
"""What an upgrade of Python does to those that run it."""
SLEEPS = '[Service]\\nExecStart=/usr/bin/python3 -c "import time; time.sleep(1000000)"\\n'
ASKS = "echo tiny >/run/reboot-required.pkgs; touch /run/reboot-required"
# Seconds of a balancer that asks once a second.
SOON = {"fastapi_health_interval": 1}


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def installed(ask, name: str = "tiny") -> str:
    return ask.run(f"cat /usr/share/{name}/version").strip()


def last(ask) -> dict:
    return json.loads(ask.run(f"tail -n 1 {ROOT}/history.jsonl"))


@pytest.fixture
def patch(control, options):
    def run(*more: str, **variables: object) -> tuple[int, str]:
        return control.run("patch", *options, *more, **variables)

    return run


@pytest.mark.core
def test_a_host_that_leaves_says_so_to_balancers_alone(ask, control, options, load):
    with load() as running:
        ask.run(f"touch {MARK}")
        assert ask.get("/ready")[0] == 503
        assert ask.get("/ready?from=balancer")[0] == 503
        assert ask.get("/health")[0] == 200
        assert ask.get("/")[0] == 200
        # A run asks so.
        assert ask.get("/ready", "http://127.0.0.1", "-H", "X-Graceful-Gated: 1")[0] == 200
        status, said = control.run("site", *options, fastapi_source=str(SWAP / "app"))
        assert status == 0, said
        status, said = control.run("status", *options)
        assert "This host is leaving since 20" in said and f"rm {MARK}" in said
        assert ask.get("/ready")[0] == 503
        ask.run(f"rm {MARK}")
        assert ask.get("/ready")[0] == 200
    running.counted.nothing_lost()


@pytest.mark.core
def test_security_alone_under_load_and_the_app_by_the_new_python(ask, patch, upgradable, load, count):
    other, before = installed(ask, "other"), installed(ask)
    upgradable(label="Debian", name="other")
    # A newer one of the same package that isn't a security update.
    wanted = upgradable(REPLACED)
    upgradable(label="Debian")
    status, said = patch("--check", "--diff")
    assert status == 0 and "doesn't fetch them anew" in said and "changed=0" in said
    ask.run("apt-get -q update")
    status, said = patch("--check", "--diff")
    assert f"tiny {before} -> {wanted}" in said and "other" not in said, said
    assert (installed(ask), installed(ask, "other")) == (before, other)
    assert not ask.host.file(MARK).exists
    pid = ask.show(f"{NAME}@{live(ask)}.service", "MainPID")["MainPID"]
    with load() as running:
        status, said = patch()
    assert status == 0, said
    counted = running.counted
    counted.nothing_lost()
    count("a security update that replaces Python, by `patch.yml` on a single host", counted.sent, len(counted.lost))
    assert f"tiny {before} -> {wanted}" in said and "it went on to serve" in said
    assert (installed(ask), installed(ask, "other")) == (wanted, other)
    # Of one app, so of the same release, by new processes.
    assert len(counted.releases) == 1
    assert ask.show(f"{NAME}@{live(ask)}.service", "MainPID")["MainPID"] != pid
    assert not ask.host.file(MARK).exists
    told = last(ask)
    assert (told["kind"], told["outcome"]) == ("patched", "done")
    assert f"tiny {before} -> {wanted}" in told["reason"]
    status, said = patch()
    assert status == 0 and "nothing to upgrade" in said and "changed=0" in said, said
    assert last(ask) == told


def live(ask) -> str:
    return ask.run(f"basename $(readlink {ROOT}/live.sock) .sock").strip()


def test_requests_that_go_on_to_come_end_it(ask, patch, upgradable, load):
    before = installed(ask)
    wanted = upgradable()
    # The scenario's other host is none that would stand in.
    alone = ask.host.backend.host
    with load() as running:
        status, said = patch(leave_within=5, fastapi_hosts=alone, **SOON)
    assert status == 2, said
    assert "Requests still come 5 s after" in said and "of 127.0.0.1" in said and "Nothing was upgraded" in said
    assert "?" not in said
    running.counted.nothing_lost()
    assert installed(ask) == before
    assert not ask.host.file(MARK).exists
    # When nobody comes any more: what has old files in memory is started anew, the app among it.
    ask.run(f"printf '{SLEEPS}' >/etc/systemd/system/old.service; systemctl daemon-reload; systemctl start old")
    # A job, which isn't cut off.
    ask.run("systemd-run --quiet --unit=job python3 -c 'import time; time.sleep(1e6)'")
    wanted = upgradable(REPLACED)
    pid = ask.show("old.service", "MainPID")["MainPID"]
    job = ask.show("job.service", "MainPID")["MainPID"]
    status, said = patch(leave_within=20, fastapi_hosts=alone, **SOON)
    assert status == 0, said
    assert "left the balancers in" in said and "restarted old.service" in said
    assert "got no request within 4 s" in said
    assert installed(ask) == wanted
    assert ask.show("old.service", "MainPID")["MainPID"] not in (pid, "0")
    assert "job.service" not in said and ask.show("job.service", "MainPID")["MainPID"] == job
    ask.run("systemctl stop old job; rm /etc/systemd/system/old.service; systemctl daemon-reload")


def test_no_deploy_meanwhile_and_one_that_died_is_finished(ask, control, options, patch, upgradable):
    wanted = upgradable("while [ ! -e /run/go-on ]; do sleep 0.1; done")
    ask.run("rm -f /run/go-on")
    with control.start("patch", *options) as process:
        ask.until("it upgrades", lambda: '"phase": "upgrade"' in ask.host.run(f"cat {NOTE}").stdout, 60)
        status, said = control.run("rollback", *options, fastapi_release="0123456789ab")
        assert status == 2 and "patch.yml is patching this host" in said, said
        status, said = control.run("status", *options)
        assert "is under way, in phase upgrade" in said
        module = json.loads(ask.run(f"cat {ROOT}/deploy.lock"))["pid"]
        ask.run(f"kill -9 {module}")
        process.communicate(timeout=60)
    ask.run("touch /run/go-on")
    ask.until("apt has ended", lambda: ask.host.run("fuser /var/lib/dpkg/lock-frontend || pgrep apt-get").rc != 0, 60)
    status, said = control.run("status", *options)
    assert "This host is leaving" in said
    # The lock is free, and still nobody deploys: it may be between two of its calls.
    status, said = control.run("rollback", *options, fastapi_release="0123456789ab")
    assert "patch.yml is patching this host" in said
    status, said = patch()
    assert status == 0, said
    assert installed(ask) == wanted
    assert not ask.host.file(MARK).exists
    assert last(ask)["kind"] == "patched"


def signalled(pid: int, number: int) -> None:
    """A process and all below it: Ansible's workers have sessions of their own."""
    os.kill(pid, number)
    below = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    for each in below.split():
        signalled(int(each), number)


def test_a_second_run_does_not_take_over_from_one_that_reboots_the_host(ask, control, options, patch, upgradable):
    host = ask.host.backend.host
    started = lambda: docker("inspect", "--format={{.State.StartedAt}}", host)  # noqa: E731
    # What Ansible unpacks a module to.
    looks = lambda: ask.host.run("ls -d /tmp/ansible_*patch_payload_*").succeeded  # noqa: E731
    upgradable(ASKS)
    before = started()
    with control.start("patch", *options, reboot="needed") as first:
        ask.until("the host has gone down and up", lambda: started() != before, 60)
        # It is late: the host is back, and it hasn't asked for it yet. Its lock has gone with the reboot.
        signalled(first.pid, signal.SIGSTOP)
        ask.until("it is reached", lambda: ask.host.run("test -e /run/systemd/system").succeeded)
        if looks():
            signalled(first.pid, signal.SIGCONT)
            first.communicate(timeout=90)
            pytest.fail("The first one was faster than this test.")
        assert ask.host.run(f"flock --nonblock {ROOT}/deploy.lock true").succeeded
        with control.start("patch", *options, reboot="needed") as second:
            ask.until("the second one looks", looks, 60)
            signalled(first.pid, signal.SIGCONT)
            refused = second.communicate(timeout=90)[0]
        said = first.communicate(timeout=90)[0]
    assert second.returncode == 2 and "Nothing was changed. patch.yml is patching this host" in refused, refused
    assert first.returncode == 0 and "ready after " in said, said
    assert last(ask)["reason"].endswith("rebooted")
    assert not ask.host.file(NOTE).exists


def test_a_single_host_is_rebooted_when_that_was_asked_for(ask, patch, upgradable):
    upgradable(ASKS)
    booted = ask.run("stat -c %Y /run/systemd")
    status, said = patch()
    assert status == 0 and "It has to be rebooted: tiny asks for it" in said and "-e reboot=needed" in said, said
    assert f"unreachable meanwhile: {NAME}, for " in said
    assert ask.run("stat -c %Y /run/systemd") == booted
    status, said = patch(reboot="needed")
    assert status == 0, said
    assert f"reboots: tiny asks for it (/run/reboot-required); unreachable meanwhile: {NAME}" in said
    assert ask.run("stat -c %Y /run/systemd") != booted
    told = last(ask)
    assert told["kind"] == "patched" and 0 < told["down"] < 60
    assert f"ready after {told['down']:.0f} s at most" in said
    ask.run(ASKS)
    status, said = patch(reboot="never")
    assert f"for {told['down']:.0f} s at most the last time" not in said and "-e reboot=never" in said
    status, said = patch("--check")
    assert f"for {told['down']:.0f} s at most the last time" in said.replace("\n", " "), said
    ask.run("rm /run/reboot-required*")


def test_the_first_that_does_not_come_back_ends_it(ask, control, options, patch, upgradable, tmp_path):
    first = ask.host.backend.host
    wanted = upgradable(ASKS)
    inventory = tmp_path / "two.json"
    reached = {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3"}
    own = {"fastapi_proxy": "nginx"} if first.endswith("bookworm") else {}
    hosts = {first: {**reached, **own}, NOBODY: {"ansible_host": "127.0.0.1", "ansible_port": 1}}
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    two = ("-i", str(inventory), "--limit", f"{first},{NOBODY}")
    docker("update", "--restart=no", first)
    try:
        status, said = patch(*two, reboot="needed", back_within=10)
    finally:
        docker("update", "--restart=always", first)
        docker("start", first)
    assert status == 2, said
    assert f"{first} hasn't come back from its reboot within 10 s" in said
    assert f"Patched before it: none. Left as they were: {NOBODY}." in said
    assert f"{NOBODY} " not in said.partition("PLAY RECAP")[2], said
    ask.until("it is back", lambda: ask.get("/health")[0] == 200)
    assert ask.get("/ready")[0] == 503
    status, said = control.run("status", *options)
    assert "in phase reboot" in said
    # The next one finishes what that one began, and goes on to the other one.
    status, said = patch(*two)
    assert status != 0 and f"{NOBODY} can't be reached" in said.replace("\n", " "), said
    assert f"Patched before it: {first}. Left as they were: none." in said
    assert ask.get("/ready")[0] == 200
    assert installed(ask) == wanted
    told = last(ask)
    assert f"-> {wanted}" in told["reason"] and told["reason"].endswith("rebooted")
    assert told["down"] > 5 and time.time() - told["began"] < 300
