# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both halves of the module ``release`` share: its options, its layout on disk and the rule for pruning."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import BinaryIO

FORMAT = 1
"""Goes into every id: raise it when the same input should become another release."""

RELEASE_ID = re.compile(r"[0-9a-f]{12}")
BUILDING = ".building-"
"""Prefix of whatever lies in releases/ and isn't a complete release."""

RECORD = "release.json"
"""Name of the file that is written last and makes a release complete."""

VENV_TIME = 1577836800
"""Seconds since the epoch, 2020: the time of all files in an environment that was shipped. Bytecode is valid only with
the time that its source had when it was compiled."""

DEFAULT_EXCLUDE = [
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    "__pycache__",
    "*.pyc",
    ".env",
    ".env.*",
    "node_modules",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".tox",
    ".idea",
    ".vscode",
    ".DS_Store",
]


def argument_spec() -> dict[str, dict[str, object]]:
    """The options of the task. The ones with an underscore are between the action plugin and its module."""
    return {
        "name": {"type": "str", "required": True},
        "root": {"type": "str", "default": ""},
        "user": {"type": "str", "default": "deploy"},
        "group": {"type": "str", "default": "deploy"},
        "source": {"type": "str", "required": True},
        "version": {"type": "str", "default": ""},
        "requirements": {"type": "str", "default": ""},
        "method": {"type": "str", "choices": ["wheels", "venv", "index"], "default": "wheels"},
        "python": {"type": "str", "default": "/usr/bin/python3"},
        "keep": {"type": "int", "default": 5},
        "exclude": {"type": "list", "elements": "str", "default": DEFAULT_EXCLUDE},
        "shared_paths": {"type": "list", "elements": "str", "default": []},
        "public_paths": {"type": "list", "elements": "str", "default": []},
        "index_url": {"type": "str", "default": "", "no_log": True},
        "app": {"type": "str", "default": "app.main:app"},
        "state": {"type": "str", "choices": ["collected", "built", "present"], "default": "present"},
        "collected": {"type": "dict", "default": {}},
        "build_host": {"type": "str", "default": ""},
        "_state": {"type": "str", "choices": ["query", "install", "build"], "default": "query"},
        "_archive": {"type": "str", "default": ""},
        # Not that it were secret: Ansible would write it to the host's log.
        "_content": {"type": "str", "default": "", "no_log": True},
        "_sha256": {"type": "str", "default": ""},
        "_release": {"type": "str", "default": ""},
    }


class Missing(Exception):
    """What the control node counted on isn't on the host, or not whole. It sends everything then.

    The argument is a sentence about what is missing.
    """


class ReleaseError(Exception):
    """A refusal or a failed step, in sentences for the person who deploys."""


def to_prune(created: Mapping[str, str], served: Mapping[str, int], protected: Iterable[str], keep: int) -> list[str]:
    """Ids of the releases that go, the first to go first.

    A release that never served well goes before any that did, however new it is: a week of failing deploys must not
    push out what a rollback needs.

    :param created: id of every complete release -> when it was made, as release.json says it (UTC, ISO 8601).
    :param served: id of a release that served well -> when it last did; higher is later.
    :param protected: ids that stay in any case: those of slots, what a rollback goes to, the one just made.
    :param keep: how many stay in all; more where more are protected.
    """
    first_to_go = sorted(created, key=lambda release: (served.get(release, -1), created[release], release))
    goers = [release for release in first_to_go if release not in set(protected)]
    return goers[: max(0, min(len(goers), len(created) - keep))]


def sha256_of(path: str) -> str:
    with open(path, "rb") as file:
        return hash_stream(file)


def hash_stream(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def megabytes(size: float) -> str:
    """A size for a sentence: '24.1 MB', in units of a million bytes; a small one '12 kB'."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def last_lines(text: str, count: int = 15) -> str:
    """The end of a program's output, which is where it says why it stopped."""
    return "\n".join(text.strip().splitlines()[-count:])
