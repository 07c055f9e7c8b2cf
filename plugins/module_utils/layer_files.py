# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories and files of a layer: compared, staged, vetted by the program that reads them, then renamed in place."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import CommandFailed, Run

SECRET = "(secret: not shown)\n"
MARK = b"# Written by Ansible (graceful.deploy."


@dataclass(frozen=True)
class Wanted:
    """One path as it should be. ``content`` is None for a directory; ``absent`` wants it gone."""

    path: str
    owner: str
    group: str
    mode: int
    content: bytes | None = None
    secret: bool = False
    absent: bool = False
    package: str | None = None
    needs_line: str = ""

    @classmethod
    def directory(cls, options: dict[str, Any]) -> Wanted:
        return cls(options["path"], options["owner"], options["group"], int(options["mode"], 8))

    @classmethod
    def file(cls, options: dict[str, Any], secrets: dict[str, str]) -> Wanted:
        secret = options["path"] in secrets
        text = secrets[options["path"]] if secret else options["content"]
        absent = options["state"] == "absent"
        content = None if text is None else text.encode()
        mode = int(options["mode"], 8)
        own = (options["path"], options["owner"], options["group"], mode, content, secret, absent)
        return cls(*own, options["package"], options["needs_line"])


@dataclass(frozen=True)
class Found:
    """One path as it is: all None where nothing is there. ``kind`` is ``file``, ``directory`` or ``other``."""

    kind: str | None = None
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    content: bytes | None = None
    changed_at: float = 0.0


def _name(number: int, table: Any) -> str:
    try:
        return table(number)[0]
    except KeyError:
        return str(number)


def look(path: str) -> Found:
    """What is at ``path`` now, without following a symbolic link."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Found()
    kind = "file" if stat.S_ISREG(status.st_mode) else "directory" if stat.S_ISDIR(status.st_mode) else "other"
    content = None
    if kind == "file":
        with open(path, "rb") as file:
            content = file.read()
    owner, group = _name(status.st_uid, pwd.getpwuid), _name(status.st_gid, grp.getgrgid)
    return Found(kind, owner, group, stat.S_IMODE(status.st_mode), content, status.st_ctime)


@dataclass
class Difference:
    """What separates a path from how it should be; feeds both ``changed`` and the diff."""

    wanted: Wanted
    found: Found

    @property
    def content(self) -> bool:
        if self.wanted.absent:
            return self.found.kind is not None
        if self.wanted.content is None:
            return self.found.kind != "directory"
        return self.found.content != self.wanted.content

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
                None if self.wanted.absent else "directory" if self.wanted.content is None else "file",
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
        return head + (SECRET if self.wanted.secret else content.decode(errors="replace"))


def packaged_digests(conffiles: str) -> dict[str, str]:
    """MD5 of each configuration file as its package brought it, from ``dpkg-query -W -f '${Conffiles}'``."""
    rows = [line.split() for line in conffiles.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def somebody_elses(run: Run, wanted: Wanted, found: Found) -> bool:
    """Whether a package's configuration file was written by a person: neither as packaged nor one of ours.

    :raises CommandFailed: when it is, and lacks the line that makes it work with ours.
    """
    if wanted.package is None or found.content is None or found.content.startswith(MARK):
        return False
    packaged = packaged_digests(run(["dpkg-query", "-W", "-f", "${Conffiles}\\n", "--", wanted.package])[1])
    if hashlib.md5(found.content, usedforsecurity=False).hexdigest() == packaged.get(wanted.path):
        return False
    lines = {line.strip() for line in found.content.decode(errors="replace").splitlines()}
    if wanted.needs_line not in lines:
        raise CommandFailed(
            f"{wanted.path} is your own, so it is left alone, but it doesn't import what is written beside it. "
            f"Add this line to it, and run again: {wanted.needs_line}"
        )
    return True


def compare(run: Run, wanted: list[Wanted]) -> list[Difference]:
    """Look at every path; a package's file that somebody else wrote is left out."""
    differences = [Difference(item, look(item.path)) for item in wanted]
    return [d for d in differences if not somebody_elses(run, d.wanted, d.found)]


@dataclass
class Undo:
    """How the paths were before, so that a failed reload leaves nothing of the attempt."""

    before: list[tuple[str, Found]] = field(default_factory=list)

    def restore(self) -> None:
        for path, found in reversed(self.before):
            if found.kind is None and os.path.isdir(path):
                os.rmdir(path)
            elif found.kind is None:
                if os.path.lexists(path):
                    os.unlink(path)
            elif found.kind == "file":
                _write(Wanted(path, str(found.owner), str(found.group), found.mode or 0, found.content))


def _own(path: str, wanted: Wanted) -> None:
    os.chown(path, pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid)
    os.chmod(path, wanted.mode)


def _write(wanted: Wanted, path: str | None = None) -> None:
    """Write beside and rename, owner and mode set before the name is there: never half, never readable too early."""
    path = path or wanted.path
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".graceful-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(wanted.content or b"")
            file.flush()
            os.fsync(file.fileno())
        _own(temporary, wanted)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def apply(differences: list[Difference]) -> Undo:
    """Make every path as wanted, in the order given.

    :raises OSError: after having put back what was changed so far.
    """
    undo = Undo()
    try:
        for difference in differences:
            if not difference.any:
                continue
            wanted = difference.wanted
            undo.before.append((wanted.path, difference.found))
            if wanted.absent:
                os.unlink(wanted.path)
            elif wanted.content is not None:
                _write(wanted)
            else:
                if difference.content:
                    os.makedirs(wanted.path, mode=0o700)
                _own(wanted.path, wanted)
    except (OSError, KeyError):
        undo.restore()
        raise
    return undo


def vet(run: Run, tree: str, command: list[str], user: str | None, differences: list[Difference]) -> None:
    """Have the real program read a copy of ``tree`` with the new files in it, before any of them lands.

    :param command: its ``{tree}`` is replaced by the copy's path.
    :param user: who runs it, so that what the program writes while it looks belongs to the service's user.
    :raises CommandFailed: with what the program said.
    """
    with tempfile.TemporaryDirectory(prefix="graceful-vet-") as parent:
        copy = os.path.join(parent, "tree")
        if os.path.isdir(tree):
            shutil.copytree(tree, copy, symlinks=True)
        for difference in differences:
            wanted = difference.wanted
            relative = os.path.relpath(wanted.path, tree)
            if relative.startswith(".."):
                continue
            target = os.path.join(copy, relative)
            if wanted.absent:
                if os.path.lexists(target):
                    os.unlink(target)
            elif wanted.content is None:
                os.makedirs(target, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(wanted.content)
        prefix = []
        if user:
            run(["chown", "-R", user, parent])
            prefix = ["runuser", "-u", user, "--", "env", f"HOME={parent}"]
        status, out, err = run([*prefix, *(word.replace("{tree}", copy) for word in command)])
        if status:
            said = (err or out).strip().replace(copy, tree)
            raise CommandFailed(f"{command[0]} refuses the new configuration, so nothing was changed: {said}")
