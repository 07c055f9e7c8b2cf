# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app of an oxfile, and how Oxmgr stops it. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any

from .keys import SIGNALS

CAP = 15
"""Seconds that Oxmgr waits at most after SIGTERM, whatever stop_timeout_secs says."""


def signal_name(text: str) -> str | None:
    """SIGTERM from "TERM" or "sigterm"; None from what Oxmgr doesn't know."""
    name = text.upper()
    name = name if name.startswith("SIG") else "SIG" + name
    return name if name in SIGNALS else None


def split(command: str) -> list[str]:
    """The words of a command, as Oxmgr takes them: no shell, no variables. Empty where a quote isn't closed."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


@dataclass(frozen=True)
class App:
    """One of [[apps]], with a value of its type for each key of KEYS.

    :param given: the keys that the file has, in the app or in [defaults].
    """

    name: str
    values: dict[str, Any]
    given: frozenset[str] = frozenset()

    @property
    def argv(self) -> list[str]:
        """Empty where it can't be split."""
        return split(self.values["command"] or "")

    @property
    def signal(self) -> str:
        """The signal that Oxmgr sends, by its whole name: SIGTERM too for one that it doesn't know."""
        return signal_name(self.values["stop_signal"]) or "SIGTERM"

    @property
    def stop_timeout(self) -> int:
        """Seconds as written. With SIGTERM it waits CAP at most."""
        return max(1, int(self.values["stop_timeout_secs"]))

    @property
    def is_gunicorn(self) -> bool:
        """Also within a shell's words."""
        return bool(re.search(r"(?:^|[\s/'\"])gunicorn(?:\s|$)", self.values["command"] or ""))

    @property
    def graceful_timeout(self) -> int | None:
        """Seconds, where the command gives them to Gunicorn."""
        found = re.findall(r"--graceful-timeout(?:\s+|=)([0-9]{1,6})(?![0-9])", self.values["command"] or "")
        return int(found[-1]) if found and self.is_gunicorn else None
