#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: caddy
short_description: Say which Caddy serves on a host, and bring the one that you name
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Asks the host which Caddy it has, of which version, and what the other sites on the host want of the settings that
    all sites share. On a host without one, says what Debian's package will be.
  - Where you name a Caddy of your own, brings it to C(/usr/local/lib/), under a name that carries its digest, so that a
    host that has it gets nothing.
  - Refuses what the Caddy that will serve can't do, before anything is changed.
options:
  name:
    description: Name of the app, whose own site doesn't count among the others.
    type: str
    required: true
  program:
    description: Absolute path on the control node of Caddy's program or of its C(.deb). Empty goes by the host's.
    type: str
    default: ""
  rate_limit:
    description: The rate limit that the site is to have; it needs the module C(http.handlers.rate_limit).
    type: str
    default: ""
  trusted_proxies:
    description: Load balancers in front of Caddy.
    type: list
    elements: str
    default: []
  protect:
    description: Paths that not everybody gets; only C(path) and C(addresses) are looked at.
    type: list
    elements: dict
    default: []
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
- name: Ask which Caddy serves
  graceful.deploy.caddy:
    name: hello
  register: asked

- name: Say its version
  ansible.builtin.debug:
    msg: "{{ asked.caddy.version }}"
"""

RETURN = r"""
caddy:
  description: The Caddy that serves, or will.
  returned: success
  type: dict
  contains:
    program:
      description: Its path on the host.
      type: str
      sample: /usr/bin/caddy
    version:
      description: Its version.
      type: str
      sample: 2.6.2
    modules:
      description: Its modules that a site may need, where it was asked for them.
      type: list
      elements: str
    current:
      description: Whether it is 2.8 or newer.
      type: bool
    flushes:
      description: Whether it is 2.9 or newer, which sends a compressed stream as it comes.
      type: bool
    brought:
      description: Whether it is one that you named.
      type: bool
    present:
      description: Whether it was on the host before.
      type: bool
    packages:
      description: Debian packages that give it its unit and its user.
      type: list
      elements: str
    stale:
      description: Paths of programs that earlier runs brought.
      type: list
      elements: str
    others:
      description: What the sites of other apps want of the settings that all sites share.
      type: list
      elements: dict
    open_ports:
      description: Ports on which a site of somebody's own answers to any name.
      type: list
      elements: int
    own_main:
      description: Whether the main file is somebody's own.
      type: bool
    drops_on_reload:
      description: Whether a reload drops what waits for Caddy, and the host, a container, can't change that.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._preflight.caddy import read_caddy


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "program": {"type": "str", "default": ""},
            "rate_limit": {"type": "str", "default": ""},
            "trusted_proxies": {"type": "list", "elements": "str", "default": []},
            "protect": {"type": "list", "elements": "dict", "default": [], "no_log": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    # The action plugin makes `caddy` of it, and brings the program.
    finish(
        module,
        lambda: {
            "changed": False,
            "host": read_caddy(module.run_command, params["name"], bool(params["rate_limit"])),
        },
    )


if __name__ == "__main__":
    main()
