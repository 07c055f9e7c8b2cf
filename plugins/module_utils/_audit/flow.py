# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at a host, and judges what it sees: the host's half of audit_info. Changes nothing."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from .._app.secrets import Hider
from .._host.reading import read_text
from .._host.run import finish
from . import code, disk_checks, health_checks, proxy_checks, rights_checks, run_checks, stop_checks
from .bounds import Turns
from .facts import read_host
from .find import find
from .findings import Finding, ordered
from .leaks import secret_values, values, without_secrets
from .model import Host, Served, listed
from .processes import read_all
from .sites import same
from .units import environment_files, services

Run = Callable[[list[str]], tuple[int, str, str]]
_NUMBERS = re.compile(r"(?i)pool|overflow|max_conn|connections|concurrency")
EACH: tuple[Callable[[Served, Host], Iterator[Finding]], ...] = (
    run_checks.server,
    run_checks.workers,
    run_checks.memory,
    run_checks.kills,
    run_checks.command,
    stop_checks.ladder,
    stop_checks.signals,
    stop_checks.comes_back,
    stop_checks.boot,
    stop_checks.restarts,
    proxy_checks.ports,
    proxy_checks.waits,
    proxy_checks.keeps,
    proxy_checks.bodies,
    proxy_checks.plain,
    proxy_checks.certificates,
    rights_checks.user,
    rights_checks.code,
    rights_checks.secrets,
    disk_checks.logs,
    health_checks.paths,
)
"""What is asked of each app. Each may fail by itself, and is then told as not looked at."""
_NEEDS_PROCESS = (run_checks.memory, run_checks.workers, rights_checks.code)


LIMIT = 60.0
"""Seconds for each program that is asked, such as journalctl."""


def ask(command: list[str]) -> tuple[int, str, str]:
    """Run a program to its end. One that isn't there, or doesn't end, has failed like any other."""
    try:
        done = finish(command, {**os.environ, "LC_ALL": "C.UTF-8"}, LIMIT)
    except (OSError, subprocess.SubprocessError) as error:
        return 127, "", str(error)
    return done.returncode, done.stdout, done.stderr


def look(run: Run, name: str = "", source: bool = True) -> dict[str, Any]:
    """Findings, apps, and what the control node needs to read their source.

    :param name: of the one app that is wanted; '' for all.
    :param source: whether the apps' Python files are wanted, too.
    """
    table, loaded, turns = read_all(), services(run), Turns()
    host = read_host(run, table, loaded, time.time(), turns)
    everyone = find(table, run, host, loaded, turns)
    apps = [app for app in everyone if not name or wanted(app, name)]
    if not loaded:
        host.unseen("systemctl", "systemd tells of no services, so no unit was looked at.")
    if not host.root:
        host.unseen(
            "the host",
            "This wasn't run as root, so environments, open files and others' logs couldn't be read.",
            "Add -b (become).",
        )
    if name and not apps:
        host.unseen(
            "the host",
            f"No process and no unit of an app that is called {name} was found.",
            "Without fastapi_name, all apps of the host are shown.",
        )
    elif not apps:
        host.unseen(
            "the host",
            "No Gunicorn, Uvicorn, Hypercorn, Granian or fastapi run was found, neither running nor in a unit.",
        )
    for app in apps:
        app.sites = [site for site in host.sites if any(same(site.address, address) for address in addresses(app))]
    found = [finding for app in apps for finding in judge(app, host, turns)]
    found += [finding for finding in rights_checks.shared_users(everyone) if finding.app in {app.name for app in apps}]
    told = [row for app in apps if (row := _asked(app, host, turns, source))]
    if others := [app.name for app in apps if app.main and not app.ours]:
        seen = "How long an event loop stood still, and where, is recorded by nobody there."
        write = "graceful.deploy's worker class records each stall; for now: PYTHONASYNCIODEBUG=1 on a test host."
        host.findings.append(Finding("event-loop-unseen", "", listed(others, 10), seen, write))
    names = {app.name for app in apps} | {""}
    hide = Hider(secrets(apps))
    findings = ordered([_hidden(each, hide) for each in [*found, *host.findings] if not name or each.app in names])
    return {
        "findings": findings,
        "apps": told,
        "others": sorted({app.name for app in everyone} - {app.name for app in apps}),
        "database": {"max_connections": host.connections[0], "where": host.connections[1]} if host.connections else {},
    }


def wanted(app: Served, name: str) -> bool:
    """By its name, its unit's, or that of ours of which it is a slot."""
    return name in (app.name, app.name.partition("@")[0], app.unit.get("Id", ""))


def addresses(app: Served) -> list[str]:
    tcp = [*app.tcp, *(app.container.ports if app.container else ())]
    return [f"{address}:{port}" for address, port in tcp] + [f"unix:{path}" for path in app.unix]


def judge(app: Served, host: Host, turns: Turns | None = None) -> list[Finding]:
    """All checks of one app."""
    turns = turns or Turns()
    uid = app.main.uid if app.main else 0
    found: list[Finding] = []
    for check in EACH:
        if not app.main and check in _NEEDS_PROCESS:
            continue
        try:
            with turns.of(uid):
                found += check(app, host)
        except Exception as error:
            # An odd host is no reason to show nothing of it.
            what = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
            host.unseen(
                what,
                f"This check doesn't know what it met ({type(error).__name__}: {error}).",
                "Report it, please.",
                app.name,
            )
    if unknown := [name for name in app.config[1] if name not in ("chdir", "user", "accesslog", "errorlog")]:
        said = f"{', '.join(unknown)} is computed there, and this file isn't run to know it."
        host.unseen(app.config[0], said, app=app.name)
    return found


def secrets(apps: list[Served]) -> set[str]:
    """All that may not be shown: of the apps' environments and their files."""
    named: list[dict[str, str]] = []
    for app in apps:
        named += [process.environ for process in [app.main, *app.workers] if process and process.environ]
        named += [
            {name: value for name, (_line, value) in values(read_text(path)).items()}
            for path in environment_files(app.unit)
        ]
    return {secret for environ in named for secret in secret_values(environ)}


def _hidden(finding: Finding, hide: Hider) -> dict[str, Any]:
    return {key: hide(value) if key in ("where", "seen") else value for key, value in finding.as_dict().items()}


def _asked(app: Served, host: Host, turns: Turns, source: bool) -> dict[str, Any]:
    """What is told of an app; without its source where that can't be read."""
    try:
        with turns.of(app.main.uid if app.main else 0):
            return _told(app, source)
    except Exception as error:
        host.unseen(app.process, f"Its files can't be read ({type(error).__name__}: {error}).", app=app.name)
    return _told(app, False, readable=False)


def _told(app: Served, source: bool, readable: bool = True) -> dict[str, Any]:
    """:param readable: whether what its user can change may be read."""
    environ = (app.main.environ or {}) if app.main and readable else {}
    top = code.top_of(app) if readable else ""
    files, why = code.collect(top) if top else ({}, "")
    itself = rights_checks.read_itself(app, top, code.environment_names(files.values())) if readable else set()
    files, why = (files, why) if source else ({}, "")
    return {
        "name": app.name,
        "server": app.settings.kind,
        "app": str(app.settings.get("app") or ""),
        "pid": app.main.pid if app.main else 0,
        "command": " ".join(without_secrets(app.main.argv)) if app.main else "",
        "workers": app.count if app.main else 0,
        "memory": sum(use.now for use in app.uses),
        "unit": app.unit.get("Id", ""),
        "supervisor": app.supervisor,
        "container": app.container.name if app.container else "",
        "listens": addresses(app),
        "sites": [{"proxy": site.proxy, "where": site.where, "names": list(site.names)} for site in app.sites],
        "ours": app.ours,
        "answers": app.doors,
        "source": top,
        "source_unread": why,
        "files": code.packed(files) if files else "",
        "variables": sorted({*environ, *itself}),
        "numbers": {
            name: int(value)
            for name, value in environ.items()
            if _NUMBERS.search(name) and value.isdecimal() and len(value) < 10
        },
        "preload": bool(app.settings.get("preload_app")),
        "packages": code.packages(app) if readable else {},
    }
