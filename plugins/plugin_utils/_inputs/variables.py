# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fastapi_ variables of one host as somebody wrote them: their values, and where each was set."""

from __future__ import annotations

import os
import re
import typing as t

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.template import trust_as_template

from ...module_utils._app.problems import HIDDEN, Problem
from ...module_utils._app.words import PREFIX
from .check import SECRET
from .env_file import as_text
from .specification import ROLE, Spec, load_spec

try:
    # Where a value was set is no public interface of ansible-core; without it the messages only lack the place.
    from ansible._internal._datatag._tags import Origin
except ImportError:
    Origin = None

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


def written(key: object, value: object, read: t.Callable[[str], str]) -> str | None:
    """How a number or a boolean without quotes stands in its file; None where that can't be seen.

    :param key: the name before it, which knows its place where the value can't.
    :param read: the text of a file, decrypted if need be; raises where it can't be had.
    """
    origin = origin_of(value) or origin_of(key)
    if origin is None or not origin.path or not origin.line_num or not origin.col_num:
        return None
    try:
        line = read(origin.path).splitlines()[origin.line_num - 1][origin.col_num - 1 :]
    except (AnsibleError, OSError, IndexError):
        return None
    if origin_of(value) is None:
        line = line.removeprefix(str(key)).lstrip().removeprefix(":").lstrip()
    match = re.match(r"[\w.:+-]+", line)
    return match[0] if match else None


def trusted(value: t.Any) -> t.Any:
    """A default of the role's specification, which may refer to other variables."""
    if isinstance(value, (dict, list)):
        return type(value)(value)
    return trust_as_template(value) if isinstance(value, str) else value


class Variables:
    """What was written.

    :param given: the task's own values by name without prefix, which win.
    :param task_vars: all variables that Ansible has for the host.
    :param read: the text of a file, decrypted if need be.
    """

    def __init__(
        self, given: dict[str, t.Any], task_vars: dict[str, t.Any], templar: t.Any, read: t.Callable[[str], str]
    ) -> None:
        self.given = given
        self.read = read
        self.task_vars = task_vars
        self.templar = templar
        self.spec: Spec = load_spec()
        self.raw = {name: trusted(option["default"]) for name, option in self.spec.items() if "default" in option}
        self.raw.update({name: task_vars[PREFIX + name] for name in self.spec if PREFIX + name in task_vars})
        self.raw.update(given)

    @property
    def names(self) -> list[str]:
        """Whole names of all variables that are set, whoever they are for."""
        return [*map(str, self.task_vars), *(PREFIX + name for name in self.raw)]

    def values(self, names: t.Collection[str]) -> tuple[dict[str, t.Any], list[Found]]:
        """The values of these, and a problem for each that can't be had."""
        mine = {PREFIX + name: value for name, value in self.raw.items()}
        templar = self.templar.copy_with_new_env(available_variables={**self.task_vars, **mine})
        values: dict[str, t.Any] = {}
        found: list[Found] = []
        for name in [name for name in self.raw if name in names]:
            value = self.raw[name]
            # Each entry of the environment by itself, so that a message can name the one that is wrong.
            parts = dict(value) if name == "env" and isinstance(value, dict) else {None: value}
            done = {}
            for key, part in parts.items():
                variable = name if key is None else f"{name}[{str(key)!r}]"
                try:
                    value = templar.template(part)
                except AnsibleError as error:
                    found.append((variable, _unread(name, variable, error)))
                    continue
                done[key] = plain(value)
                if name == "env" and (problem := self._changed(variable, key, value)):
                    found.append((variable, problem))
            if name == "processes":
                found += self._changed_in(self.raw[name])
            if None not in parts:
                values[name] = done  # what could be had of it is checked all the same
            elif done:
                values[name] = done[None]
        return values, found

    def _changed(self, variable: str, key: object, value: object) -> str:
        """What is wrong where YAML made another text of a value, which is never shown; '' where it didn't."""
        if not isinstance(value, (bool, int, float)):
            return ""
        if written(key, value, self.read) in (None, as_text(plain(value))):
            return ""
        wrong = (
            "YAML takes it for a number or a boolean, and the app would get another text than you wrote: 420 for 0644, "
            "1.1 for 1.10, 750 for 12:30, true for yes."
        )
        return Problem(variable, HIDDEN, wrong, "Put it in quotes.").sentence

    def _changed_in(self, processes: t.Any) -> list[Found]:
        """The same for the environments that processes have for themselves."""
        problems = []
        for name, entry in processes.items() if isinstance(processes, dict) else ():
            env = entry.get("env") if isinstance(entry, dict) else None
            for key, value in env.items() if isinstance(env, dict) else ():
                problems.append(self._changed(f"processes[{str(name)!r}]['env'][{str(key)!r}]", key, value))
        return [("processes", problem) for problem in problems if problem]

    def told(self, found: list[Found]) -> list[str]:
        """The problems as a person reads them: first causes alone, each with the place that set the variable."""
        places = self._places()
        first = [problem for problem in found if problem[0] not in self._derived()] or found
        return [text + (f" ({places[name]})" if places.get(name) else "") for name, text in first]

    def _derived(self) -> set[str]:
        """Variables whose default is made from others, such as the root from the name: a bad one follows from those."""
        spec, given = self.spec, self.given
        derived = {name for name, option in spec.items() if "{{" in str(option.get("default")) and name not in given}
        written = {name for name in derived if PREFIX + name in self.task_vars}
        return derived - {name for name in written if not is_role_default(self.task_vars[PREFIX + name])}

    def _places(self) -> dict[str, str]:
        """Where each variable was set, by the name that problems have."""
        # YAML's booleans and null can't carry a place, but the name before them does.
        whole = {str(full): place(value) or place(full) for full, value in self.task_vars.items()}
        places = {full.removeprefix(PREFIX): where for full, where in whole.items()} | whole
        env = self.raw.get("env")
        for key, value in env.items() if isinstance(env, dict) else ():
            places[f"env[{str(key)!r}]"] = place(value) or place(key) or places.get("env", "")
        return places


def _unread(name: str, variable: str, error: AnsibleError) -> str:
    """What to say of a value that can't be had. What a filter or lookup says may quote a secret, so of those only
    undefined names are told."""
    why = str(error)
    if name in SECRET and not isinstance(error, AnsibleUndefinedVariable):
        why = "its template, lookup or vault fails; what Ansible says of it may hold the secret."
    return f"{PREFIX}{variable}: {why.rstrip('.')}. Fix it, or what it refers to."
