#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Ask a service one path, through the host's front door or its unix socket, until it answers 2xx
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Asks from the host itself, at 127.0.0.1 or at a unix socket, so that firewalls and DNS play no part.
  - At a socket it asks as a proxy hands on a client's request. At a port it sends C(X-Graceful-Gated), by which the
    proxies of this collection answer the health path too with 503 while they hold clients back.
  - Whether a certificate is one that browsers trust is not checked.
extends_documentation_fragment:
  - graceful.deploy.read_only
options:
  host:
    description: Host header, and the name asked for in TLS.
    type: str
    default: localhost
  port:
    description: TCP port at 127.0.0.1, 1 to 65535. One of O(port) and O(socket) is required.
    type: int
  socket:
    description: Absolute path of a unix socket.
    type: path
  tls:
    description: Whether the port speaks TLS.
    type: bool
    default: false
  scheme:
    description:
      - How clients come. At a O(socket) the app is told so by C(X-Forwarded-Proto).
      - With V(https) at a port without O(tls), where a proxy before this one ends TLS, an answer that sends on to
        C(https) counts as a good one.
    type: str
    choices: [http, https]
    default: http
  path:
    description: The path to ask.
    type: str
    default: /health
  timeout:
    description: Seconds to go on asking, 1 or more.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Ask the app through the front door
  graceful.deploy.probe:
    host: api.example.com
    port: 443
    tls: true
"""

RETURN = r"""
status:
  description: Status of the last answer.
  returned: success
  type: int
  sample: 200
body:
  description: The first 300 bytes of its body.
  returned: success
  type: str
  sample: ok
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.door import Door
from ..module_utils._host.guard import finish
from ..module_utils._host.probe import wait_until_good


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "localhost"},
            "port": {"type": "int"},
            "socket": {"type": "path"},
            "tls": {"type": "bool", "default": False},
            "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
            "path": {"type": "str", "default": "/health"},
            "timeout": {"type": "int", "default": 30},
        },
        mutually_exclusive=[("port", "socket")],
        required_one_of=[("port", "socket")],
        supports_check_mode=True,
    )
    params = module.params
    where = {"unix": params["socket"] or "", "port": params["port"] or 0, "tls": params["tls"]}
    door = Door(params["host"], scheme=params["scheme"], **where)
    finish(module, lambda: good(door, params["path"], params["timeout"]), BadAnswer)


class BadAnswer(Exception):
    """The service doesn't answer as it should; the text says how it does."""


def good(door: Door, path: str, timeout: float) -> dict[str, object]:
    answer = wait_until_good(door, path, timeout)
    if isinstance(answer, str):
        raise BadAnswer(answer)
    return {"changed": False, "status": answer.status, "body": answer.text}


if __name__ == "__main__":
    main()
