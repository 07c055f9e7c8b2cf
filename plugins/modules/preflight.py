#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Refuse bad input and unfit hosts before anything changes
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Reads every variable of the role P(graceful.deploy.fastapi#role) that is in force for the host, and fails with all
    that is wrong with them in one message, each with its value, where it was set, what it would cost, and what to
    write instead. Nothing has been changed by then, and no host was asked.
  - Where the variables are good, one trip looks at the host (its system, Python, disks, ports, users and units) and
    plans workers, memory and timeouts as M(graceful.deploy.worker_plan_info) does. What is wrong
    there is told at once too.
  - A variable that begins with C(fastapi_) and that the role doesn't have is refused with the nearest name.
  - Values of C(fastapi_env) and C(fastapi_index_url), and the commands and environments of C(fastapi_processes), never
    leave the control node, and appear in no output.
extends_documentation_fragment:
  - graceful.deploy.read_only
attributes:
  platform:
    description: Hosts that it finds fit.
    support: full
    platforms: Debian 12 and 13
options:
  variables:
    description:
      - Values for single variables, by name without C(fastapi_), in place of the host's own. For tests, and for
        asking what a value would do.
    type: dict
    default: {}
  leaving:
    description: Paths of sites' files on the host that this run takes away, so that their names aren't taken any more.
    type: list
    elements: str
    default: []
  front:
    description: Whether the run is for the site, too. Where not, no address of balancers is looked up.
    type: bool
    default: true
notes:
  - Has to run as root, as the role does. In place of that it says what is missing.
  - The whole of the role's variables is in force only inside the role; elsewhere its defaults stand in.
seealso:
  - module: graceful.deploy.worker_plan_info
"""

EXAMPLES = r"""
- name: Check every input and the host, and plan workers, memory and timeouts
  graceful.deploy.preflight:
  register: checked

- name: Say what was planned and why
  ansible.builtin.debug:
    msg: "{{ checked.msg }}"

- name: Ask whether the host could carry eight workers
  graceful.deploy.preflight:
    variables:
      workers: 8
"""

RETURN = r"""
msg:
  description:
    - The plan in two sentences, one about the logs, and a line for each timer with its next three times; or every
      problem, one a line.
  returned: always
  type: str
plan:
  description: The plan, as RV(graceful.deploy.worker_plan_info#module:plan).
  returned: success
  type: dict
host:
  description: What is known of the host.
  returned: success
  type: dict
  contains:
    distribution:
      description: C(ID) of os-release.
      type: str
      sample: debian
    release:
      description: C(VERSION_ID) of os-release; empty where there is none.
      type: str
      sample: "12"
    systemd:
      description: Version of systemd.
      type: int
      sample: 252
    python:
      description: The interpreter that fastapi_python names, with C(path), C(version), C(machine), C(libc) and more.
      type: dict
    site:
      description:
        - Whom the app's site answers by now, C(open) to everybody, C(passing) for these and balancers,
          C(returning) for the same where the balancers go, or C(behind) balancers; empty where there is none.
      type: str
      sample: behind
    balancers:
      description: Whom that site takes for its balancers, by C(names) and addresses (C(balancers)).
      type: dict
      sample: {names: [lb1], balancers: ["192.0.2.11"]}
    proxy_installed:
      description: Whether the program of fastapi_proxy is there already.
      type: bool
    caddy:
      description: As RV(graceful.deploy.caddy#module:caddy), where Caddy is the proxy.
      type: dict
    oxmgr:
      description: As RV(graceful.deploy.oxmgr#module:oxmgr), where Oxmgr is the supervisor.
      type: dict
    nginx:
      description: How many seconds a reload of nginx waits at most (C(grace), 0 before the first run), and C(ipv6).
      type: dict
fleet:
  description:
    - Where the balancers and the app's hosts are, for the roles. C(part) is what this host is, C(app) or C(balancer).
    - A balancer has this and RV(host), and no plan, timers, releases and logs.
  returned: where fastapi_balancers names hosts, or did so when the host's site was written
  type: dict
  contains:
    part:
      description: What this host is.
      type: str
      sample: balancer
    names:
      description: The balancers.
      type: list
      elements: str
      sample: [lb1, lb2]
    balancers:
      description: Addresses that requests of theirs come from.
      type: list
      elements: str
      sample: ["192.0.2.11", "192.0.2.12"]
    hosts:
      description: On a balancer, the app's hosts, each with C(name), C(address) and C(dial).
      type: list
      elements: dict
      sample: [{name: web1, address: 192.0.2.1, dial: "192.0.2.1:80"}]
    closes:
      description: On one of the app's hosts, whether this run closes its site to all but the balancers.
      type: bool
    passing:
      description: On one of the app's hosts, whether clients are answered who come past the balancers.
      type: bool
    returning:
      description: On one of the app's hosts, whether balancers are answered that fastapi_balancers names no more.
      returned: where they are
      type: bool
    serves:
      description: On a balancer, whether it has the site already.
      type: bool
timers:
  description:
    - What fastapi_timers has on this host, by name. One that is for the app's first host alone is in no other's.
    - Each has C(schedule), a list of systemd's calendars as the host's systemd writes them, and C(next), the next three
      times in the host's time zone.
  returned: success, unless the app is to be removed
  type: dict
  sample:
    cleanup:
      schedule: ["*-*-* 03:30:00"]
      next: ["Mon 2026-11-30 03:30:00 UTC", "Tue 2026-12-01 03:30:00 UTC", "Wed 2026-12-02 03:30:00 UTC"]
releases:
  description: As RV(graceful.deploy.release#module:collected), so that role release needn't ask the host once more.
  returned: success, unless the app is to be removed
  type: dict
logs:
  description: The most that all logs of the app take on the host.
  returned: success, unless the app is to be removed
  type: dict
  contains:
    most:
      description: The bound.
      type: str
      sample: 1000M
    most_bytes:
      description: The same in bytes.
      type: int
      sample: 1048576000
    text:
      description: The same in a sentence, with its parts.
      type: str
      sample: "Logs: at most 1000M (journal 500M, access log of caddy 500M)."
"""

import sys

from ansible.module_utils.basic import AnsibleModule

OLDEST = (3, 11)
"""The oldest Python that the modules of this collection run with. This file alone has to speak to an older one."""


def too_old() -> str:
    has = ".".join(map(str, sys.version_info[:3]))
    return (
        f"Ansible runs its modules on the host with {sys.executable}, Python {has}, and those here need 3.11. Use a "
        "host with Debian 12 or 13, or point ansible_python_interpreter at a newer Python."
    )


def main() -> None:
    strings = {"type": "list", "elements": "str", "default": []}
    options = {"variables": {"type": "dict", "default": {}}, "leaving": strings}
    options["front"] = {"type": "bool", "default": True}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    if sys.version_info < OLDEST:
        nothing: dict[str, object] = {"plan": None, "host": {"python": {}}, "logs": {}, "releases": {}}
        module.exit_json(changed=False, problems=[("", too_old())], **nothing)
    # What follows is written for the Pythons that can run it.
    from ..module_utils._host.guard import finish
    from ..module_utils._preflight.flow import look

    def answer() -> dict[str, object]:
        found, warnings = look(module.params["variables"], module.run_command)
        for warning in warnings:
            module.warn(warning)
        return {"changed": False, **found}

    # The action plugin knows where each variable was set, and makes one message of all problems.
    finish(module, answer)


if __name__ == "__main__":
    main()
