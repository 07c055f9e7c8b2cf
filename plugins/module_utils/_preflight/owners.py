# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what is there of an app can be read, and its data written, by the user and group that it is to have now."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import typing as t

from .._app.problems import Problem, write
from .._app.releases import ReleaseError, created, records_in, releases_of
from .._app.roots import SHARED
from .._app.slots import App
from .._host.files import named
from .roots import groups_of

_ABSENT = "To change it, take the app off the host first (fastapi_state: absent, which leaves its data), "


def read_owners(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The name of the group of what is live, or else of the newest release, where it is another one: ``group``. And
    the first of the shared directories that is somebody else's, where the user may not write: ``path``, ``user``."""
    return {"group": other_group(params), **other_user(params)}


def other_group(params: dict[str, t.Any]) -> str:
    app = App(params["name"], params["root"])
    try:
        release = releases_of(app.directory(slot)).get("release") if (slot := app.live()) else None
        made = {} if release else created(records_in(app.root)[0])
        release = release or max(made, key=lambda each: made[each], default="")
        gid = os.stat(app.release_directory(release)).st_gid if release else 0
    except (OSError, ReleaseError):
        # Who isn't root is told that, and what is no directory is told by what asks for the releases.
        return ""
    has = named(grp.getgrgid, gid)
    return has if gid and has != params["group"] else ""


def other_user(params: dict[str, t.Any]) -> dict[str, str]:
    uid, gids = groups_of(params["user"])
    # One that isn't made yet may get the number that the data has: of an account that was taken off with the app.
    for path in () if uid < 0 else params.get("shared_paths") or ():
        place = os.path.join(params["root"], SHARED, path)
        try:
            found = os.lstat(place)
        except OSError:
            continue
        allowed = stat.S_IWGRP if found.st_gid in gids else stat.S_IWOTH
        if stat.S_ISDIR(found.st_mode) and found.st_uid not in (0, uid) and not found.st_mode & allowed:
            return {"path": place, "user": named(pwd.getpwuid, found.st_uid)}
    return {"path": "", "user": ""}


def judge_owners(params: dict[str, t.Any], found: dict[str, t.Any]) -> t.Iterator[Problem]:
    root, user = params["root"], params["user"]
    if has := found["group"]:
        wrong = f"the release in {root}/releases belongs to the group {has} on this host, and the app couldn't read it."
        yield Problem("group", params["group"], wrong, f"{write('group', has)} {_ABSENT}then deploy.")
    if found["path"]:
        wrong = f"{found['path']} belongs to {found['user']} on this host, and {user} may not write there."
        advice = f"{_ABSENT}run chown -R {user} {found['path']} there, and deploy."
        # Of an account that is gone, there is the number alone.
        advice = advice if found["user"].isdigit() else f"{write('user', found['user'])} {advice}"
        yield Problem("user", user, wrong, advice)
