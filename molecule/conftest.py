"""What the scenarios' tests share: they ask the running system on the host, not the files that were written."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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


class Control:
    """Runs playbooks against one host, or a pattern of hosts, as a person would with -e."""

    def __init__(self, host: str) -> None:
        self.host = host

    def start(self, playbook: str, *options: str, **variables: object) -> subprocess.Popen[str]:
        """Begin a run.

        :param playbook: name of one of the collection's, or a path below the checkout.
        """
        path = ROOT / playbook if "/" in playbook else ROOT / "playbooks" / f"{playbook}.yml"
        command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "--limit", self.host]
        # Of two -e the later one wins.
        command += [*options, "-e", json.dumps(variables), str(path)]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, playbook: str, *options: str, **variables: object) -> tuple[int, str]:
        """Run to the end: exit status and all that was said."""
        with self.start(playbook, *options, **variables) as process:
            said = process.communicate(timeout=300)[0]
        return process.returncode, said


@pytest.fixture(scope="module")
def ask(host) -> Asker:
    return Asker(host)


@pytest.fixture
def before_the_reboot(host) -> None:
    """For what a reboot changes nothing about: only the verification before it goes through that."""
    marker, boot = host.file("/var/lib/verified-before-boot"), host.check_output("stat -c %Y /proc/1")
    if not marker.exists:
        host.check_output(f"echo {boot} >{marker.path}")
    elif marker.content_string.strip() != boot:
        pytest.skip("done before the reboot")


@pytest.fixture
def control(host) -> Control:
    return Control(host.backend.host)


def pytest_configure(config) -> None:
    config.addinivalue_line(
        "markers", "core: the heart of a promise, asked by `make test`; the rest is asked by `make test-all`"
    )
