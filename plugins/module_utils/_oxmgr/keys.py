# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of an oxfile's app, as Oxmgr 0.5.0 reads them, and how a value is written in TOML. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """What Oxmgr takes for a key: a kind of KINDS, what holds without it, and the least that isn't made more."""

    kind: str
    default: Any = None
    least: int = 0


KEYS = {
    "name": Key("text"),
    "command": Key("text"),
    "cwd": Key("text"),
    "env": Key("texts", {}),
    "restart_policy": Key("policy", "on_failure"),
    "max_restarts": Key("u32", 10),
    "crash_restart_limit": Key("u32", 3),
    "restart_delay_secs": Key("u64", 0),
    "start_delay_secs": Key("u64", 0),
    "stop_signal": Key("text", "SIGTERM"),
    "stop_timeout_secs": Key("u64", 5, least=1),
    "health_cmd": Key("text"),
    "health_interval_secs": Key("u64", 30, least=1),
    "health_timeout_secs": Key("u64", 5, least=1),
    "health_max_failures": Key("u32", 3, least=1),
    "wait_ready": Key("flag", False),
    "ready_timeout_secs": Key("u64", 30, least=1),
    "pre_reload_cmd": Key("text"),
    "max_memory_mb": Key("u64"),
    "max_cpu_percent": Key("number"),
    "cgroup_enforce": Key("flag", False),
    "deny_gpu": Key("flag", False),
    "instances": Key("u32", 1, least=1),
    "instance_var": Key("text", "NODE_APP_INSTANCE"),
    "cluster_mode": Key("flag", False),
    "cluster_instances": Key("u32", None, least=1),
    "reuse_port": Key("flag", False),
    "depends_on": Key("list", []),
    "start_order": Key("integer"),
    "namespace": Key("text"),
    "watch": Key("watch", False),
    "ignore_watch": Key("list", []),
    "watch_delay_secs": Key("u64", 0),
    "cron_restart": Key("text"),
    "git_repo": Key("text"),
    "git_ref": Key("text"),
    "pull_secret": Key("text"),
    "log_date_format": Key("text"),
    "unified_logs": Key("flag", False),
    "logs": Key("logs", {}),
    "profiles": Key("profiles", {}),
    "disabled": Key("flag", False),
}
"""Of [[apps]]. Those whose default is None are off without a value."""
ONLY_IN_APPS = ("name", "command", "profiles", "disabled")
"""The last of them in profiles, too."""
TOP = ("version", "defaults", "apps", "deploy")
LOGS = ("stdout", "stderr", "combined")
FOR_EVER = 2**32 - 1
"""The most that max_restarts can be, which has no word for it."""
SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2")
POLICIES = ("always", "on_failure", "on-failure", "never")


def _whole(value: object, least: float, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


@dataclass(frozen=True)
class Kind:
    """What a value has to be, in words and as a question."""

    words: str
    fits: Callable[[Any], bool]


KINDS = {
    "text": Kind("text in quotes", lambda value: isinstance(value, str)),
    "policy": Kind("always, on_failure or never, in quotes", lambda value: value in POLICIES),
    "u32": Kind("a whole number from 0 to 4294967295", lambda value: _whole(value, 0, FOR_EVER)),
    "u64": Kind("a whole number, 0 or more", lambda value: _whole(value, 0, 2**63 - 1)),
    "integer": Kind("a whole number", lambda value: _whole(value, -(2**31), 2**31 - 1)),
    "number": Kind("a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)),
    "flag": Kind("true or false, without quotes", lambda value: isinstance(value, bool)),
    "list": Kind("a list of texts", _list),
    "watch": Kind(
        "true, false, a path or a list of paths", lambda value: isinstance(value, (bool, str)) or _list(value)
    ),
    "texts": Kind("a table of texts", _texts),
    "logs": Kind("a table of texts: stdout, stderr or combined", _texts),
    "profiles": Kind(
        "a table of tables", lambda value: isinstance(value, dict) and all(isinstance(v, dict) for v in value.values())
    ),
}

_POLICIES = {
    "no": "never",
    "false": "never",
    "never": "never",
    "always": "always",
    "true": "always",
    "unlessstopped": "always",
    "onfailure": "on_failure",
}
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "secs": 1, "m": 60, "min": 60, "h": 3600}
_SIZES = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024 * 1024}


def seconds(value: object, unit: str = "s") -> int | None:
    """45 from 45, "45" or "45s", rounded up; None from what isn't a duration."""
    match = re.fullmatch(r"([0-9]{1,9})(?:\.0*)? ?([a-z]*)", str(value).lower())
    if not match or isinstance(value, bool) or (match[2] or unit) not in _UNITS:
        return None
    return math.ceil(int(match[1]) * _UNITS[match[2] or unit])


def mebibytes(value: object, unit: str = "m") -> int | None:
    """1024 from "1G"; a number alone is in mebibytes. None from what isn't a size."""
    match = re.fullmatch(r"([0-9]{1,9}) ?([kmgt]?)(?:i?b)?", str(value).lower())
    if not match or isinstance(value, bool):
        return None
    return max(1, math.ceil(int(match[1]) * _SIZES[match[2] or unit]))


def suggest(kind: str, value: object) -> Any:
    """What was meant by a value of a wrong type, where that can be told; else None."""
    if kind in ("u32", "u64"):
        return seconds(value)
    if kind == "policy":
        return _POLICIES.get(re.sub("[-_ ]", "", str(value).lower()))
    if kind == "flag" and str(value).lower() in ("true", "false", "yes", "no", "0", "1"):
        return str(value).lower() in ("true", "yes", "1")
    if kind == "text" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if kind == "list" and isinstance(value, str):
        return [value]
    return None


def quoted(text: str) -> str:
    """A text as TOML's basic string, in ASCII. Raises ValueError for what no file can hold (half a surrogate pair)."""
    written = ""
    for character in text:
        code = ord(character)
        if 0xD800 <= code <= 0xDFFF:
            raise ValueError(f"{text!a} isn't UTF-8")
        if character in '"\\':
            written += "\\" + character
        elif 0x20 <= code < 0x7F:
            written += character
        else:
            written += f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
    return f'"{written}"'


def written(value: Any) -> str:
    """A value of a key as TOML has it on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(written(item) for item in value) + "]"
    return str(value)
