# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether fastapi_root is the app's own: what is there, who else lives there, and who could lead it elsewhere."""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
import typing as t

from .._app.problems import Problem, write
from .._app.releases import complete
from .._app.roots import NOTE, app_of_link, is_made_by_us, roots_by_units
from .._host.files import names_in, read_text

# A file system of its own has it at its top.
_NOBODYS = ("lost+found",)


def read_root(params: dict[str, t.Any], units: str = "/etc/systemd/system") -> dict[str, t.Any]:
    """What judge_root() asks for.

    :param units: the directory of the host's own units.
    """
    name, root = params["name"], params["root"]
    others = roots_by_units(units)
    own = others.pop(name, "")
    real = os.path.realpath(root)
    taken = {other: place for other, place in others.items() if nested(real, os.path.realpath(place))}
    # A live link says it too, where a unit is gone.
    above = [root, *parents(real)]
    links = {app_of_link(f"{place}/live.sock"): place for place in above}
    taken |= {other: place for other, place in links.items() if other not in ("", name, *taken)}
    # Those of a process are NAME.PROCESS.N.
    apps = {other.partition(".")[0]: other for other in sorted(others, reverse=True)}
    users = {app: user_in(f"{units}/{unit}@.service") for app, unit in apps.items() if app != name}
    return {
        "sharing": sorted(other for other, user in users.items() if user == params["user"]) if not own else [],
        "unit_root": own,
        "taken": taken,
        "strange": [] if own == root or app_of_link(f"{root}/live.sock") == name else strangers(name, root),
        "led_by": led_by(root, params["user"]),
    }


def user_in(unit: str) -> str:
    """The user that a unit's service runs as, '' for root."""
    found = re.search(r"(?m)^User=(\S+)", read_text(unit))
    return found[1] if found else ""


def nested(one: str, other: str) -> bool:
    """Whether two directories are the same, or one is inside the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def parents(path: str) -> list[str]:
    """All directories above, the nearest first, without /."""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def strangers(name: str, root: str) -> list[str]:
    """Names in the directory, where nothing shows that it is an app's, be it one that a run has only begun to make."""
    entries = [entry for entry in names_in(root) if entry not in _NOBODYS]
    try:
        note = json.loads(read_text(f"{root}/{NOTE}"))
    except ValueError:
        note = None
    if isinstance(note, dict) and note.get("name") == name:
        return []
    inside = f"{root}/releases"
    whole = complete(root) if os.path.isdir(inside) else []
    return [] if is_made_by_us(entries, names_in(inside), whole) else entries


def led_by(root: str, user: str) -> str:
    """A link on the way to the root that this user can exchange, or ''."""
    uid, groups = groups_of(user)
    waiting, seen = [root], set()
    while waiting:
        path = waiting.pop()
        for part in (path, *parents(path)):
            if part not in seen and os.path.islink(part):
                if may_exchange(part, uid, groups):
                    return part
                waiting.append(os.path.normpath(os.path.join(os.path.dirname(part), os.readlink(part))))
            seen.add(part)
    return ""


def groups_of(user: str) -> tuple[int, list[int]]:
    """A user's id and groups; -1 and none for one that isn't made yet, and will be able to do what everybody is."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return -1, []
    return account.pw_uid, os.getgrouplist(user, account.pw_gid)


def may_exchange(path: str, uid: int, groups: list[int]) -> bool:
    """Whether a user may put something else under this name: as the directory that it is in allows."""
    directory, own = os.stat(os.path.dirname(path)), os.lstat(path).st_uid == uid
    if directory.st_uid == uid:
        return True
    allowed = stat.S_IWGRP if directory.st_gid in groups else stat.S_IWOTH
    return bool(directory.st_mode & allowed) and (own or not directory.st_mode & stat.S_ISVTX)


def judge_user(params: dict[str, t.Any], found: dict[str, t.Any]) -> list[str]:
    """A warning, before an app's first deploy: later its files are that user's, and it is no news."""
    if not found["sharing"]:
        return []
    who = " and ".join(found["sharing"][:3]) + (" and others" if len(found["sharing"]) > 3 else "")
    both = "each can read what the other keeps, its passwords too"
    advice = f"Write fastapi_user: {params['name']} to have a user of its own for {params['name']}."
    return [f"fastapi_user is {params['user']}, the user of {who} on this host too: {both}. {advice}"]


def judge_root(params: dict[str, t.Any], found: dict[str, t.Any]) -> t.Iterator[Problem]:
    name, root = params["name"], params["root"]
    place = found["unit_root"]
    if place and place != root:
        wrong = f"the app {name} lives in {place} on this host, and what is live would be stopped there."
        advice = f"{write('root', place)} To move it, take it off the host first (fastapi_state: absent), then deploy."
        yield Problem("root", root, wrong, advice)
    elif found["taken"]:
        other, place = min(found["taken"].items())
        wrong = f"that is the directory of another app, {other}."
        if place != root:
            wrong = f"the directory of another app, {other}, is {place}, and neither may be inside the other."
        advice = f"Write a directory of the app's own, such as /srv/{name}, or fix fastapi_name."
        yield Problem("root", root, wrong, advice)
    elif found["strange"]:
        names = ", ".join(found["strange"][:3]) + (" and more" if len(found["strange"]) > 3 else "")
        wrong = f"that directory is there, and nothing in it says that it is {name}'s; it holds {names}."
        advice = "Write a directory that isn't there or is empty, or move what is in it away."
        yield Problem("root", root, wrong, advice)
    elif found["led_by"]:
        link = found["led_by"]
        wrong = f"the user {params['user']} could exchange the link {link} on the way there, and root would follow it."
        advice = f"Write {os.path.realpath(root)}, or make root the owner of {os.path.dirname(link)}."
        yield Problem("root", root, wrong, advice)
