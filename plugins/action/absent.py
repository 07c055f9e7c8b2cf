# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``absent``: a line for the person who watches while a deploy is waited for."""

from __future__ import annotations

import typing as t
from functools import partial

from ansible.plugins.action import ActionBase

from ..plugin_utils._inputs.waiting import waiting


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        call = partial(self._execute_module, "graceful.deploy.absent", task_vars=task_vars)
        host = (task_vars or {}).get("inventory_hostname", "host")
        result.update(waiting(call, dict(self._task.args), host))
        return result
