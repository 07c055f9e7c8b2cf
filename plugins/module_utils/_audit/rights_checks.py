# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others could do to an app: its user, its code's modes, and who can read its secrets."""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Iterable, Iterator

from .._host.files import names_in
from .._host.reading import read_text
from . import units
from .findings import Finding
from .leaks import open_to_all, secret_names, values
from .model import Host, Served, listed
from .processes import Process

MOST = 400
"""Files and directories of the code that are looked at."""


def user(app: Served, _host: Host) -> Iterator[Finding]:
    started = app.workers or ([app.main] if app.main else [])
    by_unit = not started and app.unit.get("User", "") in ("", "root", "0")
    if by_unit or any(process.uid == 0 for process in started):
        write = f"In [Service] of {app.unit_path}: User=app (useradd --system --no-create-home app)"
        if app.container:
            write = "USER app in the Dockerfile, or user: in the compose file"
        elif app.program:
            write = f"In [program:{app.program.name}]: user=app"
        elif app.supervisor != "systemd":
            write = "A systemd unit with User=app (useradd --system --no-create-home app)"
        yield app.find(
            "runs-as-root",
            app.process,
            "Its unit has no User=, so it runs as root." if by_unit else "Its workers run as root.",
            write,
            "medium" if app.container else "",
        )


def shared_users(apps: list[Served]) -> Iterator[Finding]:
    """Apps that run as one user. Root's are told already, and a container's numbers are its own."""
    for app in apps:
        uid = _uid(app)
        others = [each for each in apps if _uid(each) == uid and _whose(each) != _whose(app)] if uid else []
        if others:
            write = f"In [Service] of {app.unit_path}: User={{}}, which may read its files and no other app's."
            if app.ours:
                write = "fastapi_user: {} for it alone, in its group_vars; the next site.yml makes the user."
            elif app.supervisor != "systemd":
                write = "A user for each of them: useradd --system --no-create-home {}"
            yield app.find(
                "shared-user",
                app.process,
                f"It runs as {_name_of(uid)}, as {listed(sorted({_whose(each) for each in others}))} does.",
                write.format(re.sub(r"[^a-z0-9_-]", "-", _whose(app).lower())),
            )


def _uid(app: Served) -> int:
    """Of whoever answers its requests; 0 for root, for nobody, and for a container's."""
    if not app.main or app.container or app.main.container:
        return 0
    return (app.workers or [app.main])[0].uid


def _whose(app: Served) -> str:
    """The app of which it is a slot."""
    return app.name.partition("@")[0]


def _name_of(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def code(app: Served, _host: Host) -> Iterator[Finding]:
    """Whether the app's own user could change its code. What is mounted to be read only can't be."""
    process = app.workers[0] if app.workers else app.main
    if not process or process.uid == 0 or not process.cwd or app.container:
        return
    try:
        if os.statvfs(f"/proc/{process.pid}/cwd").f_flag & os.ST_RDONLY:
            return
    except OSError:
        return
    everybody, own = [], []
    parts = list(_parts(process.cwd))
    for path, mode, uid, gid in parts:
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            everybody.append(path)
        elif _may_write(process, mode, uid, gid):
            own.append(path)
    # Where there is no code, as in a home that is only a working directory, nothing is above it.
    above = _above(process, parts[0][0]) if parts else []
    if not everybody and not own and not above:
        return
    found, place = [*(everybody or own or above)], f"/srv/{_whose(app)}"
    whose = "every user of the host" if everybody else f"its own user (uid {process.uid})"
    seen = f"{len(found)} of its files and directories can be changed by {whose}: {listed(found, 3)}."
    if not everybody and not own:
        seen = (
            f"{whose[0].upper()}{whose[1:]} can change {above[0]}, and so put another directory in place of the code."
        )
    # What is above that is a home mostly, and no home can be root's.
    moves = any(path != process.cwd for path in above)
    top = place if moves else process.cwd
    write = f"chown -R root: {top} && chmod -R go-w {top}; what the app writes gets its own directory."
    write = f"The code moves to {place}, where all above it is root's, and {write}" if moves else write
    yield app.find("code-writable", found[0], seen, write, "high" if everybody else "")


def _above(process: Process, code: str) -> list[str]:
    """The directories above the code in which its user can exchange what leads there, the nearest first. In a sticky
    one, as /tmp is, that takes the owner of the directory or of what is in it."""
    found = list[str]()
    inner = os.path.realpath(code)
    while (path := os.path.dirname(inner)) != inner:
        try:
            status, below = os.lstat(path), os.lstat(inner)
        except OSError:
            return found
        sticky = status.st_mode & stat.S_ISVTX and below.st_uid != process.uid
        open_to_it = status.st_mode & stat.S_IWOTH or _may_write(process, status.st_mode, status.st_uid, status.st_gid)
        if status.st_uid == process.uid or (open_to_it and not sticky):
            found.append(path)
        inner = path
    return found


def _parts(top: str) -> Iterator[tuple[str, int, int, int]]:
    """The directory of the code, its Python files, and the packages below it."""
    waiting, seen = [top], 0
    while waiting and seen < MOST:
        path = waiting.pop(0)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        # A home or the root isn't code for being a working directory.
        names = names_in(path) if stat.S_ISDIR(status.st_mode) else []
        if stat.S_ISDIR(status.st_mode) and not any(name.endswith(".py") for name in names) and path != top:
            continue
        if path != top or any(name.endswith(".py") for name in names):
            seen += 1
            yield path, status.st_mode, status.st_uid, status.st_gid
        for name in names:
            whole = os.path.join(path, name)
            if name.startswith((".", "__pycache__")) or name in (
                "node_modules",
                "venv",
                "env",
                "data",
                "media",
                "uploads",
            ):
                continue
            if name.endswith(".py") or (os.path.isdir(whole) and not os.path.islink(whole)):
                waiting.append(whole)


def _may_write(process: Process, mode: int, uid: int, gid: int) -> bool:
    if uid == process.uid:
        return True  # its owner can give itself the right
    return bool(gid in process.gids and mode & stat.S_IWGRP)


def secrets(app: Served, host: Host) -> Iterator[Finding]:
    """Files with secrets that every user can read."""
    seen: set[str] = set()
    for path in _environments(app):
        text = read_text(path)
        real = os.path.realpath(path)
        if not text or real in seen or not open_to_all(path):
            continue
        seen.add(real)
        found = values(text)
        if names := secret_names({name: value for name, (_line, value) in found.items()}):
            yield app.find(
                "secrets-readable",
                f"{path}:{found[names[0]][0]}",
                f"Every user of the host can read {listed(names)} there (mode {mode_of(path):04o}).",
                f"{_closed(app, path)}; change the secrets.",
            )
    for path in units.files(app.unit):
        rows = units.own_environment(read_text(path))
        names = secret_names({name: value for _line, name, value in rows})
        if names and open_to_all(path):
            line = next((number for number, name, _value in rows if name == names[0]), 1)
            yield app.find(
                "secrets-readable",
                f"{path}:{line}",
                f"Every user of the host can read {listed(names)} there, and by systemctl show.",
                f"EnvironmentFile=/etc/{app.name}.env (root's, 0600) in place of Environment=; change the secrets.",
            )
    if app.program and app.program.environment:
        where = app.program.where.get("environment", "")
        names = secret_names(app.program.environment)
        if names and open_to_all(where.rpartition(":")[0]):
            yield app.find(
                "secrets-readable",
                where,
                f"Every user of the host can read {listed(names)} there.",
                f"chmod 600 {where.rpartition(':')[0]}",
            )
    if app.oxmgr and open_to_all(app.oxmgr[0]):
        names = secret_names({name: str(value) for name, value in app.oxmgr[1].values["env"].items()})
        if names:
            yield app.find(
                "secrets-readable",
                app.oxmgr[0],
                f"Every user of the host can read {listed(names)} there.",
                f"chmod 600 {app.oxmgr[0]}",
            )


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def _closed(app: Served, path: str) -> str:
    """How to close a file without taking it from whoever reads it: systemd does as root, the app itself as its user."""
    if path in units.environment_files(app.unit):
        return f"chown root: {path} && chmod 600 {path} (systemd reads it as root)"
    if app.container or not app.main or not app.main.uid:
        return f"chmod 600 {path}"
    gid = app.main.gids[:1]
    return f"chown root:{gid[0] if gid else app.main.uid} {path} && chmod 640 {path}"


def read_itself(app: Served, top: str, named: Iterable[str] = ()) -> set[str]:
    """Names of the variables that an app may set for itself: by load_dotenv() or pydantic's env_file, from a file that
    lies where it runs or where its code is, or right above. Its process's environment never shows them.

    :param top: the directory of its code, as this host names it; '' where that isn't known.
    :param named: files that its source names for that.
    """
    if not app.main:
        return set()
    before = f"/proc/{app.main.pid}/root" if app.container else ""
    places = [place for place in (f"{before}{app.main.cwd}" if app.main.cwd else "", top) if place]
    directories = [each for place in places for each in (place, os.path.dirname(place.rstrip("/")))]
    paths = _environments(app) + [
        before * name.startswith("/") + os.path.join(directory, name)
        for directory in dict.fromkeys(directories)
        for name in (".env", ".env.prod", *named)
    ]
    return {name for path in dict.fromkeys(paths) for name in values(read_text(path))}


def _environments(app: Served) -> list[str]:
    """Files from which it has its environment, or reads it itself."""
    found = units.environment_files(app.unit)
    where = os.path.dirname(app.container.compose) if app.container and app.container.compose else ""
    for directory in (where, app.main.cwd if app.main and not app.container else ""):
        if directory:
            found += [
                os.path.join(directory, name)
                for name in names_in(directory)
                if name == ".env" or name.startswith(".env.")
            ]
            found += [os.path.join(directory, name) for name in ("secrets.env", "prod.env", "app.env")]
    # What is there to be copied and filled in.
    examples = (".example", ".sample", ".template", ".dist")
    return [path for path in dict.fromkeys(found) if not path.endswith(examples)]
