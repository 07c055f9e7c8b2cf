#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_host
short_description: The half of module release that runs on the host
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Internal. Module M(graceful.deploy.release) calls it on the host, with options that may be others in each version.
options:
  state:
    description:
      - With V(queried) the host is asked for its Python and its releases, and nothing is changed.
      - With V(installed) the release of the O(archive) is made, and releases beyond O(keep) are removed.
      - With V(built) the wheel of the one source in the O(archive) is built.
    type: str
    choices: [queried, installed, built]
    required: true
  name:
    description: Name of the app.
    type: str
    required: true
  root:
    description: Absolute path of the app's directory.
    type: str
    required: true
  user:
    description: Name of the user that the app runs as.
    type: str
    required: true
  group:
    description: Name of the group that may read the release.
    type: str
    required: true
  python:
    description: The CPython to ask for, to install with or to build for, an absolute path or a name on the PATH.
    type: str
    required: true
  keep:
    description: How many releases stay in all.
    type: int
    required: true
  index_url:
    description: Package index to install from, where the release's method is V(index). It may hold credentials.
    type: str
    default: ""
  archive:
    description: Path of the archive on the host.
    type: str
    default: ""
  content:
    description: The archive itself, in base64, in place of its path.
    type: str
    default: ""
  sha256:
    description: SHA-256 of the archive.
    type: str
    default: ""
  release:
    description: The release's id.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and tells then what a run would do.
    support: partial
    details: It asks as ever with O(state=queried), and does nothing with another state.
  diff_mode:
    description: Will return details on what has changed when in diff mode.
    support: none
seealso:
  - module: graceful.deploy.release
"""

EXAMPLES = r"""
- name: Ask a host what releases it has
  graceful.deploy.release_host:
    state: queried
    name: hello
    root: /srv/hello
    user: deploy
    group: deploy
    python: /usr/bin/python3
    keep: 5
"""

RETURN = r"""
created:
  description: When each complete release was made, by its id.
  returned: when O(state=queried), with more that the control node goes by
  type: dict
  sample: {"3f2a9c81d04e": "2026-11-28T08:10:16.123456Z"}
missing:
  description: What the host lacks that wasn't sent. Nothing was changed then.
  returned: when O(state=installed) and it lacks something
  type: str
  sample: Release 3f2a9c81d04e isn't on the host any more.
wheel:
  description: Path of the wheel.
  returned: when O(state=built)
  type: str
  sample: /tmp/hello-1.0-py3-none-any.whl
"""

import base64
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._app.releases import ReleaseError
from ..module_utils._host.guard import finish
from ..module_utils._host.run import ProgramError
from ..module_utils._release import build, facts, install


def argument_spec() -> dict[str, dict[str, object]]:
    return {
        "state": {"type": "str", "choices": ["queried", "installed", "built"], "required": True},
        **{name: {"type": "str", "required": True} for name in ("name", "root", "user", "group", "python")},
        "keep": {"type": "int", "required": True},
        "index_url": {"type": "str", "default": "", "no_log": True},
        "archive": {"type": "str", "default": ""},
        # Not that it were secret: Ansible would write it to the host's log.
        "content": {"type": "str", "default": "", "no_log": True},
        "sha256": {"type": "str", "default": ""},
        "release": {"type": "str", "default": ""},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    if module.check_mode and module.params["state"] != "queried":
        module.exit_json(changed=True)
    state = "No release was made, and what is live was not touched."
    finish(module, lambda: guarded(module.params, module.tmpdir), ReleaseError, ProgramError, state=lambda: state)


def guarded(params: dict[str, Any], tmpdir: str) -> dict[str, Any]:
    try:
        return answer(params, tmpdir)
    except OSError as error:
        raise ReleaseError(f"The host's files stood in the way, and nothing half-made is left: {error}") from error


def answer(params: dict[str, Any], tmpdir: str) -> dict[str, Any]:
    state = params["state"]
    if state == "queried":
        found = facts.query(params["root"], params["group"], *facts.probe(params["python"]))
        return {"changed": False, **found}
    if state == "built":
        return {"changed": False, **build.build(params["archive"], params["sha256"], params["python"])}
    archive = params["archive"]
    if params["content"]:
        archive = os.path.join(tmpdir, "release.tar")
        with open(archive, "wb") as file:
            file.write(base64.b64decode(params["content"]))
    names = ("name", "root", "user", "group", "python", "keep", "index_url", "sha256", "release")
    return install.install(install.Order(archive=archive, **{name: params[name] for name in names}))


if __name__ == "__main__":
    main()
