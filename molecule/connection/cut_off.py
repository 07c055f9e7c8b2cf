"""A connection to a container that is cut, or whose host loses its power, at a moment that the host itself tells.

CUT has it as JSON: ``host``, ``when`` (a shell line there that succeeds from that moment on), ``power`` (whether the
host goes down, or only its connection), and ``note``, a file that is there from then on.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: cut_off
short_description: A connection that is cut
description: For tests.
options:
  remote_addr:
    description: The container.
    vars: [{name: inventory_hostname}]
"""
WATCH = "until {when}; do read -t 0.05 _; [ $? -gt 128 ] || {{ {when}; exit; }}; done"
"""Asks until it is so, or its input ends; then once more, for what is waited for may have been the last deed."""


class Connection(ConnectionBase):
    transport = "cut_off"
    has_pipelining = True

    def _connect(self):
        self._connected = True
        return self

    def close(self):
        self._connected = False

    @property
    def _plan(self) -> dict:
        plan = json.loads(os.environ["CUT"])
        return plan if plan["host"] == self.get_option("remote_addr") else {}

    def _docker(self, *command: str) -> list[str]:
        return ["docker", "exec", "--interactive", self.get_option("remote_addr"), *command]

    def _run(self, command: list[str], given: bytes) -> tuple[int, bytes, bytes]:
        plan = self._plan
        gone = AnsibleConnectionFailure("the line is cut")
        if plan and os.path.exists(plan["note"]):
            raise gone
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        over = threading.Event()
        if plan:
            watcher = threading.Thread(target=self._watch, args=(plan, process, over), daemon=True)
            watcher.start()
        out, err = process.communicate(given)
        over.set()
        if plan:
            watcher.join()
            if os.path.exists(plan["note"]):
                raise gone
        return process.returncode, out, err

    def _watch(self, plan: dict, process: subprocess.Popen, over: threading.Event) -> None:
        # One call that stays: each would cost more than what it asks. It ends with its input.
        asking = subprocess.Popen(
            self._docker("bash", "-c", WATCH.format(when=plan["when"])),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        threading.Thread(target=lambda: over.wait() and asking.stdin.close(), daemon=True).start()
        if asking.wait() != 0:
            return
        with open(plan["note"], "w", encoding="utf-8"):
            pass
        if plan["power"]:
            subprocess.run(["docker", "kill", plan["host"]], capture_output=True, check=False)
        # The command on the host goes on, as one by ssh does.
        process.kill()
        over.set()

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run(self._docker("/bin/sh", "-c", cmd), in_data or b"")

    def put_file(self, in_path, out_path):
        super().put_file(in_path, out_path)
        with open(in_path, "rb") as file:
            self._run(self._docker("sh", "-c", f"cat >'{out_path}'"), file.read())

    def fetch_file(self, in_path, out_path):
        super().fetch_file(in_path, out_path)
        with open(out_path, "wb") as file:
            file.write(self._run(self._docker("cat", in_path), b"")[1])
