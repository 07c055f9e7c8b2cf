"""What a person sees where a run fails, on the screen of real runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
SAYS = "fastapi_name is 'Bad_Name'"


def screen(tmp_path: Path, tasks: list[dict], *options: str) -> str:
    play = tmp_path / "play.json"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    command = [Path(sys.executable).parent / "ansible-playbook", "-c", "local", "-i", "localhost,", play, *options]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert "fatal: [localhost]: FAILED!" in done.stdout, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("task", "words", "twice"),
    [
        ({"graceful.deploy.preflight": {"variables": {"name": "Bad_Name"}}}, SAYS, False),
        # Of what isn't ours the lines of the task's file tell who wrote it.
        ({"ansible.builtin.fail": {"msg": "a stranger's"}}, "a stranger's", True),
        # The place is in somebody's own inventory.
        ({"graceful.deploy.preflight": {"variables": {"name": "{{ nope }}"}}}, "nope", True),
    ],
)
def test_why_one_of_our_tasks_failed_is_said_once(tmp_path: Path, task: dict, words: str, twice: bool) -> None:
    said = screen(tmp_path, [task])
    assert (said.count(words) > 1, "[ERROR]: Task failed" in said) == (twice, twice), said


def test_with_v_all_is_shown(tmp_path: Path) -> None:
    said = screen(tmp_path, [{"graceful.deploy.preflight": {"variables": {"name": "Bad_Name"}}}], "-v")
    assert said.count(SAYS) == 2 and "[ERROR]: Task failed" in said


def test_what_a_role_of_ours_fails_with_is_said_once(tmp_path: Path) -> None:
    tasks = ROOT / "roles/fastapi/tasks/back.yml"
    said = screen(
        tmp_path,
        [{"ansible.builtin.include_tasks": os.fspath(tasks)}],
        "-e",
        json.dumps({"_fastapi_moved": True, "__gunicorn_swap": {}, "_fastapi_has": "has what it had", **FLEET}),
    )
    assert said.count("Not all of 1 hosts are well") == 1 and "[ERROR]" not in said


FLEET = {"__fastapi_fleet": ["localhost"], "_fastapi_culprits": ["localhost"], "_fastapi_lost": []}
