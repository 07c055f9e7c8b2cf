# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of preflight: reads the fastapi_ variables, refuses what can be refused without a trip."""

from __future__ import annotations

import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError, AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from ..module_utils._app.problems import PREFIX, Problem, report
from ..module_utils._plan.flow import ARGUMENT_SPEC as PLAN_SPEC
from ..plugin_utils._inputs import caddy as caddy_choice
from ..plugin_utils._inputs import check
from ..plugin_utils._inputs.become import explain
from ..plugin_utils._inputs.caddy import NotCaddy, Program, inspect
from ..plugin_utils._inputs.rules import inventory_host
from ..plugin_utils._inputs.source import NEEDED, Checked, check_python, check_source
from ..plugin_utils._inputs.specification import ROLE, Spec, load_spec, typed
from ..plugin_utils._release.git import is_git

try:
    # Where a value was set is no public interface of ansible-core; without it the messages only lack the place.
    from ansible._internal._datatag._tags import Origin
except ImportError:
    Origin = None

# What the host is told of the variables. The environment and the index with its password stay on the control node.
HOST_VARIABLES = (
    *("name", "root", "user", "group", "python", "proxy", "http_port", "tls", "domains", "redirect_domains"),
    *("tls_certificate", "tls_key", "acme_ca", "rate_limit", "log_max_size", "log_files", "on_failure"),
    *("writable_paths", *PLAN_SPEC),
)


Found = tuple[str, str]
"""A problem: the variable without its prefix (or the whole name of one that isn't ours), and the sentence."""


def plain(value: t.Any) -> t.Any:
    """The built-in types behind ansible-core's tagged ones."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def origin_of(value: object) -> t.Any:
    return Origin.get_tag(value) if Origin is not None else None


def is_role_default(value: object) -> bool:
    origin = origin_of(value)
    return bool(origin and origin.path and os.path.realpath(origin.path).startswith(os.path.realpath(ROLE) + os.sep))


def place(value: object) -> str:
    """File and line that set a value, relative to where the person stands; empty where that isn't known."""
    origin = origin_of(value)
    if origin is None or is_role_default(value):
        return ""
    if not origin.path:
        return str(origin.description or "").strip("<>")
    path = os.path.relpath(origin.path)
    return f"{origin.path if path.startswith('..') else path}:{origin.line_num or 1}"


def trusted(value: t.Any) -> t.Any:
    """A default of the role's specification, which may refer to other variables."""
    if isinstance(value, (dict, list)):
        return type(value)(value)
    return trust_as_template(value) if isinstance(value, str) else value


def find_places(raw: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, str]:
    """Where each variable was set, by the name that problems have."""
    # YAML's booleans and null can't carry a place, but the name before them does.
    places = {str(full).removeprefix(PREFIX): place(value) or place(full) for full, value in task_vars.items()}
    places.update({str(full): place(value) or place(full) for full, value in task_vars.items()})
    env = raw.get("env")
    if isinstance(env, dict):
        places.update(
            {f"env[{str(key)!r}]": place(value) or place(key) or places.get("env", "") for key, value in env.items()}
        )
    return places


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("variables",))

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = {**super().run(tmp, task_vars), "changed": False}
        task_vars = task_vars or {}
        host = task_vars.get("inventory_hostname", "the host")
        spec = load_spec()
        raw = self._raw(task_vars, spec)
        known, removal = spec, self._is_removal(raw, task_vars)
        if removal:
            spec, raw = ({name: every[name] for name in every if name in check.FOR_REMOVAL} for every in (spec, raw))
        values, found = self._template(raw, task_vars)
        values = typed(values, spec)
        names = [*map(str, task_vars), *(PREFIX + name for name in raw)]
        found = check.check_names(names, known) + found + check.check(values, spec, {name for name, _text in found})
        hosts = ["localhost", *task_vars.get("groups", {}).get("all", [])]
        if problem := inventory_host("build_host", values.get("build_host"), hosts):
            found.append((problem.variable, problem.sentence))
        source = Checked([])
        if not removal and not NEEDED & {name for name, _text in found}:
            path = values["source"]
            if not is_git(path):
                path = self._loader.path_dwim(os.path.expanduser(path))
            source = check_source(values, path, constants.DEFAULT_LOCAL_TMP)
            found += source.problems
        program, problem = self._named_caddy(values)
        if problem:
            found.append((problem.variable, problem.sentence))
        if not found and removal:
            # The module that removes it looks at the host for itself.
            said = f"{values['name']} is to be taken off the host."
            return {**result, "msg": said, "plan": {}, "host": {}}
        if not found:
            answer = self._ask_host(values, task_vars, host)
            # Which Python it has, where Ansible had to look for it: else each task of ours would look again.
            result["ansible_facts"] = answer.get("ansible_facts", {})
            if answer.get("failed") or answer.get("unreachable"):
                return {**result, **answer}
            found = answer["problems"]
            if version := answer["host"]["python"].get("version"):
                found += check_python(source.python, version)
            if caddy := answer["host"].get("caddy"):
                refused = caddy_choice.problems(values, caddy, program)
                found += [(problem.variable, problem.sentence) for problem in refused]
                answer["host"]["caddy"] = caddy_choice.choose(caddy, program)
                answer.setdefault("warnings", []).extend(caddy_choice.warnings(answer["host"]["caddy"]))
        if found:
            found = self._first_causes(found, task_vars, spec)
            places = find_places(raw, task_vars)
            sentences = [text + (f" ({places[name]})" if places.get(name) else "") for name, text in found]
            return {**result, "failed": True, "msg": report(sentences, host)}
        plan = answer["plan"]
        warnings = [*answer.get("warnings", []), *filter(None, [source.warning])]
        return {
            **result,
            "warnings": warnings,
            "msg": f"{plan['explanation']} {answer['logs']['text']}",
            "plan": plan,
            "logs": answer["logs"],
            "host": answer["host"],
            "releases": answer["releases"],
        }

    def _raw(self, task_vars: dict[str, t.Any], spec: Spec) -> dict[str, t.Any]:
        """Each variable as it was written: the task's own, the host's, or the role's default."""
        raw = {name: trusted(option["default"]) for name, option in spec.items() if "default" in option}
        raw.update({name: task_vars[PREFIX + name] for name in spec if PREFIX + name in task_vars})
        raw.update(self._task.args.get("variables") or {})
        return raw

    def _is_removal(self, raw: dict[str, t.Any], task_vars: dict[str, t.Any]) -> bool:
        values, _found = self._template({"state": raw.get("state", "")}, task_vars)
        return values.get("state") == "absent"

    def _template(self, raw: dict[str, t.Any], task_vars: dict[str, t.Any]) -> tuple[dict[str, t.Any], list[Found]]:
        """The variables' values, and a problem for each that can't be had."""
        mine = {PREFIX + name: value for name, value in raw.items()}
        templar = self._templar.copy_with_new_env(available_variables={**task_vars, **mine})
        values: dict[str, t.Any] = {}
        found: list[Found] = []
        for name, value in raw.items():
            # Each entry of the environment by itself, so that a message can name the one that is wrong.
            parts = dict(value) if name == "env" and isinstance(value, dict) else {None: value}
            done = {}
            for key, part in parts.items():
                variable = name if key is None else f"{name}[{str(key)!r}]"
                try:
                    done[key] = plain(templar.template(part))
                except AnsibleError as error:
                    # What a filter or lookup says may quote a secret, so only undefined names are told of those.
                    tell = name not in check.SECRET or isinstance(error, AnsibleUndefinedVariable)
                    why = (
                        str(error)
                        if tell
                        else "its template, lookup or vault fails; what Ansible says of it may hold the secret."
                    )
                    found.append((variable, f"{PREFIX}{variable}: {why.rstrip('.')}. Mend it, or what it refers to."))
            if None not in parts:
                values[name] = done  # what could be had of it is checked all the same
            elif done:
                values[name] = done[None]
        return values, found

    def _named_caddy(self, values: dict[str, t.Any]) -> tuple[Program | None, Problem | None]:
        """The Caddy that fastapi_caddy names, or what is wrong with it."""
        path = values.get("caddy")
        if values.get("proxy") != "caddy" or not isinstance(path, str) or not path:
            return None, None
        try:
            return inspect(path), None
        except (NotCaddy, OSError) as error:
            wrong, _dot, advice = str(error).partition(". ")
            if isinstance(error, OSError):
                wrong, advice = f"it can't be read on the control node: {error.strerror}", "Name a file that is there."
            return None, Problem("caddy", path, wrong + ".", advice)

    def _first_causes(self, found: list[Found], task_vars: dict[str, t.Any], spec: Spec) -> list[Found]:
        """Without what follows from another problem: a default made from a bad name, such as the root."""
        given = self._task.args.get("variables") or {}
        derived = {name for name, option in spec.items() if "{{" in str(option.get("default")) and name not in given}
        derived -= {n for n in derived if PREFIX + n in task_vars and not is_role_default(task_vars[PREFIX + n])}
        return [problem for problem in found if problem[0] not in derived] or found

    def _ask_host(self, values: dict[str, t.Any], task_vars: dict[str, t.Any], host: str) -> dict[str, t.Any]:
        """The one trip: what the module found, with the problems as (variable, sentence) pairs."""
        told = {name: values[name] for name in HOST_VARIABLES if name in values}
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
