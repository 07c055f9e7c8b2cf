#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swap
short_description: Bring a release to the traffic without losing a request
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Fills the standby slot with a release and its configuration, starts it, asks its readiness path on its own socket
    until it answers several times in a row, moves the link that the proxy dials, then drains and stops the old slot.
  - A changed environment, worker count or unit goes the same way as a changed release.
  - When the wanted release is live, up and alone, nothing happens. When an earlier run was cut off, the steps that are
    missing are taken.
  - A release that doesn't become ready never has a request. The run fails with its last log lines, and what was live
    before still is.
options:
  name:
    description: Name of the app, which its units carry (C(NAME@blue.service)).
    type: str
    required: true
  root:
    description: Absolute path of the app's directory, which holds C(releases) and C(slots).
    type: path
    required: true
  group:
    description: Name of the group that the service runs with. It may read the slot's files.
    type: str
    required: true
  release:
    description: Id of a complete release under C(releases).
    type: str
    required: true
  environment:
    description: Text of the environment file in systemd's syntax. Secret.
    type: str
    default: ""
  files:
    description: The other files of the slot, text by name, such as C(gunicorn.conf.py).
    type: dict
    default: {}
  unit:
    description: Text of the service unit. A slot started with another text is replaced.
    type: str
    default: ""
  strategy:
    description:
      - V(swap) runs both slots for a moment. V(restart) restarts the live slot in place, for hosts whose memory holds
        only one; its socket queues what arrives meanwhile.
    type: str
    choices: [swap, restart]
    default: swap
  ready_path:
    description: Path that answers 2xx when the app can take traffic.
    type: str
    default: /ready
  ready_timeout:
    description: Seconds within which the release has to become ready, 1 or more.
    type: int
    default: 60
  patience:
    description: Seconds to wait for the old slot's queue. At least the unit's stop timeout.
    type: int
    default: 55
  host:
    description: Host header of the readiness questions.
    type: str
    default: localhost
attributes:
  check_mode:
    support: full
    description: Says which steps a run would take.
  diff_mode:
    support: full
    description: Shows the live release before and after, and the steps.
  idempotent:
    support: full
    description: A second run finds the release live and does nothing.
"""

EXAMPLES = r"""
- name: Bring the release to the traffic
  graceful.deploy.swap:
    name: hello
    root: /srv/hello
    group: deploy
    release: 3f2a9c81d04e
"""

RETURN = r"""
slot:
  description: The slot that has the traffic after the run.
  returned: success
  type: str
  sample: blue
release:
  description: The release that has the traffic after the run.
  returned: success
  type: str
  sample: 3f2a9c81d04e
previous:
  description: The release that was live before; null before the first.
  returned: success
  type: str
  sample: 81d04e3f2a9c
steps:
  description: What was done, or would be in check mode, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["prepare slot blue with release 3f2a9c81d04e", "start slot blue and wait until it is ready"]
"""

import fcntl
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.graceful.deploy.plugins.module_utils.slots import App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils.swap import Swap
from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import CommandFailed, Systemd

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "root": {"type": "path", "required": True},
    "group": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "environment": {"type": "str", "default": "", "no_log": True},
    "files": {"type": "dict", "default": {}},
    "unit": {"type": "str", "default": ""},
    "strategy": {"type": "str", "choices": ["swap", "restart"], "default": "swap"},
    "ready_path": {"type": "str", "default": "/ready"},
    "ready_timeout": {"type": "int", "default": 60},
    "patience": {"type": "int", "default": 55},
    "host": {"type": "str", "default": "localhost"},
}


def hold(module: AnsibleModule, app: App) -> None:
    """Take the app's deploy lock. It stays open, so the kernel frees it when this process ends, however it ends."""
    if module.check_mode:
        return
    descriptor = os.open(os.path.join(app.root, "slots"), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        module.fail_json(
            msg=f"Another deploy of {app.name} is moving traffic on this host. Run again when it has ended."
        )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    app = App(params["name"], params["root"])
    wanted = Snapshot(params["release"], params["environment"], params["files"], params["unit"])
    try:
        if not module.check_mode and not os.path.isfile(
            os.path.join(app.release_directory(wanted.release), "release.json")
        ):
            module.fail_json(
                msg=f"Release {wanted.release} is not complete under {app.root}/releases: nothing to start."
            )
        hold(module, app)
        swap = Swap(Systemd(module.run_command), app, wanted, params["group"], params["strategy"], params["host"])
        if swap.steps and not module.check_mode:
            swap.apply(params["ready_path"], params["ready_timeout"], params["patience"])
    except CommandFailed as failure:
        module.fail_json(msg=str(failure))
    before, after = swap.before or "nothing", wanted.release
    diff = {"before": f"live: {before}\n", "after": f"live: {after}\n" + "".join(f"# {s}\n" for s in swap.sentences())}
    module.exit_json(
        changed=bool(swap.steps),
        slot=swap.slot,
        release=wanted.release,
        previous=swap.before,
        steps=swap.sentences(),
        diff=diff if swap.steps else {},
    )


if __name__ == "__main__":
    main()
