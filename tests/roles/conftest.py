"""What tests of the roles share: their templates, rendered by Ansible's own templar without a host."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# As module worker_plan returns it.
PLAN = {"workers": 3, "memory_max": "400M", "drain_timeout": 24, "lifespan_timeout": 5}
PLAN |= {"graceful_timeout": 30, "stop_timeout": 50}


@pytest.fixture(scope="session")
def _renderer():
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, str(Path(__file__).with_name("renderer.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def render(tmp_path, _renderer):
    def rendered(role: str, template: str, **variables) -> str:
        folder = ROOT / "roles" / role
        values = {"inventory_hostname": "localhost", "fastapi_name": "hello", "fastapi_found": {"plan": PLAN}}
        for file in folder.glob("defaults/main.yml"), folder.glob("vars/main.yml"):
            values |= yaml.safe_load("".join(path.read_text() for path in file)) or {}
        values |= variables
        values_file = tmp_path / "values.yml"
        values_file.write_text(yaml.safe_dump(values))
        ask = {"template": str(folder / "templates" / template), "values": str(values_file)}
        print(json.dumps(ask), file=_renderer.stdin, flush=True)
        line = _renderer.stdout.readline()
        assert line, _renderer.stderr.read()
        answer = json.loads(line)
        assert "text" in answer, answer
        return answer["text"]

    return rendered
