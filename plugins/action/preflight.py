# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of preflight: reads the fastapi_ variables, refuses what can be refused without a trip."""

from __future__ import annotations

import functools
import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.problems import report
from ..module_utils._app.words import PREFIX
from ..module_utils._plan.flow import ARGUMENT_SPEC as PLAN_SPEC
from ..module_utils._preflight.background import lines
from ..plugin_utils._inputs import caddy, canary, check, fleet, hosts, notify, oxmgr, passage, processes
from ..plugin_utils._inputs.become import explain
from ..plugin_utils._inputs.bring import Choice
from ..plugin_utils._inputs.program import Program, named
from ..plugin_utils._inputs.rules import TODO, inventory_host
from ..plugin_utils._inputs.source import NEEDED, Checked, check_python, check_source
from ..plugin_utils._inputs.specification import Spec, load_spec, typed
from ..plugin_utils._inputs.variables import Found, Variables
from ..plugin_utils._release.git import is_git

# What the host is told of the variables. The environment and the index with its password stay on the control node.
HOST_VARIABLES = (
    *("name", "root", "user", "group", "python", "supervisor", "oxmgr"),
    *("proxy", "http_port", "tls", "domains", "redirect_domains"),
    *("tls_certificate", "tls_key", "acme_ca", "rate_limit", "log_max_size", "log_files", "on_failure"),
    # Of processes, timers and who is told what for_host() says. The sites that leave are the task's own word; the host
    # has its name in the inventory to say what to type.
    *("shared_paths", "writable_paths", "background", "notify", "leaving", "here", *PLAN_SPEC),
    # Of one that has balancers, or is one.
    *("part", "balancer_address", "fleet", "direct"),
)
Result = dict[str, t.Any]
# Programs that the user may name: the variable that asks for one, with the value that does.
PROGRAMS: tuple[tuple[Choice, str, str], ...] = ((caddy, "proxy", "caddy"), (oxmgr, "supervisor", "oxmgr"))
# Ansible imports this before it forks a process for each task of each host: read here it is read once, and later tasks
# with templates have it as well.
load_spec()


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("variables", "leaving", "front"))

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result = {**super().run(tmp, task_vars), "changed": False}
        task_vars = task_vars or {}
        variables = Variables(
            self._task.args.get("variables") or {}, task_vars, self._templar, self._loader.get_text_file_contents
        )
        said = variables.values({"state", "balancers"})[0]
        if said.get("state") == "absent":
            return result | self._removal(variables)
        if alone := hosts.apart(self._task, task_vars):
            return {**result, "failed": True, "msg": f"Nothing was changed on any host. {alone}"}
        listed = said.get("balancers")
        if isinstance(listed, list) and task_vars.get("inventory_hostname") in listed:
            return result | self._balance(variables)
        return result | self._deploy(variables, behind=bool(listed))

    def _removal(self, variables: Variables) -> Result:
        """What counts for an app that goes; the module that removes it looks at the host for itself."""
        values, found = self._checked(variables, {name: variables.spec[name] for name in check.FOR_REMOVAL})
        if found:
            return self._refused(variables, found)
        return {"msg": f"{values['name']} is to be taken off the host.", "plan": {}, "host": {}}

    def _balance(self, variables: Variables) -> Result:
        """What counts for a host that has the site, and hands its requests to the app's hosts."""
        spec = {name: option for name, option in variables.spec.items() if name in fleet.FOR_BALANCING}
        values, found = self._checked(variables, spec)
        placed, problems = self._placed(values, found, variables.task_vars)
        programs, wrong = self._programs(values)
        found += [*problems, *wrong]
        if found:
            return self._refused(variables, found)
        told = {name: placed[name] for name in ("hosts", "address", "router")}
        answer = self._ask_host(values | {"part": "balancer", "fleet": told}, variables.task_vars)
        facts = {"ansible_facts": answer.get("ansible_facts", {})}
        if answer.get("failed") or answer.get("unreachable"):
            return {**facts, **answer}
        found, warnings = self._chosen(answer, values, programs)
        if found:
            return {**facts, **self._refused(variables, found)}
        warnings += fleet.warnings(values["proxy"], answer["host"])
        placed |= answer["host"].pop("fleet")
        me, part = str(variables.task_vars.get("inventory_hostname", "")), hosts.taken(variables.task_vars)
        left = fleet.unknown(me, values["name"], placed, part)
        warnings += filter(None, [left, hosts.too_few_forks(variables.task_vars)])
        behind = ", ".join(host["name"] for host in placed["hosts"])
        told = {"plan": {}, "host": answer["host"], "fleet": placed}
        return {**facts, "warnings": warnings, "msg": f"Requests for {values['name']} go to {behind}.", **told}

    @property
    def _front(self) -> bool:
        """Whether this run is for the site, too."""
        return boolean(self._task.args.get("front", True))

    def _placed(
        self, values: dict[str, t.Any], found: list[Found], task_vars: dict[str, t.Any]
    ) -> tuple[dict[str, t.Any], list[Found]]:
        """Where the balancers and the app's hosts are, as role fastapi's `fleet`."""
        bad = {name.partition("[")[0] for name, _text in found}
        if bad & {"name", "balancers", "balancer_address", "address", "http_port"} or not values.get("balancers"):
            return {}, []
        placed, problems = fleet.place(values, self._inventory(values, task_vars), self._front)
        return placed, [(problem.variable, problem.sentence) for problem in problems]

    def _inventory(self, values: dict[str, t.Any], task_vars: dict[str, t.Any]) -> fleet.Inventory:
        hostvars = task_vars.get("hostvars") or {}
        return fleet.Inventory(
            me=str(task_vars.get("inventory_hostname", "")),
            known=task_vars.get("groups", {}).get("all", []),
            apps=hosts.of_app(self._task, task_vars, values["name"]),
            variables=lambda host: hostvars.get(host, {}),
            resolve=fleet.resolve,
        )

    def _chosen(
        self, answer: Result, values: dict[str, t.Any], programs: dict[str, Program]
    ) -> tuple[list[Found], list[str]]:
        """What is wrong with the host, and what is worth a warning; its answer gets the programs that will run."""
        found, warnings = answer["problems"], list(answer.get("warnings", []))
        for choice, _variable, key in PROGRAMS:
            if seen := answer["host"].get(key):
                refused = choice.problems(values, seen, programs.get(key))
                found += [(problem.variable, problem.sentence) for problem in refused]
                answer["host"][key] = choice.choose(seen, programs.get(key))
                warnings += choice.warnings(answer["host"][key])
        return found, warnings

    def _deploy(self, variables: Variables, behind: bool) -> Result:
        """Everything that can be known here, and then the one trip.

        :param behind: whether balancers are in front of this host.
        """
        values, found = self._checked(variables, variables.spec, behind)
        placed, problems = self._placed(values, found, variables.task_vars)
        found += problems
        known = ["localhost", *variables.task_vars.get("groups", {}).get("all", [])]
        for name in ("ansible_host", "ansible_user"):
            if variables.task_vars.get(name) == TODO:
                found.append((name, f"{name} is {TODO!r}: it still has to be filled in, where your hosts are listed."))
        if problem := inventory_host("build_host", values.get("build_host"), known):
            found.append((problem.variable, problem.sentence))
        source = self._source(values) if not NEEDED & {name for name, _text in found} else Checked([])
        programs, problems = self._programs(values)
        found += [*source.problems, *problems]
        background, problems = self._background(values, found, variables.task_vars)
        found += problems
        if found:
            return self._refused(variables, found)
        told = notify.for_host(values["notify"], values["name"], str(variables.task_vars.get("inventory_hostname", "")))
        # Where the site isn't written, it stays what it is, whatever is wanted of it.
        direct = (values["direct"] if self._front else "auto") if behind else ""
        answer = self._ask_host(values | background | {"notify": told, "direct": direct}, variables.task_vars)
        # Which Python it has, where Ansible had to look for it: else each task of ours would look again.
        facts = {"ansible_facts": answer.get("ansible_facts", {})}
        if answer.get("failed") or answer.get("unreachable"):
            return {**facts, **answer}
        python = answer["host"]["python"]
        if "version" in python:
            answer["problems"] += check_python(source, python, str(values.get("index_url") or ""), Display().display)
        me, part = str(variables.task_vars.get("inventory_hostname", "")), hosts.taken(variables.task_vars)
        inventory = functools.partial(self._inventory, values, variables.task_vars)
        placed, wrong, hints = passage.go(values, answer["host"], placed, inventory, me, part, self._front)
        found, warnings = self._chosen(answer, passage.as_served(values, placed), programs)
        found += [(problem.variable, problem.sentence) for problem in wrong]
        warnings += [*hints, *source.warnings]
        warnings += filter(None, [hosts.too_few_forks(variables.task_vars), self._forgotten(values)])
        if found:
            return {**facts, **self._refused(variables, found)}
        timers = lines(answer["timers"])
        if self._task.check_mode:
            # What a schedule means is what somebody asks a dry run for, and the message alone is shown by -v.
            for line in timers:
                Display().display(f"{variables.task_vars.get('inventory_hostname', 'host')}: {line}")
        said = [f"{answer['plan']['explanation']} {answer['logs']['text']}", *timers]
        told = {name: answer[name] for name in ("plan", "logs", "host", "releases", "timers")}
        told |= {"fleet": placed} if placed else {}
        return {**facts, "warnings": warnings, "msg": "\n".join(said), **told}

    def _forgotten(self, values: dict[str, t.Any]) -> str:
        if self._connection.transport != "ssh":
            return ""
        options = (self._connection.get_option(name) for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"))
        return canary.forgotten(values["canary"], options)

    def _checked(self, variables: Variables, spec: Spec, behind: bool = False) -> tuple[dict[str, t.Any], list[Found]]:
        """The typed values of the variables in `spec`, and what is wrong with them by themselves."""
        values, unread = variables.values(spec)
        values = typed(values, spec) | ({"behind": True} if behind else {})
        found = check.check_names(variables.names, variables.spec) + unread
        return values, found + check.check(values, spec, {name for name, _text in unread})

    def _refused(self, variables: Variables, found: list[Found]) -> Result:
        host = variables.task_vars.get("inventory_hostname", "the host")
        return {"failed": True, "msg": report(variables.told(found), host)}

    def _source(self, values: dict[str, t.Any]) -> Checked:
        path = values["source"]
        if not is_git(path):
            path = self._loader.path_dwim(os.path.expanduser(path))
        return check_source(values, path, constants.DEFAULT_LOCAL_TMP)

    def _programs(self, values: dict[str, t.Any]) -> tuple[dict[str, Program], list[Found]]:
        """The Caddy and the Oxmgr that the user names, and what is wrong with them."""
        programs, found = {}, []
        for choice, variable, key in PROGRAMS:
            path = values.get(key)
            if values.get(variable) != key or not isinstance(path, str) or not path:
                continue
            program, problem = named(key, path, choice.KIND)
            if program:
                programs[key] = program
            if problem:
                found.append((problem.variable, problem.sentence))
        return programs, found

    def _background(
        self, values: dict[str, t.Any], found: list[Found], task_vars: dict[str, t.Any]
    ) -> tuple[dict[str, t.Any], list[Found]]:
        """What this host has of processes and timers, and those that --limit would leave on an old release."""
        bad = {name.partition("[")[0] for name, _text in found}
        if bad & {"name", *processes.KEYS} or not any(values.get(kind) for kind in processes.KEYS):
            return {}, []
        first = hosts.of_app(self._task, task_vars, values["name"], values.get("balancers") or ())[0]
        problems = processes.left_out(values, first, hosts.taken(task_vars))
        is_first = first == task_vars.get("inventory_hostname")
        here, planned = processes.for_host(values, is_first), processes.planned(values, is_first)
        return {"background": here, "beside": planned}, [(problem.variable, problem.sentence) for problem in problems]

    def _ask_host(self, values: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Result:
        """The one trip: what the module found, with the problems as (variable, sentence) pairs."""
        host = task_vars.get("inventory_hostname", "the host")
        told = {name: values[name] for name in HOST_VARIABLES if name in values}
        told["here"] = str(host)
        told["leaving"] = self._task.args.get("leaving") or []
        try:
            answer = self._execute_module("graceful.deploy.preflight", {"variables": told}, task_vars=task_vars)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            hint = explain(str(error))
            if not hint:
                raise
            # The hint says it all; a cause would be told once more behind it.
            raise AnsibleActionFail(f"Nothing was changed on {host}. {hint}") from None
        if answer.get("failed"):
            said = str(answer.get("module_stderr") or answer.get("msg", "")).strip()
            hint = explain(f"{answer.get('msg', '')}\n{said}\n{answer.get('module_stdout', '')}")
            if hint:
                msg = f"Nothing was changed on {host}. {hint}\nWhat the host said: {said}"
                return {"failed": True, "msg": msg, "rc": answer.get("rc")}
            return answer
        answer["problems"] = [(name.removeprefix(PREFIX), sentence) for name, sentence in answer.get("problems", [])]
        return answer
