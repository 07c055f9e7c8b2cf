#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployer_host
short_description: The half of module deployer that runs on the host
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Internal. Module M(graceful.deploy.deployer) calls it on the host, with options that may be others in each version.
options:
  name:
    description: Name of the app.
    type: str
    required: true
  step:
    description:
      - With V(ask) the host is asked whether it lacks this version, and nothing is changed.
      - With V(install) it gets what it lacks, and files that this run didn't bring are removed.
      - With V(trial) a push is tried, and versions that no app is deployed by are removed.
    type: str
    choices: [ask, install, trial]
    required: true
  digest:
    description: Name of the version.
    type: str
    required: true
  archive:
    description: The collection as tar.gz, in base64.
    type: str
    default: ""
  requirements:
    description: What is installed, each with its hashes.
    type: str
    default: ""
  keep:
    description: Paths of the files that this run brought.
    type: list
    elements: str
    default: []
  index_url:
    description: Package index to install from. It may hold credentials.
    type: str
    default: ""
  make_secret:
    description: Whether to make the secret that pushes are signed with, where there is none.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and tells then what a run would do.
    support: full
  diff_mode:
    description: Will return details on what has changed when in diff mode.
    support: none
seealso:
  - module: graceful.deploy.deployer
"""

EXAMPLES = r"""
- name: Ask a host whether it lacks a version
  graceful.deploy.deployer_host:
    name: hello
    step: ask
    digest: 3f2a9c81d04e7b15
"""

RETURN = r"""
lacks:
  description: Whether the host lacks this version.
  returned: with O(step=ask)
  type: bool
  sample: false
key:
  description: The public key; empty in check mode where there is none yet.
  returned: with O(step=install)
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI hello on web1
reason:
  description: Why a push couldn't be deployed now; empty where it could.
  returned: with O(step=trial)
  type: str
  sample: ""
"""

import socket
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._push import install


def main() -> None:
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "step": {"type": "str", "choices": ["ask", "install", "trial"], "required": True},
            "digest": {"type": "str", "required": True},
            "archive": text,
            "requirements": text,
            "keep": {"type": "list", "elements": "str", "default": []},
            "index_url": {**text, "no_log": True},
            "make_secret": {"type": "bool", "default": False, "no_log": False},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: steps(module.params, module.check_mode))


def steps(params: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    """What the action plugin asks for, in at most three trips."""
    name, digest = params["name"], params["digest"]
    if params["step"] == "trial":
        return {"changed": bool(not check and install.remove_stale(digest)), "reason": install.trial(name, digest)}
    lacks = not install.present(digest)
    if params["step"] == "ask":
        return {"changed": False, "lacks": lacks}
    key, secret = not install.public_key(name), params["make_secret"] and not install.has_secret(name)
    gone = install.left_over(name, params["keep"])
    if not check:
        install.remove(gone)
        if lacks:
            install.install(digest, params["archive"], params["requirements"], params["index_url"])
        if key:
            install.make_key(name, socket.gethostname())
        if secret:
            install.make_secret(name)
    return {"changed": lacks or key or secret or bool(gone), "key": install.public_key(name)}


if __name__ == "__main__":
    main()
