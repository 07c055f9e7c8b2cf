# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the module ``patch``, for both of its halves."""

from __future__ import annotations

from typing import Any

FOR_HOST = ("balancer", "alone")
"""Options that the control node's half gives the host's, and takes from nobody."""
ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "root": {"type": "path", "default": ""},
    "upgrade": {"type": "str", "choices": ["security", "all"], "default": "security"},
    "reboot": {"type": "str", "choices": ["auto", "needed", "never"], "default": "auto"},
    "leave_within": {"type": "int", "default": 0},
    "notice": {"type": "int", "default": 22},
    "back_within": {"type": "int", "default": 600},
    "front_port": {"type": "int", "default": 0},
    "front_tls": {"type": "bool", "default": False},
    "front_host": {"type": "str", "default": ""},
    "health_path": {"type": "str", "default": "/health"},
    "balancers": {"type": "list", "elements": "str", "default": []},
    "asked": {"type": "list", "elements": "dict"},
    "balancer": {"type": "bool", "default": False},
    "alone": {"type": "str", "default": ""},
    "step": {"type": "str", "choices": ["begin", "back", "others", "ready"], "default": "begin"},
    "lock_wait": {"type": "int", "default": 0},
    "by": {"type": "str", "default": ""},
}
