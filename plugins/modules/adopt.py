#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: adopt
short_description: Move an app in that somebody set up by hand, without a lost request
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Reads a unit of systemd, a program of supervisord or an app of an oxfile, with its environment, its command line,
    its site in Caddy or nginx and its directory, and writes an inventory that says the same.
  - The playbook C(adopt.yml) makes the other steps of it and of the roles. Each step can be run again, and be undone.
  - Secrets go into a file of their own, which only its owner may read, and are shown nowhere.
options:
  step:
    description:
      - V(read) changes nothing on the host. The others are steps of C(adopt.yml), each of which notes on the host how
        far it is. V(begin) and V(compare) belong to its C(beside); V(exchange), V(moved) and V(back) to its C(move);
        V(undo) and V(tidy) to its C(undo).
    type: str
    choices: [read, begin, compare, exchange, moved, back, finish, undo, tidy]
    default: read
  unit:
    description: With V(read), what starts the app, such as V(shop.service), V(supervisor/shop) or
      V(/srv/shop/oxfile.toml#api). Empty for the only one.
    type: str
    default: ""
  into:
    description: With V(read), the directory on the control node that the inventory is written to. What is there and
      says something else is never written over.
    type: str
    default: inventory
  source:
    description: With V(read), where the code is. Empty means the remote of the checkout on the host, and where there is
      none, a copy of the code into a directory of the app's name.
    type: str
    default: ""
  version:
    description: With V(read) and a git URL as O(source), its branch, tag or commit.
    type: str
    default: ""
  name:
    description: Name of the app. Not with V(read).
    type: str
    default: ""
  root:
    description: Absolute path of the app's directory. Empty is C(/srv/) and the O(name).
    type: path
    default: ""
  user:
    description: The app's user.
    type: str
    default: deploy
  adopt:
    description: What the inventory says of the old way in which the app is run, as V(read) writes it.
    type: dict
    default: {}
  host:
    description: The name that clients ask for.
    type: str
    default: localhost
  scheme:
    description: How clients come.
    type: str
    choices: [http, https]
    default: http
  protected:
    description: With V(exchange), the paths that C(fastapi_protect) closes.
    type: list
    elements: str
    default: []
  static:
    description: With V(exchange), the paths of C(fastapi_static).
    type: list
    elements: str
    default: []
  snippet:
    description: With V(exchange), C(fastapi_proxy_snippet).
    type: str
    default: ""
  paths:
    description: With V(compare), the paths that both are asked for, by GET. A text is split at its commas.
    type: list
    elements: str
    default: ["/"]
  patience:
    description: Seconds to wait at most until the requests that are under way have ended.
    type: int
    default: 90
  left:
    description: With V(tidy), what V(undo) returned as left.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Says what would be written or done.
  diff_mode:
    support: partial
    description: Shows the files that are written, without secrets.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    description: Debian with systemd.
    platforms: debian
  action:
    support: full
    description: Has an action plugin of the same name, and is nothing without it.
seealso:
  - module: graceful.deploy.init
"""

EXAMPLES = r"""
- name: Write an inventory that says what the host does
  graceful.deploy.adopt:
    unit: shop.service
    into: inventory
"""

RETURN = r"""
msg:
  description: What was done, what has no equal, and the commands for the next step and for the way back.
  returned: always
  type: str
  sample: "Wrote inventory/group_vars/all/app.yml."
files:
  description: Paths of what was written.
  returned: with O(step=read)
  type: list
  elements: str
  sample: [/home/ann/shop/inventory/group_vars/all/app.yml]
unknown:
  description: Lines of the host that have no equal, each with its place and what to do.
  returned: with O(step=read)
  type: list
  elements: dict
  sample: [{place: "/etc/systemd/system/shop.service:9", line: "Nice=5", advice: "a limit goes into fastapi_sandbox"}]
left:
  description: Variables that still have to be filled in; with O(step=undo), files that our roles have brought.
  returned: with O(step=read) and O(step=undo)
  type: list
  elements: str
  sample: []
rows:
  description: For each path the answers of the old and the new one, and what differs.
  returned: with O(step=compare)
  type: list
  elements: dict
  sample: [{path: "/", old: "200", new: "200", differs: ""}]
stage:
  description: How far the move is.
  returned: not with O(step=read)
  type: str
  sample: moved
"""
