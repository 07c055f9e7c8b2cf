# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that the user names on the control node, as it is or as a .deb: whether it is that one, and for which
machine. It is read and never run."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile

from ...module_utils._app.problems import Problem

_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
_ELF = b"\x7fELF"
_DEB = b"!<arch>\n"


@dataclasses.dataclass(frozen=True)
class Kind:
    """Which program it has to be.

    :param name: as people write it.
    :param command: its file's name in its package's ``/usr/bin``.
    :param trait: what is in each such program, and in no other.
    :param version: finds the version in one.
    :param offered: who offers it, to go on "as".
    """

    name: str
    command: str
    trait: bytes
    version: re.Pattern[bytes]
    offered: str


class NotIt(ValueError):
    """What is wrong with the file, and what to name instead: two sentences."""


@dataclasses.dataclass(frozen=True)
class Program:
    """`content` is the program itself, also where the file is a package; `version` is empty where it isn't told."""

    content: bytes = dataclasses.field(repr=False)
    machine: str
    version: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


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


def opened(package: str, member: str, content: bytes) -> tarfile.TarFile:
    """One of the two archives in a .deb. Python reads zstd from 3.14 on only.

    :raises NotIt: where nothing on this machine can read it.
    """
    try:
        return tarfile.open(fileobj=io.BytesIO(content))
    except tarfile.ReadError:
        pass
    part = "--ctrl-tarfile" if member.startswith("control") else "--fsys-tarfile"
    for command, given in (["dpkg-deb", part, package], None), (["zstd", "-dcq"], content):
        if shutil.which(command[0]):
            done = subprocess.run(command, input=given, capture_output=True, check=False)
            if not done.returncode:
                return tarfile.open(fileobj=io.BytesIO(done.stdout))
    wrong = f"its {member} is compressed in a way that this Python can't read."
    raise NotIt(f"{wrong} Install zstd on this machine; or take the program out of it (dpkg-deb -x) and name that.")


def unpack(package: str, archive: bytes, kind: Kind) -> tuple[bytes, str]:
    """The program in a .deb, and the package's version.

    :raises NotIt: where there is none, or the package is compressed in a way that can't be read.
    """
    found = {}
    path = f"usr/bin/{kind.command}"
    for member, content in ar_members(archive).items():
        if not member.startswith(("control.tar", "data.tar")):
            continue
        with opened(package, member, content) as tar:
            for wanted in ("./control", "control", f"./{path}", path):
                file = tar.extractfile(wanted) if wanted in tar.getnames() else None
                if file:
                    found[wanted.rpartition("/")[2]] = file.read()
    if kind.command not in found:
        raise NotIt(f"it is a package without /{path}. Name {kind.name}'s own package or its program.")
    version = re.search(rb"(?m)^Version: (?:[0-9]+:)?v?([0-9]+\.[0-9]+\.[0-9]+)", found.get("control", b""))
    return found[kind.command], version[1].decode() if version else ""


def inspect(path: str, kind: Kind) -> Program:
    """:raises NotIt: where the file isn't a Linux program, or another one.

    :raises OSError: where it can't be read.
    """
    if os.path.isdir(path):
        raise NotIt("it is a directory. Name the program in it.")
    with open(path, "rb") as file:
        content = file.read()
    packaged = ""
    if content.startswith(_DEB):
        try:
            content, packaged = unpack(path, content, kind)
        except (tarfile.TarError, EOFError, ValueError) as error:
            if isinstance(error, NotIt):
                raise
            raise NotIt("the package is damaged. Fetch it again.") from None
    advice = f"Name {kind.name}'s program, as {kind.offered} offers it."
    if not content.startswith(_ELF) or len(content) < 20:
        raise NotIt(f"it is neither a Linux program nor a .deb. {advice}")
    if kind.trait not in content:
        raise NotIt(f"it is a program, but not {kind.name}. {advice}")
    machine = int.from_bytes(content[18:20], "little" if content[5] == 1 else "big")
    told = kind.version.search(content)
    return Program(content, _MACHINES.get(machine, f"ELF {machine}"), told[1].decode() if told else packaged)


def named(variable: str, path: str, kind: Kind) -> tuple[Program | None, Problem | None]:
    """The program that a variable names, or what is wrong with it."""
    try:
        return inspect(os.path.expanduser(path), kind), None
    except OSError as error:
        wrong = f"it can't be read on the control node: {error.strerror}."
        return None, Problem(variable, path, wrong, "Name a file that is there.")
    except NotIt as error:
        wrong, _dot, advice = str(error).partition(". ")
        return None, Problem(variable, path, f"{wrong}.", advice)


def other_machine(variable: str, path: str, program: Program, machine: str) -> list[Problem]:
    if program.machine == machine:
        return []
    wrong = f"that program is for {program.machine}, and the host is {machine}."
    return [Problem(variable, path, wrong, "Name the one for the host.")]
