# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The app's source from a git URL: what it means, a mirror in the control node's cache, a checkout of one commit."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import os
import re
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import CONTROL_NODE, ProgramError, run
from ...module_utils._host.text import last_lines, mask
from ...module_utils._release.place import mutex
from .tools import cache_directory, forget_unused

_NAMES = "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"
HEAD = "refs/graceful/head"
"""What a mirror calls the branch that the repository's own HEAD names."""

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""A full commit id, by SHA-1 or SHA-256."""

_URL = re.compile(r"(git\+)?(https?|ssh|git|file)://")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)|[\w.-]+:(?!/)\S+\.git/?$")
_VERSION = re.compile(r"(?!-)(?!.*\.\.)[^\s~^:?*\[\\\x00-\x1f\x7f]+")
# Of the repository that a deploy is started in, such as by its hook: they would take the mirror's place.
_LOCAL = {
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_QUARANTINE_PATH"),
}
# git's helpers for http show the URL that they are given in their argument list, so the credentials go another way.
_HELPER = '!f() { test "$1" = get && echo "username=$GRACEFUL_USER" && echo "password=$GRACEFUL_PASSWORD"; }; f'


def is_git(source: str) -> bool:
    """Whether `fastapi_source` is an address that git clones, and no path."""
    return bool(_URL.match(source) or _SCP.match(source) or source.startswith("git+"))


def name_of(source: str) -> str:
    """What the repository is called: 'hello' of 'git@example.com:us/hello.git'."""
    return re.split(r"[/:]", source.rstrip("/"))[-1].removesuffix(".git")


@dataclass(frozen=True)
class Remote:
    """A repository and the version that is wanted of it.

    :param url: without credentials, as git is told.
    :param user: and `password` are '' where the URL has none, or where they are ssh's.
    """

    url: str
    version: str
    user: str = ""
    password: str = ""

    @property
    def shown(self) -> str:
        return mask(self.url)

    @property
    def secrets(self) -> list[str]:
        """What isn't shown of git's words. Short ones would blacken ordinary words."""
        return [secret for secret in (self.password, self.user) if len(secret) >= 6]


def remote_of(source: str, version: str) -> Remote:
    """Take the URL apart; raises with what to write instead where it or the version can't be meant."""
    url = source.removeprefix("git+")
    shown = mask(source)
    if not _URL.match(url) and not _SCP.match(url):
        raise ReleaseError(
            f"fastapi_source is {shown}: it has to be a URL with https, ssh, git or file, or user@host:path."
        )
    if match := re.search(r"\.git@([^/@]+)$|#", url):
        advice = f"Write that in fastapi_version: {match[1]}" if match[1] else "Take it out"
        raise ReleaseError(f"fastapi_source is {shown}, with something after the repository's address. {advice}.")
    if re.search(r"^https?://.*\.(zip|tar|tgz|tar\.\w+)$", url):
        raise ReleaseError(
            f"fastapi_source is {shown}, an archive on a server: only git's addresses are fetched. Download it, and "
            "write the file's path."
        )
    if version and not _VERSION.fullmatch(version):
        raise ReleaseError(
            f"fastapi_version is {version!r}: it has to be a branch, a tag or a commit. Write one, such as main, or '' "
            "for what the repository's HEAD is."
        )
    if not url.startswith("http"):
        return Remote(url, version)
    parts = urllib.parse.urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    user, _colon, password = credentials.partition(":")
    plain = urllib.parse.urlunsplit(parts._replace(netloc=host)) if at else url
    return Remote(plain, version, urllib.parse.unquote(user), urllib.parse.unquote(password))


def environment(remote: Remote, base: Mapping[str, str]) -> dict[str, str]:
    """git's environment: the address of the remote, and its credentials where no argument list shows them."""
    settings = {"remote.origin.url": remote.url}
    if remote.user or remote.password:
        settings["credential.helper"] = _HELPER
    inherited = {name: value for name, value in base.items() if name not in _LOCAL}
    count = int(inherited.get("GIT_CONFIG_COUNT") or 0)
    found = {"GIT_CONFIG_COUNT": str(count + len(settings))}
    for number, (key, value) in enumerate(settings.items(), start=count):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    credentials = {"GRACEFUL_USER": remote.user, "GRACEFUL_PASSWORD": remote.password}
    return {
        **inherited,
        **found,
        **credentials,
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS_REQUIRE": "never",
        "LC_ALL": "C",
    }


def ignored(directory: str, paths: Sequence[str]) -> list[str]:
    """Those of the paths below a directory that its repository leaves out."""
    return _asked(directory, ["-c", "core.quotePath=false", "check-ignore", "--", *paths]).splitlines() if paths else []


def last_day(directory: str, source: str = "", commit: str = "") -> str:
    """The day of the last commit to a directory, as 2025-07-14; '' where that can't be told.

    :param source: the URL that it is a checkout of, if it is one, of `commit`.
    """
    question = ["log", "-1", "--format=%cs"]
    if commit:
        return _asked(mirror_of(remote_of(source, commit), cache_directory()), [*question, commit]).strip()
    return _asked(directory, [*question, "--", "."]).strip()


def mirror_of(remote: Remote, cache: str) -> str:
    return os.path.join(cache, "git", hashlib.sha256(remote.url.encode()).hexdigest()[:20])


def _asked(directory: str, question: Sequence[str]) -> str:
    """What git says of a directory of this machine; '' where it isn't in a clone, or git isn't there."""
    inherited = {name: value for name, value in os.environ.items() if name not in _LOCAL}
    try:
        return run("Asking git", ["git", "-C", directory, *question], inherited, CONTROL_NODE)
    except ProgramError:
        return ""


def checkout(remote: Remote, cache: str, into: str) -> str:
    """Write the files of the wanted version into the directory `into`; returns the full commit.

    A commit that the mirror has is taken without asking the remote; else there is one fetch.
    """
    mirror = mirror_of(remote, cache)
    os.makedirs(os.path.dirname(mirror), mode=0o700, exist_ok=True)
    if shutil.which("git") is None:
        raise ReleaseError(
            f"fastapi_source is {remote.shown}, and the control node has no git to fetch it. Install git."
        )
    git = _Git(remote, mirror)
    with mutex(os.path.join(os.path.dirname(mirror), f".{os.path.basename(mirror)}.lock")):
        _make(git)
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


@dataclass(frozen=True)
class Standing:
    """What the repository says of a commit that a push named.

    :param commit: in full, of a tag the one that it leads to; '' where the repository hasn't it.
    :param head: what the ref leads to now; '' where it is gone.
    :param within: whether the ref's history has the commit.
    :param passed: whether the commit `since` has it among its own, or is it.
    """

    commit: str
    head: str
    within: bool
    passed: bool


def standing(remote: Remote, cache: str, ref: str, commit: str, since: str = "") -> Standing:
    """Fetch, and see how a commit stands to a ref; a commit that no branch or tag has isn't asked for."""
    mirror = mirror_of(remote, cache)
    os.makedirs(os.path.dirname(mirror), mode=0o700, exist_ok=True)
    git = _Git(remote, mirror)
    with mutex(os.path.join(os.path.dirname(mirror), f".{os.path.basename(mirror)}.lock")):
        _make(git)
        _fetch(git, dataclasses.replace(remote, version="" if ref == HEAD else "HEAD"))
        whole, head, last = git.commit(commit), git.commit(ref), since and git.commit(since)
        within = bool(whole and head) and git.within(whole, head)
        return Standing(whole, head, within, bool(whole and last) and git.within(whole, last))


def _make(git: _Git) -> None:
    if not os.path.isdir(os.path.join(git.mirror, "refs")):
        git.run("Making a mirror", ["init", "--quiet", "--bare", "--template=", git.mirror])


def _fetch(git: _Git, remote: Remote) -> None:
    wanted = [*_NAMES] if remote.version else [*_NAMES, f"+HEAD:{HEAD}"]
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
        return git.commit(HEAD)
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
        command = ["git", f"--git-dir={self.mirror}", "-c", "core.hooksPath=/dev/null", "-c", "gc.autoDetach=false"]
        command += arguments
        settings = environment(self.remote, os.environ) | ({"GIT_INDEX_FILE": index} if index else {})
        try:
            return run(step, command, settings, CONTROL_NODE, hidden=self.remote.secrets, detached=True)
        except ProgramError as error:
            raise ReleaseError(f"fastapi_source is {self.remote.shown}, and {why(step, error)}") from None

    def commit(self, name: str) -> str:
        """The full commit that `name` stands for in the mirror, '' where there is none."""
        try:
            return self.run("Looking it up", ["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]).strip()
        except ReleaseError:
            return ""

    def within(self, commit: str, other: str) -> bool:
        """Whether `other` is the commit, or comes after it."""
        try:
            self.run("Comparing", ["merge-base", "--is-ancestor", commit, other])
        except ReleaseError:
            return False
        return True

    def names(self) -> list[str]:
        """Branches and tags, the newest first."""
        order = ["for-each-ref", "--sort=-creatordate", "--format=%(refname:lstrip=2)", "refs/heads", "refs/tags"]
        return self.run("Listing the names", order).split()


def why(step: str, error: ProgramError) -> str:
    """What git's words mean, and what to do; pure."""
    said = last_lines(error.said or str(error), 5)
    if re.search(r"terminal prompts disabled|Authentication failed|could not read (Username|Password)|40[13]", said):
        what = (
            "the server wants other credentials, or there is no such repository. Put a token into the URL, or set up a "
            "credential helper or a key for the user who runs Ansible."
        )
    elif "Host key verification failed" in said:
        what = (
            "ssh doesn't know the server: its key isn't in the known_hosts of the user who runs this. Connect to it "
            "once by ssh, and compare the key with what its owner publishes."
        )
    elif re.search(r"Permission denied", said):
        what = "ssh wasn't let in. Run git ls-remote on it as the user who runs Ansible, and correct what that says."
    elif re.search(r"not found|does not appear to be a git repository|does not exist", said):
        what = "there is no such repository, or it isn't shown to this user. Check the address and the credentials."
    elif re.search(r"Could not resolve|unable to access|Connection (refused|timed out)|Network is unreachable", said):
        what = "the server can't be reached from the control node. Check the address, the network and git's proxy."
    else:
        what = f"{step.lower()} failed."
    return f"{what}\ngit said: {said}"
