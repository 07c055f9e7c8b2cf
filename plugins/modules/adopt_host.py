#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: adopt_host
short_description: The host's half of adopt
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Reads how an app was set up by hand, and moves its traffic; M(graceful.deploy.adopt) calls it.
  - What it returns of an environment is for that alone, which shows none of it.
options:
  step:
    description: What to do.
    type: str
    required: true
    choices: [read, fetch, begin, compare, exchange, moved, back, finish, undo, tidy]
  unit:
    description: With V(read), the program that starts the app; empty for the only one.
    type: str
    default: ""
  directory:
    description: With V(fetch), the directory whose code is returned.
    type: path
    default: ""
  name:
    description: Name of the app.
    type: str
    default: ""
  root:
    description: Absolute path of the app's directory. Empty is C(/srv/) and the O(name).
    type: path
    default: ""
  user:
    description: The app's user.
    type: str
    default: deploy
  adopt:
    description: What the inventory says of the old way in which the app is run.
    type: dict
    default: {}
  host:
    description: The name that clients ask for.
    type: str
    default: localhost
  scheme:
    description: How clients come.
    type: str
    choices: [http, https]
    default: http
  protected:
    description: With V(exchange), the paths that C(fastapi_protect) closes.
    type: list
    elements: str
    default: []
  static:
    description: With V(exchange), the paths of C(fastapi_static).
    type: list
    elements: str
    default: []
  snippet:
    description:
      - With V(exchange), C(fastapi_proxy_snippet) in base64. It may be secret, and Ansible takes the text of such an
        option out of all that a module returns, of the files that are to be written too.
    type: str
    default: ""
  paths:
    description: With V(compare), the paths that are asked for.
    type: list
    elements: str
    default: ["/"]
  patience:
    description: Seconds to wait at most until requests have ended.
    type: int
    default: 90
  left:
    description: With V(tidy), what V(undo) returned as left.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Tells what would be done.
  diff_mode:
    support: none
    description: C(adopt) shows what it writes.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    description: Debian with systemd.
    platforms: debian
seealso:
  - module: graceful.deploy.adopt
"""

EXAMPLES = r"""
- name: See what there is to adopt
  graceful.deploy.adopt_host:
    step: read
  no_log: true
"""

RETURN = r"""
msg:
  description: What was done, a sentence.
  returned: when it isn't read
  type: str
  sample: shop.service is stopped and disabled; its files stay.
found:
  description: What the host shows of the app, secrets among it.
  returned: with O(step=read)
  type: dict
  sample: {}
stage:
  description: How far the move is.
  returned: when it isn't read
  type: str
  sample: moved
"""

import base64
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._adopt.code import pack
from ..module_utils._adopt.look import look
from ..module_utils._adopt.programs import Host, Refused
from ..module_utils._adopt.steps import Move
from ..module_utils._app import names
from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed
from ..module_utils._plan.capacity import CapacityError, read_capacity


def cpus() -> int:
    """How many the host gives, limits of cgroups included."""
    try:
        return max(1, int(read_capacity().cpus))
    except CapacityError:
        return len(os.sched_getaffinity(0))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {
                "type": "str",
                "required": True,
                "choices": ["read", "fetch", "begin", "compare", "exchange", "moved", "back", "finish", "undo", "tidy"],
            },
            "unit": {"type": "str", "default": ""},
            "directory": {"type": "path", "default": ""},
            "name": {"type": "str", "default": ""},
            "root": {"type": "path", "default": ""},
            "user": {"type": "str", "default": "deploy"},
            "adopt": {"type": "dict", "default": {}},
            "host": {"type": "str", "default": "localhost"},
            "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
            "protected": {"type": "list", "elements": "str", "default": []},
            "static": {"type": "list", "elements": "str", "default": []},
            "snippet": {"type": "str", "default": "", "no_log": True},
            "paths": {"type": "list", "elements": "str", "default": ["/"]},
            "patience": {"type": "int", "default": 90},
            "left": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params

    def work() -> dict[str, Any]:
        if params["step"] == "read":
            return {"changed": False, "found": look(Host(module.run_command), params["unit"], cpus())}
        if params["step"] == "fetch":
            return {"changed": False, "packed": pack(params["directory"])}
        if problem := names.name("name", params["name"]):
            raise Refused(problem.sentence)
        params["snippet"] = base64.b64decode(params["snippet"]).decode()
        params["root"] = params["root"] or f"/srv/{params['name']}"
        return Move(module.run_command, params, module.check_mode).go()

    reads = params["step"] in ("read", "fetch", "compare")
    state = "Nothing was changed." if reads else "The step may be half done; it can be run again."
    finish(module, work, Refused, CommandFailed, state=lambda: state)


if __name__ == "__main__":
    main()
