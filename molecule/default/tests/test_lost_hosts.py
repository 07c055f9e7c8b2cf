"""One of several hosts is lost while a release goes out, in each phase: its connection, or its power.

What it must come to: no host is left with a release that the others haven't, but the lost one; the run says which host
has what; and the next run makes it good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from two_hosts import DIES_WHEN_LIVE, HELLO, docker, history, live, source

pytestmark = pytest.mark.usefixtures("before_the_reboot")
ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., tuple[int, str]]
SLOT = "$(basename $(readlink /srv/hello/live.sock) .sock)"
OTHER = f"$(if [ {SLOT} = blue ]; then echo green; else echo blue; fi)"
PHASES = {
    # A release more is being built, or is there.
    "preparation": "[ $(ls -A /srv/hello/releases | wc -l) -gt $(cat /run/releases) ]",
    "standby": f"systemctl is-active hello@{OTHER}.service",
    "move": 'grep -q \'"phase": "watch"\' /srv/hello/deploy.lock',
    "back": 'grep -q \'"kind": "rollback"\' /srv/hello/deploy.lock',
}


@pytest.fixture
def deploy(hosts, tmp_path) -> Run:
    """Deploy to both; a host may be lost meanwhile."""

    def run(source: str, lost: str = "", when: str = "", power: bool = False, odd: str = "") -> tuple[int, str]:
        """:param lost: the host, and `when` its phase."""
        note = tmp_path / "cut"
        note.unlink(missing_ok=True)
        reached = {"ansible_connection": "cut_off", "ansible_user": "root", "fastapi_env": {}}
        own = {name: {**reached, **({"fastapi_env": {"ODD": "1"}} if name == odd else {})} for name in hosts}
        inventory = tmp_path / "both.json"
        inventory.write_text(json.dumps({"all": {"hosts": own}}))
        cut = {"host": lost, "when": PHASES.get(when, ""), "power": power, "note": str(note)}
        variables = {"fastapi_name": "hello", "fastapi_source": source, "fastapi_bake": 2}
        if lost:
            docker("exec", lost, "sh", "-c", "ls -A /srv/hello/releases | wc -l >/run/releases")
        done = subprocess.run(
            ["ansible-playbook", "-i", inventory, "-e", json.dumps(variables), ROOT / "playbooks" / "release.yml"],
            env={
                **os.environ,
                "CUT": json.dumps(cut),
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
                "ANSIBLE_CONNECTION_PLUGINS": str(ROOT / "molecule" / "connection"),
                "ANSIBLE_PIPELINING": "true",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            # Molecule has failures be told on standard error.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        if lost:
            assert note.exists(), f"{lost} wasn't lost\n{done.stdout}"
        if power:
            docker("start", lost)
        return done.returncode, done.stdout

    return run


def settled(ask, name: str) -> None:
    """What was under way on a host when its connection was lost has ended, and its app serves."""
    held = ["docker", "exec", name, "flock", "--nonblock", "/srv/hello/deploy.lock", "true"]
    ready = ["docker", "exec", name, "curl", "-sf", "http://127.0.0.1/ready"]
    for command in (held, ready):
        ask.until(" ".join(command), lambda c=command: subprocess.run(c, capture_output=True).returncode == 0, 60)


def test_in_each_phase(ask, hosts, deploy, tmp_path):
    first, second = hosts

    def lose(host: str, when: str, power: bool = False, odd: str = "") -> tuple[str, dict[str, str], str]:
        """What was said, what had been live, and the source."""
        before = {name: live(name) for name in hosts}
        tree = source(tmp_path, f"# {uuid.uuid4()}{DIES_WHEN_LIVE if odd else ''}")
        status, said = deploy(tree, host, when, power, odd)
        assert status != 0, said
        assert f"because of {host}, so that" in said or odd, said
        assert f"{host} can't be reached any more: status.yml says what it has when it is back" in said, said
        settled(ask, host)
        return said, before, tree

    def made_good(tree: str) -> None:
        status, said = deploy(tree)
        assert status == 0, said
        assert live(first) == live(second)

    # Before anybody moves: all are as they were.
    said, before, _tree = lose(first, "preparation")
    assert f"{second} is as it was." in said
    assert {name: live(name) for name in hosts} == before
    # The power is the copy's alone: the scenario's host has a reboot of its own.
    said, before, _tree = lose(second, "standby", power=True)
    assert f"{first} is as it was." in said
    assert {name: live(name) for name in hosts} == before
    # The first is lost as it moves, and may have it: the other one hasn't, which is said.
    said, before, tree = lose(first, "move")
    assert f"{second} is as it was." in said
    assert live(second) == before[second]
    made_good(tree)
    # The second is lost as it moves: the first gives back what it had.
    said, before, tree = lose(second, "move", power=True)
    assert f"{first} is back on release {before[first]}." in said
    assert live(first) == before[first]
    made_good(tree)
    # The second is ill, and the first is lost as it goes back.
    said, before, _tree = lose(first, "back", odd=second)
    assert f"because of {second}, {first}, so that" in said, said
    assert live(second) == before[second]
    made_good(str(HELLO))
    assert [each["kind"] for each in history(first)][-1] == "deploy"
