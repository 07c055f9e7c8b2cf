# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app's directory on a hand-made host: whose checkout it is, what is in it, and a copy of its code.

Whoever owns the directory decides what is in it, so root neither runs git there nor opens its files: both is done as
the owner.
"""

from __future__ import annotations

import base64
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

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
    if not host.is_dir(directory) or directory == "/":
        return found
    for path, size, kind in _walk(host.top + directory):
        if kind == "code":
            found["bytes"] += size
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


def _walk(top: str) -> Iterator[tuple[str, int, str]]:
    """Files below a directory, their sizes, and whether each is ``code``, ``data`` or ``secret``."""
    for place, directories, names in os.walk(top):
        inside = os.path.relpath(place, top)
        prefix = "" if inside == "." else f"{inside}/"
        for name in list(directories):
            if name in LEFT_OUT or os.path.exists(os.path.join(place, name, "pyvenv.cfg")):
                directories.remove(name)
            elif name in _DATA_DIRECTORIES and not _has_code(os.path.join(place, name)):
                directories.remove(name)
                yield f"{prefix}{name}", 0, "data"
        for name in names:
            kind = "secret" if _SECRET.fullmatch(name) else "data" if _DATA.fullmatch(name) else "code"
            # What a link leads to isn't the code's, and is nothing to be unpacked elsewhere.
            kind = "data" if os.path.islink(os.path.join(place, name)) else kind
            kind = "code" if re.fullmatch(r"\.env\.(example|sample|template|dist)", name) else kind
            yield prefix + name, os.lstat(os.path.join(place, name)).st_size, kind


def _has_code(directory: str) -> bool:
    return any(name.endswith(".py") for name in os.listdir(directory))


def git(host: Host, directory: str) -> dict[str, Any]:
    """Of a checkout its remote, revision, branch and changed files; {} where it is none, or has no remote."""
    owner = _owner(host.top + directory)
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
        as_owner = ["runuser", "-u", owner, "--"] if owner != "root" else []
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


def _owner(path: str) -> str:
    try:
        return pwd.getpwuid(os.lstat(path).st_uid).pw_name
    except (OSError, KeyError):
        return "nobody"


def pack(directory: str) -> str:
    """The code of a directory, as base64 of a tar.gz.

    :raises Refused: where it is too large, or can't be read by its owner.
    """
    names, total = [], 0
    for path, size, kind in _walk(directory):
        if kind == "code":
            names.append(path)
            total += size
    if total > LARGEST:
        raise Refused(
            f"{directory} on the host holds {total >> 20} MB of files beside its environment and its data, and "
            f"{LARGEST >> 20} MB are fetched at most. Copy the code to this machine yourself, and write where it is: "
            "-e fastapi_source=DIRECTORY."
        )
    account = pwd.getpwuid(os.lstat(directory).st_uid)
    done = subprocess.run(
        [
            "tar",
            "--create",
            "--gzip",
            "-C",
            directory,
            "--no-recursion",
            "--null",
            "--verbatim-files-from",
            "--files-from=-",
        ],
        input="".join(f"{name}\0" for name in names).encode(errors="surrogateescape"),
        capture_output=True,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        timeout=300,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise Refused(f"{directory} on the host can't be read by its owner, {account.pw_name}: {said}")
    return base64.b64encode(done.stdout).decode()
