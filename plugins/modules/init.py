#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: init
short_description: Write an inventory that deploys an app, from what the app's source shows
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Finds the application object or factory, liveness and readiness paths, the file of requirements, migrations,
    settings without a default, and what several workers can't share.
  - Parses the source, and runs nothing of it.
  - Writes C(hosts.yml) and C(group_vars/all/app.yml), and never over a file that is there. What the source can't tell
    is a line with C(TODO), which preflight refuses by name.
  - Everything happens on the control node.
options:
  source:
    description:
      - Directory or archive on the control node, or git URL.
      - A relative path counts from where the command is given.
    type: str
    required: true
  version:
    description: Branch, tag or commit of a git URL. Empty is the default branch.
    type: str
    default: ""
  into:
    description: Directory of the inventory. A relative path counts from where the command is given.
    type: str
    default: inventory
attributes:
  platform:
    platforms: all
  action:
    support: full
    description: Is an action plugin alone.
  check_mode:
    support: full
    description: Reads the source and writes nothing.
  diff_mode:
    support: full
    description: Shows the files.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
"""

EXAMPLES = r"""
- name: Write an inventory for the shop
  graceful.deploy.init:
    source: ../shop
"""

RETURN = r"""
files:
  description: Absolute paths of the files that were written.
  returned: success
  type: list
  elements: str
  sample: [/home/me/deploy/inventory/group_vars/all/app.yml]
left:
  description: Names of what still has to be filled in.
  returned: success
  type: list
  elements: str
  sample: [ansible_host, fastapi_domains]
msg:
  description: What was written, and what to do next.
  returned: always
  type: str
  sample: Wrote inventory/group_vars/all/app.yml. Fill in fastapi_domains.
"""
