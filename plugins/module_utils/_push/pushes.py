# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of the pushes that a host took: a file each, by the user who deploys, which `status` reads as root."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass

from .._host.files import names_in, sync_directory, write

TAKEN = "/var/lib/graceful-webhook/{name}/queue"
"""Pushes that wait, as the user who listens wrote them."""
STATES = "/var/lib/graceful-deploys/{name}/pushes"
KEPT = 100
_FILE = re.compile(r"\d{8,12}\.json", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_REF = re.compile(r"refs/(heads|tags)/[^\x00-\x20\x7f~^:?*\[\\]{1,200}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?", re.ASCII)
# More is no push of ours.
_LARGEST = 1 << 16
HIGHEST = 10**12 - 1

WAITING, RUNNING, DEPLOYED, FAILED = "waiting", "running", "deployed", "failed"
OVERTAKEN, PASSED_OVER, CUT_OFF = "overtaken", "not deployed", "cut off"
_KNOWN = {WAITING, RUNNING, DEPLOYED, FAILED, OVERTAKEN, PASSED_OVER, CUT_OFF}


@dataclass(frozen=True)
class Push:
    """One push, and what became of it.

    :param ref: whole, such as refs/heads/main.
    :param received: and `started`, `ended`: times in UTC, '' where that hasn't been yet.
    :param reason: why it failed or wasn't deployed, on one line.
    :param tries: how often it was begun.
    """

    number: int
    ref: str
    commit: str
    by: str = "unknown"
    received: str = ""
    state: str = WAITING
    started: str = ""
    ended: str = ""
    reason: str = ""
    tries: int = 0

    @property
    def branch(self) -> bool:
        return self.ref.startswith("refs/heads/")

    @property
    def name(self) -> str:
        """Of the branch or tag alone."""
        return self.ref.partition("/")[2].partition("/")[2]

    @property
    def deployer(self) -> str:
        """As the history and whoever is told have it."""
        return f"push {self.number} by {self.by}"

    def now(self, **changes: object) -> Push:
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"push {self.number} ({self.name} at {self.commit[:12]}, by {self.by})"


def read(path: str) -> Push | None:
    """The push that a file tells of; None for what is none. Another user wrote it, so nothing of it is believed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            found = json.loads(file.read(_LARGEST))
        push = Push(**{field.name: found[field.name] for field in dataclasses.fields(Push) if field.name in found})
        named = int(os.path.basename(path).partition(".")[0])
        return push.now(by=person(push.by), reason=_line(push.reason)) if _good(push) and push.number == named else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _good(push: Push) -> bool:
    """Whether all of it is what it says to be.

    :raises TypeError: where something is of another type.
    """
    return bool(
        type(push.number) is type(push.tries) is int
        and 0 < push.number <= HIGHEST
        and 0 <= push.tries <= HIGHEST
        and _REF.fullmatch(push.ref)
        and push.ref.isprintable()
        and _COMMIT.fullmatch(push.commit)
        and all(_TIME.fullmatch(time) for time in (push.received, push.started, push.ended))
        and push.state in _KNOWN
        and isinstance(push.by, str)
        and isinstance(push.reason, str)
    )


def person(text: str) -> str:
    """A name as the git server has it, without what Ansible would take for a template."""
    return re.sub(r"[^\w .@+-]", "", text)[:100].strip() or "unknown"


def _line(text: str) -> str:
    """On one line, and without what a terminal would take for its own."""
    return "".join(char if char.isprintable() else " " for char in text)[:500]


def numbers(directory: str) -> list[str]:
    """The files of pushes in a directory, the oldest first."""
    return sorted((name for name in names_in(directory) if _FILE.fullmatch(name)), key=lambda name: int(name[:-5]))


def pushes(directory: str) -> list[Push]:
    """Those that a directory tells of, the oldest first."""
    return [push for name in numbers(directory) if (push := read(os.path.join(directory, name)))]


def note(directory: str, push: Push) -> None:
    """Write down what has become of a push, on the disk when this returns."""
    text = json.dumps(dataclasses.asdict(push)) + "\n"
    write(os.path.join(directory, f"{push.number:08}.json"), text.encode(), 0o640)
    sync_directory(directory)


def prune(directory: str) -> None:
    """Forget the oldest, but for those that are still to come to their end."""
    for name in numbers(directory)[:-KEPT]:
        path = os.path.join(directory, name)
        push = read(path)
        if not push or push.state not in (WAITING, RUNNING):
            os.unlink(path)


def known(name: str) -> list[Push]:
    """All pushes of an app that this host knows, the oldest first; none where it takes none."""
    states = {push.number: push for push in pushes(STATES.format(name=name))}
    return [*states.values(), *(push for push in pushes(TAKEN.format(name=name)) if push.number not in states)]
