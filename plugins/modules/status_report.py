#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
short_description: Write a page of what an app is doing on all hosts
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Writes one HTML file on the control node, which needs no server and no other file, of what
    M(graceful.deploy.status_info) has said of each host of the play. It shows which release is where and since when,
    what to look at, balancers with the hosts that they hand requests to, workers, memory against its limit,
    certificates, processes, pushes, and the deploys of the last 30 days as a timeline.
  - A host that couldn't be asked is on the page as such. Secrets are in none of it, as in what status says.
  - Run it once, as the example does.
options:
  dest:
    description: Path of the file on the control node, from the directory that Ansible was started in. It is replaced.
    type: str
    required: true
  register:
    description: Name under which the play has registered what M(graceful.deploy.status_info) returned.
    type: str
    required: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  platform:
    platforms: all
  action:
    support: full
    description: Is an action plugin, and runs on the control node alone.
  check_mode:
    support: full
  diff_mode:
    support: none
seealso:
  - module: graceful.deploy.status_info
"""

EXAMPLES = r"""
- name: Ask each host
  graceful.deploy.status_info:
    name: hello
  register: told

- name: Write the page
  graceful.deploy.status_report:
    dest: status.html
    register: told
  run_once: true
"""

RETURN = r"""
dest:
  description: The file's absolute path on the control node.
  returned: success
  type: str
  sample: /home/ann/shop/status.html
"""
