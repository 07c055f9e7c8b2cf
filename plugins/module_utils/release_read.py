# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The app's source on the control node, wherever it comes from: a directory, an archive or a git URL."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ansible_collections.graceful.deploy.plugins.module_utils import (
    release_archive,
    release_git,
    release_git_url,
    release_lock,
    release_public,
    release_requirements,
    release_shared,
    release_source,
    release_tools,
)
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils.release_index import Index, uv_environment
from ansible_collections.graceful.deploy.plugins.module_utils.release_tools import Say


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
        requirements = release_lock.read(directory, name, lambda project: uv_export(project, params["index_url"], say))
        requires_python = release_source.requires_python(directory)
        entries = release_source.scan(directory, params["exclude"])
        entries = release_shared.without_shared(entries, params["shared_paths"])
        release_public.check(entries, params["public_paths"], params["shared_paths"])
        release_source.check_app(entries, params["app"])
    except ReleaseError as error:
        # An archive or a commit is unpacked to a place that nobody knows.
        raise ReleaseError(str(error).replace(directory, release_requirements.mask(params["source"]))) from None
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
    if not release_git_url.is_git(source):
        check_no_version(source, version)
        return release_archive.open_source(source, workdir), {}
    remote = release_git_url.remote_of(source, version)
    shared = os.path.join(os.path.dirname(workdir), f"graceful-source-{release_tools.digest_of([source, version])}")
    with release_tools.making(shared) as new:
        if new is not None:
            os.mkdir(os.path.join(new, "source"))
            commit = release_git.checkout(remote, release_tools.cache_directory(), os.path.join(new, "source"))
            with open(os.path.join(new, "commit"), "w", encoding="ascii") as file:
                file.write(commit)
    with open(os.path.join(shared, "commit"), encoding="ascii") as file:
        origin = {"name": release_git_url.name_of(source), "revision": file.read()}
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
