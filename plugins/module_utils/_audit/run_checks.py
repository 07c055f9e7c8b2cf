# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an app is run: by which server, with how many workers, and in how much memory. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .._plan.sizes import human_size
from .findings import Finding
from .leaks import in_words
from .model import Host, Served
from .units import seconds

FULL = 0.85
"""Part of its memory that the workers may take before one request more than usual is too many."""


def server(app: Served, _host: Host) -> Iterator[Finding]:
    told = app.settings
    if told.get("reload"):
        yield app.find(
            "reload-in-production",
            app.at("reload"),
            "The server watches the files of the app and starts it again when one changes.",
            "fastapi run in place of fastapi dev"
            if told.words[:1] == ["dev"]
            else "Leave --reload out (or reload=True), and restart for a new version.",
        )
    if told.kind == "gunicorn" and "uvicorn.workers" in str(told.get("worker_class")):
        yield app.find(
            "deprecated-worker",
            app.at("worker_class"),
            f"The worker class is {told.get('worker_class')}.",
            "pip install uvicorn-worker, and --worker-class uvicorn_worker.UvicornWorker.",
        )
    # Docker's own way is a process to a container, and several containers.
    if told.kind in ("uvicorn", "hypercorn", "fastapi", "granian", "daphne") and not app.container:
        number = told.number("workers")
        # Where a script computes it, its children tell.
        one = (app.count if number is None else number) < 2
        if one or told.kind in ("uvicorn", "fastapi"):
            yield app.find(
                "uvicorn-alone",
                app.process,
                f"{told.kind.capitalize()} runs alone, as one process."
                if one
                else f"{told.kind.capitalize()} manages its workers itself, and can't reload them one by one.",
                f"gunicorn {told.get('app') or 'app.main:app'} --worker-class uvicorn_worker.UvicornWorker --workers 2 "
                "--timeout 60 --graceful-timeout 30",
                "" if one else "low",
            )


def cpus(app: Served, host: Host) -> tuple[float, str]:
    """The CPUs that the app gets, and what says so."""
    found = [(host.cpus, host.cpu_source)]
    if app.affinity:
        found.append((float(app.affinity), "its affinity"))
    quota = seconds(app.unit.get("CPUQuotaPerSecUSec", ""))
    if quota:
        found.append((quota, f"CPUQuota= of {app.unit.get('Id')}"))
    return min(found)


def workers(app: Served, host: Host) -> Iterator[Finding]:
    count, (given, source) = app.count, cpus(app, host)
    most = math.ceil(given) + 1
    if count > most:
        rule = " (2 x CPUs + 1)" if count == 2 * math.ceil(given) + 1 else ""
        each = f", {human_size(sum(use.now for use in app.uses) // len(app.uses))} each" if app.uses else ""
        yield app.find(
            "too-many-workers",
            app.at("workers"),
            f"{count} workers{rule}{each}, on {given:g} CPU{'' if given == 1 else 's'} ({source}); set by "
            f"{app.settings.set_by('workers')}.",
            f"--workers {math.ceil(given)} for code that waits (databases, HTTP), {most} for a mix; then measure.",
        )


def memory(app: Served, host: Host) -> Iterator[Finding]:
    limit, of = (
        (app.group.limit, f"MemoryMax= of {app.unit.get('Id')}") if app.group.limit else (host.memory, "the host")
    )
    if app.container and app.container.memory:
        limit, of = app.container.memory, f"the container {app.container.name}"
    taken = sum(use.peak for use in app.uses) + app.beside
    if limit and app.uses and taken > FULL * limit:
        fit = max(1, int((limit * FULL - app.beside) / max(use.peak for use in app.uses)))
        yield app.find(
            "workers-exceed-memory",
            app.process,
            f"{len(app.uses)} worker(s) and what is above them have taken up to {human_size(taken)} of the "
            f"{human_size(limit)} that {of} has.",
            f"--workers {min(fit, len(app.uses))}, or more memory: {human_size(math.ceil(taken * 1.25))} would do.",
        )
    limited = (
        app.group.limit
        or (app.container and app.container.memory)
        or (app.oxmgr and app.oxmgr[1].values.get("max_memory_mb"))
    )
    if app.main and not limited:
        if app.container:
            write = f"mem_limit: {_enough(app)} in {app.container.where}"
        elif app.supervisor == "systemd":
            write = f"In [Service] of {app.unit_path}: MemoryMax={_enough(app)}"
        else:
            write = f"Run it by a systemd unit with MemoryMax={_enough(app)}"
        yield app.find("no-memory-limit", app.process, "Nothing limits the memory that it may take.", write)


def _enough(app: Served) -> str:
    taken = sum(use.peak for use in app.uses)
    return human_size(max(2 * taken, 256 << 20))


def kills(app: Served, host: Host) -> Iterator[Finding]:
    lines = [line for line in host.kills if _is_about(line, app)]
    if app.group.kills or lines:
        what = f"the kernel has killed {app.group.kills} of its processes since it started" if app.group.kills else ""
        said = (
            f"the journal has {len(lines)} such line(s) of the last week, the last: {lines[-1].strip()}"
            if lines
            else ""
        )
        seen = "; ".join(part for part in (what, said) if part)
        limit = f" at its limit of {human_size(app.group.limit)}" if app.group.limit else ""
        yield app.find(
            "oom-kills",
            app.unit.get("Id") or app.process,
            f"{seen[0].upper()}{seen[1:]}{limit}.",
            "Fewer workers, or more memory (MemoryMax=); and find out which request takes so much.",
        )


def _is_about(line: str, app: Served) -> bool:
    unit = app.unit.get("Id", "")
    return bool(unit) and (f"{unit}:" in line or f"/{unit}," in line or f"/{unit} " in line)


def command(app: Served, _host: Host) -> Iterator[Finding]:
    for process in [app.main, *app.workers] if app.main else []:
        if process and (found := in_words(process.argv)):
            yield app.find(
                "secrets-in-command",
                app.process,
                f"The command has {', '.join(dict.fromkeys(found))}.",
                "Put it into a file of mode 0600 that root owns, and EnvironmentFile= in the unit; change the secret.",
            )
            return
