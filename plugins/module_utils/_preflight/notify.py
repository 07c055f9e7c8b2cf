# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host has what fastapi_notify tells by: sendmail, commands that nobody else can change, authorities."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import typing as t

from .._app.command import COMMANDS
from .._app.problems import HIDDEN, Problem
from .._host.files import read_text

SENDMAIL = "/usr/sbin/sendmail"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Debian's group of those who may install software for all; as good as root.
_STAFF = 50


def digest(text: str) -> str:
    """Tells one list of targets from another. So short that a secret can't be found by it."""
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text else ""


def read_notify(params: dict[str, t.Any], top: str = "") -> dict[str, t.Any]:
    """What there is of it.

    :param params: `notify` is what for_host() on the control node has made.
    """
    wanted = params.get("notify") or {}
    here = os.path.join(params["root"], COMMANDS)
    current = digest(read_text(os.path.join(here, "notify"))) == wanted.get("digest", "")
    return {
        "current": current and (not wanted.get("digest") or os.path.exists(os.path.join(here, "tell.py"))),
        "sendmail": os.access(f"{top}{SENDMAIL}", os.X_OK),
        "authorities": os.path.exists(f"{top}{AUTHORITIES}"),
        "commands": [_command(**each) for each in wanted.get("commands") or []],
    }


def _command(program: str, paths: list[str], user: str) -> dict[str, t.Any]:
    try:
        uid: int | None = pwd.getpwnam(user).pw_uid
    except KeyError:
        uid = None
    found = shutil.which(program, path=PATH) or ""
    # Others run as nobody, too.
    owners = {0} if uid is None or user == "nobody" else {0, uid}
    files = [path for path in (found, *paths) if path and os.path.isfile(path)]
    return {
        "program": program,
        "found": found,
        "user": user,
        "known": uid is not None,
        "open": next(filter(None, (writable(path, owners) for path in files)), ""),
    }


def writable(path: str, owners: t.Container[int]) -> str:
    """What of a path somebody else could write to, and so exchange the file; '' where nothing is."""
    place = os.path.realpath(path)
    while True:
        status = os.stat(place)
        by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (0, _STAFF)
        if status.st_uid not in owners or status.st_mode & stat.S_IWOTH or by_group:
            return place
        if place == "/":
            return ""
        place = os.path.dirname(place)


def judge_notify(params: dict[str, t.Any], found: dict[str, t.Any]) -> tuple[list[Problem], list[str]]:
    """What is wrong with it, and what is worth a warning."""
    wanted, problems = params.get("notify") or {}, []
    if wanted.get("mail") and not found["sendmail"]:
        wrong = f"it names a mail, and the host has no {SENDMAIL}, by which mail goes."
        advice = "Install one there and set it up, such as apt-get install msmtp-mta or postfix; or take the mail out."
        problems.append(Problem("notify", HIDDEN, wrong, advice))
    for each in found["commands"]:
        if not each["found"]:
            wrong = f"it names the command {each['program']}, and there is no such program on the host."
            advice = "Put it there, where root alone can write, or install its package; or take the command out."
            problems.append(Problem("notify", HIDDEN, wrong, advice))
        # The app's own user is made by the first deploy.
        if not each["known"] and each["user"] != params.get("user"):
            wrong = f"its command {each['program']} is to run as {each['user']}, and the host has no such user."
            advice = "Make that user there, or take user out for nobody."
            problems.append(Problem("notify", HIDDEN, wrong, advice))
        if each["open"]:
            wrong = f"others can write to {each['open']}, and so decide what {each['program']} does as {each['user']}."
            advice = f"Make it root's alone: chown root:root {each['open']} && chmod go-w {each['open']}."
            problems.append(Problem("notify", HIDDEN, wrong, advice))
    warnings = []
    if wanted.get("https") and not found["authorities"]:
        warnings.append(
            "fastapi_notify has an https address, and the host knows no certificate authority, so it can't be told. "
            "Install them: fastapi_packages: [ca-certificates]."
        )
    return problems, warnings
