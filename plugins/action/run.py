# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``run``: begins a command by NAME-run on the host, and comes back for what it prints.

A trip each time, and no module's: so that its output is seen as it comes, and that it ends when nobody comes any more,
whatever way the connection went.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections import deque
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.history import deployer

WAITS = (0.2, 2.0)  # seconds between two questions: the first, the longest
KEPT = 100


class _Failed(Exception):
    """What is wrong, for the person who runs it."""


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        text = {"type": "str", "required": True}
        spec = {"name": text, "command": text, "release": {"type": "str", "default": ""}}
        _checked, params = self.validate_argument_spec(argument_spec=spec)
        host = (task_vars or {}).get("inventory_hostname", "host")
        self._name, self._parent = params["name"], os.getppid()
        where = f"in release {params['release']}" if params["release"] else "in the live release"
        if not params["command"].strip():
            raise AnsibleError("There is no command. Write what to run: -e 'command=\"python -m app.admin create\"'.")
        if self._task.check_mode:
            said = f"Would run {where} of {self._name}: {params['command']}"
            Display().display(f"{host}: {said}")
            return {**result, "changed": True, "msg": said}
        begin = [f"--begin={params['command']}", f"--by={deployer()}", f"--release={params['release']}"]
        number = ""
        try:
            begun = self._ask(*begin)
            number = begun["number"]
            Display().display(f"{host}: {params['command']} (release {begun['release']})")
            result.update(self._follow(number), release=begun["release"], changed=True)
        except _Failed as problem:
            return {**result, "failed": True, "msg": str(problem)}
        except AnsibleConnectionFailure as problem:
            ends = " What it runs is ended there within half a minute." if number else ""
            return {**result, "unreachable": True, "msg": f"The connection to {host} is gone.{ends} {problem}"}
        except BaseException:  # Ctrl-C
            if number:
                self._ask(f"--stop={number}")
            raise
        if result["status"] != 0:
            result.update(failed=True, msg=result["why"] or f"The command ended with status {result['status']}.")
        del result["why"]
        return result

    def _follow(self, number: str) -> dict[str, Any]:
        """Show what it prints until it has ended: its status, why it was ended, its last lines."""
        offset, wait, rest, lines = 0, WAITS[0], "", deque[str](maxlen=KEPT)
        while True:
            if os.getppid() != self._parent:  # killed, without a word to its workers, of which this is one
                raise KeyboardInterrupt
            said = self._ask(f"--poll={number}", f"--offset={offset}")
            if "error" in said:
                raise _Failed(said["error"])
            offset += said["read"]
            *whole, rest = (rest + said["output"]).split("\n")
            if not said["running"] and rest:
                whole.append(rest)
            for line in whole:
                Display().display(line)
            lines += whole
            if not said["running"]:
                break
            wait = WAITS[0] if said["read"] else min(wait * 1.5, WAITS[1])
            time.sleep(wait)
        status = said["status"]
        if status is None:
            raise _Failed("It was cut off: the host went down, or somebody took away its note.")
        return {"status": status, "why": said["why"], "output": "\n".join(lines)}

    def _ask(self, *words: str) -> dict[str, Any]:
        """What NAME-run says.

        :raises _Failed: what it refuses, or that it isn't there.
        """
        program = f"/usr/local/bin/{self._name}-run"
        answer = self._low_level_execute_command(shlex.join([program, *words]), sudoable=True)
        said = f"{answer.get('stdout', '')}".strip()
        if answer["rc"] == 127:
            raise _Failed(
                f"There is no {program} on the host: {self._name} isn't there, or was deployed by a version without "
                "it. Check fastapi_name, and deploy once by release.yml."
            )
        if answer["rc"]:
            raise _Failed(f"{answer.get('stderr', '')}".strip() or said or f"{program} ended with {answer['rc']}")
        try:
            return dict(json.loads(said.rpartition("\n")[2])) if said else {}
        except ValueError:
            raise _Failed(f"{program} said what nobody understands: {said}") from None
