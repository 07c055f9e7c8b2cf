# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the command line that runs an app: Gunicorn's or Uvicorn's, or `fastapi run`. Pure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian", "fastapi", "daphne")

OURS = "this collection has its own"
_LOGS = "its lines go to the app's journal: logs.yml"
# By program: each option's field, or '' with why it has none; a flag takes no value.
_GUNICORN = {
    "--workers -w": "workers",
    "--worker-class -k": "worker_class",
    "--bind -b": "bind",
    "--timeout -t": "timeout",
    "--graceful-timeout": "graceful_timeout",
    "--keep-alive": "keepalive",
    "--chdir": "chdir",
    "--config -c": "config",
    "--user -u": "user",
    "--group -g": "group",
    "--max-requests": "max_requests",
    "--max-requests-jitter": "max_requests_jitter",
    "--env -e": "env",
    "--pythonpath": "pythonpath",
}
_GUNICORN_OURS = {
    "--access-logfile --error-logfile --log-file --access-logformat --logger-class --log-config": _LOGS,
    "--name -n --pid -p --worker-tmp-dir --forwarded-allow-ips --backlog --umask -m --proxy-allow-from": OURS,
    "--control-socket": OURS,
    "--worker-connections --threads": "an async worker knows no such limit, and Uvicorn never read it",
}
_GUNICORN_FLAGS = {
    "--preload": "each worker imports the app itself, so that a new release never shares memory with an old one",
    "--capture-output -R --enable-stdio-inheritance": _LOGS,
    "--no-control-socket": OURS,
    "--reload": "it is for development",
    "--check-config": "",
}
_UVICORN = {
    "--host": "host",
    "--port": "port",
    "--uds": "uds",
    "--workers": "workers",
    "--timeout-keep-alive": "keepalive",
    "--timeout-graceful-shutdown": "graceful_timeout",
    "--app-dir": "chdir_path",
    "--env-file": "env_file",
    "--limit-max-requests": "max_requests",
}
_UVICORN_OURS = {
    "--log-level --log-config": _LOGS,
    "--forwarded-allow-ips --backlog --loop --http --ws --lifespan --interface --fd": OURS,
}
_UVICORN_FLAGS = {
    "--proxy-headers --no-server-header --date-header --no-date-header --server-header": OURS,
    "--access-log --no-access-log --use-colors --no-use-colors": _LOGS,
    "--reload": "it is for development",
}
_FASTAPI = {"--host": "host", "--port": "port", "--workers": "workers", "--app": "attribute"}


def _each(table: dict[str, str]) -> dict[str, str]:
    return {name: value for names, value in table.items() for name in names.split()}


@dataclass
class Server:
    """What runs the app.

    :param bind: addresses as written.
    :param given: values by field, all text.
    :param ours: options that need no equal, with why.
    :param unknown: options that have none.
    """

    program: str
    app: str = ""
    bind: list[str] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    ours: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def worker_class(self) -> str:
        return self.given.get("worker_class", "sync" if self.program == "gunicorn" else "")


def program_of(words: list[str]) -> tuple[str, list[str]]:
    """Which server a command starts, and the words after its name; ('', []) for none."""
    words = list(words)
    while words and (
        re.fullmatch(r"[A-Za-z_]\w*=.*", words[0], re.S) or os.path.basename(words[0]) in ("env", "exec", "nice")
    ):
        words.pop(0)
    if not words:
        return "", []
    name = os.path.basename(words[0])
    rest = words[1:]
    if re.fullmatch(r"(python|pypy)[0-9.]*", name):
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            rest = rest[1:]
        if rest[:1] == ["-m"] and len(rest) > 1:
            name, rest = rest[1].partition(".")[0], rest[2:]
        elif rest and os.path.basename(rest[0]) in SERVERS:
            name, rest = os.path.basename(rest[0]), rest[1:]
        else:
            return "", []
    if name in ("uv", "poetry", "pipenv", "pdm") and rest[:1] == ["run"]:
        return program_of([word for word in rest[1:] if not word.startswith("--")])
    return (name, rest) if name in SERVERS else ("", [])


def read(words: list[str]) -> Server | None:
    """None where the command is no app server's."""
    program, rest = program_of(words)
    if not program:
        return None
    server = Server(program)
    if program == "gunicorn":
        _options(server, rest, _each(_GUNICORN), _each(_GUNICORN_OURS), _each(_GUNICORN_FLAGS))
    elif program == "uvicorn":
        flags = _each(_UVICORN_FLAGS) | {"--factory": "factory"}
        _options(server, rest, _each(_UVICORN), _each(_UVICORN_OURS), flags)
    elif program == "fastapi":
        options = _each(_UVICORN) | _FASTAPI
        _options(server, rest[1:], options, _each(_UVICORN_OURS), _each(_UVICORN_FLAGS))
    else:
        server.unknown = rest
        server.app = next((word for word in rest if re.fullmatch(r"[\w.]+:\w+(\(\))?", word)), "")
        server.bind = [rest[n + 1] for n, word in enumerate(rest[:-1]) if word in ("-b", "--bind")]
    _finish(server)
    return server


def _options(
    server: Server, rest: list[str], known: dict[str, str], ours: dict[str, str], flags: dict[str, str]
) -> None:
    rest = list(rest)
    while rest:
        word = rest.pop(0)
        name, sign, value = word.partition("=") if word.startswith("--") else (word, "", "")
        short = re.match(r"-[A-Za-z](?=.)", word) if not word.startswith("--") else None
        if short and short[0] in {**known, **ours}:
            name, sign, value = short[0], "=", word[2:].removeprefix("=")
        if name in flags and not sign:
            if flags[name] == "factory":
                server.given["factory"] = "yes"
            else:
                server.ours.append((word, flags[name]))
        elif name in known or name in ours:
            if not sign:
                value = rest.pop(0) if rest else ""
            _take(server, known.get(name, ""), name, value, ours.get(name, ""))
        elif word.startswith("-"):
            # What takes no value of its own is followed by another option, or by the app.
            is_app = not server.app and rest and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*(\(\))?", rest[0])
            if not sign and rest and not rest[0].startswith("-") and not is_app:
                word += f" {rest.pop(0)}"
            server.unknown.append(word)
        elif not server.app:
            server.app = word
        else:
            server.unknown.append(word)


def _take(server: Server, kind: str, name: str, value: str, why: str) -> None:
    if kind == "bind":
        server.bind += [each for each in value.split(",") if each]
    elif kind == "env":
        variable, _sign, its = value.partition("=")
        server.env[variable] = its
    elif kind:
        server.given[kind] = value
    else:
        server.ours.append((f"{name} {value}", why))


def _finish(server: Server) -> None:
    given = server.given
    if server.program in ("uvicorn", "fastapi"):
        default = "0.0.0.0" if server.program == "fastapi" else "127.0.0.1"
        server.bind = [f"unix:{given['uds']}"] if "uds" in given else []
        server.bind = server.bind or [f"{given.get('host', default)}:{given.get('port', '8000')}"]
    if server.program == "fastapi":
        path = server.app.removesuffix(".py").strip("./") or "main"
        server.app = f"{path.replace('/', '.')}:{given.get('attribute', 'app')}"
    if server.app and ":" not in server.app and server.program == "gunicorn":
        server.app += ":application"
    if given.pop("factory", "") and not server.app.endswith(")"):
        server.app += "()"
