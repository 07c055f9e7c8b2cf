# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The app's source from a git URL: a mirror in the control node's cache, and a checkout of one commit."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from ...module_utils._app.releases import ReleaseError
from .git_url import COMMIT, Remote, environment, why
from .tools import forget_unused

_LIMIT = 900
_NAMES = "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"
_HEAD = "refs/graceful/head"


def checkout(remote: Remote, cache: str, into: str) -> str:
    """Write the files of the wanted version into the directory `into`; returns the full commit.

    A commit that the mirror has is taken without asking the remote; else there is one fetch.
    """
    mirror = os.path.join(cache, "git", hashlib.sha256(remote.url.encode()).hexdigest()[:20])
    os.makedirs(os.path.dirname(mirror), mode=0o700, exist_ok=True)
    git = _Git(remote, mirror)
    with _locked(os.path.join(os.path.dirname(mirror), f".{os.path.basename(mirror)}.lock")):
        if not os.path.isdir(os.path.join(mirror, "refs")):
            git.run("Making a mirror", ["init", "--quiet", "--bare", "--template=", mirror])
        if not (COMMIT.fullmatch(remote.version) and git.commit(remote.version)):
            _fetch(git, remote)
        commit = _resolve(git, remote)
        listing = git.run("Listing the files", ["ls-tree", "-r", "-z", commit])
        if links := [item.partition("\t")[2] for item in listing.split("\0") if item.startswith("160000 ")]:
            raise ReleaseError(
                f"fastapi_source is {remote.shown}, whose {', '.join(links[:5])} is a submodule: those aren't fetched, "
                "and the release would lack its files. Write the path of a clone (git clone --recurse-submodules)."
            )
        os.utime(mirror)
        forget_unused(os.path.dirname(mirror))
        git.run("Reading the commit", ["read-tree", commit], index=f"{into}.index")
        git.run("Writing the files", [f"--work-tree={into}", "checkout-index", "--all"], index=f"{into}.index")
        os.unlink(f"{into}.index")
    return commit


def _fetch(git: _Git, remote: Remote) -> None:
    wanted = [*_NAMES] if remote.version else [*_NAMES, f"+HEAD:{_HEAD}"]
    command = ["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "origin"]
    try:
        git.run("Fetching", [*command, *wanted])
    except ReleaseError as error:
        if remote.version or "remote ref HEAD" not in str(error):
            raise
        git.run("Fetching", [*command, *_NAMES])
        raise ReleaseError(
            f"fastapi_source is {remote.shown}, whose HEAD names no branch that it has. "
            f"Write fastapi_version: {' or '.join(git.names()[:5]) or 'a branch, once it has one'}."
        ) from None
    # Some servers have commits on no branch, such as those of a pull request.
    if COMMIT.fullmatch(remote.version) and not git.commit(remote.version):
        with contextlib.suppress(ReleaseError):
            git.run("Fetching", [*command, remote.version])


def _resolve(git: _Git, remote: Remote) -> str:
    version = remote.version
    if not version:
        return git.commit(_HEAD)
    tag, branch = git.commit(f"refs/tags/{version}"), git.commit(f"refs/heads/{version}")
    if tag and branch and tag != branch:
        raise ReleaseError(
            f"fastapi_version is {version}, and {remote.shown} has a branch and a tag of that name. Write "
            f"fastapi_version: refs/tags/{version} or refs/heads/{version}."
        )
    named = version.startswith("refs/") or re.fullmatch(r"[0-9a-f]{7,64}", version)
    if commit := tag or branch or (git.commit(version) if named else ""):
        return commit
    names = git.names()
    near = difflib.get_close_matches(version, names, 5, 0.5) or names[:5]
    there = f"The nearest names are {', '.join(near)}." if near else "It has no branch or tag."
    raise ReleaseError(
        f"fastapi_version is {version}, and {remote.shown} has no branch, tag or commit of that name. {there}"
    )


@dataclass(frozen=True)
class _Git:
    """The git of the control node on one mirror."""

    remote: Remote
    mirror: str

    def run(self, step: str, arguments: list[str], index: str = "") -> str:
        # No hook of the user's own runs here, and nothing waits for an answer that nobody can type.
        command = [
            "git",
            f"--git-dir={self.mirror}",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "gc.autoDetach=false",
            *arguments,
        ]
        try:
            done = subprocess.run(
                command,
                env=environment(self.remote, os.environ) | ({"GIT_INDEX_FILE": index} if index else {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LIMIT,
                check=False,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ReleaseError(
                f"fastapi_source is {self.remote.shown}, and the control node has no git to fetch it. Install git."
            ) from None
        except (OSError, subprocess.SubprocessError) as error:
            raise ReleaseError(f"fastapi_source is {self.remote.shown}: {step} failed: {error}") from None
        if done.returncode:
            raise ReleaseError(f"fastapi_source is {self.remote.shown}, and {why(step, self.remote, done.stderr)}")
        return done.stdout

    def commit(self, name: str) -> str:
        """The full commit that `name` stands for in the mirror, '' where there is none."""
        try:
            return self.run("Looking it up", ["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]).strip()
        except ReleaseError:
            return ""

    def names(self) -> list[str]:
        """Branches and tags, the newest first."""
        order = ["for-each-ref", "--sort=-creatordate", "--format=%(refname:lstrip=2)", "refs/heads", "refs/tags"]
        return self.run("Listing the names", order).split()


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """One process at a time; the lock ends with its holder."""
    with open(path, "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
