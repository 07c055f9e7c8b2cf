# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the modules caddy and oxmgr: reads the program that the user names, and brings it where it
is missing."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ...module_utils._app.problems import Problem
from .program import Kind, Program, named


class Choice(t.Protocol):
    """What caddy.py and oxmgr.py have beside this file."""

    KIND: Kind

    def choose(self, host: dict[str, t.Any], program: Program | None) -> dict[str, t.Any]: ...

    def problems(
        self, params: dict[str, t.Any], host: dict[str, t.Any], program: Program | None
    ) -> t.Iterator[Problem]: ...

    def warnings(self, chosen: dict[str, t.Any]) -> list[str]: ...


class Bring(ActionBase):
    """The action of a module that returns what its host has as ``host``."""

    TRANSFERS_FILES = True
    choice: Choice
    # The module's options that problems() asks for, as they are where nothing is written.
    options: t.ClassVar[dict[str, t.Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = {**super().run(tmp, task_vars), "changed": False}
        key = self.choice.KIND.command
        path = self._task.args.get("program", "")
        program, problem = named(key, path, self.choice.KIND) if path else (None, None)
        self._refuse([problem] if problem else [])
        answer = self._execute_module(f"graceful.deploy.{key}", task_vars=task_vars)
        if answer.get("failed"):
            return {**result, **answer}
        params = {**self.options, **self._task.args, key: path}
        self._refuse(list(self.choice.problems(params, answer["host"], program)))
        chosen = self.choice.choose(answer["host"], program)
        result |= {key: chosen, "warnings": self.choice.warnings(chosen)}
        source = chosen.get("source", "")
        if (program or source) and not chosen["present"]:
            result["changed"] = True
            if not self._task.check_mode:
                result |= self._bring(program, source, chosen["program"], task_vars)
        return result

    def _refuse(self, found: list[Problem]) -> None:
        if found:
            raise AnsibleActionFail("Nothing was changed. " + "\n".join(problem.sentence for problem in found))

    def _bring(
        self, program: Program | None, source: str, path: str, task_vars: dict[str, t.Any] | None
    ) -> dict[str, t.Any]:
        """Copy it there, complete or not at all, as Ansible's own copy does.

        :param source: of the host's own, where the user names none.
        """
        if not program:
            return self._copy({"src": source, "remote_src": True, "dest": path}, task_vars)
        handle, local = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(program.content)
            return self._copy({"src": local, "dest": path}, task_vars)
        finally:
            os.unlink(local)

    def _copy(self, options: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        task = self._task.copy()
        task.args = {**options, "owner": "root", "group": "root", "mode": "0755"}
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
        return done if done.get("failed") else {}
