"""What the scenarios' tests share: they ask the running system on the host, not the files that were written."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable

import pytest


class Asker:
    """Asks one host; every question is a command that runs there."""

    def __init__(self, host) -> None:
        self.host = host

    def run(self, command: str) -> str:
        """Run a shell line that has to succeed, and give its output."""
        result = self.host.run(command)
        assert result.rc == 0, f"{command}: {result.rc}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def get(self, path: str, address: str = "http://127.0.0.1", *options: str) -> tuple[int, str]:
        """Ask through the proxy: status and body."""
        words = ["curl", "-s", "-m", "20", "-w", "\n%{http_code}", *options, f"{address}{path}"]
        out = self.host.run(shlex.join(words)).stdout
        body, _, status = out.rpartition("\n")
        return int(status), body

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        out = self.run(f"systemctl show {shlex.quote(unit)} --property={','.join(properties)}")
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def log(self, name: str, unit: str) -> list[dict]:
        """The app's lines in its own journal that are JSON."""
        self.run(f"journalctl --namespace={name} --sync")
        out = self.run(f"journalctl --namespace={name} --unit={unit} --output=cat --no-pager")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def until(self, what: str, condition: Callable[[], object], limit: float = 30) -> object:
        """Wait until ``condition`` gives something true, at most ``limit`` seconds."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.2)
        pytest.fail(f"{what}: not within {limit} s; last: {found!r}")

    def systemd_version(self) -> int:
        return int(self.run("systemctl --version").split()[1])


@pytest.fixture
def ask(host) -> Asker:
    return Asker(host)
