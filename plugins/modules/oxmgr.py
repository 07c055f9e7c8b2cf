#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: oxmgr
short_description: Say which Oxmgr runs an app's slots, and bring the one that you name
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Asks the host which Oxmgr it has, of which version, and which of those that were brought its apps use.
  - Brings the one that you name to C(/usr/local/lib/), under a name that carries its digest, so that a host that has it
    gets nothing. Where you name none, the host's own C(/usr/bin/oxmgr) is copied there, so that no upgrade changes what
    the app has.
  - Refuses one that isn't tested, or can't run on the host, before anything is changed.
options:
  name:
    description: Name of the app.
    type: str
    required: true
  program:
    description: Absolute path on the control node of Oxmgr's program or of its C(.deb). Empty goes by the host's.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says whether the program would be brought.
  diff_mode:
    support: none
    description: A program is not text.
  idempotent:
    support: full
    description: A second run changes nothing.
seealso:
  - module: graceful.deploy.preflight
"""

EXAMPLES = r"""
- name: Ask which Oxmgr there is
  graceful.deploy.oxmgr:
    name: hello
  register: asked

- name: Say its version
  ansible.builtin.debug:
    msg: "{{ asked.oxmgr.version }}"
"""

RETURN = r"""
oxmgr:
  description: The Oxmgr that runs the slots, or will.
  returned: success
  type: dict
  contains:
    program:
      description: Its path on the host.
      type: str
      sample: /usr/local/lib/graceful-oxmgr-5d45225db02e2b77
    version:
      description: Its version.
      type: str
      sample: 0.5.0
    brought:
      description: Whether it is one that you named.
      type: bool
    present:
      description: Whether it was on the host before.
      type: bool
    source:
      description: The host's own program that it is a copy of; empty where you named one.
      type: str
    packages:
      description: Packages that have to be installed before there is one to copy.
      type: list
      elements: str
    linked:
      description: Whether the app's unit starts it already.
      type: bool
    stale:
      description: Paths of programs that earlier runs brought, and that no app uses any more.
      type: list
      elements: str
    daemons:
      description: Daemons of Oxmgr's that listen to everybody on the host, where module preflight has looked for them.
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._preflight.oxmgr import read_oxmgr


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}, "program": {"type": "str", "default": ""}},
        supports_check_mode=True,
    )
    # The action plugin makes `oxmgr` of it, and brings the program.
    params = module.params
    finish(
        module,
        lambda: {"changed": False, "host": read_oxmgr(module.run_command, params["name"], bool(params["program"]))},
    )


if __name__ == "__main__":
    main()
