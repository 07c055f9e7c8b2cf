# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words that all sides have to spell alike."""

from __future__ import annotations

import json
from typing import Any

PREFIX = "fastapi_"
"""Begins the name of each public variable."""
MARK = "# Written by Ansible (graceful.deploy."
"""Begins the first line of files that this collection writes; the role's name follows."""
RELEASE_LINE = "FASTAPI_RELEASE="
"""Begins the last line of a slot's environment file, which is ours."""
BUILDING = ".building-"
"""Prefix of whatever lies in releases/ and isn't a complete release."""
GENERATIONS = "generations"
"""Name of the directory in the app's with what its processes and timers are started from."""
LEAVING = "leaving"
"""Name of the file there that marks a host that leaves, as the proxies' templates have it (parts.j2)."""
PATCH_NOTE = "patching"
"""Name of patch.yml's note beside it, which also holds deploys off."""

WANTS = "# wants "
"""Begins the line in which a site's file says what it wants of the settings that all sites share, as JSON."""

PRIVATE_ZONES = tuple(
    f".{zone}" for zone in "local localhost internal intranet lan home corp test example invalid home.arpa".split()
)
"""End names that no public authority may certify: RFC 6761, RFC 6762 and ICANN's reservation of .internal."""


def parse_wants(text: str) -> dict[str, Any] | None:
    """What one of our own site files says that it wants of the settings all sites share; None in anybody else's."""
    if not text.startswith(MARK):
        return None
    for line in text.splitlines():
        if line.startswith(WANTS):
            return dict(json.loads(line[len(WANTS) :]))
    return {}


def is_ours(text: str) -> bool:
    """Whether a file says in a comment at its top that this collection wrote it."""
    comments = [line for line in text.splitlines()[:10] if line.startswith("#")]
    return any("graceful.deploy" in line for line in comments)


def slice_of(app: str) -> str:
    """systemd's own group of the instances of NAME@.service, which it keeps when they are gone. What runs beside them
    is put into it, too. A hyphen in it would mean depth."""
    return "system-{}.slice".format(app.replace("-", "\\x2d"))
