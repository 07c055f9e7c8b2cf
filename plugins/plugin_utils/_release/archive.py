# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens the app's source where it is an archive, without letting it write anywhere but into its own directory."""

from __future__ import annotations

import calendar
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ...module_utils._app.releases import ReleaseError
from ...module_utils._release.archive import is_safe_link, is_safe_path


@dataclass(frozen=True)
class Member:
    """One thing in an archive.

    :param kind: 'file', 'directory', 'link' or 'other'.
    :param when: time of its last change, which tells two sets of shipped wheels apart.
    :param open: gives the content of a file.
    """

    path: str
    kind: str
    executable: bool
    target: str
    when: float
    open: Callable[[], BinaryIO | None]


def _meant(source: str) -> str:
    """What to write where somebody counted a path from where they are, and Ansible from the playbook."""
    here, parts = os.getcwd(), source.strip("/").split("/")
    for begin in range(len(parts)):
        path = os.path.join(here, *parts[begin:])
        if os.path.exists(path):
            return f"A relative path counts from the playbook's directory. Write fastapi_source: {path}."
    return ""


def open_source(source: str, workdir: str) -> str:
    """The directory to ship: `source` itself, or what it unpacks to below `workdir`."""
    if os.path.isdir(source):
        return source
    if not os.path.exists(source):
        wrong = f"fastapi_source is {source}, and there is nothing of that name on the control node."
        raise ReleaseError(f"{wrong} {_meant(source)}".rstrip())
    into = os.path.join(workdir, "source")
    os.mkdir(into, 0o700)
    try:
        if tarfile.is_tarfile(source):
            with tarfile.open(source, "r:*") as tar:
                unpack_members(_tar_members(tar), into)
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                unpack_members(_zip_members(archive), into)
        else:
            raise ReleaseError(
                f"fastapi_source is {source}, which is neither a directory nor an archive (.tar.gz, .tgz, .tar, .zip)."
            )
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, KeyError) as error:
        # RuntimeError: a zip file with a password. KeyError: a hard link to nothing.
        raise ReleaseError(f"fastapi_source is {source}, and can't be unpacked: {error}") from error
    except ReleaseError as error:
        raise ReleaseError(str(error).replace("ARCHIVE", f"fastapi_source ({source})")) from None
    return single_top(into)


def single_top(directory: str) -> str:
    """An archive usually holds one directory, which is no part of the source."""
    names = os.listdir(directory)
    only = os.path.join(directory, names[0]) if len(names) == 1 else ""
    return only if only and os.path.isdir(only) and not os.path.islink(only) else directory


def unpack_members(members: Iterator[Member], into: str) -> None:
    """Write the members. Symlinks come last, so that nothing is written through one."""
    links: dict[str, str] = {}
    for member in members:
        path = member.path.removeprefix("./").rstrip("/")
        if path in ("", ".") and member.kind == "directory":
            continue
        if not is_safe_path(path):
            raise ReleaseError(f"ARCHIVE has a member whose path leads out of it: {member.path!r}.")
        if member.kind == "other":
            raise ReleaseError(
                f"ARCHIVE has a member that is neither a file, a directory nor a symlink: {member.path!r}."
            )
        place = os.path.join(into, path)
        if member.kind == "directory":
            os.makedirs(place, exist_ok=True)
        elif member.kind == "link":
            if not is_safe_link(path, member.target):
                raise ReleaseError(f"ARCHIVE has a symlink that leads out of it: {path!r} to {member.target!r}.")
            links[path] = member.target
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            _write(member, place)
    for path, target in links.items():
        place = os.path.join(into, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.lexists(place):
            raise ReleaseError(f"ARCHIVE has {path!r} twice, once as a symlink.")
        os.symlink(target, place)


def _write(member: Member, place: str) -> None:
    # As tar does, the later of two members of one name wins.
    if os.path.lexists(place):
        os.unlink(place)
    content = member.open()
    if content is None:
        raise ReleaseError(f"ARCHIVE has a member without content: {member.path!r}.")
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700 if member.executable else 0o600)
    with content, os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
    os.utime(place, (member.when, member.when))


def _tar_members(tar: tarfile.TarFile) -> Iterator[Member]:
    for item in tar:
        # A hard link is one more name of a file in the archive: tarfile finds its content.
        kind = (
            "file"
            if item.isreg() or item.islnk()
            else "directory"
            if item.isdir()
            else "link"
            if item.issym()
            else "other"
        )
        if item.islnk() and not is_safe_path(item.linkname.removeprefix("./")):
            kind = "other"
        executable = bool(item.mode & stat.S_IXUSR)
        yield Member(item.name, kind, executable, item.linkname, item.mtime, lambda item=item: tar.extractfile(item))


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for item in archive.infolist():
        mode = item.external_attr >> 16
        target = ""
        if item.is_dir():
            kind = "directory"
        elif stat.S_ISLNK(mode):
            kind, target = "link", os.fsdecode(archive.read(item))
        else:
            kind = "other" if stat.S_IFMT(mode) not in (0, stat.S_IFREG) else "file"
        # Programs that keep no time write month 0.
        year, month, *rest = item.date_time
        when = calendar.timegm((year, max(month, 1), *rest))
        yield Member(item.filename, kind, bool(mode & stat.S_IXUSR), target, when, lambda item=item: archive.open(item))
