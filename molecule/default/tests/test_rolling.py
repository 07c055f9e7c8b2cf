"""Several hosts, one after the other: the first that fails ends the run, with the others on what they have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.usefixtures("before_the_reboot")
HELLO = Path(__file__).resolve().parents[3] / "examples" / "hello"


@pytest.fixture
def hosts(host) -> list[str]:
    """All hosts of the scenario, in the order of the inventory; the tests run once, on behalf of the first."""
    inventory = subprocess.run(
        ["ansible-inventory", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "--list", "--yaml"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    group = yaml.safe_load(inventory)["all"]["children"]["ungrouped"]["hosts"]
    names = list(group)
    if len(names) < 2:
        pytest.skip("one host alone")
    if host.backend.host != names[0]:
        pytest.skip("done on behalf of the first host")
    return names


@pytest.fixture
def deploy(control, hosts):
    """Deploy to all hosts."""
    control.host = "all"

    def run(source: str, **variables: object) -> tuple[int, str]:
        return control.run("release", fastapi_name="hello", fastapi_source=source, fastapi_bake=1, **variables)

    return run


def history(name: str) -> list[dict]:
    done = subprocess.run(
        ["docker", "exec", name, "cat", "/srv/hello/history.jsonl"], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def source(tmp_path: Path, line: str) -> str:
    """The example with one more line."""
    path = tmp_path / "hello"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(HELLO, path, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    with (path / "app" / "main.py").open("a") as file:
        file.write(f"\n{line}\n")
    return str(path)


def test_the_first_host_that_fails_ends_it(hosts, deploy, tmp_path):
    before = {name: history(name) for name in hosts}
    status, said = deploy(source(tmp_path, "import nothing_like_this"))
    assert status == 2, said
    assert "nothing_like_this" in said
    after = {name: history(name) for name in hosts}
    assert [entry["outcome"] for entry in after[hosts[0]][len(before[hosts[0]]) :]] == ["failed"]
    assert after[hosts[1]] == before[hosts[1]]
    assert f"{hosts[1]} " not in said.rpartition("PLAY RECAP")[2]


def test_migrations_run_once_and_their_failure_moves_nothing(hosts, deploy, tmp_path):
    before = {name: history(name) for name in hosts}
    tree = source(tmp_path, "# a new release")
    broken = {"fastapi_before_swap": ["echo migrating; exit 3"], "fastapi_serial": 2}
    status, said = deploy(tree, **broken)
    assert status == 2, said
    assert "fastapi_before_swap" in said
    assert "migrating" in said
    for name in hosts:
        assert [entry for entry in history(name)[len(before[name]) :] if entry["outcome"] != "failed"] == []
    status, said = deploy(tree, fastapi_before_swap=["echo migrated $FASTAPI_RELEASE as $(id -un)"])
    assert status == 0, said
    assert said.count("migrated") == 2  # the command, and what it printed
    assert "as deploy" in said
    live = {name: history(name)[-1]["release"] for name in hosts}
    assert f"migrated {live[hosts[0]]}" in said
    # Back to what the other tests expect; its migrations have been.
    status, said = deploy(str(HELLO), fastapi_before_swap=["echo migrated"])
    assert status == 0, said
