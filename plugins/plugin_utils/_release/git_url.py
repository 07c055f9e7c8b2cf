# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a git URL and a version mean, what git is told of them, and what its answers mean. Pure."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.text import last_lines, mask

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""A full commit id, by SHA-1 or SHA-256."""

_URL = re.compile(r"(git\+)?(https?|ssh|git|file)://")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)|[\w.-]+:(?!/)\S+\.git/?$")
_VERSION = re.compile(r"(?!-)(?!.*\.\.)[^\s~^:?*\[\\\x00-\x1f\x7f]+")
# Of the repository that a deploy is started in, such as by its hook: they would take the mirror's place.
_LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE")
_LOCAL += ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_QUARANTINE_PATH")
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


def why(step: str, remote: Remote, said: str) -> str:
    """What git's words mean, and what to do; pure."""
    for secret in (remote.password, remote.user):
        said = said.replace(secret, "***") if len(secret) >= 6 else said
    said = mask(last_lines(said, 5))
    if re.search(r"terminal prompts disabled|Authentication failed|could not read (Username|Password)|40[13]", said):
        what = (
            "the server wants other credentials, or there is no such repository. Put a token into the URL, or set up "
        )
        what += "a credential helper or a key for the user who runs Ansible."
    elif re.search(r"Permission denied|Host key verification failed", said):
        what = "ssh wasn't let in. Run git ls-remote on it once as the user who runs Ansible, and mend what that says."
    elif re.search(r"not found|does not appear to be a git repository|does not exist", said):
        what = "there is no such repository, or it isn't shown to this user. Check the address and the credentials."
    elif re.search(r"Could not resolve|unable to access|Connection (refused|timed out)|Network is unreachable", said):
        what = "the server can't be reached from the control node. Check the address, the network and git's proxy."
    else:
        what = f"{step.lower()} failed."
    return f"{what}\ngit said: {said}"
