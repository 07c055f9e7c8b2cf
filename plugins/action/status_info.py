# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of ``status_info`` and ``logs_info``: prints their text as it is."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False
    module = "graceful.deploy.status_info"

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        answer = self._execute_module(self.module, dict(self._task.args), task_vars=task_vars)
        result.update(answer)
        if "text" in answer:
            Display().display(f"\n{(task_vars or {}).get('inventory_hostname', 'host')}\n{answer['text']}\n")
        return result
