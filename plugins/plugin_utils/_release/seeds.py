# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What shared paths begin with: the source's own, which no later deploy brings. Pure."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping

from .._source.paths import DATABASE
from .source import Entry


def seeds_of(entries: Iterable[Entry], paths: Iterable[str]) -> dict[str, str]:
    """A digest of what the source has in each shared path, where it has anything there. Databases don't count: the
    source's is of whoever develops the app, and another one after each try."""
    entries, found = list(entries), dict[str, str]()
    for path in paths:
        inside = [each for each in entries if f"{each.path}/".startswith(f"{path}/") and not DATABASE.search(each.path)]
        if inside:
            lines = sorted(f"{each.path}\0{each.sha256}\n" for each in inside)
            found[path] = hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]
    return found


def changed_seeds(before: Mapping[str, str], now: Mapping[str, str], files: Collection[str], root: str) -> list[str]:
    """A warning where the source brings something else than it did, and the app won't see it.

    :param before: what the release before was told to begin with.
    :param files: the shared paths that are a file each.
    """
    paths = [path for path, digest in now.items() if before.get(path, digest) != digest]
    if not paths:
        return []
    names = f"{', '.join(paths[:4])}{' and others' if paths[4:] else ''}"
    has, it = ("has", "it") if len(paths) == 1 else ("have", "them")
    into = f"{root}/shared/{paths[0]}" + (f"/{os.path.basename(paths[0])}" if paths[0] in files else "")
    return [
        f"{names} {has} changed in the source, and the app goes on with what is in {root}/shared, because "
        f"fastapi_shared_paths names {it}. If the app only reads {it}, take {it} out of fastapi_shared_paths: then "
        f"each release has what its source has. If the source's is to replace what the app has, copy it to {into} on "
        "the host."
    ]
