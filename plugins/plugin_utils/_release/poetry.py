# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Poetry's own table of dependencies says, in the words of packaging: for a project without a lock. Pure."""

from __future__ import annotations

import re
from typing import Any

from .packages import Version

LOCK = "Run poetry lock, and commit poetry.lock: it says which."
_PART = re.compile(r"(\^|~(?!=)|[<>!~]=|===?|[<>=])?\s*v?([0-9][\w.+!*-]*|\*)")


def ranges(constraint: str) -> str:
    """Poetry's `^1.2`, `~1.2`, `1.2.*`, `1.2` and several of them as a specifier; '' where any version will do.

    :raises ValueError: for what no specifier can say, as `^1.0 || ^2.0`.
    """
    found, at, text = [], 0, constraint.strip()
    while at < len(text):
        match = _PART.match(text, at)
        if not match:
            raise ValueError(constraint)
        at = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip(" ,"))
        sign, version = match[1] or "", match[2]
        if version == "*" and sign in ("", "==", "="):
            continue
        try:
            Version(version.removesuffix(".*"))
        except ValueError:
            raise ValueError(constraint) from None
        if sign in ("^", "~"):
            found.append(f">={version},<{_end(sign, version)}")
        else:
            found.append(f"{'==' if sign in ('', '=') else sign}{version}")
    return ",".join(found)


def _end(sign: str, version: str) -> str:
    """The first version that is too new: `^` keeps the first number that isn't 0, `~` the one before the last."""
    numbers = list(Version(version).release)
    place = 0 if len(numbers) == 1 else 1
    if sign == "^":
        place = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return ".".join(map(str, [*numbers[:place], numbers[place] + 1]))


def specified(entry: Any) -> tuple[str, str, str]:
    """An entry's specifier or ` @ URL`, its marker, and what is wrong with it: '' for nothing.

    :param entry: a constraint, or a table of one.
    """
    table = entry if isinstance(entry, dict) else {"version": entry}
    markers = [f"({table['markers']})"] if table.get("markers") else []
    if table.get("platform"):
        markers.append(f"sys_platform == '{table['platform']}'")
    try:
        for each in filter(None, ranges(str(table.get("python") or "*")).split(",")):
            sign, version = re.findall(r"[<>=!~]+|[^<>=!~]+", each)
            markers.append(f"python_full_version {sign} '{version}'")
        said = ranges(str(table.get("version") or "*"))
    except ValueError as error:
        return "", "", f"{error} can't be said by one range. {LOCK}"
    marker = " and ".join(markers)
    if git := table.get("git"):
        return f" @ git+{git}@{table.get('rev', '')}", marker, "" if table.get("rev") else f"It is a branch. {LOCK}"
    other = next((key for key in ("path", "url", "file", "source", "allow-prereleases") if table.get(key)), "")
    return said, marker, f"{other} is for Poetry to read. {LOCK}" if other else ""
