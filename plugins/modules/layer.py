#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: layer
short_description: Bring one layer of a host to its declared state in one trip
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Packages, the user, directories, files and units that belong together, compared and changed in one module call
    where stock modules take one call each.
  - Everything is compared first. The program that reads the files can vet a copy of its configuration with the new
    files in it; only then does anything land, each file by one rename.
  - A unit is reloaded or restarted when a file changed after the unit last started or reloaded. So a run that was
    cut off between writing and reloading is made good by the next one, which a handler can't do.
  - Where a reload or restart fails, the files are put back as they were.
options:
  packages:
    description: Names of Debian packages that must be installed. Their version is left alone.
    type: list
    elements: str
    default: []
  user:
    description: A system user to create with its group where they are missing. An existing user is left as it is.
    type: dict
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      group:
        description: Name of its primary group.
        type: str
        required: true
      home:
        description: Absolute path of its home directory, which is not created.
        type: path
        required: true
      shell:
        description: Absolute path of its login shell.
        type: path
        default: /usr/sbin/nologin
  directories:
    description: Directories, in the order in which they are made.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Name of the owning user.
        type: str
        default: root
      group:
        description: Name of the owning group.
        type: str
        default: root
      mode:
        description: Permissions in octal, as a string of four digits.
        type: str
        default: "0755"
  files:
    description: Files with their whole content.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: The file's text. Without it, the text is in O(secrets), or the file is a O(files[].link).
        type: str
      link:
        description: Absolute path that a symbolic link leads to, which is wanted in place of a file.
        type: path
      owner:
        description: Name of the owning user.
        type: str
        default: root
      group:
        description: Name of the owning group.
        type: str
        default: root
      mode:
        description: Permissions in octal, as a string of four digits.
        type: str
        default: "0644"
      package:
        description:
          - The package whose configuration file this is. It is written while it is as the package left it or as an
            earlier run wrote it. Somebody else's is left alone, and has to contain O(files[].needs_line), unless the
            file isn't wanted. For a symbolic link, the file that it leads to is meant.
        type: str
      needs_line:
        description: The line without which somebody else's file is refused.
        type: str
        default: ""
      state:
        description: Whether the file is wanted.
        type: str
        choices: [present, absent]
        default: present
  secrets:
    description:
      - Texts of files that hold secrets, by the file's path. They are shown in no output, no log and no diff. An
        option of its own, because Ansible writes what is nested in other options to the host's log.
      - Of a file that isn't wanted, no text is used. It is removed if nobody but its owner may read it; any other is
        somebody's own and stays.
    type: dict
    default: {}
  others:
    description:
      - What files that other runs write want of the ones that all share, where those were worked out from it. If they
        say something else by now, nothing is changed and RV(others) is returned, to work them out anew.
    type: dict
    suboptions:
      paths:
        description: A pattern of absolute paths. Files of this layer don't count.
        type: str
        required: true
      said:
        description: What they said, one for each that said anything, in the order of their paths.
        type: list
        elements: dict
        required: true
      again:
        description: Whether this is the second try, which is refused in place of asking for a third.
        type: bool
        default: false
  vet:
    description: How the program that reads the files checks them before they land. Skipped where none of them changes.
    type: dict
    suboptions:
      tree:
        description: Directory that is copied, the new files in it, for the check.
        type: path
        required: true
      command:
        description: The command, as a list of words; V({tree}) stands for the path of the copy.
        type: list
        elements: str
        required: true
      user:
        description: User who runs it. Without it, the user of the play.
        type: str
      program:
        description: Name of the program for messages, where the command begins with another.
        type: str
  units:
    description: systemd units of the layer, in the order in which they are handled.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Full name of the unit, with its suffix.
        type: str
        required: true
      enabled:
        description: Whether the unit has to be enabled for boot. V(false) leaves it as it is.
        type: bool
        default: false
      state:
        description:
          - V(started) starts the unit where it isn't active, V(stopped) stops it, V(kept) leaves it as it is.
        type: str
        choices: [started, stopped, kept]
        default: kept
      reload_for:
        description: Paths of files of this layer; the active unit is reloaded when one is newer than its state.
        type: list
        elements: str
        default: []
      restart_for:
        description: Paths of files of this layer; the active unit is restarted when one is newer than its state.
        type: list
        elements: str
        default: []
attributes:
  check_mode:
    support: full
    description: Predicts what a run would change. Vetting is skipped, because its program may not be installed yet.
  diff_mode:
    support: full
    description: Shows the text of changed files, except secret ones, and names every other change.
  idempotent:
    support: full
    description: A second run changes nothing.
"""

EXAMPLES = r"""
- name: Give journald a store of the app's own
  graceful.deploy.layer:
    files:
      - path: /etc/systemd/journald@hello.conf
        content: |
          [Journal]
          SystemMaxUse=500M
    units:
      - name: systemd-journald@hello.service
        restart_for: [/etc/systemd/journald@hello.conf]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["install caddy", "write /etc/caddy/sites/hello.caddy", "reload caddy.service"]
others:
  description: What the files of O(others) say by now.
  returned: when they say something else than before, and nothing was changed
  type: list
  elements: dict
"""

import os
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.files import hold
from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed
from ..module_utils._layer.flow import Layer

LOCK = "/run/graceful-layer.lock"
"""Held by one run at a time: sites of two apps share files."""
OWNERSHIP = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
ARGUMENTS = {
    "packages": {"type": "list", "elements": "str", "default": []},
    "user": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "home": {"type": "path", "required": True},
            "shell": {"type": "path", "default": "/usr/sbin/nologin"},
        },
    },
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0755"},
            **OWNERSHIP,
        },
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "link": {"type": "path"},
            "mode": {"type": "str", "default": "0644"},
            "package": {"type": "str"},
            "needs_line": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **OWNERSHIP,
        },
    },
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "others": {
        "type": "dict",
        "options": {
            "paths": {"type": "str", "required": True},
            "said": {"type": "list", "elements": "dict", "required": True},
            "again": {"type": "bool", "default": False},
        },
    },
    "vet": {
        "type": "dict",
        "options": {
            "tree": {"type": "path", "required": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "user": {"type": "str"},
            "program": {"type": "str"},
        },
    },
    "units": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "enabled": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["started", "stopped", "kept"], "default": "kept"},
            "reload_for": {"type": "list", "elements": "str", "default": []},
            "restart_for": {"type": "list", "elements": "str", "default": []},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    for file in module.params["files"]:
        has = (file["content"], file["link"], module.params["secrets"].get(file["path"]))
        if file["state"] == "present" and all(part is None for part in has):
            module.fail_json(msg=f"{file['path']} has no text: write content or link, or its text under secrets.")
    undone = "What was written is undone; packages and users that were added are still there."
    finish(module, lambda: answer(module), CommandFailed, state=lambda: undone)


def answer(module: AnsibleModule) -> dict[str, Any]:
    try:
        # Until this process ends.
        if not module.check_mode:
            hold(LOCK, os.O_RDWR | os.O_CREAT, wait=True)
        layer = Layer(partial(module.run_command, handle_exceptions=False), module.params)
        if (others := layer.overtaken()) is not None:
            return {"changed": False, "changes": [], "others": others}
        result = {"changed": bool(layer.changes), "changes": layer.changes, "diff": layer.diff()}
        if layer.changes and not module.check_mode:
            layer.apply()
    except OSError as failure:
        raise CommandFailed(
            f"{failure.filename or 'The layer'}: {failure.strerror}; what was written is undone."
        ) from failure
    return result


if __name__ == "__main__":
    main()
