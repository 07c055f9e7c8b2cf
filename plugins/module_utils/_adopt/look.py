# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a hand-made host shows of one app, in one trip. Reads only; what it means is for the control node to say."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .._app.roots import SHARED
from .._hand.options import program_of
from .._hand.unit_text import parse_environment
from .._host.systemd import CommandFailed
from . import code, dotenv, oxmgr, record, server
from .lineages import lineages
from .programs import Host, Program, Refused, programs
from .proxies import proxy_files

_COMPOSE = ("compose.yml", "compose.yaml", "docker-compose.yml", "docker-compose.yaml")
_PLACES = ("/srv", "/opt", "/var/www", "/home", "/root")


def look(host: Host, unit: str, cpus: int) -> dict[str, Any]:
    """All that adopting takes of the host.

    :param unit: the program, by its whole name or its stem; '' for the only one.
    :raises Refused: where there is none, or which is meant can't be told, or it can't be adopted.
    """
    kept = {str(each["adopt"].get("unit")): each for each in record.adopted() if each["stage"] != "undoing"}
    program = choose(unmoved(programs(host), unit, kept), unit, host)
    if program.refused:
        raise Refused(program.refused)
    if program.kind == "oxmgr":
        program.user = _user_of_oxmgr(program.name, f"{host.top}/proc")
    served = server.read(program.words)
    if served is None:
        raise Refused(f"{program.file} starts no app server: {' '.join(program.words[:1])} ...")
    variables, odd, unread = dict(program.environment), list[str](), list[str]()
    files: dict[str, dict[str, str] | None] = {}
    for path in _environment_files(program, served):
        text = host.try_read(path)
        if text is None and host.is_file(path):
            unread.append(path)
        values, lines = parse_environment(text or "")
        files[path] = None if text is None else values
        odd += [f"{path}:{number}: {name}" for number, name in lines]
        variables |= values
    if extra := variables.get("GUNICORN_CMD_ARGS"):
        _add(served, extra.split())
    config = _config(host, program, served)
    if config:
        server.read_file(served, host.read(config), config, variables | served.env, cpus)
    workers = variables.get("WEB_CONCURRENCY", "")
    if "workers" not in served.given and workers.isdigit():
        served.given["workers"] = workers
    _become(program, served)
    directory = directory_of(program, served)
    beside = [path for path in dotenv.files(program.directory, directory) if path not in files]
    return {
        "program": program.as_dict(),
        "server": asdict(served) | {"worker_class": served.worker_class},
        "environment_files": files,
        "dotenv": dotenv.look(host, beside, program.user, program.group, variables | served.env),
        "own_group": group_of(host, program.user),
        "odd": odd,
        "unread": unread,
        "config": config,
        "cpus": cpus,
        "directory": directory,
        "code": code.look(host, directory) | {"installed": code.installed(host, program.words[0])},
        "proxies": proxy_files(host) | {"lineages": lineages(host)},
        "taken": _taken(host, directory),
        "adopted": {key: kept.get(program.name, {}).get(key, "") for key in ("name", "root")},
    }


def _become(program: Program, served: server.Server) -> None:
    """Gunicorn that root starts gives its workers to whom its own options say; another user's can't."""
    user, group = served.given.get("user", ""), served.given.get("group", "")
    if program.user in ("", "root"):
        program.user, program.group = user or program.user, group or program.group


def group_of(host: Host, user: str) -> str:
    """The group that a user has by itself; '' where the host's own files don't know it."""
    rows = {path: [line.split(":") for line in host.read(path).splitlines()] for path in ("/etc/passwd", "/etc/group")}
    own = next((row[3] for row in rows["/etc/passwd"] if row[0] == user and len(row) > 3), "")
    return next((row[0] for row in rows["/etc/group"] if own and row[2:3] == [own]), "")


def _user_of_oxmgr(name: str, proc: str) -> str:
    """As whom it runs, which no oxfile says: as its daemon does. '' where none has it now."""
    try:
        return pwd.getpwuid(oxmgr.find(name, proc).daemon.uid).pw_name
    except (CommandFailed, KeyError):
        return ""


def choose(found: list[Program], unit: str, host: Host) -> Program:
    """:raises Refused: as look()."""
    names = [program.name for program in found]
    if unit:
        stem = unit.removesuffix(".service")
        meant = [each for each in found if unit in (each.name, re.split("[/#]", each.name)[-1])]
        meant = meant or [each for each in found if each.name == f"{stem}.service"]
        if len(meant) == 1:
            return meant[0]
        # It may be a container's name.
        there = f"There are {', '.join(names)}. {_containers(host)}".strip() if names else _others(host)
        raise Refused(f"unit is {unit}, and no app server is started by it on this host. {there}")
    if len(found) == 1:
        return found[0]
    if found:
        # No more of a command than that: it may have a password in it.
        served = [(each.name, server.read(each.words)) for each in found]
        listed = "".join(
            f"\n  -e unit={name}" + (f"    {run.program} {run.app}" if run else "") for name, run in served
        )
        raise Refused(f"There are {len(found)} app servers on this host. Say which one is meant:{listed}")
    raise Refused(f"Nothing on this host starts an app server. {_others(host)}")


def unmoved(found: list[Program], unit: str, kept: Mapping[str, Mapping[str, Any]]) -> list[Program]:
    """Those that haven't been moved in.

    :param kept: of each that has been, or is being moved, what is noted of that.
    :raises Refused: where one that has been moved in is meant, or there is no other.
    """
    moved = {name: row for name, row in kept.items() if row["stage"] != "beside"}
    rest = [program for program in found if program.name not in moved]
    meant = [name for name in moved if unit in (name, name.removesuffix(".service"), re.split("[/#]", name)[-1])]
    if name := next(iter(meant or ([] if unit or rest else moved)), ""):
        ours, stage = moved[name].get("name", "the app"), moved[name]["stage"]
        how = {
            "moving": "is being moved in, and a run of step=move was cut off",
            "finished": "has been moved in already, and is stopped and disabled",
        }.get(stage, "has been moved in already, and runs on without traffic")
        then = {"moving": "step=move", "finished": "site.yml or release.yml"}.get(stage, "step=finish")
        raise Refused(
            f"{name} {how}: it is {ours} in {moved[name]['root']} now. Next is {then} with the inventory that was "
            "written for it; step=undo goes back, and then it can be read anew."
        )
    return rest


def _containers(host: Host) -> str:
    """The first app server that a compose file runs, and what would be needed; '' for none."""
    for top in _PLACES:
        for path in (top, *(f"{top}/{entry}" for entry in host.names(top))):
            for name in _COMPOSE:
                text = host.read(f"{path}/{name}") if host.is_file(f"{path}/{name}") else ""
                found = re.search(r"(?m)^.*\b(gunicorn|uvicorn|hypercorn|granian|fastapi)\b.*$", text)
                found = found or re.search(r"(?m)^\s*build:.*$", text)
                if found:
                    line = text.count("\n", 0, found.start()) + 1
                    # No more of a command than that: it may have a password in it.
                    what = found[1] if found.lastindex else "build:"
                    return (
                        f"{path}/{name}:{line} runs one in a container ({what}). What is in an image can't be read "
                        "from outside, so that isn't adopted. What is needed is its source: run init.yml with that "
                        "(-e fastapi_source=...), fill in what the compose file sets, deploy to another port, and "
                        "move the proxy by hand."
                    )
    return ""


def _others(host: Host) -> str:
    """What there is of app servers that can't be adopted, and what would be needed."""
    if found := _containers(host):
        return found
    for pid in sorted(int(name) for name in host.names("/proc") if name.isdigit()):
        words = host.read(f"/proc/{pid}/cmdline").split("\0")
        if (program := program_of(words)[0]) and words[0]:
            group = host.read(f"/proc/{pid}/cgroup").strip().rpartition("/")[2] or "no unit"
            held = "a container" if re.search(r"docker|containerd|libpod", host.read(f"/proc/{pid}/cgroup")) else group
            return (
                f"Process {pid} is a {program}, kept alive by {held}, which adopt.yml doesn't know. It reads units of "
                "systemd, supervisord's programs and oxfiles: write a unit that starts it, and run again."
            )
    return "It reads units in /etc/systemd/system, supervisord's programs and oxfiles below /srv, /opt and /home."


def _environment_files(program: Program, served: server.Server) -> list[str]:
    found = list(program.environment_files)
    if path := served.given.pop("env_file", ""):
        found.append(os.path.normpath(os.path.join(program.directory or "/", path)))
    return found


def _add(served: server.Server, words: list[str]) -> None:
    """GUNICORN_CMD_ARGS, over which the command line wins."""
    more = server.read(["gunicorn", *words])
    if more:
        served.given = more.given | served.given
        served.bind = served.bind or more.bind
        served.unknown += more.unknown
        served.ours += more.ours


def _config(host: Host, program: Program, served: server.Server) -> str:
    if served.program != "gunicorn":
        return ""
    given = served.given.pop("config", "")
    if given.startswith("python:"):
        served.unknown.append(f"--config {given}")
        return ""
    path = os.path.normpath(os.path.join(program.directory or "/", given.removeprefix("file:") or "gunicorn.conf.py"))
    return path if host.is_file(path) else ""


def directory_of(program: Program, served: server.Server) -> str:
    """Where the app is imported from; by its virtual environment where nothing else says it."""
    base = program.directory or "/"
    base = os.path.normpath(os.path.join(base, served.given.get("chdir", "")))
    beside = re.match(r"(/.+)/[^/]+/bin/[^/]+$", program.words[0] if program.words else "")
    return beside[1] if base == "/" and beside and not beside[1].startswith("/usr") else base


def _taken(host: Host, directory: str) -> dict[str, list[str]]:
    """Names that an app of ours would collide with. What is left of one that was taken off is nobody else's.

    :param directory: the old one's.
    """

    def is_left(name: str) -> bool:
        return host.names(f"/srv/{name}") == [SHARED] and not f"{directory}/".startswith(f"/srv/{name}/")

    return {"/srv": [name for name in host.names("/srv") if not is_left(name)], "/run": host.names("/run")}
