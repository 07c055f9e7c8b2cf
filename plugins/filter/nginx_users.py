# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


def below(path: str, other: str) -> bool:
    """Whether ``path`` is ``other`` or under it."""
    return other == "/" or path == other or path.startswith(f"{other}/")


def nginx_users(protect: list[dict[str, t.Any]]) -> list[dict[str, str]]:
    """Who gets in where, the longest path first: nginx asks one list of users, the first whose path fits.

    Where a path is under another one, both have to let somebody in; so of its users stay those that the other has too.
    """
    entries = [(entry["path"].rstrip("/") or "/", entry["users"]) for entry in protect if entry.get("users")]
    places: dict[str, dict[str, str]] = {}
    for path, users in sorted(entries, key=lambda entry: (-len(entry[0]), entry[0])):
        above = [names for other, names in entries if below(path, other)]
        allowed = {name: users[name] for name in sorted(users) if all(name in names for names in above)}
        places.setdefault(path, allowed)
    return [
        {"path": path, "text": "".join(f"{name}:{hashed}\n" for name, hashed in users.items())}
        for path, users in places.items()
    ]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"nginx_users": nginx_users}
