# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``swap``: who deploys, and a line for the person who watches."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.history import deployer


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments["by"] = arguments.get("by") or deployer()
        result.update(self._execute_module("graceful.deploy.swap", arguments, task_vars=task_vars))
        if result.get("changed") and not result.get("failed"):
            host = (task_vars or {}).get("inventory_hostname", "host")
            for line in [*result.get("commands", []), result["msg"]]:
                Display().display(f"{host}: {line}")
        return result
