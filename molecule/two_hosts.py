"""Two hosts with the example app, this one and a copy of it, for what a fleet does: scenario default."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MOLECULE = Path(__file__).resolve().parent
HELLO = MOLECULE.parent / "examples" / "hello"
DIES_WHEN_LIVE = """
import os, threading, time
def _die():
    while not os.readlink("/srv/hello/live.sock").endswith(os.environ["FASTAPI_SLOT"] + ".sock"):
        time.sleep(0.05)
    os._exit(3)
if os.environ.get("ODD"):
    threading.Thread(target=_die, daemon=True).start()
"""
"""Lines of an app that dies where it has the traffic and ODD is set."""


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def boot(name: str, image: str) -> None:
    """Start a container as the scenario's are."""
    # A copied directory can't be exchanged for another one on the file system of containers; in a volume it can.
    platform = {"name": name, "image": image, "options": "--volume=/srv"}
    variables = json.dumps({"molecule_yml": {"platforms": [platform]}})
    command = ["ansible-playbook", str(MOLECULE / "create.yml"), "-e", variables]
    subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def hosts(host) -> Iterator[list[str]]:
    """This host, and a copy of it that lives for the tests of one file."""
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


def live(name: str) -> str:
    """The release that has the traffic, and its slot alone runs."""
    slot = docker("exec", name, "readlink", "/srv/hello/live.sock").strip().rpartition("/")[2].removesuffix(".sock")
    running = docker(
        "exec", name, "systemctl", "list-units", "--plain", "--no-legend", "--state=active", "hello@*.service"
    )
    assert [line.split()[0] for line in running.splitlines()] == [f"hello@{slot}.service"]
    return docker("exec", name, "readlink", f"/srv/hello/slots/{slot}/release").strip().rpartition("/")[2]
