# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Caddy that the user names on the control node: what its file says of it, without running it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import tarfile

_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
_ELF = b"\x7fELF"
_DEB = b"!<arch>\n"
# Go writes the versions of everything that a program was built from into it.
_VERSION = re.compile(rb"(?:mod|dep)\tgithub\.com/caddyserver/caddy/v2\tv([0-9]+\.[0-9]+\.[0-9]+)")
RATE_LIMIT = "http.handlers.rate_limit"


class NotCaddy(ValueError):
    """What is wrong with the file, and what to name instead: two sentences."""


@dataclasses.dataclass(frozen=True)
class Program:
    """`content` is the program itself, also where the file is a package; `version` is empty where it isn't told."""

    content: bytes = dataclasses.field(repr=False)
    machine: str
    version: str
    modules: list[str]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


def ar_members(archive: bytes) -> dict[str, bytes]:
    """The files in an ar archive, which is what a .deb is (deb(5))."""
    members = {}
    offset = len(_DEB)
    while offset + 60 <= len(archive):
        name, size = archive[offset : offset + 16], archive[offset + 48 : offset + 58]
        start = offset + 60
        end = start + int(size)
        members[name.decode("ascii", "replace").strip().rstrip("/")] = archive[start:end]
        offset = end + end % 2
    return members


def unpack(archive: bytes) -> tuple[bytes, str]:
    """The program in a .deb, and the package's version.

    :raises NotCaddy: where there is none, or the package is compressed in a way that Python can't read.
    """
    found = {}
    for member, content in ar_members(archive).items():
        if not member.startswith(("control.tar", "data.tar")):
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                for wanted in ("./control", "control", "./usr/bin/caddy", "usr/bin/caddy"):
                    file = tar.extractfile(wanted) if wanted in tar.getnames() else None
                    if file:
                        found[wanted.rpartition("/")[2]] = file.read()
        except tarfile.ReadError:
            wrong = f"its {member} is compressed in a way that this Python can't read."
            raise NotCaddy(f"{wrong} Take the program out of it (dpkg-deb -x) and name that.") from None
    if "caddy" not in found:
        raise NotCaddy("it is a package without /usr/bin/caddy. Name Caddy's own package or its program.")
    version = re.search(rb"(?m)^Version: (?:[0-9]+:)?v?([0-9]+\.[0-9]+\.[0-9]+)", found.get("control", b""))
    return found["caddy"], version[1].decode() if version else ""


def inspect(path: str) -> Program:
    """:raises NotCaddy: where the file isn't a Linux program, or not Caddy.

    :raises OSError: where it can't be read.
    """
    if os.path.isdir(path):
        raise NotCaddy("it is a directory. Name the program in it.")
    with open(path, "rb") as file:
        content = file.read()
    packaged = ""
    if content.startswith(_DEB):
        try:
            content, packaged = unpack(content)
        except (tarfile.TarError, EOFError, ValueError) as error:
            if isinstance(error, NotCaddy):
                raise
            raise NotCaddy("the package is damaged. Fetch it again.") from None
    if not content.startswith(_ELF) or len(content) < 20:
        raise NotCaddy("it is neither a Linux program nor a .deb. Name Caddy's program, as caddyserver.com offers it.")
    if b"caddyserver/caddy" not in content:
        raise NotCaddy("it is a program, but not Caddy. Name Caddy's program, as caddyserver.com offers it.")
    machine = int.from_bytes(content[18:20], "little" if content[5] == 1 else "big")
    told = _VERSION.search(content)
    modules = [RATE_LIMIT] if RATE_LIMIT.encode() in content else []
    return Program(content, _MACHINES.get(machine, f"ELF {machine}"), told[1].decode() if told else packaged, modules)
