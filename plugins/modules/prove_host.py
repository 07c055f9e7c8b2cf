#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prove_host
short_description: The half of module prove that runs on the host
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Internal. Module M(graceful.deploy.prove) calls it on the host, with options that it has checked and that may be
    others in each version.
options:
  state:
    description: Whether it begins or ends.
    type: str
    choices: [begun, ended]
    required: true
  during:
    description: What is done meanwhile.
    type: str
    required: true
  name:
    description: Name of the app.
    type: str
    required: true
  root:
    description: Absolute path of the app's directory.
    type: path
    required: true
  proxy:
    description: Which proxy is in front of it.
    type: str
    choices: [caddy, nginx]
    required: true
  host:
    description: The Host header, and the name that TLS is asked for.
    type: str
    required: true
  port:
    description: Of the proxy.
    type: int
    required: true
  tls:
    description: Whether that speaks TLS.
    type: bool
    required: true
  by:
    description: Who does it.
    type: str
    required: true
  run:
    description: Tells one run of Ansible from another.
    type: str
    required: true
  asked:
    description: Each kind of request, with C(method), C(path), C(body), C(content_type) and C(share).
    type: list
    elements: dict
    required: true
  rate:
    description: Requests a second.
    type: float
    required: true
  seconds:
    description: How long requests are sent at most.
    type: float
    required: true
  before:
    description: Seconds of the steady stretch.
    type: float
    required: true
  late:
    description: Seconds after which an answer is late.
    type: float
    required: true
  timeout:
    description: Seconds after which a request is lost.
    type: float
    required: true
  bodies:
    description: The bodies of O(asked) in JSON, one for each, by themselves because nobody's journal is to have them.
    type: str
    default: "[]"
  client:
    description: Text of the load client.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and sends nothing then.
    support: full
  diff_mode:
    description: Will return details on what has changed when in diff mode.
    support: none
seealso:
  - module: graceful.deploy.prove
"""

EXAMPLES = r"""
- name: Begin
  graceful.deploy.prove_host:
    state: begun
    during: nothing
    name: hello
    root: /srv/hello
    proxy: caddy
    host: hello.example.org
    port: 443
    tls: true
    by: ann@laptop
    run: "4711"
    asked:
      - {method: GET, path: /, body: "", content_type: "", share: 1}
    rate: 20
    seconds: 30
    before: 5
    late: 1
    timeout: 30
"""

RETURN = r"""
stopped:
  description: Whose client was ended that an earlier run had left; empty where there was none.
  returned: with O(state=begun)
  type: str
  sample: ""
statuses:
  description: Of each kind of request how often it got which status in the steady stretch.
  returned: with O(state=begun)
  type: list
  elements: dict
  sample: [{"200": 50}]
figures:
  description: What was counted.
  returned: with O(state=ended)
  type: dict
  sample: {"sent": 1200, "lost": 0}
told:
  description: Who was told of it.
  returned: with O(state=ended)
  type: list
  elements: str
  sample: []
"""

import json
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed, Systemd
from ..module_utils._prove.flow import Prove

TEXT = {"type": "str", "required": True}
NUMBER = {"type": "float", "required": True}
ARGUMENTS = {
    "state": {"type": "str", "choices": ["begun", "ended"], "required": True},
    "root": {"type": "path", "required": True},
    "proxy": {"type": "str", "choices": ["caddy", "nginx"], "required": True},
    "port": {"type": "int", "required": True},
    "tls": {"type": "bool", "required": True},
    "asked": {"type": "list", "elements": "dict", "required": True},
    "client": {"type": "str", "default": "", "no_log": True},
    "bodies": {"type": "str", "default": "[]", "no_log": True},
    **dict.fromkeys(("during", "name", "host", "by", "run"), TEXT),
    **dict.fromkeys(("rate", "seconds", "before", "late", "timeout"), NUMBER),
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    for kind, body in zip(module.params["asked"], json.loads(module.params["bodies"]), strict=False):
        kind["body"] = body
    prove = Prove(module.params, Systemd(partial(module.run_command, handle_exceptions=False)), module.warn)

    def answer() -> dict[str, Any]:
        if module.check_mode:
            prove.may()
            return {"changed": module.params["during"] != "nothing"}
        return prove.begin() if module.params["state"] == "begun" else prove.end()

    finish(module, answer, CommandFailed, state=lambda: prove.state)


if __name__ == "__main__":
    main()
