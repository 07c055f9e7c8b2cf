#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployer
short_description: Make a host able to deploy an app by itself
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Brings this collection, as the control node has it, and an ansible-core of a pinned version to a directory of their
    own on the host; and the inventory of this run, the vault passwords that it was started with, and the lines of
    C(known_hosts) for the git server and the other hosts. Only root and the user C(graceful-deploys) can read those.
  - Makes a key for the app, by which the git server and the other hosts let that user in, where there is none yet.
  - The role webhook makes the users and directories before it.
options:
  name:
    description: Name of the app.
    type: str
    required: true
  state:
    description:
      - V(checked) asks the control node alone, and refuses what couldn't be brought.
      - V(present) brings what the host lacks.
      - V(tried) says whether a push could be deployed now, and removes versions that no app is deployed by any more.
    type: str
    choices: [checked, present, tried]
    default: present
  source:
    description: The git URL that is deployed from.
    type: str
    default: ""
  branch:
    description: Branch whose pushes are deployed.
    type: str
    default: ""
  tags:
    description: Pattern of tags whose pushes are deployed.
    type: str
    default: ""
  hosts:
    description: Names in the inventory of the hosts that are deployed to.
    type: list
    elements: str
    default: []
  extra:
    description: Variables that playbooks read before any host's, for the runs to come.
    type: dict
    default: {}
  make_secret:
    description: Whether to make the secret that pushes are signed with, where there is none.
    type: bool
    default: false
  index_url:
    description: Where ansible-core is installed from. Empty is the host's own pip configuration.
    type: str
    default: ""
attributes:
  action:
    support: full
    description: Has an action plugin of the same name, which collects what the control node has.
  check_mode:
    support: full
    description: Says what would be brought.
  diff_mode:
    support: partial
    description: Names files that would change, and shows none of their text, which may hold secrets.
  idempotent:
    support: full
    description: A second run changes nothing.
seealso:
  - module: graceful.deploy.release
"""

EXAMPLES = r"""
- name: Make the host able to deploy by itself
  graceful.deploy.deployer:
    name: hello
    source: git@example.com:us/hello.git
    branch: main
    hosts: "{{ ansible_play_hosts_all }}"
  register: deployer
"""

RETURN = r"""
digest:
  description: Name of the directory below C(/usr/local/lib/graceful-deploys) with collection and ansible-core.
  returned: with O(state=present)
  type: str
  sample: 3f2a9c81d04e7b15
key:
  description: The public key; empty in check mode where there is none yet.
  returned: with O(state=present)
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI hello on web1
reason:
  description: Why a push couldn't be deployed now; empty where it could.
  returned: with O(state=tried)
  type: str
  sample: ""
"""
