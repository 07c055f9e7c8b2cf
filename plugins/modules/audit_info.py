#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_info
short_description: Tell what is wrong with a host and the FastAPI apps on it, whoever made them
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Finds what serves on a host (Gunicorn, Uvicorn, Hypercorn, Granian, C(fastapi run)), and what runs it (systemd,
    supervisord, Oxmgr, Docker, nobody), with the sites of Caddy and nginx that lead to it. Judges how it is run and
    stopped, who could do what to it, and what ends one day.
  - Reads the apps' source, too, on the control node and without running it, from O(source) or from the files on the
    host.
  - Works on any Debian or Ubuntu host with Python 3.10 or newer. As root it sees all; else it says what it couldn't
    see.
  - Asks each app for a few paths by C(GET), as a client does. Nothing else is asked of it, and nothing is changed.
  - Prints a table for people, and returns the same as data. Secrets are C(***) in both.
extends_documentation_fragment:
  - graceful.deploy.read_only
options:
  name:
    description:
      - Name of the one app to look at, as its unit is called, or as C(fastapi_name) is.
      - Empty is all apps of the host.
    type: str
    default: ""
  source:
    description:
      - Directory on the control node with the source of the apps. A relative path counts from the playbook's directory,
        or else from where Ansible was started.
      - A git URL or an archive, as C(fastapi_source) may be, isn't fetched; the source on the host is read then.
      - Empty is the source on the host, as it runs.
    type: str
    default: ""
  read_source:
    description: Whether the apps' Python files are read at all. A host sends at most 2 MB of them to the control node.
    type: bool
    default: true
  fail_on:
    description:
      - The severity from which on a finding makes the task fail, after all was shown. It then returns C(counts) alone.
      - Empty never fails.
    type: str
    choices: ["", high, medium, low]
    default: ""
attributes:
  action:
    support: full
    description: Has an action plugin of the same name, which reads the source and prints the table.
seealso:
  - module: graceful.deploy.status_info
"""

EXAMPLES = r"""
- name: Show what is wrong with this host
  graceful.deploy.audit_info:

- name: Fail where something is badly wrong, the source in the checkout included
  graceful.deploy.audit_info:
    source: ../shop
    fail_on: high
"""

RETURN = r"""
text:
  description: The table.
  returned: always
  type: str
  sample: "web-1: 1 app; 2 high, 1 medium, 0 low, 3 info"
findings:
  description:
    - What was found, the worst first. C(id) is stable, and docs/audit.md lists all.
    - C(where) is a file and line, or a process with its id and command.
    - C(app) is empty for what is the host's.
  returned: always
  type: list
  elements: dict
  sample:
    - id: runs-as-root
      severity: high
      app: shop
      where: "pid 812: /usr/bin/python3 /usr/bin/gunicorn app.main:app --workers 9"
      seen: Its workers run as root.
      costs: Whoever gets in by a hole in the app or in a library owns the whole host.
      write: "In [Service] of /etc/systemd/system/shop.service: User=app (useradd --system --no-create-home app)"
apps:
  description:
    - The apps that were found. Memory is in bytes, of all workers.
    - C(answers) has what each path said that was there.
  returned: always
  type: list
  elements: dict
  sample:
    - name: shop
      server: gunicorn
      app: app.main:app
      pid: 812
      command: /usr/bin/python3 /usr/bin/gunicorn app.main:app --workers 9
      workers: 9
      memory: 412000000
      unit: shop.service
      supervisor: systemd
      container: ""
      listens: ["127.0.0.1:8000"]
      sites: [{"proxy": "nginx", "where": "/etc/nginx/sites-enabled/shop:12", "names": ["shop.example.com"]}]
      ours: false
      answers: {"/health": "200 ok"}
      source: /srv/shop
others:
  description: Names of the apps that were found and aren't shown, because O(name) names another one.
  returned: always
  type: list
  elements: str
  sample: ["blog"]
counts:
  description: How many findings there are of each severity.
  returned: always
  type: dict
  sample: {"high": 2, "medium": 1, "low": 0, "info": 3}
"""

import sys

from ansible.module_utils.basic import AnsibleModule

OLDEST = (3, 10)
"""The oldest Python that this module runs with: Ubuntu 22.04's."""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": ""},
            "source": {"type": "str", "default": ""},
            "read_source": {"type": "bool", "default": True},
            "fail_on": {"type": "str", "default": "", "choices": ["", "high", "medium", "low"]},
        },
        supports_check_mode=True,
    )
    if sys.version_info < OLDEST:
        has = ".".join(map(str, sys.version_info[:3]))
        module.fail_json(
            msg=f"Nothing was looked at: Ansible runs its modules on this host with {sys.executable}, Python {has}, "
            "and audit_info needs 3.10. Point ansible_python_interpreter at a newer Python."
        )
    # What follows is written for the Pythons that can run it.
    from ..module_utils._audit.findings import counts
    from ..module_utils._audit.flow import ask, look
    from ..module_utils._host.guard import finish

    def answer() -> dict[str, object]:
        params = module.params
        found = look(ask, params["name"], params["read_source"] and not params["source"])
        return {"changed": False, "counts": counts(found["findings"]), **found}

    # The action plugin adds what the source shows, makes the table, and fails where it was asked to.
    finish(module, answer)


if __name__ == "__main__":
    main()
