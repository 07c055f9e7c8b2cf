# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the directories and files of a layer to how they should be, each by one rename, and back when that fails."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass, field

from .._host import files
from .files import Difference, Found, Wanted


@dataclass
class Undo:
    """How the paths were before, so that a failed reload leaves nothing of the attempt."""

    before: list[tuple[str, Found]] = field(default_factory=list)

    def restore(self) -> None:
        for path, found in reversed(self.before):
            if found.kind is None and os.path.isdir(path):
                os.rmdir(path)
            elif found.kind is None:
                if os.path.lexists(path):
                    os.unlink(path)
            elif found.kind == "link":
                if os.path.lexists(path):
                    os.unlink(path)
                os.symlink(found.content or b"", path)
            elif found.kind == "file":
                _write(Wanted(path, str(found.owner), str(found.group), found.mode or 0, found.content))


def _ids(wanted: Wanted) -> tuple[int, int]:
    return pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid


def _write(wanted: Wanted) -> None:
    if wanted.link:
        files.link(os.fsdecode(wanted.content or b""), wanted.path)
        return
    files.write(wanted.path, wanted.content or b"", wanted.mode, *_ids(wanted))


def apply(differences: list[Difference]) -> Undo:
    """Make every path as wanted, in the order given; what goes, goes last, because what stays may name it until then.

    :raises OSError: after having put back what was changed so far.
    """
    undo = Undo()
    try:
        for difference in sorted(differences, key=lambda each: each.wanted.absent):
            if not difference.any:
                continue
            wanted = difference.wanted
            undo.before.append((wanted.path, difference.found))
            if wanted.absent:
                os.unlink(wanted.path)
            elif wanted.content is not None:
                _write(wanted)
            else:
                if difference.content:
                    os.makedirs(wanted.path, mode=0o700)
                os.chown(wanted.path, *_ids(wanted))
                os.chmod(wanted.path, wanted.mode)
    except (OSError, KeyError):
        undo.restore()
        raise
    return undo
