#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tell
short_description: Tell whom fastapi_notify names what became of a deploy
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Tells the targets of C(fastapi_notify) that the host has for the app, all at once and within five seconds.
    M(graceful.deploy.swap) and M(graceful.deploy.status_info) do so by themselves. This module is for who sees a deploy
    fail before that, such as a push's runner, and for a try of the targets.
  - A target that is down, slow or refuses is a warning, and never a failure.
  - No text of the message is a secret of the app's. Each value of its environment and credentials from six characters
    on is replaced by the variable's name in brackets.
  - On the host itself C(python3 -BEsS /srv/NAME/commands/tell.py) does the same, with the options as a JSON object on
    its standard input.
options:
  name:
    description: Name of the app.
    type: str
    required: true
  root:
    description: Absolute path of the app's directory. Empty is C(/srv/) and the O(name).
    type: path
    default: ""
  event:
    description: What became of it. V(failed) has moved nothing. V(proved) tells what clients noticed.
    type: str
    choices: [live, failed, moved_back, rolled_back, cut_off, proved]
    required: true
  by:
    description: Who deployed.
    type: str
    default: ""
  release:
    description: Id of the release that was deployed.
    type: str
    default: ""
  previous:
    description: Id of the release that was live before. Empty is, of what O(event=failed), the one that is live.
    type: str
    default: ""
  commit:
    description: The commit that was deployed. Empty is the one that the O(release) was made of, where the host has it.
    type: str
    default: ""
  seconds:
    description: How long it took.
    type: float
  lost:
    description: How many requests were lost, where somebody has counted.
    type: int
  sent:
    description: How many requests that is of.
    type: int
  reason:
    description: Why, of which the first line is told, up to 500 characters.
    type: str
    default: ""
  unless_told_since:
    description:
      - Tells nobody where an outcome by the same O(by) was told since this time (UTC, as in V(2026-11-25T00:58:16Z)).
        So who has run a deploy that failed can tell of it without knowing how far it came.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says whom it would tell, and tells nobody.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: none
    description: Who is told twice has two messages, but for O(unless_told_since).
  platform:
    support: full
    description: Debian, with an app that this collection has deployed.
    platforms: debian
notes:
  - Has to run as root, which alone may read the targets.
seealso:
  - module: graceful.deploy.swap
"""

EXAMPLES = r"""
- name: Try whether the targets can be reached
  graceful.deploy.tell:
    name: hello
    event: live
    reason: This is a test

- name: Tell of a push that failed before anything was moved
  graceful.deploy.tell:
    name: hello
    event: failed
    by: push 17 by alice
    commit: 9be01d77c1a45e2f8a0c6d5b4e3f2a1908776655
    reason: "{{ ansible_failed_result.msg }}"
    unless_told_since: "2026-11-25T00:58:16Z"
"""

RETURN = r"""
told:
  description: Who was told, or would be.
  returned: success
  type: list
  elements: str
  sample: [slack at hooks.example.org, "mail to ops@example.org"]
not_told:
  description: Who couldn't be told, each with C(target) and C(why).
  returned: success
  type: list
  elements: dict
  sample: []
nobody:
  description: Why nobody was to be told; empty where somebody was.
  returned: success
  type: str
  sample: ""
text:
  description: The message as a person reads it.
  returned: when somebody was to be told
  type: str
  sample: "hello on web1: live after 4.2 s, 3f2a1c7 → 9be01d7 (by alice)"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._app import names
from ..module_utils._app.tell import begin, end
from ..module_utils._host.guard import finish

TEXTS = ("by", "release", "previous", "commit", "reason", "unless_told_since")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "root": {"type": "path", "default": ""},
            "event": {
                "type": "str",
                "choices": ["live", "failed", "moved_back", "rolled_back", "cut_off", "proved"],
                "required": True,
            },
            **{text: {"type": "str", "default": ""} for text in TEXTS},
            "seconds": {"type": "float"},
            "lost": {"type": "int"},
            "sent": {"type": "int"},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    if problem := names.name("name", name):
        module.fail_json(msg=problem.sentence)
    event = {key: module.params[key] for key in ("event", "seconds", "lost", "sent", *TEXTS)}

    def answer() -> dict[str, Any]:
        given = {**event, "check": module.check_mode}
        said, warnings = end(begin(module.params["root"] or f"/srv/{name}", given))
        for sentence in warnings:
            module.warn(sentence)
        return {"changed": bool(said["told"]), **said}

    finish(module, answer)


if __name__ == "__main__":
    main()
