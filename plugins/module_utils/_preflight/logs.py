# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The most that an app's logs take of a host's disk, and whether it is there."""

from __future__ import annotations

import glob
import os
import typing as t

from .._host.files import free_bytes
from .._plan.sizes import format_size, human_size, parse_size

DIRECTORY = "/var/log"
# What each log is, and where; {name} is the app's.
PLACES = {
    "journal": "journal/*.{name}/*",
    "access log of caddy": "caddy/{name}.access*",
    "access log of nginx": "nginx/{name}.access*",
    "error log of nginx": "nginx/{name}.error*",
    "files": "{name}/*",
}


def bounds(params: dict[str, t.Any]) -> dict[str, int]:
    """The most bytes of each log of the app's, by what it is. Each has fastapi_log_max_size for itself."""
    kinds = ["journal"]
    if params["proxy"] != "none":
        kinds.append(f"access log of {params['proxy']}")
    if params["proxy"] == "nginx":
        kinds.append("error log of nginx")
    return dict.fromkeys(kinds + ["files"] * bool(params["log_files"]), parse_size(params["log_max_size"]))


def read_logs(params: dict[str, t.Any], directory: str = DIRECTORY) -> dict[str, int]:
    """Bytes that the logs take now, and that are free beside them, as an ordinary write sees it."""
    used = 0
    for kind in bounds(params):
        pattern = PLACES[kind].format(name=glob.escape(params["name"]))
        for path in glob.glob(os.path.join(glob.escape(directory), pattern)):
            try:
                used += os.lstat(path).st_blocks * 512
            except OSError:  # rotated away meanwhile
                continue
    return {"used": used, "free": free_bytes(directory)}


def explain(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The bound as a number, and as a sentence for a person."""
    each = bounds(params)
    total = sum(each.values())
    parts = ", ".join(f"{kind} {human_size(most)}" for kind, most in each.items())
    return {"most": format_size(total), "most_bytes": total, "text": f"Logs: at most {human_size(total)} ({parts})."}


def judge_logs(params: dict[str, t.Any], found: dict[str, int]) -> list[str]:
    """A warning where the disk can't hold the logs at their worst. No refusal: journald keeps some of a disk free."""
    each = bounds(params)
    room = found["free"] + found["used"]
    if sum(each.values()) <= room:
        return []
    fits = max(room * 8 // 10 // len(each) >> 20, 1)
    return [
        f"The logs may take {human_size(sum(each.values()))}, and {DIRECTORY} has room for {human_size(room)} of them. "
        f"Make it larger, or write fastapi_log_max_size: {fits}M. With a full disk the app serves on, but the oldest "
        "lines go early, and new ones may be lost."
    ]
