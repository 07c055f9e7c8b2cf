# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that says which fastapi_ variables there are, and of which types: the role fastapi's specification."""

from __future__ import annotations

import functools
import os
import re
import typing as t

from ansible.module_utils.common.yaml import yaml_load

from ...module_utils._app.words import PREFIX
from ...module_utils._plan.flow import whole_number

Spec = dict[str, dict[str, t.Any]]

ROLE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "roles", "fastapi")


@functools.cache
def load_spec() -> Spec:
    """The role's options by name without prefix, each with its default.

    Read once in a process. Ansible has one for each task, made of the one that has imported the action preflight.
    """
    with open(os.path.join(ROLE, "meta", "argument_specs.yml"), encoding="utf-8") as file:
        options = yaml_load(file)["argument_specs"]["main"]["options"]
    # Here are those too that are computed from other options.
    with open(os.path.join(ROLE, "defaults", "main.yml"), encoding="utf-8") as file:
        for name, value in yaml_load(file).items():
            if name in options:
                options[name]["default"] = value
    return {name.removeprefix(PREFIX): option for name, option in options.items()}


def choices(option: dict[str, t.Any]) -> list[str]:
    """The option's choices; YAML makes `off` without quotes false in the specification too."""
    return ["off" if choice is False else str(choice) for choice in option.get("choices") or []]


def seconds(value: object) -> float | None:
    """A number that may have a fraction, and may be text; None for all else."""
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}", str(value).strip()):
        return None
    return float(str(value))


def typed(values: dict[str, t.Any], spec: Spec) -> dict[str, t.Any]:
    """The values as their types: "8080" from -e is a number, and YAML's `off` without quotes is the word."""
    found = dict(values)
    for name, value in values.items():
        option = spec.get(name, {})
        if option.get("type") == "int" and whole_number(value) is not None:
            found[name] = whole_number(value)
        if option.get("type") == "float" and seconds(value) is not None:
            found[name] = seconds(value)
        # From -e every word is text.
        if option.get("type") == "bool" and str(value).lower() in ("true", "false"):
            found[name] = str(value).lower() == "true"
        if value is False and "off" in choices(option):
            found[name] = "off"
    return found
