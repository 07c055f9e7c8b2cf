# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``swap``: who deploys, and a line for the person who watches."""

from __future__ import annotations

import contextlib
import shlex
import typing as t
from functools import partial

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.history import deployer
from ..module_utils._process.calendar import calendars
from ..plugin_utils._inputs import notify
from ..plugin_utils._inputs.env_file import render
from ..plugin_utils._inputs.progress import shown
from ..plugin_utils._inputs.waiting import waiting

SHOWN = 15.0
"""Seconds at least between two lines of a canary's figures; of a longer one there are ten."""


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if problem := notify.deployer("deployer", arguments.get("by") or ""):
            return {**result, "failed": True, "msg": problem.sentence}
        arguments["by"] = arguments.get("by") or deployer()
        # What a process has in its environment may be secret, unlike the rest of it.
        processes = {name: dict(spec) for name, spec in (arguments.get("processes") or {}).items()}
        own = {name: spec.pop("env") for name, spec in processes.items() if spec.get("env")}
        timers = {name: dict(spec) for name, spec in (arguments.get("timers") or {}).items()}
        for spec in timers.values():
            spec["calendars"] = spec.get("calendars") or calendars(str(spec.pop("schedule")))
        arguments |= {"processes": processes, "timers": timers}
        arguments["process_environments"] = {name: render(env) for name, env in own.items()}
        call = partial(self._execute_module, "graceful.deploy.swap", task_vars=task_vars)
        host = (task_vars or {}).get("inventory_hostname", "host")
        with self._figures(arguments, host):
            result.update(waiting(call, arguments, host))
        if result.get("changed") and not result.get("failed"):
            for line in [*result.get("commands", []), result["msg"]]:
                Display().display(f"{host}: {line}")
        return result

    def _figures(self, arguments: dict[str, t.Any], host: str) -> contextlib.AbstractContextManager[None]:
        """Show what a canary's file says of it, where there may be one."""
        seconds = float((arguments.get("canary") or {}).get("seconds", 0))
        if self._task.check_mode or seconds < SHOWN:
            return contextlib.nullcontext()
        file = shlex.quote(f"/run/{arguments.get('name')}/canary")
        return shown(self, f"cat {file}", max(SHOWN, seconds / 10), host)
