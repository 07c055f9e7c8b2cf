# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: template
author:
  - The graceful.deploy authors (@graceful)
version_added: 0.1.0
short_description: Render a template in which every variable of the role fastapi has its type
description:
  - As P(ansible.builtin.template#lookup), but V(8080) and V(false) are a number and a boolean in the template when they
    come from the command line or from an environment variable, where every value is text, and V(off) without quotes is
    the word.
  - So templates compute with the variables and branch on them as they are.
options:
  _terms:
    description: Names of templates.
    type: list
    elements: str
    required: true
seealso:
  - plugin: ansible.builtin.template
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show the unit that would be written
  ansible.builtin.debug:
    msg: "{{ lookup('graceful.deploy.template', 'service.j2') }}"
"""

RETURN = r"""
_raw:
  description: The rendered templates.
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

from ..module_utils._app.words import PREFIX
from ..plugin_utils._inputs.specification import choices, load_spec, typed


class _Shared(dict[str, t.Any]):
    """Variables of which a deep copy is another dict of the same values: templates read them, and change none."""

    def __deepcopy__(self, memo: dict[int, t.Any]) -> dict[str, t.Any]:
        return dict(self)


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        template = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        # It copies all that the host knows, to add five names: half of the time that a small template takes.
        return template.run(terms, _Shared(variables or {}), template_vars=self._typed(variables or {}))

    def _typed(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Those variables that may be text and mean something else, by their whole names."""
        spec = load_spec()
        raw = {
            name: variables[PREFIX + name]
            for name, option in spec.items()
            if PREFIX + name in variables and (option["type"] in ("int", "float", "bool") or "off" in choices(option))
        }
        values = {
            name: self._templar.template(value) if isinstance(value, str) else value for name, value in raw.items()
        }
        found = typed(values, spec)
        # Of a role that is used alone nobody has refused Ansible's other words for a boolean, such as "no".
        words = {name for name, value in found.items() if spec[name]["type"] == "bool" and isinstance(value, str)}
        found |= {name: boolean(found[name]) for name in words}
        return {PREFIX + name: value for name, value in found.items()}
