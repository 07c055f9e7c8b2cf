# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the app's source to a directory of the control node, from a path, an archive or a git URL, and reads it.

An archive can't write anywhere but into its own directory.
"""

from __future__ import annotations

import calendar
import functools
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import CONTROL_NODE, ProgramError, run
from ...module_utils._host.text import mask
from ...module_utils._release.archive import is_safe_link, is_safe_path
from ...module_utils._release.index import Index, uv_environment
from .._source.lacks import migrating, needed, unnamed_driver
from .._source.sockets import has_sockets
from . import git, lockfile, project, trees
from .instead import with_versions
from .project import Project
from .requirements import Requirements
from .source import Entry, check_app, check_public, scan, shared_files, without_shared
from .tools import Say, cache_directory, digest_of, making, provide


@dataclass(frozen=True)
class Source:
    """The source as it is on the control node, read before the host is asked.

    :param sockets: whether a Python file of it has a WebSocket endpoint.
    :param origin: 'name' and 'revision' of a git URL's repository and commit; empty for what has a path.
    """

    directory: str
    entries: list[Entry]
    requirements_name: str
    requirements: Requirements
    requires_python: str
    project: Project | None = None
    sockets: bool = False
    origin: dict[str, str] = field(default_factory=dict)
    shared_files: list[str] = field(default_factory=list)
    """Those of the shared paths that are a file each."""
    needs: dict[str, str] = field(default_factory=dict)
    """Packages that what the app imports needs, each with why."""


def read_source(params: dict[str, Any], workdir: str, say: Say) -> Source:
    """Everything that can be wrong with the source without knowing the host."""
    top, origin = open_source(params["source"], params["version"], workdir)
    directory = project_in(top, params["source_directory"])
    try:
        name = lockfile.find_requirements(directory, params["requirements"], top)
        wanted = params["extras"]
        requirements = lockfile.read(
            directory, name, lambda top: uv_export(top, params["index_url"], say, wanted), wanted
        )
        requirements.lines += trees.lines_of(requirements.trees, directory, top, cache_directory())
        entries = scan(directory, params["exclude"])
        needs = _needs(directory, {entry.path for entry in entries}, params["app"])
        requirements = with_versions(requirements, params["versions"], needs)
        requirements.until = params["packages_until"] if requirements.open else ""
        requirements.python = requires_python = lockfile.requires_python(directory)
        files = shared_files(entries, params["shared_paths"])
        entries = without_shared(entries, params["shared_paths"])
        check_public(entries, params["public_paths"], params["shared_paths"])
        check_app(entries, params["app"])
        paths = {entry.path for entry in entries}
        own = project.find(directory, name, requirements, paths)
    except (ReleaseError, ProgramError) as error:
        # An archive or a commit is unpacked to a place that nobody knows.
        raise ReleaseError(str(error).replace(top, mask(params["source"]))) from None
    sockets = has_sockets(directory, paths)
    return Source(directory, entries, name, requirements, requires_python, own, sockets, origin, files, needs)


def _needs(directory: str, paths: Collection[str], app: str) -> dict[str, str]:
    return needed(directory, paths, app) | unnamed_driver(directory, paths, app) | migrating(directory, paths)


def uv_export(project: str, index_url: str, say: Say, wanted: Sequence[str] = ()) -> str:
    """What the uv.lock in the directory `project` says, as a requirements.txt. Asks no index and writes nothing."""
    tools = provide(cache_directory(), {}, index_url, say)
    command = [tools.uv, "export", "--quiet", "--frozen", "--offline", "--project", project, "--no-header"]
    command += [argument for extra in wanted for argument in ("--extra", extra)]
    command += ["--no-annotate", "--no-dev", "--no-emit-project", "--format", "requirements.txt"]
    return run("Reading uv.lock", command, uv_environment(Index(), os.environ), CONTROL_NODE)


def open_source(source: str, version: str, workdir: str) -> tuple[str, dict[str, str]]:
    """The directory to ship, and of a git URL the repository's name and the commit.

    :param source: an absolute path or a URL.
    :param workdir: a directory of the task's own. What it lies in belongs to the whole run, and holds the checkout of a
        URL: all hosts and tasks have the same commit, fetched once, whatever is pushed meanwhile.
    """
    if not git.is_git(source):
        check_no_version(source, version)
        return open_path(source, workdir), {}
    remote = git.remote_of(source, version)
    shared = os.path.join(os.path.dirname(workdir), f"graceful-source-{digest_of([source, version])}")
    with making(shared) as new:
        if new is not None:
            os.mkdir(os.path.join(new, "source"))
            commit = git.checkout(remote, cache_directory(), os.path.join(new, "source"))
            with open(os.path.join(new, "commit"), "w", encoding="ascii") as file:
                file.write(commit)
    with open(os.path.join(shared, "commit"), encoding="ascii") as file:
        origin = {"name": git.name_of(source), "revision": file.read()}
    return os.path.join(shared, "source"), origin


def project_in(top: str, below: str) -> str:
    """The directory of the opened source that is shipped: `below`, or the whole where that is empty."""
    path = os.path.join(top, below.strip("/")).rstrip("/")
    if not below:
        return top
    if not is_safe_path(below.strip("/")):
        raise ReleaseError(
            f"fastapi_source_directory is {below}: it has to be a directory inside fastapi_source, such as backend."
        )
    if not os.path.isdir(path) or not os.path.realpath(path).startswith(os.path.realpath(top) + os.sep):
        there = sorted(entry.name for entry in os.scandir(top) if entry.is_dir() and not entry.name.startswith("."))
        raise ReleaseError(
            f"fastapi_source_directory is {below}, and fastapi_source has no such directory. "
            f"It has {', '.join(there[:8]) or 'none'}."
        )
    return path


def check_no_version(path: str, version: str) -> None:
    """Raise where a version is asked of something that has none; a checkout is shipped as it lies there."""
    if not version:
        return
    repository = any(os.path.exists(os.path.join(path, name)) for name in (".git", "objects"))
    advice = f" Or write fastapi_source: file://{path} to have that version of it." if repository else ""
    raise ReleaseError(
        f"fastapi_version is {version}, and fastapi_source is {path}: only a git URL has versions, a path is shipped "
        f"as it is. Take fastapi_version out.{advice}"
    )


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
    open: Callable[[], IO[bytes] | None]


def _meant(source: str) -> str:
    """What to write where somebody counted a path from where they are, and Ansible from the playbook."""
    here, parts = os.getcwd(), source.strip("/").split("/")
    for begin in range(len(parts)):
        path = os.path.join(here, *parts[begin:])
        if os.path.exists(path):
            return f"A relative path counts from the playbook's directory. Write fastapi_source: {path}."
    return ""


def open_path(source: str, workdir: str) -> str:
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
    except ReleaseError as error:
        raise ReleaseError(str(error).replace("ARCHIVE", f"fastapi_source ({source})")) from None
    except Exception as error:
        # What the two libraries raise for damage is of any kind: a month 13, a password, a hard link to nothing.
        raise ReleaseError(
            f"fastapi_source is {source}, and can't be unpacked: {error or type(error).__name__}. Make it anew."
        ) from error
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
        if item.isreg() or (item.islnk() and is_safe_path(item.linkname.removeprefix("./"))):
            kind = "file"
        else:
            kind = "directory" if item.isdir() else "link" if item.issym() else "other"
        content = functools.partial(tar.extractfile, item)
        yield Member(item.name, kind, bool(item.mode & stat.S_IXUSR), item.linkname, item.mtime, content)


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
        content = functools.partial(archive.open, item)
        yield Member(item.filename, kind, bool(mode & stat.S_IXUSR), target, when, content)
