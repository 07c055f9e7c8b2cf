# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes down for bench/run what a playbook's run did: each task's time, and what it sent to the host."""

from __future__ import annotations

import functools
import json
import os
import time
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: graceful_bench
type: aggregate
short_description: Times tasks and counts what they run on the host
description:
  - Writes a JSON report to the file that the environment variable E(GRACEFUL_BENCH_REPORT) names.
requirements: []
"""


def counted(path: Path, kind: str, method):
    """The method, leaving a line in the file at each call: tasks run in forked processes, which share no memory."""

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{self._task._uuid} {kind}\n")
        return method(self, *args, **kwargs)

    return wrapper


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "graceful_bench"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.report = Path(os.environ["GRACEFUL_BENCH_REPORT"])
        self.counts = self.report.with_suffix(".counts")
        self.tasks: list[dict] = []
        self.changed: list[str] = []
        # One run of a module on the host; one command over the connection; one file over the connection. An action such
        # as copy runs several modules, and only what passes here is really sent.
        for name in ("_execute_module", "_low_level_execute_command", "_transfer_file"):
            setattr(ActionBase, name, counted(self.counts, name, getattr(ActionBase, name)))

    def v2_playbook_on_task_start(self, task, is_conditional) -> None:
        self.tasks.append({"uuid": task._uuid, "name": task.get_name(), "start": time.time()})

    def v2_playbook_on_handler_task_start(self, task) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result) -> None:
        if result.is_changed():
            self.changed.append(self.tasks[-1]["name"])

    def v2_playbook_on_stats(self, stats) -> None:
        end = time.time()
        lines: list[list[str]] = []
        if self.counts.exists():
            with self.counts.open(encoding="utf-8") as file:
                lines = [line.split() for line in file]
        for task, following in zip(self.tasks, [*self.tasks[1:], {"start": end}], strict=True):
            task["seconds"] = following["start"] - task["start"]
            kinds = [kind for uuid, kind in lines if uuid == task["uuid"]]
            task["modules"] = kinds.count("_execute_module")
            task["commands"] = len(kinds) - task["modules"]
        with self.report.open("w", encoding="utf-8") as file:
            json.dump({"tasks": self.tasks, "changed": self.changed, "end": end}, file)
