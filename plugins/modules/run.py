#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run
short_description: Run a command of the app's on a host, once
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Runs a command line as the app is run, with its user, environment, credentials and sandbox, in the directory of the
    live release and with that release's programs first in C(PATH). It may take as much memory as the app's slot.
  - What it prints is shown as it comes. The task fails where its exit status isn't 0.
  - It ends with its children when this run of Ansible ends, 30 seconds after the last answer at most, so also where the
    connection is gone. What is to outlive that is a background worker's job.
  - Who ran what, when, and how it ended is kept on the host, for the last 100 commands, and
    M(graceful.deploy.status_info) shows it. What it printed isn't kept.
  - A deploy may go on meanwhile. The command's release isn't pruned before it has ended.
  - The command C(NAME-run) on the host does the same at a terminal. Without a command, it gives a shell there.
options:
  name:
    description: Name of the app. One of its releases has to be live.
    type: str
    required: true
  command:
    description: A line for C(/bin/sh). An exit status other than 0 of any of its commands ends it.
    type: str
    required: true
  release:
    description: Id of another release than the live one. The environment and the credentials are the live one's.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says what would be run, and runs nothing.
  diff_mode:
    support: none
    description: What the command changes isn't known.
  platform:
    support: full
    description: Debian with systemd.
    platforms: debian
  action:
    support: full
    description: Has an action plugin of the same name, and is nothing without it.
seealso:
  - module: graceful.deploy.status_info
"""

EXAMPLES = r"""
- name: Make the first administrator
  graceful.deploy.run:
    name: hello
    command: python -m app.admin create ann
"""

RETURN = r"""
status:
  description: The exit status, as a shell has it, so 128 and the signal's number where it was ended by one.
  returned: when it was run
  type: int
  sample: 0
output:
  description: The last 100 lines that it printed, standard error among them.
  returned: when it was run
  type: str
  sample: created ann
release:
  description: Id of the release that it ran in.
  returned: when it was run
  type: str
  sample: 6f0c1d2e3a4b
"""
