# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``audit_info``: reads the source, prints the table, fails where asked to."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._audit.findings import fails
from ..module_utils._host.text import mask
from ..plugin_utils._audit.flow import complete
from ..plugin_utils._release.git import is_git


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        given = str(arguments.get("source") or "")
        source, elsewhere = self._found(given), ""
        if given and not source:
            msg = (
                f"fastapi_source is {mask(given)}: there is no such directory on this machine. "
                "Write the path of the directory that has the app, from the playbook's directory or absolute."
            )
            return {**result, "failed": True, "msg": msg}
        if given and not os.path.isdir(source):
            # Inventories have a git URL or an archive there, which a deploy fetches and unpacks.
            arguments["source"], source, elsewhere = "", "", mask(given)
        answer = self._execute_module("graceful.deploy.audit_info", arguments, task_vars=task_vars)
        if answer.get("failed") or "findings" not in answer:
            return {**result, **answer}
        host = str((task_vars or {}).get("inventory_hostname", "host"))
        read_source = str(arguments.get("read_source", True)).lower() not in ("false", "no", "0")
        told = complete(answer, source, read_source, host, elsewhere)
        answer.pop("database", None)
        result.update(answer, **told)
        Display().display(f"\n{told['text']}\n")
        fail_on = str(arguments.get("fail_on") or "")
        if bad := fails(told["findings"], fail_on):
            ids = ", ".join(dict.fromkeys(finding["id"] for finding in bad))
            count = "1 finding is" if len(bad) == 1 else f"{len(bad)} findings are"
            than = fail_on if fail_on == "high" else f"{fail_on} or worse"
            # All was shown already: what is failed with, Ansible prints once more.
            return {"failed": True, "counts": told["counts"], "msg": f"{count} {than} on {host}: {ids}."}
        return result

    def _found(self, given: str) -> str:
        """The path that a source is at, or its git URL; '' where there is nothing."""
        if not given or is_git(given):
            return given
        path = os.path.expanduser(given)
        places = (self._loader.path_dwim(path), os.path.abspath(path))
        return next((place for place in places if os.path.exists(place)), "")
