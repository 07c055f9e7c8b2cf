# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who starts an app again when it ends: systemd, supervisord, Oxmgr, Docker, somebody else, or nobody."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping

from .._hand import supervisord
from .._hand.unit_text import words as split
from .._host.memory import group_of
from .._host.reading import read_text
from . import containers
from .model import Host, Served
from .processes import Process

Run = Callable[[list[str]], tuple[int, str, str]]
OTHERS = ("PM2", "circusd", "runsv", "s6-supervise", "supervise", "process-compose", "honcho", "forever", "immortal")
"""Supervisors that are known by name alone."""


def many(unit: Mapping[str, str]) -> bool:
    """Units that run all kinds of things."""
    return unit.get("Id", "") in (
        "supervisor.service",
        "supervisord.service",
        "docker.service",
        "cron.service",
        "oxmgr.service",
    )


def _above(process: Process, table: Mapping[int, Process]) -> list[str]:
    """The commands of the processes above one, each by its first two words."""
    found: list[str] = []
    parent = table.get(process.ppid)
    while parent and parent.pid != 1 and len(found) < 50:
        found.append(" ".join([parent.program, *parent.argv[1:2]]))
        parent = table.get(parent.ppid)
    return found


def supervised(
    app: Served,
    process: Process,
    table: Mapping[int, Process],
    programs: list[supervisord.Program],
    run: Run,
    host: Host,
) -> None:
    """Who starts it again."""
    above = _above(process, table)
    if process.container:
        app.supervisor = "docker"
        app.container = containers.inspect(run, process.container)
        app.unit = {}
        name = app.container.name if app.container else process.container[:12]
        app.name = name
        what = "its file system, its environment file and its network are the container's own"
        host.findings.append(
            app.find(
                "in-container",
                app.container.where if app.container else app.process,
                f"It runs in the container {name}: {what}, and were looked at from outside of it.",
                "Nothing: it is told so that you know.",
            )
        )
    elif any("supervisord" in each for each in above):
        app.supervisor = "supervisord"
        app.program = next((each for each in programs if _runs(each.command, process)), None)
        app.unit = {}
        app.group = group_of("")
        if app.program:
            app.name = app.program.name
        else:
            host.unseen(
                app.process, "supervisord runs it, and no [program:...] with this command was found.", app=app.name
            )
    elif any(each.startswith("oxmgr") for each in above):
        app.supervisor = "oxmgr"
        _of_oxmgr(app, process, host)
    elif other := next((name for each in above for name in OTHERS if re.match(name, each, re.IGNORECASE)), ""):
        # A unit that it belongs to is the supervisor's own.
        app.supervisor, app.unit, app.group = other, {}, group_of("")
        app.name = f"{os.path.basename(process.cwd.rstrip('/')) or app.settings.kind}-{process.pid}"
        host.unseen(app.process, f"{other} runs it, whose settings aren't read.", app=app.name)
    elif app.unit:
        app.supervisor = "systemd"
    elif "/user@" in process.cgroup and process.unit.endswith(".service"):
        app.supervisor, app.name = "a user's own systemd", process.unit.removesuffix(".service")
        seen = "A user's own systemd runs it, whose units aren't read; at boot it starts only with lingering."
        host.unseen(app.process, seen, "loginctl enable-linger USER; or a unit of the system's, with User=.", app.name)


def _runs(command: str, process: Process) -> bool:
    words = split(command)
    return (
        bool(words)
        and " ".join(words[1:]) in " ".join(process.argv)
        and os.path.basename(words[0]) in " ".join(process.argv)
    )


def _of_oxmgr(app: Served, process: Process, host: Host) -> None:
    try:
        from .._oxmgr.oxfile import read
    except ImportError:
        host.unseen(
            app.process, "Oxmgr runs it, and to read its oxfile Python 3.11 is needed on the host.", app=app.name
        )
        return
    if app.ours:
        return
    app.unit = {}
    near = [os.path.join(process.cwd, "oxfile.toml"), os.path.join(os.path.dirname(process.cwd), "oxfile.toml")]
    for path in dict.fromkeys(
        [*near, *sorted(glob.glob("/etc/oxmgr/*.toml")), "/etc/oxfile.toml", *sorted(glob.glob("/srv/*/oxfile.toml"))]
    ):
        text = read_text(path)
        if not text:
            continue
        apps, told = read(text, path)
        for each in apps:
            if _runs(each.values["command"] or "", process):
                app.oxmgr, app.name = (path, each), each.name
                for finding in told:
                    if finding.key.split(".")[0] in ("", each.name):
                        where, _colon, sentence = finding.sentence.partition(": ")
                        seen, _point, write = sentence.rpartition(". Write ")
                        host.findings.append(
                            app.find(
                                "oxfile",
                                where,
                                f"{seen or sentence}".rstrip(".") + ".",
                                f"Write {write}" if seen else "What the sentence says.",
                                "" if finding.serious else "low",
                            )
                        )
                return
    host.unseen(app.process, "Oxmgr runs it, and no oxfile with this command was found.", app=app.name)
