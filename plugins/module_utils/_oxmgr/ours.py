# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own app of Oxmgr's for a slot: as an oxfile, and as what a daemon is told to start. Constant, so that a deploy
never changes it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from .._app.words import MARK
from .keys import FOR_EVER, quoted, written

NAME = re.compile("[A-Za-z0-9_-]+", re.ASCII)


def app(
    name: str,
    slot: str,
    cwd: str,
    command: Sequence[str],
    stop_timeout: int,
    check: Sequence[str] = (),
    *,
    stop_signal: str = "SIGUSR2",
    restart_delay: int = 1,
    crash_restart_limit: int = 10,
    max_restarts: int = FOR_EVER,
) -> dict[str, Any]:
    """A slot by the keys of an oxfile. Raises ValueError for what Oxmgr wouldn't take as it was meant.

    :param cwd: from /, and there whenever a slot starts: Oxmgr tries no second time.
    :param command: its words.
    :param stop_timeout: seconds.
    :param check: the words of a health check.
    :param stop_signal: one that isn't SIGTERM, which would be cut at 15 s.
    """
    values = {
        "name": _name(f"{name}-{slot}"),
        "command": _words(command),
        "cwd": cwd,
        "restart_policy": "always",
        "restart_delay_secs": restart_delay,
        "max_restarts": max_restarts,
        "crash_restart_limit": crash_restart_limit,
        "stop_signal": stop_signal,
        "stop_timeout_secs": stop_timeout,
        "namespace": name,
    }
    if check:
        values |= {
            "health_cmd": _words(check),
            "health_interval_secs": 10,
            "health_timeout_secs": 5,
            "health_max_failures": 3,
        }
    return values


def text(*apps: dict[str, Any]) -> str:
    """An oxfile, in ASCII, and without a $ that Oxmgr would take for a variable's name."""
    parts = [f"{MARK}oxmgr). It is read when a slot is registered, and never applied as a whole.\n", "version = 1\n"]
    for values in apps:
        values = {**values, "cwd": _path(values["cwd"])}
        parts.append("\n[[apps]]\n" + "".join(f"{key} = {written(value)}\n" for key, value in values.items()))
    return "".join(parts)


def spec(values: dict[str, Any]) -> dict[str, Any]:
    """The same as the protocol has it, where nothing is expanded and each of these has to be there."""
    check = {key.removeprefix("health_"): value for key, value in values.items() if key.startswith("health_")}
    rest = {key: value for key, value in values.items() if not key.startswith("health_")}
    told = {"health_check": {"command": check.pop("cmd"), **check}} if check else {}
    return {**rest, "env": {}, "start_delay_secs": 0, **told}


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
