# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A line now and then while a module is at work, which itself can't say anything before it ends: it is asked for on the
host, over the same way, by a thread."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import threading
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


@contextlib.contextmanager
def shown(action: ActionBase, command: str, every: float, host: str) -> t.Iterator[None]:
    """Show what a command prints on the host, for as long as the block lasts; what can't be had isn't shown.

    :param action: whose connection it goes by.
    :param command: a shell line, which takes no time; its first line is shown.
    :param every: seconds between two of them.
    :param host: what the inventory calls it.
    """
    # Of its own, because a connection and a become plugin keep what they are just doing.
    other = copy.copy(action)
    other._connection = copy.copy(action._connection)
    if other._connection.become:
        other._connection.set_become_plugin(copy.copy(other._connection.become))
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            with contextlib.suppress(Exception):
                said = str(other._low_level_execute_command(command).get("stdout", "")).strip().partition("\n")[0]
                if said and not over.is_set():
                    Display().display(f"{host}: {said}")

    # Nobody waits for it: a host that is gone answers late.
    threading.Thread(target=contextvars.copy_context().run, args=(look,), daemon=True).start()
    try:
        yield
    finally:
        over.set()
