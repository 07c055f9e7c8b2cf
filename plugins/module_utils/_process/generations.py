# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The generations of what runs beside an app's web workers: each a frozen release, environment and credentials.

A generation isn't a slot: a job of ten minutes may keep an old one at work while two deploys take over from another.
``live`` leads to the one that a reboot starts, and is moved in one step.
"""

from __future__ import annotations

import dataclasses
import grp
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import Any

from .._app.slots import App, Snapshot, fill
from .._app.words import GENERATIONS
from .._host import files
from .specs import NOTHING, Beside, from_record

RECORD = "generation.json"
_NEW = ".new-"
PARTS = ("the environment", "the unit", "the credentials")
"""What of a slot's snapshot counts for what runs beside it."""


def fingerprint(wanted: Snapshot, beside: Beside) -> str:
    """Equal for equal generations."""
    parts = {name: wanted.parts[name] for name in PARTS}
    text = json.dumps([wanted.release, parts, dataclasses.asdict(beside)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Generations:
    """Those of one app."""

    app: App

    @property
    def directory(self) -> str:
        return os.path.join(self.app.root, GENERATIONS)

    def path(self, number: int) -> str:
        return os.path.join(self.directory, str(number))

    def numbers(self) -> list[int]:
        return sorted(int(name) for name in files.names_in(self.directory) if name.isdecimal())

    def live(self) -> int:
        """0 where there is none."""
        try:
            name = os.readlink(os.path.join(self.directory, "live"))
        except OSError:
            return 0
        return int(name) if name.isdecimal() and os.path.isdir(self.path(int(name))) else 0

    def record(self, number: int) -> dict[str, Any]:
        """What its generation.json says; empty where there is none, or nobody can read it."""
        try:
            record = json.loads(files.read_text(os.path.join(self.path(number), RECORD)))
        except (ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}

    def held(self, number: int) -> Beside:
        """What a generation runs."""
        try:
            return from_record(self.record(number))
        except (KeyError, TypeError, ValueError):
            return NOTHING

    def make(self, wanted: Snapshot, beside: Beside, asked: Beside, group: str) -> str:
        """A directory, filled; put() makes it a generation.

        :param asked: what the variables say, of which the release may lack some.
        """
        gid = grp.getgrnam(group).gr_gid
        os.makedirs(self.directory, exist_ok=True)
        os.chown(self.directory, 0, gid)
        os.chmod(self.directory, 0o751)
        new = tempfile.mkdtemp(dir=self.directory, prefix=_NEW)
        try:
            os.chown(new, 0, gid)
            os.chmod(new, 0o750)
            fill(new, wanted)
            for process in beside.processes:
                if process.environment:
                    path = os.path.join(new, f"env.{process.name}")
                    files.write(path, process.environment.encode(), 0o600, 0, 0)
            record = {"release": wanted.release, "fingerprint": fingerprint(wanted, beside), "proved": False}
            record |= {**dataclasses.asdict(beside), "asked": dataclasses.asdict(asked)}
            self._write(new, record)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return new

    def put(self, new: str) -> int:
        """Its number, from now on."""
        number = max(self.numbers(), default=0) + 1
        # What the unit's condition asks for: `live` has it when it leads here.
        files.write(os.path.join(new, str(number)), b"", 0o600, 0, 0)
        os.rename(new, self.path(number))
        files.sync_directory(self.directory)
        return number

    def point_to(self, number: int) -> None:
        """0 takes the link away."""
        path = os.path.join(self.directory, "live")
        if not os.path.isdir(self.directory):
            return
        if number:
            files.link(str(number), path)
        elif os.path.islink(path):
            os.unlink(path)
        files.sync_directory(self.directory)

    def prove(self, number: int) -> None:
        """Note that it ran well."""
        self._write(self.path(number), self.record(number) | {"proved": True})

    def remove(self, number: int) -> None:
        shutil.rmtree(self.path(number), ignore_errors=True)

    def clear(self) -> None:
        """Remove what runs that were cut off have left, and the directory where nothing is in it any more."""
        for name in files.names_in(self.directory):
            if name.startswith(_NEW):
                shutil.rmtree(os.path.join(self.directory, name), ignore_errors=True)
        if os.path.isdir(self.directory) and not files.names_in(self.directory):
            os.rmdir(self.directory)

    def _write(self, directory: str, record: dict[str, Any]) -> None:
        files.write(os.path.join(directory, RECORD), (json.dumps(record) + "\n").encode(), 0o600, 0, 0)


def asked_by(app: App) -> Beside | None:
    """What is to run beside them by the variables of the last deploy; None where nobody can read that."""
    store = Generations(app)
    record = store.record(store.live())
    if not store.live():
        return NOTHING
    try:
        return from_record(record.get("asked") or record)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def held_by(app: App) -> Beside:
    """What runs beside the app's web workers now."""
    store = Generations(app)
    return store.held(store.live())
