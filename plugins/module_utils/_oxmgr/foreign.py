# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys that people write into an oxfile and that no version of Oxmgr has: of the post "FastAPI in Production", of the
vendor's blog, of PM2 and of Compose. Each with what to write instead. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .keys import mebibytes, seconds, suggest


@dataclass(frozen=True)
class Meant:
    """What a foreign key stands for: keys of Oxmgr's with their values, if there are any, and what else to do."""

    keys: dict[str, Any] = field(default_factory=dict)
    advice: str = ""


CAPPED = "With SIGTERM Oxmgr waits 15 s at most."
_ARBITER = "It looks at the command's first process alone, which for Gunicorn is the arbiter and not the workers."


def _policy(value: Any) -> Meant:
    return Meant({"restart_policy": suggest("policy", value) or "on_failure"})


def _seconds(key: str, unit: str = "s", advice: str = "") -> Callable[[Any], Meant]:
    def meant(value: Any) -> Meant:
        whole = seconds(value, unit)
        return Meant({} if whole is None else {key: whole}, advice or f"It goes by {key}, in whole seconds.")

    return meant


def _same(key: str) -> Callable[[Any], Meant]:
    return lambda value: Meant({key: value}, f"It goes by {key}.")


def _memory(value: Any) -> Meant:
    size = mebibytes(value)
    return Meant({} if size is None else {"max_memory_mb": size}, _ARBITER)


def _health(value: Any) -> Meant:
    """A table of a web address and its terms; a path alone lacks the port."""
    if not isinstance(value, dict):
        return Meant({}, "Write health_cmd, a command without a shell, such as curl -fsS URL.")
    keys: dict[str, Any] = {}
    url = value.get("url") or value.get("endpoint") or value.get("path")
    limit = seconds(value.get("timeout", "")) or 5
    if isinstance(url, str) and url:
        if url.startswith("/"):
            url = "http://127.0.0.1:8000" + url
        keys["health_cmd"] = f"curl -fsS -m {limit} {shlex.quote(url)}"
    elif isinstance(value.get("command"), str):
        keys["health_cmd"] = value["command"]
    for name in ("interval", "timeout"):
        if (found := seconds(value.get(name, ""))) is not None:
            keys[f"health_{name}_secs"] = found
    for name in ("retries", "max_failures", "failures", "unhealthy_threshold"):
        if isinstance(value.get(name), int):
            keys["health_max_failures"] = value[name]
    return Meant(keys, "A check is a command, and three failures in a row restart the app by its stop signal.")


def _limits(value: Any) -> Meant:
    if not isinstance(value, dict):
        return Meant({}, "Write max_memory_mb, a number of MiB.")
    size = mebibytes(next((value[name] for name in ("memory", "memory_mb", "mem", "max_memory") if name in value), ""))
    return Meant({} if size is None else {"max_memory_mb": size}, _ARBITER)


def _env_file(value: Any) -> Meant:
    path = value if isinstance(value, str) else ".env"
    # A shell searches PATH for a name without a slash.
    path = path if "/" in path else f"./{path}"
    return Meant(
        {},
        "Name each variable under [apps.env], or have a shell read the file and become the command: command = "
        f"\"/bin/sh -c 'set -a; . {path}; exec COMMAND'\".",
    )


def _user(value: Any) -> Meant:
    who = value if isinstance(value, str) else "USER"
    return Meant(
        {},
        "The app runs as whoever runs the daemon. Run the daemon as that user, or begin the command with "
        f"/usr/bin/setpriv --reuid {who} --regid {who} --init-groups --.",
    )


def _webhook(_value: Any) -> Meant:
    return Meant(
        {}, "Oxmgr's own is pull_secret, a header that GitHub and GitLab can't send: deploy by Ansible instead."
    )


def _cron(value: Any) -> Meant:
    return Meant(
        {},
        "Oxmgr runs no jobs: cron_restart restarts what runs already. Use a systemd timer, or a scheduler as an app.",
    )


def _args(_value: Any) -> Meant:
    return Meant({}, "Arguments belong into command, which is split as a shell would.")


FOREIGN: dict[str, Callable[[Any], Meant]] = {
    "args": _args,
    "autorestart": _policy,
    "cron": _cron,
    "directory": _same("cwd"),
    "env_file": _env_file,
    "environment": _same("env"),
    "exec": _same("command"),
    "group": _user,
    "health": _health,
    "health_check": _health,
    "healthcheck": _health,
    "kill_timeout": _seconds("stop_timeout_secs", "ms", CAPPED),
    "limits": _limits,
    "max_memory": _memory,
    "max_memory_restart": _memory,
    "memory_limit": _memory,
    "resources": _limits,
    "restart": _policy,
    "restart_delay": _seconds("restart_delay_secs"),
    "restart_on_exit": _policy,
    "schedule": _cron,
    "script": _same("command"),
    "start_delay": _seconds("start_delay_secs"),
    "stop_timeout": _seconds("stop_timeout_secs", "s", CAPPED),
    "stop_timeout_ms": _seconds("stop_timeout_secs", "ms", CAPPED),
    "user": _user,
    "webhook": _webhook,
    "workdir": _same("cwd"),
    "working_dir": _same("cwd"),
    "working_directory": _same("cwd"),
}
"""What each stands for, by its value."""
WITHOUT = {
    "env_file": "the app starts without these variables",
    "group": "the app runs as the daemon does",
    "health": "nobody asks the app how it is",
    "health_check": "nobody asks the app how it is",
    "healthcheck": "nobody asks the app how it is",
    "limits": "nothing is limited",
    "restart": "the policy is on_failure",
    "stop_timeout": "the app is killed after 5 s",
    "stop_timeout_ms": "the app is killed after 5 s",
    "kill_timeout": "the app is killed after 5 s",
    "user": "the app runs as the daemon does",
}
"""What happens where nobody notices, for those that cost something at night."""
