# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an adopted app's code comes from, and what its source says beside what the host does."""

from __future__ import annotations

import base64
import io
import os
import re
import tarfile
import typing as t
import zlib
from dataclasses import dataclass, field

from ...module_utils._adopt.programs import Refused
from ...module_utils._app.words import PREFIX
from ...module_utils._host.text import mask
from .._init.inventory import app_file
from .._init.written import Written, is_template
from .._release.git import is_git

LARGEST = 256 << 20
"""Bytes that a copy of the code unpacks to at most."""
MOST_FILES = 100_000
"""Files that it has at most."""


def is_reachable(remote: str) -> bool:
    """Whether a remote can be another machine's to fetch from."""
    return bool(re.match(r"(https?|ssh|git)://|\w[\w.-]*@\w[\w.-]*:", remote))


def vet(git: t.Mapping[str, t.Any], directory: str) -> None:
    """:raises Refused: where what a checkout says of itself is something for Ansible to run: its owner wrote it."""
    for key in ("remote", "branch", "below"):
        if is_template(str(git.get(key, ""))):
            raise Refused(
                f"The checkout in {directory} on the host names {git[key]!r} as its {key}, a template that Ansible "
                "would run on this machine. Find out who wrote that (git remote -v), set it right, and run again."
            )


def unpack(packed: str, into: str) -> None:
    """:raises OSError: and tarfile.TarError, where it can't be."""
    os.makedirs(into)
    try:
        # A few bytes may be packed from as many as one likes: it is looked at before it is all there.
        content = zlib.decompressobj(wbits=31).decompress(base64.b64decode(packed), LARGEST + 1)
    except (zlib.error, ValueError) as error:
        raise tarfile.TarError(f"it isn't packed as code is: {error}") from error
    if len(content) > LARGEST:
        raise tarfile.TarError(f"the code unpacks to more than {LARGEST >> 20} MB")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for count, member in enumerate(archive, 1):
            if count > MOST_FILES:
                raise tarfile.TarError(f"the code has more than {MOST_FILES} files")
            try:
                archive.extract(member, into, filter="data")
            except ValueError as error:
                raise tarfile.TarError(f"{member.name!r} is no name of a file") from error


REQUIREMENTS = f"{PREFIX}requirements"


def frozen(installed: t.Sequence[str]) -> str:
    """A requirements.txt of what the old environment has."""
    return "# Written by adopt.yml: what the environment on the host has.\n" + "".join(
        f"{each}\n" for each in installed
    )


def freeze(top: str, installed: t.Sequence[str]) -> str:
    """Write it into a copy of code that doesn't say what it needs; the sentence that tells it."""
    with open(os.path.join(top, "requirements.txt"), "w", encoding="utf-8") as file:
        file.write(frozen(installed))
    return (
        f"The code doesn't say what it needs, so its copy has a requirements.txt now, of the {len(installed)} packages "
        "that are installed on the host."
    )


def to_be_listed(source: str, below: str, version: str, count: int, path: str) -> str:
    """What a person has to do where code that is nobody's copy doesn't say what it needs.

    :param below: the app's directory in it.
    :param version: of a git URL's.
    :param count: packages that are installed on the host.
    :param path: the file that lists them; '' for none.
    """
    name = os.path.join(below, "requirements.txt")
    lacks = f"{mask(source)} doesn't say what the app needs, and step=beside waits for that."
    listed = f" {path} has the {count} packages that are installed on the host." if path else ""
    add = f"{'Add it' if path else 'Add a list'} to the source as {name}"
    if not is_git(source):
        return f"{lacks}{listed} {add}, and write {REQUIREMENTS}: requirements.txt."
    pinned = f" that commit as {PREFIX}version, and" if version else ""
    return (
        f"{lacks}{listed} {add}, push that, and write{pinned} {REQUIREMENTS}: "
        f"requirements.txt. Or write a checkout on this machine that has the file as {PREFIX}source, without "
        f"{PREFIX}version."
    )


def passed_over(git: t.Mapping[str, t.Any]) -> str:
    """Why the remote of the checkout on the host isn't taken for the code; '' where it has none."""
    if not git:
        return ""
    remote = mask(git["remote"])
    why = "no other machine can fetch from it"
    if is_reachable(git["remote"]):
        why = f"none of its branches has the host's commit {git['revision'][:12]}"
    return (
        f"The remote of the checkout on the host, {remote}, isn't taken: {why}. To take one all the same: "
        f"-e {PREFIX}source=URL."
    )


# What the host says better, and what would run beside the old one.
_OURS = frozenset("name source version source_directory app domains workers env".split())
_LATER = {
    "processes": "What runs beside the web still runs as it did. When the web has moved, stop that and take these in:",
    "before_swap": "The database is migrated already. For the deploys that follow:",
}


def chunks(text: str) -> t.Iterator[tuple[str, str]]:
    """The variables of a file as init.yml writes it, each with its comments and what is indented below it; '' for
    comments that belong to none."""
    kept: list[str] = []
    name = ""
    for line in text.splitlines(keepends=True)[1:]:
        found = re.match(rf"{PREFIX}(\w+):", line)
        if name and (found or line.startswith("#")):
            yield name, "".join(kept)
            kept, name = [], ""
        name = found[1] if found else name
        kept.append(line)
    yield name, "".join(kept)


@dataclass
class Shown:
    """What the code says beside what the host does.

    :param text: lines for app.yml.
    :param left: names of those that are open.
    :param notes: what belongs on the screen.
    :param alone: why it can't have a second worker; '' where nothing shows that.
    """

    text: str = ""
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    alone: str = ""


def from_source(top: str, source: str, own: t.Collection[str], root: str) -> Shown:
    """What init.yml would write of the code and the host doesn't say.

    :param own: variables that the host has said.
    :param root: the app's directory there.
    """
    written: Written = app_file(top, source, root=root)
    shown = Shown(notes=[*written.notes], alone=written.alone)
    if shown.alone:
        shown.notes.append(f"{shown.alone} While the old one and ours both run, they are two as well.")
    for name, text in chunks(written.text):
        if not name or name in _OURS or name in own:
            # A comment at the end speaks of processes, or of what the code makes up.
            continue
        if PREFIX + name in written.left:
            shown.left.append(PREFIX + name)
        if name in _LATER:
            lines = [_LATER[name], *(line for line in text.splitlines() if not line.startswith("#"))]
            text = "".join(f"# {line}\n" for line in lines)
        shown.text += text
    return shown
