# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories and files of a layer: how they should be, how they are, and what separates the two. Changes nothing."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from typing import Any

from .._app.words import MARK
from .._host.files import named
from .._host.systemd import CommandFailed, Run

SECRET = "(secret: not shown)\n"


@dataclass(frozen=True)
class Wanted:
    """One path as it should be. ``content`` is None for a directory, of a ``link`` the path that it holds; ``absent``
    wants it gone."""

    path: str
    owner: str
    group: str
    mode: int
    content: bytes | None = None
    secret: bool = False
    absent: bool = False
    package: str | None = None
    needs_line: str = ""
    link: bool = False

    @property
    def kind(self) -> str:
        return "link" if self.link else "directory" if self.content is None else "file"

    @classmethod
    def directory(cls, options: dict[str, Any]) -> Wanted:
        return cls(options["path"], options["owner"], options["group"], int(options["mode"], 8))

    @classmethod
    def file(cls, options: dict[str, Any], secrets: dict[str, str]) -> Wanted:
        secret = options["path"] in secrets
        link = options.get("link")
        text = link or (secrets[options["path"]] if secret else options["content"])
        absent = options["state"] == "absent"
        content = None if text is None else text.encode()
        # A link has no permissions of its own.
        mode = 0o777 if link else int(options["mode"], 8)
        own = (options["path"], options["owner"], options["group"], mode, content, secret, absent)
        return cls(*own, options["package"], options["needs_line"], bool(link))


@dataclass(frozen=True)
class Found:
    """One path as it is: all None where nothing is there. ``kind`` is ``file``, ``directory``, ``link`` or ``other``.

    ``content`` is a file's, or of a link the path that it holds.
    """

    kind: str | None = None
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    content: bytes | None = None


def look(path: str) -> Found:
    """What is at ``path`` now, without following a symbolic link."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Found()
    kind = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}.get(
        stat.S_IFMT(status.st_mode), "other"
    )
    content = None
    if kind == "file":
        with open(path, "rb") as file:
            content = file.read()
    elif kind == "link":
        content = os.fsencode(os.readlink(path))
    owner, group = named(pwd.getpwuid, status.st_uid), named(grp.getgrgid, status.st_gid)
    return Found(kind, owner, group, stat.S_IMODE(status.st_mode), content)


def changed_at(path: str) -> float:
    """When a path last changed, seconds since the epoch; of one that is gone, when its directory did."""
    try:
        return os.lstat(path).st_ctime
    except (FileNotFoundError, NotADirectoryError):
        pass
    try:
        return os.stat(os.path.dirname(path)).st_mtime
    except OSError:
        return 0.0


@dataclass
class Difference:
    """What separates a path from how it should be; feeds both ``changed`` and the diff."""

    wanted: Wanted
    found: Found

    @property
    def content(self) -> bool:
        if self.wanted.absent:
            return self.found.kind is not None
        if self.found.kind != self.wanted.kind:
            return True
        return self.wanted.kind != "directory" and self.found.content != self.wanted.content

    @property
    def any(self) -> bool:
        if self.wanted.absent:
            return self.content
        now = (self.found.owner, self.found.group, self.found.mode)
        return self.content or now != (self.wanted.owner, self.wanted.group, self.wanted.mode)

    def diff(self) -> dict[str, str]:
        """As Ansible's ``--diff`` shows it; a secret's text is never in it."""
        return {
            "before_header": self.wanted.path,
            "after_header": self.wanted.path,
            "before": self._text(
                self.found.kind, self.found.owner, self.found.group, self.found.mode, self.found.content
            ),
            "after": self._text(
                None if self.wanted.absent else self.wanted.kind,
                self.wanted.owner,
                self.wanted.group,
                self.wanted.mode,
                self.wanted.content,
            ),
        }

    def _text(self, kind: str | None, owner: Any, group: Any, mode: int | None, content: bytes | None) -> str:
        if kind is None:
            return ""
        head = f"# {kind} {owner}:{group} {mode or 0:04o}\n"
        if content is None or not self.content:
            return head
        # What not everybody on the host may read isn't for all who read the run: a list of users that goes, say.
        secret = self.wanted.secret or not (mode or 0) & 0o004
        return head + (SECRET if secret else content.decode(errors="replace"))


def packaged_digests(conffiles: str) -> dict[str, str]:
    """MD5 of each configuration file as its package brought it, from ``dpkg-query -W -f '${Conffiles}'``."""
    rows = [line.split() for line in conffiles.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def somebody_elses(run: Run, wanted: Wanted, found: Found) -> bool:
    """Whether a package's configuration file was written by a person: neither as packaged nor one of ours. Of a secret
    that isn't wanted, whether others may read it: ours they may not.

    :raises CommandFailed: when it is, and lacks the line that makes it work with ours.
    """
    if wanted.absent and wanted.secret:
        return found.kind != "file" or bool((found.mode or 0) & 0o077)
    path = wanted.path
    if found.kind == "link" and wanted.absent:
        path = os.path.realpath(path)
        found = look(path)
    if wanted.package is None or found.content is None or found.content.startswith(MARK.encode()):
        return False
    packaged = packaged_digests(run(["dpkg-query", "-W", "-f", "${Conffiles}\\n", "--", wanted.package])[1])
    if hashlib.md5(found.content, usedforsecurity=False).hexdigest() == packaged.get(path):
        return False
    if wanted.absent:
        return True
    lines = {line.strip() for line in found.content.decode(errors="replace").splitlines()}
    if wanted.needs_line not in lines:
        raise CommandFailed(
            f"{wanted.path} is your own, so it is left alone, but it doesn't import what is written beside it. "
            f"Add this line to it, and run again: {wanted.needs_line}"
        )
    return True


def refuse_other(wanted: Wanted, found: Found) -> None:
    """Refuse what stands in a directory's place. Below a link root would write wherever somebody lets it lead."""
    if wanted.absent or wanted.content is not None or found.kind in (None, "directory"):
        return
    has = f"{wanted.path} on the host has to be a directory"
    if found.kind != "link":
        raise CommandFailed(f"{has}, and something else is there. Move it away.")
    leads = os.path.realpath(wanted.path)
    raise CommandFailed(
        f"{has}, and is a link to {leads}. Write that in place of {wanted.path}, or move the link away."
    )


def compare(run: Run, wanted: list[Wanted]) -> list[Difference]:
    """Look at every path; a package's file that somebody else wrote is left out.

    :raises CommandFailed: where something else is in a directory's place, or as somebody_elses().
    """
    differences = [Difference(item, look(item.path)) for item in wanted]
    for difference in differences:
        refuse_other(difference.wanted, difference.found)
    return [d for d in differences if not somebody_elses(run, d.wanted, d.found)]
