# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the module ``release``, and the rules for them that an argument specification can't say."""

from __future__ import annotations

import os
from typing import Any

DEFAULT_EXCLUDE = [
    ".venv",
    "venv",
    "__pycache__",
    "*.pyc",
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


def argument_spec() -> dict[str, dict[str, Any]]:
    """The task's options, as the module's documentation lists them too."""
    return {
        "name": {"type": "str", "required": True},
        "root": {"type": "str", "default": ""},
        "user": {"type": "str", "default": "deploy"},
        "group": {"type": "str", "default": "deploy"},
        "source": {"type": "str", "required": True},
        "version": {"type": "str", "default": ""},
        "source_directory": {"type": "str", "default": ""},
        "requirements": {"type": "str", "default": ""},
        "extras": {"type": "list", "elements": "str", "default": []},
        "method": {"type": "str", "choices": ["wheels", "venv", "index"], "default": "wheels"},
        "python": {"type": "str", "default": "/usr/bin/python3"},
        "keep": {"type": "int", "default": 5},
        "exclude": {"type": "list", "elements": "str", "default": DEFAULT_EXCLUDE},
        "shared_paths": {"type": "list", "elements": "str", "default": []},
        "public_paths": {"type": "list", "elements": "str", "default": []},
        "index_url": {"type": "str", "default": "", "no_log": True},
        "versions": {"type": "list", "elements": "str", "default": []},
        "packages_until": {"type": "str", "default": ""},
        "app": {"type": "str", "default": "app.main:app"},
        "state": {"type": "str", "choices": ["collected", "built", "present"], "default": "present"},
        "collected": {"type": "dict", "default": {}},
        "build_host": {"type": "str", "default": ""},
    }


def wrong_option(params: dict[str, Any]) -> str:
    """What the argument specification can't say; '' where all is well."""
    if not os.path.isabs(params["root"]):
        return f"root is {params['root']}: it has to be an absolute path on the host, such as /srv/{params['name']}."
    if params["keep"] < 1:
        return f"keep is {params['keep']}: at least the release that is made has to stay. Write 1 or more."
    if params["state"] == "built" and not (params["collected"] and params["build_host"]):
        return "state is built, which needs build_host, and what a task with state=collected returned as collected."
    return ""
