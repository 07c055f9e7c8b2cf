# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fastapi_canary may look like, and what it can't be had with. Pure."""

from __future__ import annotations

import difflib
import re
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem, show, write

SILENT = 240
"""Seconds after which routers begin to forget a connection on which nothing is said."""
EXAMPLE = "{share: 10%, seconds: 120}"
BOUNDS = {"seconds": (1, 3600), "requests": (20, 1_000_000), "errors": (0, 100), "slower": (0, 10_000)}
WHOLE = ("seconds", "requests")
UNITS = {
    "seconds": " of seconds",
    "requests": " of requests on each side",
    "errors": " of percentage points",
    "slower": " of percent",
}


def entry(variable: str, value: t.Any) -> Problem | None:
    example = write(variable, EXAMPLE)
    if not isinstance(value, dict):
        return Problem(variable, value, "it has to be a mapping.", example)
    if not value:
        return None
    known = ("share", *BOUNDS)
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.5)
            wrong = f"{show(key)} in it is unknown; there are {', '.join(known)}."
            return Problem(variable, value, wrong, f"Write {near[0]} for it." if near else "Take it out.")
    if missing := [key for key in ("share", "seconds") if key not in value]:
        wrong = f"it has no {' and no '.join(missing)}, and how much and for how long nobody else can know."
        return Problem(variable, value, wrong, example)
    if not re.fullmatch(r"([1-9]|[1-4][0-9]|50)\s?%?", str(value["share"]), re.ASCII):
        wrong = f"share is {show(value['share'])}, and has to be from 1% to 50% of the requests."
        return Problem(variable, value, wrong, example)
    for key, (least, most) in BOUNDS.items():
        number = _number(value.get(key, least))
        if number is None or not least <= number <= most or (key in WHOLE and number != int(number)):
            kind = "whole number" if key in WHOLE else "number"
            wrong = f"{key} is {show(value[key])}, and has to be a {kind}{UNITS[key]}, from {least} to {most}."
            return Problem(variable, value, wrong, example)
    return None


def _number(value: t.Any) -> float | None:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", str(value), re.ASCII):
        return None
    return float(str(value))


def check(values: dict[str, t.Any]) -> list[Problem]:
    """What it can't be had with."""
    if not values.get("canary"):
        return []
    strategy = values.get("strategy", "auto")
    if values.get("proxy") == "none":
        wrong = "fastapi_proxy is none, and it is the proxy that shares the requests out."
        return [Problem("canary", HIDDEN, wrong, "Write fastapi_canary: {}, or a fastapi_proxy.")]
    if strategy in ("restart", "reload"):
        wrong = f"fastapi_strategy is {strategy}, and with one slot no two releases serve at once."
        return [Problem("canary", HIDDEN, wrong, "Write fastapi_strategy: swap, or fastapi_canary: {}.")]
    return []


def forgotten(canary: dict[str, t.Any], options: t.Iterable[object]) -> str:
    """A warning where the connection may be lost while a canary has its time, a sentence; '' where nothing tells that.

    :param options: what the connection to the host was told of ssh.
    """
    seconds = int(float(canary.get("seconds", 0)))
    if seconds <= SILENT or any("serveraliveinterval" in str(option).lower() for option in options):
        return ""
    return (
        f"The canary takes {seconds} s, in which nothing is said on the connection to the host, and routers forget "
        "such a one after some minutes. The host would be unreachable then, and its deploy would go on by itself. "
        "Write ssh_args = -C -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=30 below "
        "[ssh_connection] in ansible.cfg. If ~/.ssh/config has a ServerAliveInterval, all is well."
    )
