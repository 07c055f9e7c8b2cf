# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands of an app's, run as its service is: user, environment, credentials, sandbox, release. And notes of them.

The role deploy_user also installs this file, for the command NAME-run, so it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SETTING = re.compile(
    "AmbientCapabilities|CapabilityBoundingSet|IPAddress(Allow|Deny)|KeyringMode|LockPersonality|RemoveIPC|"
    "MemoryDenyWriteExecute|NoNewPrivileges|ProcSubset|SocketBind(Allow|Deny)|SupplementaryGroups|TasksMax|"
    "TemporaryFileSystem|UMask|Device(Allow|Policy)|(Private|Protect|Restrict)[A-Z][A-Za-z]+|"
    "SystemCall(Architectures|ErrorNumber|Filter|Log)|Bind(ReadOnly)?Paths|"
    "(Exec|Inaccessible|NoExec|ReadOnly|ReadWrite)Paths|Limit[A-Z]+"
)
"""Names of the settings that say what a service may do (systemd.exec(5), systemd.resource-control(5))."""
_SLOT = re.compile(r"/\S*/slots/%i(?=/)")

HOME = "home"
"""Name of the directory in the app's that is HOME to it: libraries keep caches there, and settings of their own."""
COMMANDS = "commands"
"""Name of the directory in the app's with a note of each command, which root alone may read."""


@dataclass(frozen=True)
class Place:
    """Where and as whom a command runs.

    :param name: of the app.
    :param directory: of a filled slot, with ``env`` and ``release`` in it.
    :param unit: text of the service's unit: a command gets the sandbox and the credentials that it has.
    :param chosen: the directory of another release than the slot's; '' for that.
    """

    name: str
    user: str
    group: str
    directory: str
    unit: str = ""
    chosen: str = ""

    @property
    def root(self) -> str:
        return os.path.dirname(os.path.dirname(self.directory))

    @property
    def release(self) -> str:
        """The release itself: the link to it moves."""
        return self.chosen or os.path.realpath(os.path.join(self.directory, "release"))

    @property
    def home(self) -> str:
        return os.path.join(self.root, HOME)


def settings(unit: str, directory: str) -> list[str]:
    """The ``NAME=value`` lines of a unit's sandbox, its credentials among them, for a command that gets the same.

    :param unit: text of the service unit, a template for slots.
    :param directory: of the filled slot that the command runs for.
    """
    found = []
    for line in unit.split("\n"):
        name, separator, _value = line.partition("=")
        if separator and (SETTING.fullmatch(name) or name == "LoadCredential"):
            found.append(_SLOT.sub(lambda _match: directory, line))
    return found


def command_line(place: Place, unit: str, command: list[str], how: Sequence[str], more: Sequence[str]) -> list[str]:
    """The ``systemd-run`` that runs ``command``; nothing of the environment is in it.

    :param unit: the last part of the transient unit's name. A second one of the same name is refused by systemd.
    :param how: options of systemd-run that say what becomes of its output.
    :param more: further properties of the unit.
    """
    properties = {
        "User": place.user,
        "Group": place.group,
        "WorkingDirectory": place.release,
        "EnvironmentFile": os.path.join(place.directory, "env"),
        "Environment": f"FASTAPI_NAME={place.name} PYTHONUNBUFFERED=1 TMPDIR=/var/tmp HOME={place.home}",
    }
    lines = [f"{key}={value}" for key, value in properties.items()] + settings(place.unit, place.directory)
    # Not a name that a unit of somebody's may have.
    words = ["systemd-run", "--quiet", "--collect", f"--unit=graceful-{place.name}-{unit}", "--service-type=exec"]
    words += [*how, *(f"--property={line}" for line in [*lines, *more])]
    # systemd expands variables in the words of a command; twice the sign is the sign.
    return [*words, "--", *(word.replace("$", "$$") for word in command)]


def shell(place: Place, line: str, words: Sequence[str] = ()) -> list[str]:
    """A line of the user's for the shell: the release's programs come first, and Python finds what Gunicorn would.

    :param words: what the line finds as "$@".
    """
    release = place.release
    paths = f"PATH={release}/.venv/bin:$PATH PYTHONPATH={release}${{PYTHONPATH:+:$PYTHONPATH}}"
    return ["/bin/sh", "-ec", f"export {paths}\n{line}", *((place.name, *words) if words else ())]


def text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def boot() -> str:
    """Which boot of the host this is."""
    return text_of("/proc/sys/kernel/random/boot_id").strip()


class Notes:
    """What is known of an app's commands, a file each; not what they printed.

    A note has ``started``, ``by``, ``command``, ``release``, ``boot``, and at its end ``ended``, ``status``, ``why``.
    """

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, COMMANDS)

    def path(self, number: str, kind: str = "json") -> str:
        return os.path.join(self.directory, f"{number}.{kind}")

    def read(self, number: str) -> dict[str, Any]:
        """Empty where there is none, or nobody can read it."""
        try:
            note = json.loads(text_of(self.path(number)))
        except (ValueError, RecursionError):
            return {}
        return note if isinstance(note, dict) else {}

    def numbers(self) -> list[str]:
        """Of all that are there, the oldest first."""
        with contextlib.suppress(OSError):
            return sorted(entry[: -len(".json")] for entry in os.listdir(self.directory) if entry.endswith(".json"))
        return []


def last(root: str, count: int) -> list[dict[str, str]]:
    """The last commands, the newest first: ``started``, ``release``, ``by``, ``command`` and ``outcome``."""
    notes = Notes(root)
    found = map(notes.read, reversed(notes.numbers()[-count:]))
    return [
        {**{key: str(note.get(key, "")) for key in ("started", "release", "by", "command")}, "outcome": _outcome(note)}
        for note in found
    ]


def _outcome(note: dict[str, Any]) -> str:
    if "ended" not in note:
        return "running" if is_running(note) else "cut off"
    return str(note.get("why") or f"status {note.get('status')}")


def is_running(note: dict[str, Any]) -> bool:
    """Whether a command is at work: one that a reboot has cut off says nothing of its end."""
    return "ended" not in note and note.get("boot") == boot()


def running_from(root: str) -> set[str]:
    """Ids of the releases that commands run from right now, and whatever else is at work in one: a timer's run."""
    notes = Notes(root)
    found = {str(note.get("release", "")) for note in map(notes.read, notes.numbers()) if is_running(note)}
    inside = os.path.join(root, "releases", "")
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            place = os.readlink(f"/proc/{pid}/cwd")
            found |= {place[len(inside) :].partition("/")[0]} if place.startswith(inside) else set()
    return found
