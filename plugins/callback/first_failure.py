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
  - Writes the host, the action and the message of the first failure by which a run fails to a file, as JSON, when the
    run ends. What started C(ansible-playbook) reads there why it failed.
  - A failure that is ignored, or that a block rescues, is none.
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
from collections.abc import Mapping

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "graceful.deploy.first_failure"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._failures: list[dict[str, str]] = []
        self._items: dict[tuple[str, str], str] = {}

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        # Of a loop, it is the first bad item that says why.
        self._items.setdefault((result.host.get_name(), result.task._uuid), said(result.result))

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._note(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        if not result.task.ignore_unreachable:
            self._note(result)

    def _note(self, result: t.Any) -> None:
        name = result.host.get_name()
        why = self._items.get((name, result.task._uuid)) or said(result.result)
        self._failures.append({"host": name, "action": result.task.action, "msg": why})

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        path = self.get_option("path")
        # After one that nothing rescues, a host has no other that something does.
        rescued = dict(stats.rescued)
        for failure in self._failures if path else []:
            rescued[failure["host"]] = rescued.get(failure["host"], 0) - 1
            if rescued[failure["host"]] < 0:
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(failure, file)
                return


def said(result: Mapping[str, t.Any]) -> str:
    return str(result.get("msg") or result.get("stderr") or result.get("censored") or "it didn't say why")
