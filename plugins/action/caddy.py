# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of module caddy: reads the program that the user names, and brings it where it is missing."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils._inputs import caddy
from ..plugin_utils._inputs.caddy import NotCaddy, Program, inspect


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = {**super().run(tmp, task_vars), "changed": False}
        params = {"rate_limit": "", "trusted_proxies": [], "protect": [], **self._task.args}
        params["caddy"] = params.get("program", "")
        program = self._read(params["caddy"]) if params["caddy"] else None
        answer = self._execute_module("graceful.deploy.caddy", task_vars=task_vars)
        if answer.get("failed"):
            return {**result, **answer}
        found = list(caddy.problems(params, answer["host"], program))
        if found:
            raise AnsibleActionFail("Nothing was changed. " + "\n".join(problem.sentence for problem in found))
        chosen = caddy.choose(answer["host"], program)
        result |= {"caddy": chosen, "warnings": caddy.warnings(chosen)}
        if program and not chosen["present"]:
            result["changed"] = True
            if not self._task.check_mode:
                result |= self._bring(program, chosen["program"], task_vars)
        return result

    def _read(self, path: str) -> Program:
        try:
            return inspect(path)
        except (NotCaddy, OSError) as error:
            why = f"{error.strerror}." if isinstance(error, OSError) else str(error)
            raise AnsibleActionFail(f"Nothing was changed. fastapi_caddy is '{path}': {why}") from None

    def _bring(self, program: Program, path: str, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """Copy it there, complete or not at all, as Ansible's own copy does."""
        handle, local = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(program.content)
            task = self._task.copy()
            task.args = {"src": local, "dest": path, "owner": "root", "group": "root", "mode": "0755"}
            copy = self._shared_loader_obj.action_loader.get(
                "ansible.legacy.copy",
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            done = copy.run(task_vars=task_vars)
        finally:
            os.unlink(local)
        return done if done.get("failed") else {}
