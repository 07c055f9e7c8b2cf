# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: told_once
type: stdout
short_description: The usual screen, on which a failure of this collection's is said once
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Is P(ansible.builtin.default#callback) in all else. That says why a task failed twice, first as C([ERROR]) with the
    lines of the task's file, then as C(fatal) with the result.
  - Of a task of this collection's the first is left out, because its sentences name the variable or the place in the
    app, and the task's file is none that the user wrote. Of all other tasks both are shown, and of all with C(-v).
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - Set it as C(stdout_callback) in C(ansible.cfg), as the one beside this collection's playbooks does.
"""

import os
import typing as t

from ansible.plugins.callback.default import CallbackModule as Default

OURS = "graceful.deploy."
HERE = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
_SAYS = ("ansible.builtin.assert", "ansible.builtin.fail")


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "graceful.deploy.told_once"

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        # The default shows first what it takes out of there.
        if not self._display.verbosity and told_below(result.task.action, result.task.get_path(), result.result):
            result.result.pop("exception", None)
        super().v2_runner_on_failed(result, ignore_errors)


def told_below(action: str, path: str, result: t.Mapping[str, t.Any]) -> bool:
    """Whether what is shown of a result says all of why one of our tasks failed.

    :param action: of the task, by its full name.
    :param path: of the file that the task is in, and its line.
    """
    here = os.path.realpath(path).startswith(HERE + os.sep)
    said = str(result.get("msg") or "")
    if not (action.startswith(OURS) or (here and action in _SAYS)) or not said:
        return False
    event = getattr(result.get("exception"), "event", None)
    # A template that can't be rendered has a place in somebody's inventory, and a crash a traceback.
    wrong = said.startswith("Task failed") or getattr(event, "chain", None)
    return not wrong and "Traceback (most recent" not in str(getattr(event, "formatted_traceback", None) or "")
