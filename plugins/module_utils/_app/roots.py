# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose an app's directory is: what is in it, and what elsewhere leads to it."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
from collections.abc import Collection

from .._host.files import names_in, read_text, write
from .slots import SLOTS
from .words import BUILDING, GENERATIONS, LEAVING, PATCH_NOTE, is_ours

SHARED = "shared"
ENDING = re.compile(r"[^/]\.[A-Za-z]\w*$")
"""How the path of a shared file ends, as blog.db does; .cache and v1.0 are called as directories are."""
HOME = "home"
"""Name of the directory in the app's that is HOME to it: libraries keep caches there, and settings of their own."""
COMMANDS = "commands"
"""Name of the directory with NAME-run's programs and notes."""
NOTE = "removing.json"
"""In the app's directory while it is being removed: what a run that was cut off could not see any more."""
ADOPTED = "adopted.json"
"""Name of the file that says what was there before, while an app that was set up by hand is being moved."""
ENVIRONMENT = "environment"
"""Name of the file in the app's directory that says what the live slot's environment is; root alone may read it."""
OLD_ENVIRONMENT = ".env"
"""Its name in version 0.1.0: python-dotenv, decouple and environs search for one from the release upwards, and were
refused this one."""
ENTRIES = [
    *(HOME, COMMANDS, "releases", "slots", GENERATIONS, "wheels", ENVIRONMENT, OLD_ENVIRONMENT),
    *("maintenance", LEAVING, PATCH_NOTE, "prepared.json", "tuned.json", "live", "live.new"),
    *("live.sock.new", "history.jsonl", "build.lock", "live.sock", ADOPTED, NOTE, "deploy.lock"),
]
"""What this collection puts there beside `shared`, in the order in which it goes: last by what the root is known.

Libraries search for files from the release upwards, so none of them may have a name that one searches for."""
_BESIDE = (".graceful-", ".history-")
"""Begins the names of what a run that was cut off has left."""


def ours(entry: str) -> bool:
    """Whether a name in an app's directory is one that this collection gives."""
    return entry in ENTRIES or entry == SHARED or entry.startswith(_BESIDE)


def rename_environment(root: str) -> None:
    """Take over the app's own environment file from an earlier version, before anything is started beside it. One that
    others than root may read is somebody's own, and the app reads it if it likes."""
    old, path = (os.path.join(root, name) for name in (OLD_ENVIRONMENT, ENVIRONMENT))
    if not os.path.isfile(old) or os.stat(old).st_mode & 0o077:
        return
    if os.path.lexists(path):
        os.unlink(old)
    else:
        os.rename(old, path)


def make_home(root: str, user: str, group: str) -> None:
    """Make the app's HOME where it isn't there yet; what is its user's already is left as it is.

    :raises OSError: where something else has its name.
    :raises KeyError: where there is no such user or group.
    """
    path = os.path.join(root, HOME)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    # Root's directory: nobody else can put a link there. One that root has put isn't followed.
    try:
        place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise NotADirectoryError(
            f"{path} isn't a directory, and has to be one: it is the app's HOME. Move it."
        ) from error
    try:
        if os.fstat(place).st_uid == os.geteuid():
            os.fchown(place, pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
    finally:
        os.close(place)


def publish(root: str, environment: str) -> None:
    """Let the app's own environment file, where there is one, say what the live slot has."""
    path = os.path.join(root, ENVIRONMENT)
    if os.path.isfile(path) and read_text(path) != environment:
        write(path, environment.encode(), 0o600, 0, 0)


def root_in(unit: str) -> str:
    """The app's directory by the text of its service unit; '' where it isn't ours."""
    match = re.search(r"=(/\S+)/slots/%i/", unit) if is_ours(unit) else None
    return match[1] if match else ""


def roots_by_units(directory: str) -> dict[str, str]:
    """The directory of each app on the host that has a unit, by the app's name."""
    names = [entry for entry in names_in(directory) if entry.endswith("@.service")]
    found = {name.removesuffix("@.service"): root_in(read_text(os.path.join(directory, name))) for name in names}
    return {name: root for name, root in found.items() if root}


def app_of_link(link: str) -> str:
    """The app whose socket ``live.sock`` leads to."""
    try:
        match = re.fullmatch(rf"/run/([^/]+)/({'|'.join(SLOTS)})\.sock", os.readlink(link))
    except OSError:
        return ""
    return match[1] if match else ""


def is_made_by_us(entries: Collection[str], releases: Collection[str], complete: Collection[str]) -> bool:
    """Whether a directory holds an app by what is in it: a whole release, or nothing but what a run has begun.

    :param entries: names in the directory; `releases` are those in its ``releases``, `complete` the ones with a record.
    """
    return bool(complete) or (all(map(ours, entries)) and all(name.startswith(BUILDING) for name in releases))
