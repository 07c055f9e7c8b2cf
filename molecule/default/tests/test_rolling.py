"""Several hosts, one after the other: the first that fails ends the run, with the others on what they have."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
HELLO = SCENARIO.parents[1] / "examples" / "hello"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def boot(name: str, image: str) -> None:
    """Start a container as the scenario's are."""
    # A copied directory can't be exchanged for another one on the file system of containers; in a volume it can.
    platform = {"name": name, "image": image, "options": "--volume=/srv"}
    variables = json.dumps({"molecule_yml": {"platforms": [platform]}})
    command = ["ansible-playbook", str(SCENARIO.parent / "create.yml"), "-e", variables]
    subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.fixture
def hosts(before_the_reboot, host) -> Iterator[list[str]]:
    """This host, and a copy of it that lives for one test."""
    first = host.backend.host
    if not first.endswith("bookworm"):
        pytest.skip("asked of one Debian")
    second, image = f"{first}-2", f"{first}-copy"
    try:
        docker("commit", first, image)
        boot(second, image)
        yield [first, second]
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", second], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", image], capture_output=True, check=False)


@pytest.fixture
def deploy(control, hosts, tmp_path):
    """Deploy to both hosts."""
    inventory = tmp_path / "both.json"
    reached = {"ansible_connection": "community.docker.docker"}
    inventory.write_text(json.dumps({"all": {"hosts": dict.fromkeys(hosts, reached)}}))
    options = ("-i", str(inventory), "--limit", ",".join(hosts))

    def run(source: str, **variables: object) -> tuple[int, str]:
        return control.run(
            "release", *options, fastapi_name="hello", fastapi_source=source, fastapi_bake=1, **variables
        )

    return run


def history(name: str) -> list[dict]:
    return [json.loads(line) for line in docker("exec", name, "cat", "/srv/hello/history.jsonl").splitlines()]


def source(tmp_path: Path, line: str) -> str:
    """The example with one more line."""
    path = tmp_path / "hello"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(HELLO, path, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    with (path / "app" / "main.py").open("a") as file:
        file.write(f"\n{line}\n")
    return str(path)


def test_one_host_after_the_other(hosts, deploy, tmp_path):
    """The first that fails ends it. Migrations run once, and their failure moves nothing."""
    before = {name: history(name) for name in hosts}
    status, said = deploy(source(tmp_path, "import nothing_like_this"))
    assert status == 2, said
    assert "nothing_like_this" in said
    after = {name: history(name) for name in hosts}
    assert [entry["outcome"] for entry in after[hosts[0]][len(before[hosts[0]]) :]] == ["failed"]
    assert after[hosts[1]] == before[hosts[1]]
    assert f"{hosts[1]} " not in said.rpartition("PLAY RECAP")[2]

    tree = source(tmp_path, "# a new release")
    broken = {"fastapi_before_swap": ["echo migrating; exit 3"], "fastapi_serial": 2}
    status, said = deploy(tree, **broken)
    assert status == 2, said
    assert "fastapi_before_swap" in said
    assert "migrating" in said
    for name in hosts:
        assert [entry for entry in history(name)[len(after[name]) :] if entry["outcome"] != "failed"] == []
    status, said = deploy(tree, fastapi_before_swap=["echo migrated $FASTAPI_RELEASE as $(id -un)"])
    assert status == 0, said
    assert said.count("migrated") == 2  # the command, and what it printed
    assert "as deploy" in said
    live = {name: history(name)[-1]["release"] for name in hosts}
    assert f"migrated {live[hosts[0]]}" in said
    # Back to what the other tests expect; its migrations have been.
    status, said = deploy(str(HELLO), fastapi_before_swap=["echo migrated"])
    assert status == 0, said
