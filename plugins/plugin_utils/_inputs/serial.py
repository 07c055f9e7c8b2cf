# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts of a fleet move together: fastapi_serial, which counts as a play's ``serial`` does. Pure."""

from __future__ import annotations

import json
import re
import typing as t


class SerialError(Exception):
    """An entry that is no number of hosts."""

    def __init__(self, entry: object) -> None:
        super().__init__(f"{entry!r} isn't a number of hosts or a percentage of them, as in [1, 25%, 100%].")


def size(entry: object, hosts: int) -> int:
    """How many hosts one entry of ``fastapi_serial`` means, 1 or more."""
    text = str(entry).strip()
    if not isinstance(entry, bool) and re.fullmatch(r"[1-9][0-9]{0,5}", text):
        return int(text)
    if re.fullmatch(r"[1-9][0-9]?%|100%", text):
        return max(1, hosts * int(text[:-1]) // 100)
    raise SerialError(entry)


def batches(hosts: t.Sequence[str], serial: t.Any) -> list[list[str]]:
    """The hosts in batches; the last entry of `serial` counts until there are none left.

    :raises SerialError: `serial` isn't a number, a percentage, or a list of them.
    """
    if isinstance(serial, str) and serial.lstrip().startswith("["):
        try:
            serial = json.loads(serial)
        except ValueError:
            serial = serial.strip(" []").replace("'", "").split(",")
    entries = list(serial) if isinstance(serial, (list, tuple)) else [serial]
    sizes = [size(entry, len(hosts)) for entry in entries or [None]]
    left, found = list(hosts), []
    while left:
        count = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        found.append(left[:count])
        left = left[count:]
    return found
