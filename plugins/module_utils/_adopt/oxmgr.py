# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Oxmgr that somebody has set up: which of them has an app, and how that is stopped and started there.

It is asked by its own protocol, a line of JSON each way, and never by its program, which starts a daemon of its own
where none answers at once. Whoever runs it may answer anything: no path and no user is taken from what it says.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import socket
import time
from dataclasses import dataclass
from typing import Any

from .._host.files import named, names_in
from .._host.reading import MOST, read_led, read_text
from .._host.systemd import CommandFailed
from .._oxmgr.oxfile import read as read_oxfile

ANSWER = 10.0
"""Seconds within which all daemons together have to answer, which start and stop nothing."""
BESIDE = 15.0
"""Seconds that it may take beside an app's own stop timeout."""
_LOOPBACK = re.compile(r"(127(?:\.[0-9]{1,3}){3}|localhost):([0-9]{1,5})")


@dataclass(frozen=True)
class Daemon:
    """:param address: where it takes orders: host and port.
    :param uid: of the user as whom it and all of its apps run.
    """

    address: tuple[str, int]
    uid: int

    def __str__(self) -> str:
        return f"the one of {named(pwd.getpwuid, self.uid)} at {self.address[0]}:{self.address[1]}"


@dataclass(frozen=True)
class Held:
    """An app, and the daemon that has it.

    :param runs: whether it runs now; ``stays`` whether it is started again with the daemon.
    :param timeout: seconds within which it has to stop.
    """

    daemon: Daemon
    app: str
    runs: bool
    stays: bool
    timeout: float

    def stop(self) -> None:
        """:raises CommandFailed: where the daemon says no, or nothing in time; of start() as well."""
        self._order("stop")

    def start(self) -> None:
        self._order("restart")

    def _order(self, verb: str) -> None:
        try:
            answer = ask(self.daemon, {"type": verb, "target": self.app}, self.timeout + BESIDE)
        except (OSError, ValueError) as error:
            how = _as_user(self.daemon.uid, verb, self.app)
            raise CommandFailed(f"Oxmgr didn't {verb} {self.app}: {error}. Try {how}.") from None
        if answer.get("ok") is not True:
            raise CommandFailed(f"Oxmgr didn't {verb} {self.app}: it said {str(answer.get('message'))[:500]}")


def default_port(uid: int) -> int:
    """That of a user's daemon which was given none: a hash of who it is (FNV-1a; Oxmgr 0.5.0, src/config.rs)."""
    number = 2166136261
    for byte in f"uid-{uid}".encode():
        number = (number ^ byte) * 16777619 & 0xFFFFFFFF
    return 40000 + number % 20000


def daemons(proc: str = "/proc") -> tuple[list[Daemon], list[str]]:
    """Those that run in the host's own network, where this collection's never do; and of others why they aren't asked,
    each a sentence."""
    found, odd = list[Daemon](), list[str]()
    for pid in names_in(proc):
        place = f"{proc}/{pid}"
        words = read_text(f"{place}/cmdline").split("\0") if pid.isdecimal() else []
        if words[1:3] != ["daemon", "run"] or os.path.basename(words[0]) != "oxmgr":
            continue
        try:
            near = os.readlink(f"{place}/ns/net") == os.readlink(f"{proc}/self/ns/net")
            uid = os.stat(place).st_uid
        except OSError:
            # It has ended meanwhile.
            continue
        given = re.search(r"(?:^|\0)OXMGR_DAEMON_ADDR=([^\0]+)", read_text(f"{place}/environ"))
        match = _LOOPBACK.fullmatch(given[1].strip()) if given else None
        who = f"The Oxmgr of {named(pwd.getpwuid, uid)} (process {pid})"
        if not near:
            odd.append(f"{who} has a network of its own, as in a container, and can't be asked from the host.")
        elif given and not match:
            odd.append(
                f"{who} isn't asked: its OXMGR_DAEMON_ADDR is {given[1][:60]!r}, and root gives orders only to "
                "127.0.0.1:PORT and localhost:PORT."
            )
        else:
            host = match[1].replace("localhost", "127.0.0.1") if match else "127.0.0.1"
            found.append(Daemon((host, int(match[2]) if match else default_port(uid)), uid))
    return found, odd


def _as_user(uid: int | None, verb: str, target: str) -> str:
    """The command by which root gives a user's Oxmgr an order: as root it would start one of root's own.

    :param uid: None for one that isn't known.
    """
    user = "USER" if uid is None else shlex.quote(named(pwd.getpwuid, uid))
    return f"runuser -l {user} -s /bin/sh -c {shlex.quote(f'oxmgr {verb} {shlex.quote(target)}')}"


def ask(daemon: Daemon, request: dict[str, str], limit: float) -> dict[str, Any]:
    """One question.

    :param limit: seconds for all of it: while it starts or stops something it answers nobody.
    :raises OSError: where it can't be reached in time.
    :raises ValueError: where what answers isn't Oxmgr.
    """
    end, data = time.monotonic() + limit, b""
    if limit <= 0:
        raise TimeoutError("timed out")
    with socket.create_connection(daemon.address, limit) as link:
        link.sendall(json.dumps(request).encode() + b"\n")
        while not data.endswith(b"\n") and len(data) < MOST:
            # Whoever sends a byte now and then isn't waited for any longer.
            if (left := end - time.monotonic()) <= 0:
                raise TimeoutError("timed out")
            link.settimeout(left)
            more = link.recv(65536)
            if not more:
                break
            data += more
    try:
        answer = json.loads(data or b"null")
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ValueError("what answers there isn't Oxmgr")
    return answer


def _apps(daemon: Daemon, end: float) -> list[dict[str, Any]]:
    """:raises OSError: and ValueError, as ask()."""
    rows = ask(daemon, {"type": "list"}, end - time.monotonic()).get("processes")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("what answers there isn't Oxmgr")
    return rows


@dataclass(frozen=True)
class _Wanted:
    """An app of an oxfile: where that is, whose, and where it says that the app is, '' for nowhere."""

    path: str
    app: str
    owner: int | None
    cwd: str

    def is_it(self, daemon: Daemon, row: dict[str, Any]) -> bool:
        """Whether it is this app, and not a colleague's of the same name."""
        if row.get("cwd") is None:
            return not self.cwd and daemon.uid == self.owner
        cwd, near = os.path.normpath(str(row["cwd"])), os.path.dirname(self.path)
        return cwd == self.cwd or f"{cwd}/".startswith(f"{near}/")


def _wanted(name: str) -> _Wanted:
    path, _hash, app = name.partition("#")
    try:
        owner = os.stat(path).st_uid
    except OSError:
        owner = None
    apps = read_oxfile(read_led(path) or "", path)[0]
    cwd = next((each.values.get("cwd") for each in apps if each.name == app), "")
    return _Wanted(path, app, owner, os.path.normpath(os.path.join(os.path.dirname(path), cwd)) if cwd else "")


def find(name: str, proc: str = "/proc") -> Held:
    """The app of an oxfile where it is kept.

    :param name: as in Program: ``/srv/shop/oxfile.toml#api``.
    :raises CommandFailed: where no daemon has it, more than one, or one that could have it doesn't answer.
    """
    wanted = _wanted(name)
    path, app = wanted.path, wanted.app
    asked, odd = daemons(proc)
    # Its owner's and root's first: others may let root wait until there is no time left.
    asked = sorted(asked, key=lambda each: (each.uid != wanted.owner, each.uid != 0))
    named, silent, end = list[tuple[Daemon, dict[str, Any]]](), dict[Daemon, str](), time.monotonic() + ANSWER
    addresses: dict[tuple[str, int], Daemon] = {}
    for daemon in asked:
        addresses.setdefault(daemon.address, daemon)
    for daemon in addresses.values():
        try:
            named += [(daemon, row) for row in _apps(daemon, end) if row.get("name") == app]
        except (OSError, ValueError) as error:
            silent[daemon] = str(error)
    found = [(daemon, row) for daemon, row in named if wanted.is_it(daemon, row)]
    apply = _as_user(wanted.owner, "apply", path)
    if silent and (not found or any(daemon.uid == wanted.owner for daemon in silent)):
        who = "; ".join(f"{daemon}: {error}" for daemon, error in list(silent.items())[:3])
        raise CommandFailed(
            f"Not every Oxmgr on this host answers, so which of them has {app} of {path} can't be told: {who}. "
            "One that starts or stops an app answers nobody meanwhile. See that these answer, and run again."
        )
    if len(found) > 1:
        raise CommandFailed(
            f"More than one Oxmgr on this host has {app} of {path}: {' and '.join(str(each) for each, _row in found)}. "
            f"Give yours another name in {path}; when it may be away for a moment, "
            f"{_as_user(wanted.owner, 'delete', app)}, then {apply}; and run adopt.yml anew, without -e step."
        )
    if not found:
        place = wanted.cwd or os.path.dirname(path)
        others = [f"It isn't the {app} that {daemon} has, which isn't in {place}." for daemon, _row in named]
        raise CommandFailed(
            f"No Oxmgr that runs on this host has an app {app}, as {path} says it. "
            + "".join(f"{each} " for each in [*others, *odd][:5])
            + f"Start its daemon, and the app by {apply}; then run again."
        )
    ((daemon, row),) = found
    seconds = row.get("stop_timeout_secs")
    return Held(
        daemon,
        app,
        row.get("status") == "running",
        row.get("desired_state") == "running",
        float(seconds) if isinstance(seconds, int) and 0 <= seconds <= 3600 else 0.0,
    )
