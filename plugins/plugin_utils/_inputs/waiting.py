# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that may wait for another deploy: who watches is told for whom before it does."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display

from ...module_utils._app.lock import holder
from ...module_utils._plan.flow import whole_number

Call = t.Callable[[dict[str, t.Any]], dict[str, t.Any]]
"""Calls the module with these arguments; its result."""


def waiting(call: Call, arguments: dict[str, t.Any], host: str) -> dict[str, t.Any]:
    """The module's result. A module can't say anything before it ends, so it is first called without patience, which
    changes nothing where another deploy is under way.

    :param host: what the inventory calls the host.
    """
    wait = whole_number(arguments.get("lock_wait", 0)) or 0
    if wait <= 0:
        return call(arguments)
    answer = call({**arguments, "lock_wait": 0})
    if "held" not in answer:
        return answer
    Display().display(f"{host}: waits up to {wait} s for another deploy: {holder(answer['held'])}.")
    return call(arguments)
