# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both halves of the module ``release`` share: its options, its layout on disk and the rule for pruning."""

from __future__ import annotations

FORMAT = 1
"""Goes into every id: raise it when the same input should become another release."""


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
