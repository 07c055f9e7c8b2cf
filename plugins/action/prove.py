# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``prove``: refuses what can't be, says what is asked, reports and draws."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..filter.client import client
from ..module_utils._app.history import deployer
from ..module_utils._prove import client as program
from ..plugin_utils._inputs import hosts
from ..plugin_utils._inputs.specification import typed
from ..plugin_utils._inputs.variables import Variables
from ..plugin_utils._prove import reports, says
from ..plugin_utils._prove.options import NUMBERS, Options, OptionsError, checked

WANTED = ("name", "root", "proxy", "domains", "tls", "http_port", "trusted_proxies", "deployer")
TOLD = ("sent", "answered", "lost", "late", "limited", "doubled", "before", "after", "lost_reasons", "deploy")
Result = dict[str, t.Any]


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False
    _VALID_ARGS = frozenset(("state", "during", "paths", "into", *NUMBERS))

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        arguments = self._task.args
        self._host = str(self._task_vars.get("inventory_hostname", "host"))
        try:
            options = checked(arguments)
            app = self._app()
        except OptionsError as error:
            return {**result, "failed": True, "msg": f"Nothing was done. {error}"}
        begins = arguments.get("state") == "begun"
        if self._task.check_mode and not begins:
            return {**result, "msg": "Nothing is sent in check mode.", "changed": False}
        door = f"{'https' if app['tls'] else 'http'}://{app['host']}:{app['port']}"
        asked = {**options.for_host(), **app, "state": arguments.get("state"), "run": self._run}
        # By themselves, so that the host's journal, where Ansible notes how it calls a module, has none.
        asked["bodies"] = json.dumps([kind["body"] for kind in asked["asked"]])
        asked["asked"] = [{**kind, "body": ""} for kind in asked["asked"]]
        if begins:
            for line in says.before(options, door, self._task.check_mode):
                self._say(line)
            with open(program.__file__, encoding="utf-8") as file:
                asked["client"] = file.read()
        answer = self._execute_module("graceful.deploy.prove_host", asked, task_vars=self._task_vars)
        result.update(answer)
        if result.get("failed") or result.get("unreachable"):
            return result
        return self._begun(result, options) if begins else self._ended(result, options, app)

    def _begun(self, result: Result, options: Options) -> Result:
        if self._task.check_mode:
            return {**result, "msg": "Nothing is sent in check mode."}
        if result.get("stopped"):
            self._say(f"It {result['stopped']}.")
        for line in says.steady(options, result.get("statuses", [])):
            self._say(line)
        result["msg"] = f"{options.rate:g} requests a second are sent."
        return result

    def _ended(self, result: Result, options: Options, app: Result) -> Result:
        figures = result["figures"] | {"app": app["name"], "host": self._host, "during": options.during}
        figures |= {"run": self._run, "rate": options.rate}
        into = os.path.expanduser(str(self._task.args.get("into") or "prove"))
        # What it is drawn by is in the report alone: Ansible shows the result of a task that fails.
        result |= {"figures": {name: figures[name] for name in TOLD}, "msg": says.headline(figures)}
        Display().display(f"\n{self._host}\n{says.text(figures, options)}")
        try:
            files, troubles = reports.write(figures, options, into, Display().display)
        except OSError as error:
            files, troubles = [], [f"The report was not written: {error}. Write another directory: -e into=DIRECTORY"]
        result["files"] = files
        for trouble in troubles:
            Display().display(f"  {trouble}")
        if files:
            kinds = ", ".join(os.path.splitext(file)[1] for file in files[:-1])
            Display().display(f"\n  {files[-1]} (and {kinds})\n")
        if total := reports.total(into, self._run, hosts.taken(self._task_vars)):
            Display().display(f"{total}\n")
        if why := says.gate(figures, options, self._host):
            result |= {"failed": True, "msg": why}
        return result

    def _app(self) -> Result:
        """What the host is told of the app and its site, by the variables that deploys go by.

        :raises OptionsError: nothing could be asked.
        """
        read = self._loader.get_text_file_contents
        variables = Variables({}, self._task_vars, self._templar, read)
        values, found = variables.values(WANTED)
        if found:
            raise OptionsError("\n".join(variables.told(found)))
        values = typed(values, variables.spec)
        name, proxy = str(values.get("name") or ""), str(values.get("proxy"))
        if not name:
            raise OptionsError(
                "fastapi_name doesn't say which app. Write it into the inventory, or -e fastapi_name=shop"
            )
        if proxy not in ("caddy", "nginx"):
            raise OptionsError(
                f"fastapi_proxy is {proxy}, so there is no front door of graceful.deploy's on this host, and requests "
                "are sent nowhere else."
            )
        tls = values.get("tls") not in ("off", "", None)
        address = str(self._task_vars.get("ansible_host") or self._host)
        asks = client(values["domains"], address, values["tls"], values["trusted_proxies"])
        return {
            "name": name,
            "root": str(values["root"]),
            "proxy": proxy,
            "host": asks["host"],
            "port": 443 if tls else int(values["http_port"]),
            "tls": tls,
            "by": str(values.get("deployer") or deployer()),
        }

    @property
    def _run(self) -> str:
        """Of all tasks of one run the same: the process that they are started by."""
        parent = os.getppid()
        try:
            with open(f"/proc/{parent}/stat", encoding="ascii", errors="replace") as file:
                began = file.read().rpartition(")")[2].split()[19]
        except OSError:
            # No Linux: then by its number alone.
            began = ""
        return f"{parent}-{began}"

    def _say(self, line: str) -> None:
        Display().display(f"{self._host}: {line}")
