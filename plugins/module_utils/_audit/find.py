# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the apps of a host: by its processes, their units and what else runs them."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress

from .._app.words import is_ours
from .._hand import supervisord
from .._host.memory import group_of, use_of
from .._host.reading import read_text
from .._host.systemd import parse_show
from . import processes, servers, units
from .bounds import TooMuch, Turns
from .model import Host, Served
from .processes import Process
from .servers import Settings
from .supervisors import many, supervised

Run = Callable[[list[str]], tuple[int, str, str]]
# Worker classes that serve ASGI.
_ASGI = re.compile(r"uvicorn|asgi|hypercorn|graceful|fastapi|starlette", re.IGNORECASE)
_CTL = "/gunicorn.ctl"
_ODD = (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError, MemoryError)
_WSGI = ("sync", "gthread", "gevent", "eventlet", "tornado")


def roots(
    table: Mapping[int, Process], turns: Turns | None = None, host: Host | None = None
) -> list[tuple[Process, str, list[str]]]:
    """Servers' first processes, with what they run; workers are told by their parents.

    :param host: which is told of what couldn't be read in time.
    """
    turns, found = turns or Turns(), {}
    for pid, process in table.items():
        # What can't be read as a server isn't one: nobody is told of each odd script.
        try:
            with suppress(*_ODD), turns.of(process.uid):
                if told := _server(process):
                    found[pid] = (process, *told)
        except TooMuch as error:
            if host:
                host.unseen(f"pid {pid}: {process.program}", f"Whether it is a server isn't known: {error}.")
    return [row for pid, row in found.items() if row[0].ppid not in found]


def _server(process: Process) -> tuple[str, list[str]] | None:
    told = servers.recognise(process.argv)
    if told and told[0] == "python":
        path = os.path.join(process.cwd, told[1][0])
        inside = f"/proc/{process.pid}/root{path}" if process.container else path
        return told if servers.parse_script(read_text(inside), path) else None
    return told


def workers_of(process: Process, told: Settings | None = None) -> list[Process]:
    """Its children that answer requests: not Python's own helpers, nor a pool of processes that the app itself has.

    :param told: the server's settings; one Uvicorn answers by itself, unless it watches files.
    """
    alone = told and told.kind in ("uvicorn", "fastapi", "daphne") and told.number("workers") == 1
    if told and alone and not told.get("reload"):
        return []
    helpers = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
    return [child for child in process.children if not any(each in " ".join(child.argv) for each in helpers)]


def read_settings(
    process: Process | None, kind: str, words: list[str], unit: dict[str, str], host: Host
) -> tuple[Settings, tuple[str, list[str]]]:
    """What a server was told, and what of Gunicorn's file couldn't be read."""
    environ = (process.environ if process else None) or {}
    before = f"/proc/{process.pid}/root" if process and process.container else ""
    if kind == "python" and process:
        path = os.path.join(process.cwd, words[0])
        told = servers.parse_script(read_text(before + path), path)
        by_environ = servers.settings("uvicorn", [], environ)
        if told and told.where("workers") == servers.DEFAULT:
            told.values["workers"] = by_environ.values["workers"]
        return told or by_environ, ("", [])
    if kind == "gunicorn" and process and process.argv[0].startswith("gunicorn: master"):
        # setproctitle has written over the command.
        by_unit = servers.recognise(units.commands(unit.get("ExecStart", "")))
        words = by_unit[1] if by_unit else words
    first = servers.settings(kind, words, environ)
    cwd = process.cwd if process else unit.get("WorkingDirectory", "")
    if kind != "gunicorn":
        return first, ("", [])
    cwd = os.path.join(cwd, first.get("chdir") or "")
    named = str(first.get("config") or "./gunicorn.conf.py").removeprefix("file:")
    path = os.path.normpath(os.path.join(cwd, named))
    text = read_text(before + path)
    if not text:
        return first, ("", [])
    try:
        config, unknown = servers.parse_config(text, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        config, unknown = {}, ["all of it"]
    return servers.settings(kind, words, environ, config), (path, unknown)


def listeners(
    table: list[Process], tcp: Mapping[int, tuple[str, int]], unix: Mapping[int, str], control: str = ""
) -> tuple[list[tuple[str, int]], list[str]]:
    """Where processes listen: TCP addresses, and paths of sockets. Not Gunicorn's control socket, which speaks no HTTP.

    :param control: the end of its path, where it has another name than its own.
    """
    inodes = {inode for process in table for inode in processes.sockets_of(process)}
    paths = {path for inode, path in unix.items() if inode in inodes and not path.endswith((control or _CTL, _CTL))}
    return sorted({tcp[inode] for inode in inodes if inode in tcp}), sorted(paths)


def control_of(told: Settings) -> str:
    """Where Gunicorn's control socket is told to be; '' where it is by itself."""
    by_word = re.search(r"(?:^|\0)--control-socket[=\0]([^\0]+)", "\0".join(told.words))
    return os.path.normpath(by_word[1] if by_word else str(told.get("control_socket") or "")).lstrip("./")


def told_listeners(told: Settings, cwd: str) -> tuple[list[tuple[str, int]], list[str]]:
    """The same by what the server was told, where its open files can't be read."""
    tcp, unix = [], []
    for bind in servers.binds(told):
        host, _colon, port = bind.rpartition(":")
        if bind.startswith("unix:"):
            unix.append(os.path.join(cwd, bind[5:]))
        elif port.isdecimal():
            tcp.append((host.strip("[]") or "0.0.0.0", int(port)))
    return tcp, unix


def sockets_in(run_root: str, pid: int) -> dict[int, tuple[str, int]]:
    """Listening TCP sockets of a process's network, by inode."""
    texts = (read_text(f"{run_root}proc/{pid}/net/{name}", 1 << 26) for name in ("tcp", "tcp6"))
    return {inode: (address, port) for text in texts for address, port, inode in processes.parse_tcp(text)}


def find(
    table: Mapping[int, Process],
    run: Run,
    host: Host,
    loaded: Mapping[str, dict[str, str]],
    turns: Turns | None = None,
) -> list[Served]:
    """All apps, those whose units are down among them."""
    programs, turns = supervisord.read(), turns or Turns()
    found: list[Served] = []
    for process, kind, words in roots(table, turns, host):
        before = len(host.findings)
        # One that can't be read, as some user may have made it, is no reason to leave out the others.
        try:
            with turns.of(process.uid):
                app = _served(process, kind, words, run, host, loaded)
                if app:
                    supervised(app, process, table, programs, run, host)
        except Exception as error:
            host.unseen(
                f"pid {process.pid}: {process.program}",
                f"It looks like {kind}, and can't be read ({type(error).__name__}: {error}).",
            )
            continue
        if app and app.name in {other.name for other in found}:
            _rename(app, host, before)
        found += [app] if app else []
    return found + _down(found, loaded)


def _served(
    process: Process, kind: str, words: list[str], run: Run, host: Host, loaded: Mapping[str, dict[str, str]]
) -> Served | None:
    """The app of a server's first process; None where it serves something else."""
    around = [process, *processes.descendants(process)]
    for each in around:
        processes.read_more(each)
    unit = loaded.get(process.unit) or _instance(run, process.unit)
    told, config = read_settings(process, kind, words, unit, host)
    if told.kind == "gunicorn" and _is_wsgi(told):
        host.unseen(
            f"pid {process.pid}: {os.path.basename(process.argv[0])}",
            f"its worker class is {told.get('worker_class')}, which serves WSGI, so it is no FastAPI app.",
        )
        return None
    app = Served(_named(process, told, unit), told, process, workers_of(process, told), unit=unit, config=config)
    tcp = sockets_in("/", process.pid)
    unix = processes.parse_unix(read_text(f"/proc/{process.pid}/net/unix", 1 << 26))
    if process.files is None:
        app.tcp, app.unix = told_listeners(told, process.cwd)
        host.unseen(
            app.process,
            "without root, its environment and its open files can't be read.",
            "Add -b (become).",
            app.name,
        )
    else:
        app.tcp, app.unix = listeners(around, tcp, unix, control_of(told))
    app.uses = [use for each in app.workers or [process] if (use := use_of(str(each.pid)))]
    if app.workers and (use := use_of(str(process.pid))):
        app.beside = use.peak
    app.group = group_of(unit.get("ControlGroup", "")) if not process.container else app.group
    app.ours = is_ours(read_text(unit.get("FragmentPath", ""))) or is_ours(read_text(config[0]))
    try:
        app.affinity = len(os.sched_getaffinity(process.pid))
    except OSError:
        app.affinity = 0
    return app


def _rename(app: Served, host: Host, first: int) -> None:
    """Tell two apps of one unit apart, also in what was found of this one already, from `first` on."""
    old, app.name = app.name, f"{app.name}-{app.main.pid if app.main else 0}"
    host.findings[first:] = [
        dataclasses.replace(each, app=app.name) if each.app == old else each for each in host.findings[first:]
    ]


def _is_wsgi(told: Settings) -> bool:
    kind = str(told.get("worker_class"))
    return kind in _WSGI and not _ASGI.search(kind)


def _instance(run: Run, name: str) -> dict[str, str]:
    """A unit that no list has, such as an instance or one that was just loaded."""
    if not name.endswith(".service"):
        return {}
    status, out, _err = run(["systemctl", "show", f"--property={','.join(units.PROPERTIES)}", "--", name])
    blocks = parse_show(out) if not status else []
    return blocks[0] if blocks and blocks[0].get("LoadState") == "loaded" else {}


def _named(process: Process, told: Settings, unit: Mapping[str, str]) -> str:
    if unit and not many(unit):
        return process.unit.removesuffix(".service")
    module = str(told.get("app") or told.kind).partition(":")[0]
    return f"{os.path.basename(process.cwd.rstrip('/')) or module}-{process.pid}"


def _down(found: list[Served], loaded: Mapping[str, dict[str, str]]) -> list[Served]:
    """Units that should serve an app and don't."""
    running = {app.unit.get("Id") for app in found}
    down = []
    for name, unit in loaded.items():
        told = servers.recognise(units.commands(unit.get("ExecStart", "")))
        failing = unit.get("ActiveState") == "failed" or unit.get("SubState") == "auto-restart"
        wanted = failing or unit.get("UnitFileState") == "enabled" or unit.get("TriggeredBy")
        if not told or told[0] == "python" or name in running or not wanted:
            continue
        app = Served(
            name.removesuffix(".service"), servers.settings(told[0], told[1], {}), unit=dict(unit), supervisor="systemd"
        )
        if not (told[0] == "gunicorn" and _is_wsgi(app.settings)):
            app.ours = is_ours(read_text(unit.get("FragmentPath", "")))
            down.append(app)
    return down
