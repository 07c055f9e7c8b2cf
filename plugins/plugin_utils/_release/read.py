# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The app's source on the control node, wherever it comes from: a directory, an archive or a git URL."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ...module_utils._app.releases import RECORD, ReleaseError
from ...module_utils._host.text import mask
from ...module_utils._release.index import Index, uv_environment
from . import archive, git_url, lockfile
from . import git as release_git
from . import requirements as release_requirements
from . import source as release_source
from . import tools as release_tools
from .tools import Say


@dataclass(frozen=True)
class Source:
    """The source as it is on the control node, read before the host is asked.

    :param origin: 'name' and 'revision' of a git URL's repository and commit; empty for what has a path.
    """

    directory: str
    entries: list[release_source.Entry]
    requirements_name: str
    requirements: release_requirements.Requirements
    requires_python: str
    origin: dict[str, str] = field(default_factory=dict)


def read_source(params: dict, workdir: str, say: Say) -> Source:
    """Everything that can be wrong with the source without knowing the host."""
    directory, origin = open_source(params["source"], params["version"], workdir)
    try:
        name = release_source.find_requirements(directory, params["requirements"])
        requirements = lockfile.read(directory, name, lambda project: uv_export(project, params["index_url"], say))
        requires_python = release_source.requires_python(directory)
        entries = release_source.scan(directory, params["exclude"])
        entries = without_shared(entries, params["shared_paths"])
        check(entries, params["public_paths"], params["shared_paths"])
        release_source.check_app(entries, params["app"])
    except ReleaseError as error:
        # An archive or a commit is unpacked to a place that nobody knows.
        raise ReleaseError(str(error).replace(directory, mask(params["source"]))) from None
    return Source(directory, entries, name, requirements, requires_python, origin)


def uv_export(project: str, index_url: str, say: Say) -> str:
    """What the uv.lock in the directory `project` says, as a requirements.txt. Asks no index and writes nothing."""
    tools = release_tools.tools(release_tools.cache_directory(), {}, index_url, say)
    command = [tools.uv, "export", "--quiet", "--frozen", "--offline", "--project", project, "--no-header"]
    command += ["--no-annotate", "--no-dev", "--no-emit-project", "--format", "requirements.txt"]
    return release_tools.run("Reading uv.lock", command, uv_environment(Index(), os.environ))


def open_source(source: str, version: str, workdir: str) -> tuple[str, dict[str, str]]:
    """The directory to ship, and of a git URL the repository's name and the commit.

    :param source: an absolute path or a URL.
    :param workdir: a directory of the task's own. What it lies in belongs to the whole run, and holds the checkout of a
        URL: all hosts and tasks have the same commit, fetched once, whatever is pushed meanwhile.
    """
    if not git_url.is_git(source):
        check_no_version(source, version)
        return archive.open_source(source, workdir), {}
    remote = git_url.remote_of(source, version)
    shared = os.path.join(os.path.dirname(workdir), f"graceful-source-{release_tools.digest_of([source, version])}")
    with release_tools.making(shared) as new:
        if new is not None:
            os.mkdir(os.path.join(new, "source"))
            commit = release_git.checkout(remote, release_tools.cache_directory(), os.path.join(new, "source"))
            with open(os.path.join(new, "commit"), "w", encoding="ascii") as file:
                file.write(commit)
    with open(os.path.join(shared, "commit"), encoding="ascii") as file:
        origin = {"name": git_url.name_of(source), "revision": file.read()}
    return os.path.join(shared, "source"), origin


def check_no_version(path: str, version: str) -> None:
    """Raise where a version is asked of something that has none; a checkout is shipped as it lies there."""
    if not version:
        return
    git = os.path.exists(os.path.join(path, ".git")) or os.path.exists(os.path.join(path, "objects"))
    advice = f" Or write fastapi_source: file://{path} to have that version of it." if git else ""
    raise ReleaseError(
        f"fastapi_version is {version}, and fastapi_source is {path}: only a git URL has versions, a path is shipped "
        f"as it is. Take fastapi_version out.{advice}"
    )


class Entry(Protocol):
    """A file or a link of the source, by its path."""

    @property
    def path(self) -> str: ...


_E = TypeVar("_E", bound=Entry)
_PLACEHOLDERS = (".gitkeep", ".keep")


def wrong_path(paths: Sequence[str]) -> str:
    """What is wrong with the first bad one, as a sentence without its subject; '' where all are good. Pure."""
    for path in paths:
        parts = path.split("/")
        if not path or any(part in ("", ".", "..") for part in parts) or not path.isprintable():
            return f"{path!r} in it has to be a directory below the release, such as media or var/uploads."
        if parts[0] in (".venv", RECORD):
            return f"{path!r} in it is the release's own."
        if paths.count(path) > 1:
            return f"{path!r} is in it twice."
        for other in paths:
            if path.startswith(f"{other}/"):
                return f"{path!r} in it lies in {other!r}, which is shared as a whole."
    return ""


def without_shared(entries: Iterable[_E], paths: Sequence[str]) -> list[_E]:
    """The source's entries without placeholders for shared directories; raises where it has something else there."""
    if wrong := wrong_path(paths):
        raise ReleaseError(f"fastapi_shared_paths is {list(paths)!r}: {wrong}")
    stay = []
    for entry in entries:
        shared = next((path for path in paths if f"{entry.path}/".startswith(f"{path}/")), "")
        blocked = next((path for path in paths if path.startswith(f"{entry.path}/")), "")
        if blocked:
            raise ReleaseError(
                f"fastapi_shared_paths has {blocked}, and {entry.path} in fastapi_source is no directory. Rename one."
            )
        if not shared:
            stay.append(entry)
        elif os.path.basename(entry.path) not in _PLACEHOLDERS or entry.path == shared:
            raise ReleaseError(
                f"fastapi_shared_paths has {shared}, and fastapi_source has {entry.path}, which nobody would see "
                f"behind the shared directory. Move it elsewhere, or leave it out: add {shared} to fastapi_exclude."
            )
    return stay


def check(entries: Iterable[Entry], paths: Sequence[str], shared: Sequence[str]) -> None:
    """Raise where the source has no such directory, or one that the app may write to."""
    names = [entry.path for entry in entries]
    for path in paths:
        if wrong := wrong_path([path]):
            raise ReleaseError(f"fastapi_static has {path}: {wrong}")
        for other in shared:
            if f"{path}/".startswith(f"{other}/") or other.startswith(f"{path}/"):
                raise ReleaseError(
                    f"fastapi_static has {path}, and fastapi_shared_paths has {other}: the proxy serves what is in the "
                    "release, and nothing that the app writes. Let the app serve that one."
                )
        if not any(name.startswith(f"{path}/") for name in names):
            raise ReleaseError(
                f"fastapi_static has {path}, and there is no such directory in fastapi_source, or nothing in it. Write "
                "the directory's path in the source, and see that fastapi_exclude doesn't leave it out."
            )
