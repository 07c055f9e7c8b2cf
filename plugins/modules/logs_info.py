#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: logs_info
short_description: Read an app's log on a host
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Prints what the app and its workers wrote to the app's own journal, and what systemd did to them, the oldest first.
    Tracebacks have their lines. A secret of the app's environment or credentials that is quoted is shown as C(***).
  - The command C(NAME-logs), which the role P(graceful.deploy.log_rotation#role) leaves on the host, prints the same
    there with nothing hidden, and can follow it.
extends_documentation_fragment:
  - graceful.deploy.read_only
options:
  name:
    description: Name of the app.
    type: str
    required: true
  lines:
    description:
      - How many of the last lines. 100 without it, or all of them where O(since) or O(request) is given, but never more
        than 5000.
    type: int
  since:
    description: Only lines from then on, a time as C(journalctl) takes it, such as V(-1h), V(02:30) or V(yesterday).
    type: str
    default: ""
  until:
    description: Only lines before then, a time as in O(since).
    type: str
    default: ""
  request:
    description: Only lines that have this text in them, such as the X-Request-ID of a request.
    type: str
    default: ""
  slot:
    description: Only lines of this slot.
    type: str
    choices: ["", blue, green]
    default: ""
  process:
    description: Only lines of this process or timer.
    type: str
    default: ""
  deploys:
    description: Not the app's lines, but those of the deploys that pushes have started (see role webhook).
    type: bool
    default: false
  only:
    description:
      - V(access) is the access log, V(problems) are warnings, errors and what the app wrote to its standard error,
        V(app) is all but the access log.
    type: str
    choices: ["", access, problems, app]
    default: ""
attributes:
  action:
    support: full
    description: Has an action plugin of the same name, which prints the lines.
seealso:
  - module: graceful.deploy.status_info
"""

EXAMPLES = r"""
- name: Read what went wrong in the last hour
  graceful.deploy.logs_info:
    name: hello
    since: -1h
    only: problems

- name: Read all that is known of one request
  graceful.deploy.logs_info:
    name: hello
    request: 3a3e7a8e-5591-46b3-8cf4-4ad18ef7a9f2
"""

RETURN = r"""
text:
  description: The lines.
  returned: success
  type: str
  sample: "11-25 06:51:37.011 blue      911       GET /items/1 200 0.001s client=192.0.2.7:0 request_id=ae90a31e"
"""

import collections
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._app.hidden import hider
from ..module_utils._app.names import missing
from ..module_utils._app.roots import root_in
from ..module_utils._host.files import read_text
from ..module_utils._host.guard import finish
from ..module_utils._host.journal import NotRead, Query, asked, read

MOST = 5000


def main() -> None:
    names = ("since", "until", "request", "slot", "only", "process")
    options: dict[str, dict[str, Any]] = {name: {"type": "str", "default": ""} for name in names}
    options["slot"]["choices"] = ["", "blue", "green"]
    options["only"]["choices"] = ["", "access", "problems", "app"]
    spec = {"name": {"type": "str", "required": True}, "lines": {"type": "int"}, **options}
    spec["deploys"] = {"type": "bool", "default": False}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    name = module.params["name"]
    query = asked(module.params["lines"], **{option: module.params[option] for option in (*options, "deploys")})
    finish(module, lambda: answer(name, query), NotRead)


def answer(name: str, query: Query) -> dict[str, Any]:
    try:
        found = collections.deque(read(name, query), maxlen=MOST)
    except NotRead as problem:
        raise NotRead(f"The log of {name} can't be read: {problem}") from problem
    hide = hider(root_in(read_text(f"/etc/systemd/system/{name}@.service")))
    # Ansible refuses a result that isn't UTF-8.
    lines = [hide(line).encode(errors="backslashreplace").decode() for line in found]
    cut = [f"Only the last {MOST} lines; more is there for {name}-logs on the host."] * (len(lines) == MOST)
    none = missing(name) or f"There are no such lines of {name}."
    return {"changed": False, "text": "\n".join([*cut, *lines]) or none}


if __name__ == "__main__":
    main()
