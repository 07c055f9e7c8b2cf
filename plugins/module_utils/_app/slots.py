# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two slots of an app on disk: a slot's frozen configuration, and the link that says which one is live."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from typing import Any

from .._host import files
from .words import RELEASE_LINE

SLOTS = ("blue", "green")
UNIT_COPY, SOCKET_COPY = "unit", "socket"
"""Names of a slot's files with the text of the units that it was started with: the slots share those, which move on."""
BESIDE = "beside"
"""Name of a link in a slot's directory to the name that the directory was filled by, which put() takes from it."""
CREDENTIALS = "credentials"
"""Name of a slot's directory of secrets, a file each, which root alone may read."""
MEMORY_LINES = ("MemoryHigh=", "MemoryMax=")
"""Begin the lines of a unit that what runs gets as well, without a new start."""
GUNICORN = "gunicorn.conf.py"
"""Name of a slot's file with Gunicorn's settings."""
WORKERS = re.compile(r"^workers = ([0-9]{1,6})$", re.MULTILINE)
"""The line in it that says how many."""


OXMGR_UNIT = "oxmgr.service"
"""Name of a slot's file with the unit of the daemons that run the slots, where Oxmgr is their supervisor."""


def lasting(unit: str) -> str:
    """What of a unit's text takes a new start to change: systemd gives memory limits to what runs."""
    return "".join(line for line in unit.splitlines(True) if not line.startswith(MEMORY_LINES))


@dataclass(frozen=True)
class Snapshot:
    """What a slot is started with.

    :param release: id of the release.
    :param environment: text of the environment file; secret.
    :param files: the slot's other files, text by name.
    :param unit: text of the service's unit, which the slots share and which is only counted here.
    :param socket: likewise of the socket's.
    :param credentials: text by name of what the unit loads; secret.
    """

    release: str
    environment: str
    files: dict[str, str]
    unit: str
    socket: str = ""
    credentials: dict[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, str]:
        """A digest of each part but the release, by what a person calls it. Root alone may read where they are kept,
        because the environment is one of them. Not the unit's memory limits: systemd gives them to what runs."""
        credentials = json.dumps(self.credentials, sort_keys=True)
        texts = {"the environment": self.environment, "the unit": lasting(self.unit), "the socket": self.socket}
        texts |= {name: lasting(text) if name == OXMGR_UNIT else text for name, text in self.files.items()}
        texts["the credentials"] = credentials
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(texts.items())}

    @property
    def fingerprint(self) -> str:
        """Equal for equal snapshots."""
        return hashlib.sha256(json.dumps([self.release, self.parts]).encode()).hexdigest()


@dataclass(frozen=True)
class App:
    """Names and paths of one app's slots.

    :param name: the app's name, which its units carry.
    :param root: its directory.
    :param units: where its units are.
    """

    name: str
    root: str
    units: str = "/etc/systemd/system"

    @property
    def link(self) -> str:
        return os.path.join(self.root, "live.sock")

    def service(self, slot: str) -> str:
        return f"{self.name}@{slot}.service"

    def daemon(self, slot: str) -> str:
        """The unit of the slot's Oxmgr, where that is its supervisor."""
        return f"{self.name}-oxmgr@{slot}.service"

    def socket_unit(self, slot: str) -> str:
        return f"{self.name}@{slot}.socket"

    def socket(self, slot: str) -> str:
        return f"/run/{self.name}/{slot}.sock"

    def directory(self, slot: str) -> str:
        return os.path.join(self.root, "slots", slot)

    def release_directory(self, release: str) -> str:
        return os.path.join(self.root, "releases", release)

    def live(self) -> str | None:
        """The slot that has the traffic, by the link alone; None before the first release."""
        try:
            slot = os.path.basename(os.readlink(self.link)).removesuffix(".sock")
        except OSError:
            # Not there yet, or something that isn't a link: the move puts one in its place.
            return None
        return slot if slot in SLOTS else None

    def under_oxmgr(self, slot: str) -> bool:
        """Whether Oxmgr is what the slot was filled for."""
        return os.path.exists(os.path.join(self.directory(slot), OXMGR_UNIT))

    def held(self, slot: str, aside: bool = False) -> dict[str, Any]:
        """What ``slot.json`` says: ``release``, ``parts``, ``fingerprint``, ``terms``; empty where nothing is.

        :param aside: ask what the slot held before, while that is kept.
        """
        directory = self.aside(slot) if aside else self.directory(slot)
        try:
            with open(os.path.join(directory, "slot.json"), encoding="utf-8") as file:
                return dict(json.load(file))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return {}

    def configured(self, slot: str) -> str:
        """The text of Gunicorn's settings that the slot has; empty where it was never filled."""
        return files.read_text(os.path.join(self.directory(slot), GUNICORN))

    def configuration(self, slot: str, release: str) -> Snapshot:
        """What a slot runs with, but with another release: what a rollback starts.

        :raises OSError: where the slot was never filled.
        """
        directory = self.directory(slot)
        names = [name for name in os.listdir(directory) if os.path.isfile(os.path.join(directory, name))]
        texts = {name: _read(os.path.join(directory, name)) for name in names}
        secrets = os.path.join(directory, CREDENTIALS)
        # A slot of an earlier version of this collection has no such directory.
        credentials = {name: _read(os.path.join(secrets, name)) for name in files.names_in(secrets)}
        environment = texts.pop("env").rpartition(RELEASE_LINE)[0]
        del texts["slot.json"]
        unit, socket = texts.pop(UNIT_COPY, ""), texts.pop(SOCKET_COPY, "")
        return Snapshot(release, environment, texts, unit, socket, credentials)

    @property
    def unit_file(self) -> str:
        return os.path.join(self.units, f"{self.name}@.service")

    @property
    def daemons_file(self) -> str:
        """The unit of the slots' Oxmgr."""
        return os.path.join(self.units, f"{self.name}-oxmgr@.service")

    @property
    def socket_file(self) -> str:
        return os.path.join(self.units, f"{self.name}@.socket")

    def make(self, slot: str, snapshot: Snapshot, terms: dict[str, Any], group: str, booted: str = "") -> str:
        """A directory beside the slot's, filled with a snapshot; put() makes it the slot's.

        :param terms: how the release is brought to the traffic, kept for a rollback.
        :param booted: id of the release that the running processes were started with, where a reload keeps them: it has
            to stay on the host as long as they run.
        """
        parent = os.path.dirname(self.directory(slot))
        gid = _gid(group)
        os.makedirs(parent, exist_ok=True)
        os.chown(parent, 0, gid)
        os.chmod(parent, 0o751)
        new = tempfile.mkdtemp(dir=parent, prefix=f".{slot}-")
        try:
            os.chown(new, 0, gid)
            # A release that is open has static files, which the proxy comes for on this way.
            os.chmod(new, 0o751 if is_open(self.release_directory(snapshot.release)) else 0o750)
            if booted and booted != snapshot.release:
                os.symlink(os.path.join("..", "..", "releases", booted), os.path.join(new, "booted"))
            os.symlink(os.path.join("..", os.path.basename(new)), os.path.join(new, BESIDE))
            fill(new, snapshot)
            files.write(os.path.join(new, "slot.json"), _record(snapshot, terms), 0o600, 0, 0)
            for name, text in {**snapshot.files, UNIT_COPY: snapshot.unit, SOCKET_COPY: snapshot.socket}.items():
                files.write(os.path.join(new, name), text.encode(), 0o640, 0, gid)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return new

    def refill(self, slot: str, snapshot: Snapshot, terms: dict[str, Any], group: str) -> None:
        """Change Gunicorn's settings and the unit of a slot that nothing serves from; all else is as it was."""
        directory = self.directory(slot)
        files.write(os.path.join(directory, GUNICORN), snapshot.files[GUNICORN].encode(), 0o640, 0, _gid(group))
        files.write(os.path.join(directory, UNIT_COPY), snapshot.unit.encode(), 0o640, 0, _gid(group))
        files.write(os.path.join(directory, "slot.json"), _record(snapshot, terms), 0o600, 0, 0)

    def booted(self, slot: str) -> str:
        """The release that the slot's processes were started with; '' where the slot was never filled."""
        for link in ("booted", "release"):
            try:
                return os.path.basename(os.readlink(os.path.join(self.directory(slot), link)))
            except OSError:
                continue
        return ""

    def put(self, slot: str, new: str) -> None:
        """Make ``new`` the slot's directory; what was there is set aside as ``.<slot>.before``.

        In one step, because a service that is restarted by systemd at that moment has to find one of the two. Between
        that step and the next, what was there is where BESIDE in the slot's directory leads.
        """
        aside = os.path.join(self.root, "slots", f".{slot}.before")
        if os.path.isdir(self.directory(slot)):
            files.exchange(new, self.directory(slot))
            if new != aside:
                shutil.rmtree(aside, ignore_errors=True)
                os.rename(new, aside)
        else:
            os.rename(new, self.directory(slot))

    def aside(self, slot: str) -> str:
        """Where what the slot held before is kept, also where a run was killed within put()."""
        beside = os.path.join(self.directory(slot), BESIDE)
        before = os.path.join(self.root, "slots", f".{slot}.before")
        return os.path.realpath(beside) if os.path.isdir(beside) else before

    def restore(self, slot: str) -> bool:
        """Let the slot hold what it held before put(); False where nothing is kept of that, and nothing is changed."""
        aside = self.aside(slot)
        if not os.path.isdir(aside):
            return False
        self.put(slot, aside)
        return True

    def cut_off(self, slot: str) -> bool:
        """Whether a run that changed the slot in place ended before it had proved it: what runs may be the old one."""
        terms = self.held(slot).get("terms") or {}
        return terms.get("strategy") in ("restart", "reload") and os.path.isdir(self.aside(slot))

    def clear(self) -> None:
        """Remove what runs that were cut off have left beside the slots."""
        slots = os.path.join(self.root, "slots")
        for name in os.listdir(slots) if os.path.isdir(slots) else []:
            if name.startswith("."):
                shutil.rmtree(os.path.join(slots, name), ignore_errors=True)

    def follow(self, slot: str | None) -> None:
        """Let ``live``, where the proxy finds the release's static files, lead to the slot that has the traffic."""
        path = os.path.join(self.root, "live")
        if slot and not (os.path.islink(path) and os.readlink(path) == f"slots/{slot}"):
            files.link(f"slots/{slot}", path)

    def point_to(self, slot: str) -> None:
        """Move the traffic: one rename, so that a dial finds the old socket or the new one, never none."""
        self.follow(slot)
        files.link(self.socket(slot), self.link)
        files.sync_directory(self.root)


def fill(directory: str, snapshot: Snapshot) -> None:
    """Put into an empty directory, which is two below the app's, what a service of the release reads: the link to it,
    its environment and its credentials."""
    os.symlink(os.path.join("..", "..", "releases", snapshot.release), os.path.join(directory, "release"))
    environment = f'{snapshot.environment}{RELEASE_LINE}"{snapshot.release}"\n'
    files.write(os.path.join(directory, "env"), environment.encode(), 0o600, 0, 0)
    os.mkdir(os.path.join(directory, CREDENTIALS), 0o700)
    for name, text in snapshot.credentials.items():
        files.write(os.path.join(directory, CREDENTIALS, name), text.encode(), 0o600, 0, 0)


def _read(path: str) -> str:
    # As it is, with every kind of line end: it is written again, and has to be the same.
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _gid(group: str) -> int:
    return grp.getgrnam(group).gr_gid


def _record(snapshot: Snapshot, terms: dict[str, Any]) -> bytes:
    """The text of slot.json."""
    held = {"release": snapshot.release, "parts": snapshot.parts, "fingerprint": snapshot.fingerprint}
    return (json.dumps({**held, "terms": terms}) + "\n").encode()


def worker_count(settings: str) -> int:
    """How many workers the text of Gunicorn's settings asks for; 0 where it doesn't say."""
    match = WORKERS.search(settings)
    return int(match[1]) if match else 0


def is_open(tree: str) -> bool:
    """Whether a release has such directories."""
    try:
        return bool(os.stat(tree).st_mode & stat.S_IXOTH)
    except OSError:
        return False
