"""Why a run of Ansible failed, as the program that started it reads it: of real runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.callback.first_failure import said

ROOT = Path(__file__).resolve().parents[4]
HOSTS = "web1 ansible_connection=local\nweb2 ansible_connection=local\n"
HOSTS += "gone ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1 ansible_ssh_retries=0\n"


def task(words: str, **options: object) -> dict:
    return {"ansible.builtin.fail": {"msg": words}, **options}


def ran(tmp_path: Path, tasks: list[dict], hosts: str = "web1:web2", **play: object) -> tuple[int, dict]:
    """How a play of these tasks ended, and what was noted."""
    whole = {"hosts": hosts, "gather_facts": False, "tasks": tasks, **play}
    (tmp_path / "play.json").write_text(json.dumps([whole]))
    (tmp_path / "hosts").write_text(HOSTS)
    noted = tmp_path / "noted.json"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CALLBACKS_ENABLED": "graceful.deploy.first_failure",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "GRACEFUL_FIRST_FAILURE": str(noted),
    }
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts", "play.json"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "[WARNING]: Callback" not in done.stderr and "DEPRECATION" not in done.stderr, done.stderr
    return done.returncode, json.loads(noted.read_text()) if noted.exists() else {}


def test_the_first_of_two_hosts_that_fail_is_noted(tmp_path: Path) -> None:
    first = task("web2 dies", when="inventory_hostname == 'web2'")
    status, noted = ran(tmp_path, [first, task("{{ inventory_hostname }} dies, later")])
    assert status == 2
    assert noted == {"host": "web2", "action": "ansible.builtin.fail", "msg": "web2 dies"}


def test_what_does_not_fail_the_run_is_not_noted(tmp_path: Path) -> None:
    ignored = [
        task("ignored", ignore_errors=True),
        {"block": [task("rescued")], "rescue": [{"ansible.builtin.debug": {"msg": "well"}}]},
    ]
    assert ran(tmp_path, ignored) == (0, {})
    status, noted = ran(tmp_path, [*ignored, task("really", when="inventory_hostname == 'web1'")])
    assert (status, noted["host"], noted["msg"]) == (2, "web1", "really")


def test_a_rescue_that_fails_and_what_comes_always_tell_what_failed_first(tmp_path: Path) -> None:
    tasks = [
        {"block": [task("once")], "rescue": [{"ansible.builtin.debug": {"msg": "well"}}]},
        {"block": [task("twice")], "rescue": [task("no rescue")], "always": [task("in the end")]},
    ]
    assert ran(tmp_path, tasks, "web1")[1]["msg"] == "no rescue"
    tasks = [{"block": [task("really")], "always": [task("in the end")]}]
    assert ran(tmp_path, tasks, "web1")[1]["msg"] == "really"


def test_a_host_that_cannot_be_reached_is_noted_but_where_that_is_ignored(tmp_path: Path) -> None:
    status, noted = ran(tmp_path, [{"ansible.builtin.ping": None}], "gone")
    assert status == 4
    assert noted["host"] == "gone" and "Connection refused" in noted["msg"]
    (tmp_path / "noted.json").unlink()
    after = task("really", when="inventory_hostname == 'web1'")
    tasks = [{"ansible.builtin.ping": None, "ignore_unreachable": True}, after]
    assert ran(tmp_path, tasks, "gone:web1", serial=1)[1]["msg"] == "really"


def test_of_a_loop_its_first_bad_item_is_told_and_of_a_secret_task_nothing(tmp_path: Path) -> None:
    assert ran(tmp_path, [task("no {{ item }}", loop=["a", "b"], when="item == 'b'")], "web1")[1]["msg"] == "no b"
    status, noted = ran(tmp_path, [task("canary", no_log=True)], "web1")
    assert status == 2 and "canary" not in noted["msg"] and noted["msg"]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"msg": "a", "stderr": "b"}, "a"),
        ({"msg": "", "stderr": "b"}, "b"),
        ({"msg": ["a"]}, "['a']"),
        ({}, "it didn't say why"),
    ],
)
def test_what_a_task_said(result: dict, words: str) -> None:
    assert said(result) == words


def test_nothing_is_written_where_nobody_asks(tmp_path: Path) -> None:
    assert "GRACEFUL_FIRST_FAILURE" not in os.environ
    status, noted = ran(tmp_path, [{"ansible.builtin.debug": {"msg": "well"}}])
    assert (status, noted) == (0, {})
