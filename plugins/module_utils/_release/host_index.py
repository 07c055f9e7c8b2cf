# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs from the host's own index: where that is, without a credential in an argument list, and what to do about it.

The index is the task's, else the one of the host's pip configuration, which uv doesn't read by itself.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from .._app.releases import ReleaseError
from .._host.run import HOST, ProgramError, run
from .._host.text import mask
from .index import Index, pip_environment, read_index, secrets, uv_environment
from .venv import unpack_pip

_WHEELS = "or fastapi_release_method: wheels, with which the host asks no index"
# What uv and pip say, and what that means to the person who deploys. The first that fits is told.
_MEANINGS = (
    (
        r"certificate|UnknownIssuer|CERTIFICATE_VERIFY_FAILED",
        "doesn't know the authority that signed the certificate of {index}. Put the authority into "
        "/usr/local/share/ca-certificates of the host and run update-ca-certificates there, name its file as cert in "
        f"the host's /etc/pip.conf, {_WHEELS}.",
    ),
    (
        r"\b40[137]\b|[Uu]nauthorized|[Ff]orbidden",
        "may not take packages from {index}. Give user and password in fastapi_index_url, or in the host's "
        "/etc/pip.conf.",
    ),
    (
        r"hash(?:es)? (?:mismatch|in)|[Hh]ash mismatch|DO NOT MATCH THE HASHES",
        "gets other files from {index} than the control node, which made the lock, from its own. Let both ask one "
        "index.",
    ),
    (
        r"not found in the|no version|No matching distribution|no (?:usable )?wheels|No solution|\b404\b",
        "finds less in {index} than the control node, which made the lock, in its own. Let both ask one index, in "
        "fastapi_index_url, with a user and a password that it takes: uv says no more where it takes none.",
    ),
    (
        r"[Ff]ailed to fetch|[Rr]equest failed|error sending request|connect|timed out|dns|resolution|Max retries",
        "can't reach {index}. Check its network, name a proxy in its /etc/pip.conf, set fastapi_index_url to an index "
        f"that it reaches, {_WHEELS}.",
    ),
)


@dataclass(frozen=True)
class HostIndex:
    """What installing from an index needs: the environments for uv and pip, and what to hide of their words."""

    index: Index

    @property
    def name(self) -> str:
        return mask(self.index.index_url) or "https://pypi.org/simple"

    def environment(self, program: str, build: str) -> dict[str, str]:
        """For 'uv' or 'pip': the host's own, with the index and its credentials."""
        make = uv_environment if program == "uv" else pip_environment
        return {**make(self.index, os.environ), "TMPDIR": build}

    def install(self, program: str, command: list[str], build: str) -> None:
        """Run the command that installs; raises with what is in the way, credentials hidden."""
        environment, hidden = self.environment(program, build), secrets(self.index)
        try:
            run("Installing from the index", command, environment, HOST, hidden=hidden)
        except ProgramError as error:
            raise ReleaseError(meaning(str(error), self.name)) from None


def meaning(said: str, index: str) -> str:
    """The words of uv or pip with a sentence in front, where they are known. Pure."""
    flat = " ".join(said.split())
    for pattern, sentence in _MEANINGS:
        if re.search(pattern, flat):
            return f"fastapi_release_method is index, and the host {sentence.format(index=index)}\n{said}"
    return said


def of_host(build: str, python: str, index_url: str) -> HostIndex:
    """The host's index, as the pip that was shipped reads it from the host's files.

    :param index_url: the task's, which wins; it may hold credentials.
    """
    return HostIndex(read_index([python, "-I", unpack_pip(build)], {}, index_url, HOST))
