# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``patch``: reboots, starts apps anew, and says what is done and what isn't."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.history import deployer
from ..module_utils._patch.options import ARGUMENTS, FOR_HOST
from ..plugin_utils._inputs import hosts, notify
from ..plugin_utils._patch import kin, says

MODULE, SWAP, REBOOT = "graceful.deploy.patch", "graceful.deploy.swap", "ansible.builtin.reboot"
BOOT = "cut -d ' ' -f 22 /proc/1/stat /proc/sys/kernel/random/boot_id"
"""What is another one after a boot: the kernel's id, and in a container the time at which its first process began."""
CONNECT = 10
"""Seconds for which a host that reboots is given to take a connection; another patch.yml counts on it (SIGN in
module_utils/_patch/marked.py)."""
RANGES = {"leave_within": (0, 3600), "notice": (0, 3600), "back_within": (10, 3600), "lock_wait": (0, 86400)}
SPEC = {name: option for name, option in ARGUMENTS.items() if name not in FOR_HOST}
SPEC["step"] = {**ARGUMENTS["step"], "choices": ["begin", "others", "ready"]}
HIDDEN = ("reboot", "again", "stays_up", "invocation")
"""Of the module's answer, what is for this half alone."""
SILENT = "module_stdout"
"""What Ansible has of a module that gave no answer of its own: '' of one that was cut off."""
PAUSE = 2.0
STAYS = " It stays marked as leaving, so that balancers send it nothing."
Result = dict[str, t.Any]


class _Stopped(Exception):
    """Why it ends here.

    :param result: what a module said beside that.
    """

    def __init__(self, why: str, result: Result | None = None) -> None:
        super().__init__(why)
        self.result = result or {}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        self._host = str(self._task_vars.get("inventory_hostname", "host"))
        _checked, params = self.validate_argument_spec(argument_spec=SPEC)
        for name, (least, most) in RANGES.items():
            if not least <= params[name] <= most:
                msg = (
                    f"{name} is {params[name]}, and has to be between {least} and {most} seconds. Nothing was changed."
                )
                return {**result, "failed": True, "msg": msg}
        if problem := notify.deployer("by", params["by"]):
            return {**result, "failed": True, "msg": problem.sentence}
        params["by"] = params["by"] or deployer()
        self._begun = False
        asked, balancers = params.pop("asked"), params.pop("balancers")
        self._others = self._of_its_kind(params["name"], balancers)
        if balancers and not self._others:
            # Nobody would be sent its requests.
            params["leave_within"] = 0
        step = params.pop("step")
        balanced = bool(self._others) and params["leave_within"] > 0
        params["balancer"] = self._host in balancers
        if step == "others":
            return {**result, "changed": False, "others": self._others if balanced else []}
        if step == "ready":
            asked_here = str(self._task.delegate_to or self._host)
            return {**result, "changed": False, "host": asked_here, "unready": self._unready(params)}
        if balanced and asked is not None and not self._task.check_mode:
            params["alone"] = kin.alone(asked, params["balancer"])
        self._balancers = balancers
        ordered = kin.ordered([str(each) for each in hosts.taken(self._task_vars)], balancers)
        try:
            return {**result, **self._work(params, balanced)}
        except _Stopped as stop:
            said = says.stopped(str(stop), self._host, ordered, self._begun)
            return {**result, **stop.result, "failed": True, "msg": said}
        except AnsibleConnectionFailure as failure:
            why = f"{self._host} can't be reached{' any more' if self._begun else ''}: {failure}"
            return {**result, "failed": True, "msg": says.stopped(why, self._host, ordered, self._begun)}

    def _of_its_kind(self, name: str, balancers: list[str]) -> list[str]:
        """The other hosts of the play that do what this one does, whatever --limit says."""
        if self._host in balancers:
            found = [host for host in hosts.in_play(self._task, self._task_vars) if host in balancers]
        else:
            found = hosts.of_app(self._task, self._task_vars, name, balancers)
        return kin.others(self._host, found)

    def _unready(self, params: Result) -> str:
        """Why the host that the task is delegated to can't stand in; '' where it can."""
        try:
            return str(self._module(MODULE, {**params, "step": "ready"})["unready"])
        except _Stopped as stop:
            return f"can't be asked: {stop}"
        except AnsibleConnectionFailure as failure:
            return f"can't be reached: {failure}"

    def _work(self, params: Result, balanced: bool) -> Result:
        """:param balanced: whether others of its kind are sent its requests meanwhile."""
        check, reboot = self._task.check_mode, params["reboot"]
        if reboot == "auto" and not balanced:
            params["reboot"] = "never"
        answer = self._module(MODULE, params)
        self._begun = bool(answer["changed"])
        for line in says.upgraded(answer, check):
            self._say(line)
        if check:
            self._say(says.listed(answer, time.time()))
        elif answer["changed"] and not params["leave_within"] and (answer["apps"] or params["balancer"]):
            self._say(says.served(self._balancers, self._others, params["balancer"]))
        warnings = [said for said in (says.kept(answer),) if said]
        back = None
        if answer["reboot"]:
            self._say(says.reboots(answer))
            self._reboot(params)
            back = self._back(params)
        elif said := says.wants_reboot(answer, reboot, balanced):
            warnings.append(f"{self._host}: {said}")
        if again := (back or answer)["again"]:
            for app in again:
                self._say(self._module(SWAP, {**app, "by": params["by"]})["msg"])
            back = self._module(MODULE, {**params, "step": "back"})
        if said := says.summary(answer, back):
            self._say(f"{said}.")
        told = {**answer, **({"changed": True} if back else {}), "rebooted": answer["reboot"]}
        told["down"] = (back or answer).get("down")
        told["notes"] = [*answer["notes"], *(back or {}).get("notes", [])]
        told["warnings"] = [*answer.get("warnings", []), *(back or {}).get("warnings", []), *warnings]
        return {name: value for name, value in told.items() if name not in HIDDEN}

    def _say(self, line: str) -> None:
        Display().display(f"{self._host}: {line}")

    def _module(self, module: str, arguments: Result) -> Result:
        answer: Result = self._execute_module(module, arguments, task_vars=self._task_vars)
        if answer.get("failed") or answer.get("unreachable"):
            kept = {name: value for name, value in answer.items() if name in ("held", "exception", SILENT)}
            raise _Stopped(str(answer.get("msg") or answer), kept)
        return answer

    def _back(self, params: Result) -> Result:
        """A host that has just booted may cut a connection once more, as where its network is set up anew."""
        end = time.monotonic() + params["back_within"]
        while True:
            try:
                return self._module(MODULE, {**params, "step": "back"})
            except (_Stopped, AnsibleConnectionFailure) as failure:
                cut = not isinstance(failure, _Stopped) or failure.result.get(SILENT) == ""
                if not cut or time.monotonic() >= end:
                    raise
                time.sleep(PAUSE)

    def _reboot(self, params: Result) -> None:
        """Ansible's own; returns when the host answers again."""
        task = self._task.copy()
        within = params["back_within"]
        task.args = {"reboot_timeout": within, "connect_timeout": CONNECT, "boot_time_command": BOOT}
        task.args["msg"] = "patch.yml of graceful.deploy"
        action = self._shared_loader_obj.action_loader.get(
            REBOOT,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        try:
            done: Result = action.run(task_vars=self._task_vars)
        except AnsibleConnectionFailure as failure:
            done = {"failed": True, "msg": str(failure)}
        if done.get("failed"):
            raise _Stopped(
                f"{self._host} hasn't come back from its reboot within {within} s (back_within): {done.get('msg')}. "
                f"Look at its console.{'' if params['balancer'] else STAYS}"
            )
