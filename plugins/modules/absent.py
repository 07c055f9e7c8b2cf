#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: absent
short_description: Take an app off a host
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Removes what the roles have left of one app, from the clients' side inwards. Its site goes first, and the proxy is
    reloaded; then the slots are stopped, with their drain; then units, journal, logs and certificates go, and last the
    app's directory.
  - The proxy itself, packages, and the sites and units of others stay. So does whatever lies in the app's directory and
    isn't of the app.
  - What an app was is read from the host, so a run that was cut off is finished by the next one.
  - Nothing is removed while a deploy of the app is under way, from a directory that isn't known to be the app's, or
    from a file system that is mounted inside it.
options:
  name:
    description: Name of the app.
    type: str
    required: true
  root:
    description: Absolute path of the app's directory.
    type: path
    required: true
  user:
    description: User that the service runs as.
    type: str
    default: deploy
  group:
    description: The user's group.
    type: str
    default: deploy
  remove_data:
    description: Whether C(shared) in the app's directory goes too, which holds the data that outlives releases.
    type: bool
    default: false
  remove_user:
    description:
      - Whether the user and its group go too. Refused while other units run as this user, and for a user who isn't a
        system user without a shell.
    type: bool
    default: false
  lock_wait:
    description:
      - Seconds to wait for a deploy of the app to end, or for a release that is being built, at most; 0 fails at once
        where there is one. What there is to remove is looked up anew then.
    type: int
    default: 0
  leave_for:
    description:
      - Seconds in which balancers notice that the host is leaving. Where it is more than 0, the app has a site and its
        directory is known, the host is marked as leaving, as M(graceful.deploy.patch) does, and serves on for so long
        before anything goes.
    type: int
    default: 0
attributes:
  action:
    support: full
    description: Has an action plugin of the same name, which says for whom it waits.
  check_mode:
    support: full
    description: Says what would be removed.
  diff_mode:
    support: full
    description: Shows what goes, a sentence a line.
  idempotent:
    support: full
    description: A second run finds nothing more to remove.
  platform:
    support: full
    description: Hosts with systemd.
    platforms: Debian 12 and 13
seealso:
  - module: graceful.deploy.swap
"""

EXAMPLES = r"""
- name: Take the app off the host, and leave its data
  graceful.deploy.absent:
    name: hello
    root: /srv/hello
"""

RETURN = r"""
removed:
  description: What was removed, or would be, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["remove /etc/caddy/sites/hello.caddy", "reload caddy.service", "remove /srv/hello"]
kept:
  description: What stays of the app's directory, and why, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["/srv/hello/shared stays, the app's data; -e fastapi_remove_data=true removes it too."]
waited:
  description: For what it waited; empty where nothing was in the way.
  returned: success
  type: str
  sample: "Waited for a release of hello that was being built."
held:
  description: What a deploy that is under way says of itself, such as C(by), C(since), C(release) and C(phase).
  returned: when it failed for that
  type: dict
msg:
  description: The outcome in a sentence, with what stays.
  returned: success
  type: str
  sample: "hello is off the host."
"""

import os
from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._absent.flow import Removal
from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "root": {"type": "path", "required": True},
    "user": {"type": "str", "default": "deploy"},
    "group": {"type": "str", "default": "deploy"},
    "remove_data": {"type": "bool", "default": False},
    "remove_user": {"type": "bool", "default": False},
    "lock_wait": {"type": "int", "default": 0},
    "leave_for": {"type": "int", "default": 0},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if os.geteuid() != 0:
        module.fail_json(
            msg=f"The task runs as uid {os.geteuid()}, and all this is root's. Write become: true in the play."
        )
    removal = Removal(module.params, module.check_mode, partial(module.run_command, handle_exceptions=False))
    finish(module, removal.result, CommandFailed, state=lambda: removal.state)


if __name__ == "__main__":
    main()
