# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own oxfile of an app: constant, so that a deploy never changes it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from .._app.words import MARK
from .keys import FOR_EVER, quoted, written

NAME = re.compile("[A-Za-z0-9_-]+", re.ASCII)


def process_name(app: str, slot: str) -> str:
    """What Oxmgr calls a slot; it refuses NAME@SLOT."""
    return f"{app}-{slot}"


def text(
    name: str,
    cwd: str,
    commands: Mapping[str, Sequence[str]],
    stop_timeout: int,
    checks: Mapping[str, Sequence[str]] | None = None,
    *,
    stop_signal: str = "SIGUSR2",
    restart_delay: int = 1,
    crash_restart_limit: int = 10,
    max_restarts: int = FOR_EVER,
) -> str:
    """An oxfile with an app for each slot. In ASCII, and without a $ that Oxmgr would take for a variable. Raises
    ValueError for what can't be written so that Oxmgr reads it as it was meant.

    :param cwd: from /, and there whenever a slot starts: Oxmgr tries no second time.
    :param commands: the words of each slot's command, by slot.
    :param stop_timeout: seconds.
    :param checks: the words of each slot's health check, by slot.
    :param stop_signal: one that isn't SIGTERM, which would be cut at 15 s.
    """
    parts = [f"{MARK}oxmgr). It is read when a slot is registered, and never applied as a whole.\n", "version = 1\n"]
    for slot, command in commands.items():
        values: dict[str, object] = {
            "name": _name(process_name(name, slot)),
            "command": _words(command),
            "cwd": _path(cwd),
            "restart_policy": "always",
            "restart_delay_secs": restart_delay,
            "max_restarts": max_restarts,
            "crash_restart_limit": crash_restart_limit,
            "stop_signal": stop_signal,
            "stop_timeout_secs": stop_timeout,
        }
        if checks and slot in checks:
            values |= {
                "health_cmd": _words(checks[slot]),
                "health_interval_secs": 10,
                "health_timeout_secs": 5,
                "health_max_failures": 3,
            }
        values["namespace"] = name
        parts.append("\n[[apps]]\n" + "".join(f"{key} = {written(value)}\n" for key, value in values.items()))
    return "".join(parts)


def _name(name: str) -> str:
    if not NAME.fullmatch(name) or name == "all":
        raise ValueError(f"{quoted(name)} can't be the name of an app under Oxmgr: letters, digits, _ and - alone.")
    return name


def _words(words: Sequence[str]) -> str:
    """A command that Oxmgr splits into these words."""
    if not words or not words[0] or any("\0" in word for word in words):
        raise ValueError(f"{quoted(' '.join(words))} is no command.")
    return shlex.join(words)


def _path(path: str) -> str:
    """A path as Oxmgr expands it: it takes $$ for a $, and makes two characters of one that isn't ASCII."""
    if not path.startswith("/") or not path.isascii() or not path.isprintable():
        raise ValueError(f"{quoted(path)} can't be a directory under Oxmgr: from /, in printable ASCII.")
    return path.replace("$", "$$")
