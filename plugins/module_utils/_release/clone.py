# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes a release's virtual environment from one that has an equal one: links to its files, no bytes and no installer.

What two releases share is never written again: Python and the installers replace files by renaming new ones over them,
and only root may write here. What names its own place, in ``bin`` and ``pyvenv.cfg``, is a file of the release's own.
"""

from __future__ import annotations

import hashlib
import os
import stat

from .store import link_or_copy

_SCRIPT = 1 << 20
"""Bytes that a script or a settings file stays under."""


def clone(origin: str, venv: str, final: str, gid: int) -> None:
    """Make `venv`, which will be at `final`, out of the environment `origin`. Modes and owners are then right.

    :raises FileNotFoundError: where `origin` goes meanwhile.
    """
    _directory(venv, gid)
    for place, names, files in os.walk(origin):
        inside = os.path.relpath(place, origin)
        for name in (*names, *files):
            source, target = os.path.join(place, name), os.path.normpath(os.path.join(venv, inside, name))
            if os.path.islink(source):
                os.symlink(os.readlink(source), target)
                os.chown(target, -1, gid, follow_symlinks=False)
            elif name in names:
                _directory(target, gid)
            elif names_its_place(source, os.path.join(inside, name), origin):
                _written_anew(source, target, origin, final, gid)
            else:
                link_or_copy(source, target)


def names_its_place(source: str, inside: str, origin: str) -> bool:
    """Whether a file holds the path of its environment. Programs of megabytes, such as Ruff's, don't."""
    if os.path.normpath(inside) != "pyvenv.cfg" and os.path.dirname(inside) != "bin":
        return False
    if os.path.getsize(source) > _SCRIPT:
        return False
    with open(source, "rb") as file:
        return os.fsencode(origin) in file.read()


def _directory(path: str, gid: int) -> None:
    os.mkdir(path, 0o750)
    os.chown(path, -1, gid)


def _written_anew(source: str, target: str, origin: str, final: str, gid: int) -> None:
    before = os.stat(source)
    with open(source, "rb") as file:
        content = file.read()
    with open(target, "xb") as file:
        file.write(content.replace(os.fsencode(origin), os.fsencode(final)))
    os.chown(target, -1, gid)
    os.chmod(target, stat.S_IMODE(before.st_mode))
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))


def fingerprint(venv: str) -> dict[str, object]:
    """What tells whether an environment is still as it was made: ``digest`` of its files' names, sizes and times.

    Bytecode is left out: Python may have written some for another level of optimisation. ``directories`` is their
    number, which is what a clone takes on the disk.
    """
    lines, directories = [], 0
    for place, names, files in os.walk(venv):
        directories += 1 + ("__pycache__" in names)
        names[:] = [name for name in names if name != "__pycache__"]
        for name in [*files, *(name for name in names if os.path.islink(os.path.join(place, name)))]:
            path = os.path.join(place, name)
            found = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(found.st_mode) else f"{found.st_size} {found.st_mtime_ns}"
            lines.append(f"{os.path.relpath(path, venv)} {content}\n")
    return {"digest": hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(), "directories": directories}
