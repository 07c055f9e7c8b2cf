# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs that grow without an end, and the disk that they fill."""

from __future__ import annotations

import calendar
import fnmatch
import os
import re
import stat
import time
from collections.abc import Iterator

from .._host.files import room_at
from .._plan.sizes import human_size
from .findings import Finding
from .model import Host, Served

SOON, WEEK = 30, 7
"""Days until a disk is full from which on that is told, and from which on it is urgent."""
LEAST_AGE = 3600
"""Seconds that a log has to be old: what it has taken in a minute tells nothing of a month."""
_TIMES = (
    (re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})"), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}):([0-9]{2}:[0-9]{2}:[0-9]{2})"), "%d/%b/%Y %H:%M:%S"),
    (re.compile(r"([0-9]{4}/[0-9]{2}/[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})"), "%Y/%m/%d %H:%M:%S"),
)
_EPOCH = re.compile(r'"(?:ts|time|timestamp)"\s*:\s*"?([0-9]{10})(?:\.[0-9]+)?')


def written(app: Served) -> list[str]:
    """The log files that an app writes: what its processes have open to append to, and what its settings name."""
    found = []
    for process in [app.main, *app.workers] if app.main and not app.container else []:
        for number, path in (process.files or {}).items() if process else ():
            if path.startswith("/") and (
                number in (1, 2) or "log" in os.path.basename(path).lower() or path.startswith("/var/log/")
            ):
                found.append(path)
    for name in ("accesslog", "errorlog"):
        value = str(app.settings.get(name) or "")
        if value not in ("", "-") and app.main and not app.container:
            found.append(os.path.join(app.main.cwd, value))
    for name in ("StandardOutput", "StandardError"):
        kind, _colon, path = app.unit.get(name, "").partition(":")
        found += [path] if kind in ("append", "file", "truncate") and path else []
    return [path for path in dict.fromkeys(found) if _is_log(path)]


def _is_log(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def logs(app: Served, host: Host) -> Iterator[Finding]:
    if app.container:
        if not app.container.log_bounded and app.container.log:
            yield app.find(
                "log-unbounded",
                app.container.where,
                f"Docker keeps all that {app.container.name} writes in {app.container.log}.",
                'logging: { driver: json-file, options: { max-size: "50m", max-file: "5" } }',
            )
            yield from _fills(app, host, app.container.log)
        return
    by_supervisord = app.program.logs if app.program and app.program.bounded else ()
    for path in written(app):
        if path in by_supervisord or is_rotated(path, host.rotated):
            continue
        yield app.find(
            "log-unbounded",
            path,
            f"{path} has {human_size(os.path.getsize(path))}, and neither logrotate nor its writer rotates it.",
            f"/etc/logrotate.d/{app.name}: {path} {{ size 50M rotate 8 compress missingok copytruncate }}; or write to "
            "standard output, which journald bounds.",
        )
        yield from _fills(app, host, path)


def is_rotated(path: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def _fills(app: Served, host: Host, path: str) -> Iterator[Finding]:
    try:
        size, begun, free = os.path.getsize(path), begin(path), room_at(os.path.dirname(path)).free_bytes
    except OSError:
        return
    if not begun or host.now - begun < LEAST_AGE or not size:
        return
    a_day = size / (host.now - begun) * 86400
    left = free / a_day
    if left < SOON:
        yield app.find(
            "disk-fills",
            path,
            f"It grows by {human_size(int(a_day))} a day, and its disk has {human_size(free)} left: {left:.1f} days.",
            f"Rotate {path}, or make room.",
            "" if left < WEEK else "medium",
        )


def begin(path: str) -> float:
    """When a log begins, by its first lines; 0 where they don't say."""
    with open(path, "rb") as file:
        head = file.read(4096).decode(errors="replace")
    if match := _EPOCH.search(head):
        return float(match[1])
    for shape, form in _TIMES:
        if match := shape.search(head):
            try:
                return float(calendar.timegm(time.strptime(f"{match[1]} {match[2]}", form)))
            except ValueError:
                continue
    return 0.0
