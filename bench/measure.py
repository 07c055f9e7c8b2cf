# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of a playbook against one host, and what it cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hosts import BenchError, Host
from load import Traffic

BENCH = Path(__file__).resolve().parent
# Seconds after which a run is taken to hang and killed: some thirty times what one takes.
LIMIT = 900


@dataclass(frozen=True)
class Side:
    name: str
    playbooks: Path
    """Directory of site.yml, release.yml and rollback.yml."""
    config: Path
    variables: dict[str, str]


@dataclass(frozen=True)
class Run:
    seconds: float
    """From the start of ansible-playbook to its end."""
    cpu: float
    """User and system seconds of ansible-playbook and of everything that it waited for, on the control node."""
    modules: int
    commands: int
    """Commands and files over SSH; a module with pipelining is one command."""
    sent: int
    received: int
    """Bytes of the SSH connection, as the host counts them."""
    changed: list[str]
    tasks: list[dict]
    traffic: Traffic | None = None
    """Of a run under load."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds of what our module did to bring the release to the traffic, from the host's history."""


def environment(side: Side, report: Path, sockets: str, cache: Path) -> dict[str, str]:
    """What the person at the keyboard has set for Ansible must not decide who is faster."""
    # Nor whether Python keeps what it compiles.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONDONT"))}
    return {
        **env,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(side.config),
        "ANSIBLE_CALLBACK_PLUGINS": str(BENCH / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "graceful_bench",
        # Its own directory: each run opens its own connection, as one that somebody starts an hour later does.
        "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
        "GRACEFUL_BENCH_REPORT": str(report),
        "XDG_CACHE_HOME": str(cache),
    }


def wait(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """The exit code, and the CPU seconds of the process tree."""
    timer = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        status, usage = os.wait4(process.pid, 0)[1:]
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def run(side: Side, playbook: str, host: Host, playbook_bin: Path, cache: Path) -> Run:
    """Run one of the side's playbooks against the host; raises BenchError with the output's end when it fails."""
    return run_on(side, playbook, {"app": host}, playbook_bin, cache)


def run_on(
    side: Side, playbook: str, hosts: Mapping[str, Host], playbook_bin: Path, cache: Path, forks: int = 5
) -> Run:
    """The same against several hosts, which have these names in the inventory.

    :param forks: how many of them Ansible asks at once.
    """
    # Not under the checkout: a socket's path may be 107 characters long at most.
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        inventory, report, log = (Path(directory, name) for name in ("inventory.json", "report.json", "log"))
        told = {name: {**host.connection, **side.variables} for name, host in hosts.items()}
        inventory.write_text(json.dumps({"all": {"hosts": told}}))
        command = [str(playbook_bin), "-i", str(inventory), str(side.playbooks / playbook)]
        with log.open("wb") as output:
            start, epoch = time.monotonic(), time.time()
            process = subprocess.Popen(
                command,
                cwd=side.playbooks,
                env={**environment(side, report, directory, cache), "ANSIBLE_FORKS": str(forks)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code, cpu = wait(process)
            seconds = time.monotonic() - start
        if code != 0 or not report.exists():
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            raise BenchError(f"{side.name}: {playbook} ended with {code}:\n{tail}")
        told = json.loads(report.read_text())
        sent, received = map(sum, zip(*(host.ssh_bytes() for host in hosts.values()), strict=True))
        for socket in Path(directory).iterdir():
            if socket.is_socket():
                subprocess.run(["ssh", "-O", "exit", "-S", socket, "app"], check=False, capture_output=True)
    tasks = told["tasks"]
    # What no task accounts for: Python's and Ansible's start, and the end after the last task.
    tasks.insert(0, {"name": "(Ansible starts)", "seconds": tasks[0]["start"] - epoch, "modules": 0, "commands": 0})
    tasks.append({"name": "(Ansible ends)", "seconds": epoch + seconds - told["end"], "modules": 0, "commands": 0})
    modules, commands = (sum(task[kind] for task in tasks) for kind in ("modules", "commands"))
    return Run(seconds, cpu, modules, commands, sent, received, told["changed"], tasks)
