# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the app's source: which are shipped, what they hash to, what is wrong with them."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...module_utils._app.releases import RECORD, ReleaseError
from ...module_utils._app.roots import ENDING
from ...module_utils._host.files import sha256_of
from ...module_utils._release.archive import FORMAT

PLACEHOLDERS = (".gitkeep", ".keep")
"""Files that only keep a directory in git."""

_LFS_BEGIN, _LFS_MOST = b"version https://git-lfs.github.com/spec/v1\n", 1024
"""How a pointer begins, and the bytes that it is shorter than."""

NEVER_SHIPPED = (
    *(".env", ".env.*", ".envrc", ".netrc", ".pypirc", ".git-credentials"),
    *(".git", ".hg", ".svn", ".jj"),
)
"""Secrets and version control, whatever fastapi_exclude says: who writes a pattern there means to leave more out."""


TEMPLATES = tuple(f".env.{kind}" for kind in ("template", "example", "sample", "dist"))
"""Not so these, by whose name nothing in them is secret: they are shipped where the code names them, as a settings
class does that has its defaults there."""
_NAMED = re.compile(rb"""["'/](\.env\.(?:template|example|sample|dist))["']""")


@dataclass(frozen=True)
class Entry:
    """One file or symlink of the source.

    :param path: relative, with slashes.
    :param target: where a symlink points; empty for a file.
    """

    path: str
    executable: bool
    size: int
    sha256: str
    target: str = ""


def excluded(path: str, is_directory: bool, patterns: Iterable[str]) -> bool:
    """Whether a pattern names this path.

    A pattern without a slash is matched against the last part of the path, so at any depth; one with a slash inside or
    in front, against the path from the top; one that ends in a slash, against directories alone.
    """
    for pattern in patterns:
        if pattern.endswith("/") and not is_directory:
            continue
        plain = pattern.strip("/")
        subject = path if "/" in pattern.rstrip("/") else path.rpartition("/")[2]
        if fnmatch.fnmatchcase(subject, plain):
            return True
    return False


def _named(source: str, entries: list[Entry]) -> set[str]:
    """The examples of an environment that Python files among the entries name."""
    found = set[str]()
    for entry in entries:
        if entry.path.endswith(".py") and not entry.target:
            with open(os.path.join(source, entry.path), "rb") as file:
                found |= {name.decode() for name in _NAMED.findall(file.read())}
    return found


def scan(source: str, patterns: Iterable[str], outside: list[str] | None = None) -> list[Entry]:
    """Every file and link that is shipped, sorted. Raises with every problem found.

    :param patterns: of what stays behind besides NEVER_SHIPPED.
    :param outside: gets the symlinks that lead out of the source, which are a problem where it is None.
    """
    problems: list[str] = []
    entries = list(_walk(source, "", [*patterns], problems, outside))
    problems += [
        f"{entry.path}: the release keeps its own {entry.path} there. Rename it, or add it to fastapi_exclude."
        for entry in entries
        if entry.path in (RECORD, ".venv") or entry.path.startswith(".venv/")
    ]
    examples = {entry.path for entry in entries if os.path.basename(entry.path) in TEMPLATES}
    named = _named(source, entries) if examples else set()
    entries = [entry for entry in entries if entry.path not in examples or os.path.basename(entry.path) in named]
    if problems:
        raise ReleaseError(f"fastapi_source is {source}, and can't be shipped:\n" + "\n".join(problems[:20]))
    return sorted(entries, key=lambda entry: os.fsencode(entry.path))


def _walk(
    source: str, below: str, patterns: list[str], problems: list[str], outside: list[str] | None
) -> Iterator[Entry]:
    top = os.path.realpath(source)
    with os.scandir(os.path.join(source, below)) as listing:
        for item in listing:
            path = f"{below}{item.name}"
            is_directory = item.is_dir(follow_symlinks=False)
            never = () if item.name in TEMPLATES else NEVER_SHIPPED
            if excluded(path, is_directory, [*never, *patterns]):
                continue
            if item.is_symlink():
                target = os.readlink(item.path)
                real = os.path.realpath(item.path)
                if os.path.isabs(target) or (not real.startswith(top + os.sep) and real != top):
                    if outside is not None:
                        outside.append(path)
                        continue
                    problems.append(
                        f"{path} is a symlink to {target}, out of the source: it would point to nothing. Put the file "
                        "itself there, or add its name to fastapi_exclude."
                    )
                yield Entry(path, False, 0, "", target)
            elif is_directory:
                # A virtual environment by whatever name: it is made for this machine, not for the host.
                if not os.path.exists(os.path.join(item.path, "pyvenv.cfg")):
                    yield from _walk(source, path + "/", patterns, problems, outside)
            elif item.is_file(follow_symlinks=False):
                try:
                    info = item.stat(follow_symlinks=False)
                    if info.st_size < _LFS_MOST and _is_lfs_pointer(item.path):
                        problems.append(
                            f"{path} is a pointer of Git LFS, and not the file itself. Run git lfs pull in a clone and "
                            "write its path, or add the file to fastapi_exclude."
                        )
                    yield Entry(path, bool(info.st_mode & stat.S_IXUSR), info.st_size, sha256_of(item.path))
                except OSError as error:
                    problems.append(f"{path} can't be read: {error.strerror}.")
            else:
                problems.append(f"{path} is neither a file, a directory nor a symlink. Add it to fastapi_exclude.")


def _is_lfs_pointer(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_LFS_BEGIN)) == _LFS_BEGIN


def release_id(entries: Iterable[Entry], header: dict[str, object]) -> tuple[str, str]:
    """The id and the whole digest: of the files and of `header`, which holds what else makes a release another one."""
    digest = hashlib.sha256(json.dumps({"format": FORMAT, **header}, sort_keys=True).encode())
    for entry in entries:
        fields = [
            os.fsencode(entry.path),
            b"x" if entry.executable else b"-",
            entry.sha256.encode(),
            os.fsencode(entry.target),
        ]
        digest.update(b"\0".join([b"", *fields, b"\n"]))
    whole = digest.hexdigest()
    return whole[:12], whole


def check_app(entries: Iterable[Entry], app: str) -> None:
    """Raise where the app's top package is in the source and its module isn't. Else it may be an installed one."""
    module = app.partition(":")[0]
    path, paths = module.replace(".", "/"), {entry.path for entry in entries}
    package = path.partition("/")[0]
    there = any(p in paths for p in (f"{path}.py", f"{path}/__init__.py")) or any(
        p.startswith(path + ".") for p in paths
    )
    if not there and any(p.startswith(package + "/") and p.endswith(".py") for p in paths):
        near = sorted(p for p in paths if p.startswith(path.rpartition("/")[0]) and p.endswith(".py"))[:5]
        raise ReleaseError(
            f"fastapi_app is {app}, and fastapi_source has {package}/ but no {path}.py. It has {', '.join(near)}."
        )


def wrong_path(paths: Sequence[str]) -> str:
    """What is wrong with the first bad one, as a sentence without its subject; '' where all are good. Pure."""
    for path in paths:
        parts = path.split("/")
        if not path or any(part in ("", ".", "..") for part in parts) or not path.isprintable():
            return f"{path!r} in it has to be a path below the release, such as media or var/uploads."
        if parts[0] in (".venv", RECORD):
            return f"{path!r} in it is the release's own."
        if paths.count(path) > 1:
            return f"{path!r} is in it twice."
        for other in paths:
            if path.startswith(f"{other}/"):
                return f"{path!r} in it lies in {other!r}, which is shared as a whole."
    return ""


def shared_files(entries: Iterable[Entry], paths: Iterable[str]) -> list[str]:
    """Those of the shared paths that are a file each: in the source, or by an ending where the source has nothing."""
    names = {entry.path for entry in entries}
    above = {name[: match.start()] for name in names for match in re.finditer("/", name)}
    return [path for path in paths if path in names or (ENDING.search(path) and path not in above)]


def without_shared(entries: Iterable[Entry], paths: Sequence[str]) -> list[Entry]:
    """The source's entries without placeholders for shared directories. What else it has there is what they begin with;
    raises where that is code or a link."""
    if wrong := wrong_path(paths):
        raise ReleaseError(f"fastapi_shared_paths is {list(paths)!r}: {wrong}")
    stay = []
    for entry in entries:
        shared = next((path for path in paths if f"{entry.path}/".startswith(f"{path}/")), "")
        blocked = next((path for path in paths if path.startswith(f"{entry.path}/")), "")
        if blocked:
            raise ReleaseError(
                f"fastapi_shared_paths has {blocked}, and {entry.path} in fastapi_source is no directory. Rename one."
            )
        if shared and (entry.target or entry.path.endswith(".py")):
            what = "a link" if entry.target else "code, which no later deploy would bring"
            raise ReleaseError(
                f"fastapi_shared_paths has {shared}, and fastapi_source has {entry.path}: {what}. Name another "
                f"directory there, or a path below {shared}; if the host needs nothing of it, add {entry.path} to "
                "fastapi_exclude."
            )
        if not shared or os.path.basename(entry.path) not in PLACEHOLDERS:
            stay.append(entry)
    return stay


def check_public(entries: Iterable[Entry], paths: Sequence[str], shared: Sequence[str]) -> None:
    """Raise where the source has no such directory, or one that the app may write to."""
    names = [entry.path for entry in entries]
    for path in paths:
        if wrong := wrong_path([path]):
            raise ReleaseError(f"fastapi_static has {path}: {wrong}")
        for other in shared:
            if f"{path}/".startswith(f"{other}/") or other.startswith(f"{path}/"):
                raise ReleaseError(
                    f"fastapi_static has {path}, and fastapi_shared_paths has {other}: the proxy serves what is in the "
                    "release, and nothing that the app writes. Let the app serve that one."
                )
        if not any(name.startswith(f"{path}/") for name in names):
            raise ReleaseError(
                f"fastapi_static has {path}, and there is no such directory in fastapi_source, or nothing in it. Write "
                "the directory's path in the source, and see that fastapi_exclude doesn't leave it out."
            )
