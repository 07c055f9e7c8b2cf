# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app's directory on a hand-made host: whose checkout it is, what is in it, and a copy of its code.

Whoever owns the directory decides what is in it, so root doesn't run git there, which is done as the owner, and opens
files by their directory alone, never by a link.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator
from typing import Any

from .._host.files import names_in
from .._host.reading import directory_led
from .dotenv import owner
from .programs import Host, Refused

LARGEST = 64 << 20
"""Bytes of code that are fetched at most."""
LEFT_OUT = {
    *(".venv", "venv", "env", ".git", ".hg", ".svn", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache"),
    *(".pytest_cache", ".tox", ".idea", ".vscode", ".cache", "htmlcov", ".local", ".npm", ".ssh", ".config"),
}
_SECRET = re.compile(r"\.env(\..+)?|\.netrc|\.pypirc|\.git-credentials|.*\.(pem|key|p12)|id_[a-z0-9]+")
_DATA = re.compile(r".*\.(db|sqlite3?|sqlite3?-(wal|shm|journal)|sock|log|pid)")
_DATA_DIRECTORIES = ("uploads", "upload", "media", "data", "storage", "logs")


def look(host: Host, directory: str) -> dict[str, Any]:
    """The checkout's remote, revision and changes; the names of files at the top; what isn't code."""
    entries = host.names(directory)
    found: dict[str, Any] = {"git": {}, "entries": entries, "bytes": 0, "data": [], "secret": []}
    place = directory_led(host.top + directory)
    if not place or directory == "/":
        return found
    for path, status, kind, _held in _walk(place):
        if kind == "code":
            found["bytes"] += status.st_size
        elif len(found[kind]) < 30:
            found[kind].append(path)
    found["git"] = git(host, directory)
    return found


def installed(host: Host, program: str) -> list[str]:
    """What is in the virtual environment that a program belongs to, as a requirements.txt names it."""
    environment = re.match(r"(/.+)/bin/[^/]+$", program)
    if not environment or not host.is_file(f"{environment[1]}/pyvenv.cfg"):
        return []
    found = []
    for python in host.names(f"{environment[1]}/lib"):
        for entry in host.names(f"{environment[1]}/lib/{python}/site-packages"):
            match = re.fullmatch(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)\.dist-info", entry)
            if match and match[1].lower() not in ("pip", "setuptools", "wheel"):
                found.append(f"{match[1].replace('_', '-')}=={match[2]}")
    return sorted(found, key=str.lower)


def _walk(top: str) -> Iterator[tuple[str, os.stat_result, str, int]]:
    """Files below a directory, what the system says of each, whether it is ``code``, ``data`` or ``secret``, and their
    directory, held open. Pipes and devices are left out."""
    for place, directories, names, held in os.fwalk(top):
        # A directory above may have become a link since.
        if os.readlink(f"/proc/self/fd/{held}") != place:
            directories.clear()
            continue
        inside = os.path.relpath(place, top)
        prefix = "" if inside == "." else f"{inside}/"
        for name in list(directories):
            if name in LEFT_OUT or os.path.exists(os.path.join(place, name, "pyvenv.cfg")):
                directories.remove(name)
            elif name in _DATA_DIRECTORIES and not _has_code(os.path.join(place, name)):
                directories.remove(name)
                yield f"{prefix}{name}", os.fstat(held), "data", held
        for name in names:
            try:
                status = os.lstat(name, dir_fd=held)
            except OSError:
                # It has gone meanwhile.
                continue
            kind = "secret" if _SECRET.fullmatch(name) else "data" if _DATA.fullmatch(name) else "code"
            # What a link leads to isn't the code's, and is nothing to be unpacked elsewhere.
            kind = "data" if not stat.S_ISREG(status.st_mode) else kind
            kind = "code" if kind == "secret" and re.fullmatch(r"\.env\.(example|sample|template|dist)", name) else kind
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) or _DATA.fullmatch(name):
                yield prefix + name, status, kind, held


def _has_code(directory: str) -> bool:
    return any(name.endswith(".py") for name in names_in(directory))


def git(host: Host, directory: str) -> dict[str, Any]:
    """Of a checkout its remote, revision, branch and changed files; {} where it is none, or has no remote."""
    account = owner(os.path.realpath(host.top + directory))
    if not shutil.which("git"):
        return {}

    def ask(*words: str) -> str:
        safe = [
            "git",
            "-C",
            host.top + directory,
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
            *words,
        ]
        as_owner = ["runuser", "-u", account, "--"] if account != "root" else []
        status, out, _err = host.run([*as_owner, *safe])
        return "" if status else out.strip("\n")

    revision, remote = ask("rev-parse", "HEAD"), ask("remote", "get-url", "origin")
    if not revision or not remote:
        return {}
    changed = [line[3:] for line in ask("status", "--porcelain", "--untracked-files=no").splitlines()]
    return {
        "remote": remote,
        "revision": revision,
        "branch": ask("rev-parse", "--abbrev-ref", "HEAD"),
        "below": ask("rev-parse", "--show-prefix").rstrip("/"),
        "changed": changed[:20],
        "unpushed": ask("branch", "-r", "--contains", "HEAD") == "",
    }


def pack(directory: str) -> str:
    """The code of a directory, as base64 of a tar.gz.

    :raises Refused: where it is too large, or can't be read by its owner.
    """
    top = directory_led(directory)
    if not top:
        raise Refused(f"{directory} on the host is no directory, or a link that its owner didn't make leads there.")
    total, whose = 0, os.lstat(top).st_uid
    packed = io.BytesIO()
    try:
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
            for path, status, kind, place in _walk(top):
                if kind != "code":
                    continue
                total += status.st_size
                if total > LARGEST:
                    raise _too_large(directory)
                _add(archive, path, place, whose)
    except (OSError, ValueError) as error:
        raise Refused(f"{directory} on the host can't be read by its owner, {owner(top)}: {error}") from error
    return base64.b64encode(packed.getvalue()).decode()


def _too_large(directory: str) -> Refused:
    return Refused(
        f"{directory} on the host holds more than {LARGEST >> 20} MB of files beside its environment and its data. "
        "Copy the code to this machine yourself, and write where it is: -e fastapi_source=DIRECTORY."
    )


def _add(archive: tarfile.TarFile, path: str, place: int, whose: int) -> None:
    """One file by its directory, which is held open: nobody puts a link in its way meanwhile.

    :raises OSError: where it has become something else, or the directory's owner may not read it.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(os.path.basename(path), flags, dir_fd=place), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} isn't a file any more")
        # Groups aren't looked at: what is for one alone is no secret of root's.
        if whose not in (0, status.st_uid) and not status.st_mode & 0o044:
            raise PermissionError(f"{path} is another user's, and not for everybody")
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode, entry.mtime = status.st_size, stat.S_IMODE(status.st_mode) & 0o755, int(status.st_mtime)
        archive.addfile(entry, file)
