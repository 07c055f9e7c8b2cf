# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: first_failure
type: notification
short_description: Write down the first failure of a run, for the program that started it
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Writes the host, the action and the message of the first task that failed to a file, as JSON. What started
    C(ansible-playbook) reads there why it failed.
  - Does nothing where the environment variable E(GRACEFUL_FIRST_FAILURE) names no file.
options:
  path:
    description: Path of the file.
    type: path
    default: ""
    env:
      - name: GRACEFUL_FIRST_FAILURE
"""

import json
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "graceful.deploy.first_failure"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._written = False

    def _write(self, result: t.Any) -> None:
        path = self.get_option("path")
        if self._written or not path:
            return
        self._written = True
        found = result._result
        first = {
            "host": result._host.get_name(),
            "action": result._task.action,
            "msg": str(found.get("msg") or found.get("stderr") or "it didn't say why"),
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(first, file)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._write(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._write(result)
