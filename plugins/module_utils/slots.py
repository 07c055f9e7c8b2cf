# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two slots of an app on disk: a slot's frozen configuration, and the link that says which one is live."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass

SLOTS = ("blue", "green")


@dataclass(frozen=True)
class Snapshot:
    """What a slot is started with.

    :param release: id of the release.
    :param environment: text of the environment file; secret.
    :param files: the slot's other files, text by name.
    :param unit: text of the unit, which is shared by the slots and only counted here.
    """

    release: str
    environment: str
    files: dict[str, str]
    unit: str

    @property
    def fingerprint(self) -> str:
        """Equal for equal snapshots. Root alone may read where it is kept, because the environment is part of it."""
        parts = [self.release, self.environment, self.unit, *(f"{k}\0{v}" for k, v in sorted(self.files.items()))]
        return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class App:
    """Names and paths of one app's slots.

    :param name: the app's name, which its units carry.
    :param root: its directory.
    """

    name: str
    root: str

    @property
    def link(self) -> str:
        return os.path.join(self.root, "live.sock")

    def service(self, slot: str) -> str:
        return f"{self.name}@{slot}.service"

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
        except FileNotFoundError:
            return None
        return slot if slot in SLOTS else None

    def held(self, slot: str) -> dict[str, str]:
        """What ``slot.json`` says: ``release`` and ``fingerprint``; empty where the slot was never filled."""
        try:
            with open(os.path.join(self.directory(slot), "slot.json"), encoding="utf-8") as file:
                return dict(json.load(file))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}

    def fill(self, slot: str, snapshot: Snapshot, group: str) -> None:
        """Put a snapshot into a slot: made beside, then renamed, so that a slot is whole or as it was."""
        parent = os.path.dirname(self.directory(slot))
        gid = grp.getgrnam(group).gr_gid
        new = tempfile.mkdtemp(dir=parent, prefix=f".{slot}-")
        try:
            os.chown(new, 0, gid)
            os.chmod(new, 0o750)
            os.symlink(os.path.join("..", "..", "releases", snapshot.release), os.path.join(new, "release"))
            environment = f'{snapshot.environment}FASTAPI_RELEASE="{snapshot.release}"\n'
            record = json.dumps({"release": snapshot.release, "fingerprint": snapshot.fingerprint})
            _write(os.path.join(new, "env"), environment, 0o600, 0)
            _write(os.path.join(new, "slot.json"), record + "\n", 0o600, 0)
            for name, text in snapshot.files.items():
                _write(os.path.join(new, name), text, 0o640, gid)
            self.put(slot, new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def put(self, slot: str, new: str) -> None:
        """Rename ``new`` to the slot's directory; what was there is set aside as ``.<slot>.before``."""
        aside = self.aside(slot)
        shutil.rmtree(aside, ignore_errors=True)
        if os.path.isdir(self.directory(slot)):
            os.rename(self.directory(slot), aside)
        os.rename(new, self.directory(slot))

    def aside(self, slot: str) -> str:
        return os.path.join(self.root, "slots", f".{slot}.before")

    def point_to(self, slot: str) -> None:
        """Move the traffic: one rename, so that a dial finds the old socket or the new one, never none."""
        temporary = f"{self.link}.new"
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.symlink(self.socket(slot), temporary)
        os.rename(temporary, self.link)


def _write(path: str, text: str, mode: int, gid: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chown(path, 0, gid)
    os.chmod(path, mode)
