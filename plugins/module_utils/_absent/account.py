# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user that an app ran as, and its group: who they are, and whether they may go with the app."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable
from typing import Any

# Debian's packages give the ids below 100, such as www-data's; people have those from 1000 on.
_MADE = range(100, 1000)


def read(user: str, group: str) -> dict[str, Any]:
    """``uid``, ``shell``, ``home`` and what is ``inside``; ``gid`` and other ``members``; without what isn't there."""
    found: dict[str, Any] = {}
    try:
        entry = pwd.getpwnam(user)
        inside = sorted(os.listdir(entry.pw_dir)) if os.path.isdir(entry.pw_dir) else []
        found |= {"uid": entry.pw_uid, "shell": entry.pw_shell, "home": entry.pw_dir, "inside": inside}
    except KeyError:
        pass
    try:
        row = grp.getgrnam(group)
    except KeyError:
        return found
    mine = [entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == row.gr_gid]
    return found | {"gid": row.gr_gid, "members": sorted({*row.gr_mem, *mine} - {user})}


def refusal(account: dict[str, Any], runs_as: list[str], params: dict[str, Any]) -> str:
    """Why the user may not go, and what to do about it; '' where it may, or is gone. Pure.

    :param account: of read().
    :param runs_as: other units that run as this user.
    :param params: the module's options.
    """
    user = params["user"]
    if "uid" not in account:
        return ""
    if runs_as:
        return (
            f"fastapi_remove_user is true, and {', '.join(runs_as)} on the host runs as {user} too. "
            "Take fastapi_remove_user out, or remove that first."
        )
    # The role makes users at home in the app's directory, which for a user of several apps may be another one's.
    at_home = account["home"] == params["root"] or set(account["inside"]) <= {"shared"}
    if account["uid"] not in _MADE or not account["shell"].endswith(("/nologin", "/false")) or not at_home:
        return (
            f"fastapi_remove_user is true, and {user} on the host isn't a user as the role makes them (id "
            f"{account['uid']}, shell {account['shell']}, home {account['home']}). Take fastapi_remove_user out."
        )
    return ""


def goes(account: dict[str, Any], params: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """The commands that remove them, each with the name that it takes. Pure."""
    if "uid" in account:
        yield "userdel", params["user"]
    if account.get("gid") in _MADE and not account["members"]:
        yield "groupdel", params["group"]
