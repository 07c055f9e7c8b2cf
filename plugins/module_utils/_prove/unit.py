# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load client on the host: a transient unit that has no rights, is bounded, and writes where root alone can."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import Any

from .._host import files
from .._host.systemd import CommandFailed, Systemd

GRACE = 10
"""Seconds beside the longest request for what waits to be told."""
MEMORY = "256M"
FILES = 2048
"""Open files: a connection each, see client.py's MOST_OPEN."""


@dataclass(frozen=True)
class Place:
    """Where the client of one app is on the host.

    :param name: the app's.
    """

    name: str

    @property
    def unit(self) -> str:
        return f"{self.name}-prove.service"

    @property
    def directory(self) -> str:
        return f"/run/graceful-prove/{self.name}"

    def file(self, name: str) -> str:
        return os.path.join(self.directory, name)

    @property
    def rows(self) -> str:
        """What the client writes, by a descriptor that systemd has opened for it: it can't reach it by name."""
        return self.file("rows")


def properties(place: Place, seconds: float, timeout: float) -> list[str]:
    """What it may do, by systemd's names (systemd.exec(5)).

    :param seconds: for which it sends, at most.
    :param timeout: seconds for which a request may wait.
    """
    return [
        "Type=exec",
        f"Description=Numbered requests to {place.name}, see prove.yml of graceful.deploy",
        f"StandardInput=file:{place.file('wanted')}",
        f"StandardOutput=truncate:{place.rows}",
        f"StandardError=truncate:{place.file('errors')}",
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "PrivateDevices=yes",
        "ProtectHome=yes",
        "RestrictAddressFamilies=AF_INET AF_UNIX",
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        # What serves goes first, for CPU time and for memory.
        "Nice=5",
        "OOMScoreAdjust=900",
        f"MemoryMax={MEMORY}",
        "TasksMax=8",
        f"LimitNOFILE={FILES}",
        # The client ends by itself before either.
        f"RuntimeMaxSec={int(seconds + timeout) + GRACE}",
        f"TimeoutStopSec={int(timeout) + GRACE}",
    ]


def start(systemd: Systemd, place: Place, client: str, wanted: dict[str, Any], note: dict[str, Any]) -> None:
    """Start the client.

    :param client: the text of client.py.
    :param wanted: what it is given.
    :param note: what is to be known of it later, by who ends it.
    """
    shutil.rmtree(place.directory, ignore_errors=True)
    os.makedirs(os.path.dirname(place.directory), 0o711, exist_ok=True)
    os.mkdir(place.directory, 0o711)
    files.write(place.file("client.py"), client.encode(), 0o644)
    # A body may hold what is nobody's business.
    files.write(place.file("wanted"), json.dumps(wanted).encode(), 0o600)
    files.write(place.file("note"), json.dumps(note).encode(), 0o600)
    # systemd empties them, and leaves their mode.
    for name in ("rows", "errors"):
        files.write(place.file(name), b"", 0o600)
    command = ["systemd-run", "--quiet", "--collect", f"--unit={place.unit}"]
    command += [f"--property={line}" for line in properties(place, wanted["seconds"], wanted["timeout"])]
    status, out, err = systemd.run([*command, "/usr/bin/python3", "-BEsS", place.file("client.py")])
    if status:
        remove(place)
        raise CommandFailed(f"The load client didn't start on this host: {(err or out).strip()}")


def runs(systemd: Systemd, place: Place) -> bool:
    return systemd.show([place.unit])[place.unit].get("ActiveState") in ("active", "activating", "deactivating")


def stop(systemd: Systemd, place: Place) -> None:
    """Have it send no more, and wait until it has all answers. No failure: it may have ended by itself."""
    systemd.run(["systemctl", "stop", "--", place.unit])


def note(place: Place) -> dict[str, Any]:
    """What is known of the client that was started last; empty where none was."""
    try:
        return dict(json.loads(files.read_text(place.file("note"))))
    except (ValueError, TypeError):
        return {}


def remove(place: Place) -> None:
    shutil.rmtree(place.directory, ignore_errors=True)
