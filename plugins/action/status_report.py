# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a page of what ``status_info`` has said of the play's hosts."""

from __future__ import annotations

import os
import time
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils._report.fleet import page

SPEC = {
    "dest": {"type": "str", "required": True},
    "register": {"type": "str", "required": True},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _checked, params = self.validate_argument_spec(argument_spec=SPEC)
        # It counts from where the person stands, who gave it by -e.
        dest = os.path.abspath(os.path.expanduser(str(params["dest"])))
        variables = task_vars or {}
        facts: dict[str, t.Mapping[str, t.Any] | None] = {}
        for host in variables.get("ansible_play_hosts_all", []):
            said = variables["hostvars"][host].get(params["register"])
            # Of an app's host, or of a balancer, which has no app.
            facts[host] = said if isinstance(said, t.Mapping) and {"slots", "balances"} & said.keys() else None
            if said and "balances" in said:
                facts[host] = {**said, "balancers": _listed(variables["hostvars"], host)}
        text = page(facts, time.time())
        if self._task.check_mode:
            return result | {"changed": True, "dest": dest}
        try:
            with open(dest, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            msg = f"The report can't be written to {dest}: {error.strerror}. Write -e report=FILE with another place."
            return result | {"failed": True, "msg": msg}
        Display().display(f"\nWritten: {dest}\n")
        return result | {"changed": True, "dest": dest}


def _listed(hostvars: t.Mapping[str, t.Any], host: str) -> list[str]:
    """fastapi_balancers, as the inventory has it; [] where it doesn't say so."""
    try:
        listed = hostvars[host].get("fastapi_balancers")
    except AnsibleError:
        return []
    return [str(name) for name in listed] if isinstance(listed, (list, tuple)) else []
