# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which server a command runs, and with which settings: its options, its environment and Gunicorn's file. Pure."""

from __future__ import annotations

import ast
import os
import re
import shlex
from dataclasses import dataclass, field
from typing import Any

SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian", "fastapi", "daphne")
COMMAND, DEFAULT = "command", "default"
# Options of Python itself that take a word.
_PYTHON = re.compile(r"python[0-9.]*$|pypy[0-9.]*$")


@dataclass
class Value:
    """A setting, with where it was set: COMMAND, DEFAULT, an environment variable, or a file and line."""

    value: Any
    where: str = DEFAULT


@dataclass
class Settings:
    """What a server was told.

    :param kind: one of SERVERS.
    :param words: its command's words after the program.
    """

    kind: str
    words: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        return self.values[name].value if name in self.values else None

    def where(self, name: str) -> str:
        return self.values[name].where if name in self.values else DEFAULT

    def set_by(self, name: str) -> str:
        """Where a setting was set, for a sentence: 'its command', 'its default', or the file and line."""
        where = self.where(name)
        return f"its {where}" if where in (COMMAND, DEFAULT) else where

    def number(self, name: str) -> float | None:
        value = self.get(name)
        try:
            return None if value is None or isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            return None


def recognise(argv: list[str]) -> tuple[str, list[str]] | None:
    """The server that a command runs and its words, or None; ('python', [script, ...]) for a script of somebody's."""
    if match := re.match(r"gunicorn: master \[(.*)\]$", " ".join(argv)):
        return "gunicorn", [match[1]] if match[1] != "gunicorn" else []
    words = list(argv)
    if words and _PYTHON.search(os.path.basename(words[0])):
        words.pop(0)
        while words and words[0].startswith("-") and words[0] != "-m":
            if words[0] == "-c":
                return None
            flag = words.pop(0)
            if flag in ("-X", "-W") and words:
                words.pop(0)
        if words[:1] == ["-m"]:
            words.pop(0)
        elif words and words[0].endswith(".py") and os.path.basename(words[0])[:-3] not in SERVERS:
            return "python", words
    if not words:
        return None
    name = os.path.basename(words[0])
    name = {"gunicorn.app.wsgiapp": "gunicorn", "__main__.py": os.path.basename(os.path.dirname(words[0]))}.get(
        name, name
    )
    if name not in SERVERS or (name == "fastapi" and words[1:2] not in (["run"], ["dev"])):
        return None
    return name, words[1:]


# Long name and short name of each option that takes a value, by the name that it has here.
_OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "gunicorn": {
        "workers": ("--workers", "-w"),
        "worker_class": ("--worker-class", "-k"),
        "bind": ("--bind", "-b"),
        "timeout": ("--timeout", "-t"),
        "graceful": ("--graceful-timeout",),
        "keepalive": ("--keep-alive",),
        "config": ("--config", "-c"),
        "access_log": ("--access-logfile",),
        "error_log": ("--error-logfile", "--log-file"),
        "directory": ("--chdir",),
        "path": ("--pythonpath",),
        "user": ("--user", "-u"),
        "reload": ("--reload",),
        "preload": ("--preload",),
    },
    "uvicorn": {
        "workers": ("--workers",),
        "host": ("--host",),
        "port": ("--port",),
        "uds": ("--uds",),
        "fd": ("--fd",),
        "graceful": ("--timeout-graceful-shutdown",),
        "keepalive": ("--timeout-keep-alive",),
        "directory": ("--app-dir",),
        "reload": ("--reload",),
    },
    "hypercorn": {
        "workers": ("--workers", "-w"),
        "bind": ("--bind", "-b"),
        "graceful": ("--graceful-timeout",),
        "keepalive": ("--keep-alive",),
        "config": ("--config", "-c"),
        "access_log": ("--access-logfile", "--access-log"),
        "error_log": ("--error-logfile", "--error-log"),
        "reload": ("--reload",),
    },
    "granian": {
        "workers": ("--workers",),
        "host": ("--host",),
        "port": ("--port",),
        "graceful": ("--workers-kill-timeout",),
        "interface": ("--interface",),
        "directory": ("--working-dir",),
        "reload": ("--reload",),
    },
    "fastapi": {
        "workers": ("--workers",),
        "host": ("--host",),
        "port": ("--port",),
        "reload": ("--reload",),
        "app": ("--app",),
    },
    "daphne": {"host": ("--bind", "-b"), "port": ("--port", "-p"), "uds": ("--unix-socket", "-u")},
}
_FLAGS = ("reload", "preload")
_MANY = ("bind",)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "gunicorn": {"workers": 1, "worker_class": "sync", "timeout": 30, "graceful": 30, "keepalive": 2},
    "uvicorn": {"workers": 1, "keepalive": 5, "host": "127.0.0.1", "port": 8000},
    "hypercorn": {"workers": 1, "graceful": 3, "keepalive": 5},
    "granian": {"workers": 1, "host": "127.0.0.1", "port": 8000},
    "fastapi": {"workers": 1, "keepalive": 5, "host": "0.0.0.0", "port": 8000},
    "daphne": {"workers": 1, "host": "127.0.0.1", "port": 8000},
}


def parse_words(kind: str, words: list[str], where: str = COMMAND) -> dict[str, Value]:
    """The settings in a command's words, the app among them."""
    names = {spelled: name for name, spellings in _OPTIONS.get(kind, {}).items() for spelled in spellings}
    found: dict[str, Value] = {}
    rest = list(words)
    if kind == "fastapi" and rest and rest.pop(0) == "dev":
        found |= {"reload": Value(True, where), "host": Value("127.0.0.1", where)}
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if "app" not in found or ":" in word:
                found["app"] = Value(word, where)
            continue
        option, equals, value = word.partition("=")
        name = names.get(option)
        if name is None and not word.startswith("--") and word[:2] in names:
            # -w4
            option, equals, value, name = word[:2], "=", word[2:], names[word[:2]]
        if name in _FLAGS:
            found[name] = Value(True, where)
            continue
        if not equals:
            if name is None and not (rest and not rest[0].startswith("-") and ":" not in rest[0]):
                continue
            value = rest.pop(0) if rest else ""
        if name in _MANY:
            value = [*(found[name].value if name in found else []), value]  # type: ignore[assignment]
        if name:
            found[name] = Value(value, where)
    return found


_CONFIGURED = {
    "workers": "workers",
    "worker_class": "worker_class",
    "bind": "bind",
    "timeout": "timeout",
    "graceful_timeout": "graceful",
    "keepalive": "keepalive",
    "accesslog": "access_log",
    "errorlog": "error_log",
    "chdir": "directory",
    "pythonpath": "path",
    "user": "user",
    "reload": "reload",
    "preload_app": "preload",
    "wsgi_app": "app",
}


def parse_config(text: str, path: str) -> tuple[dict[str, Value], list[str]]:
    """What Gunicorn's own file sets by literals, and the names whose value only running it would tell.

    :raises SyntaxError: where it is no Python.
    """
    found: dict[str, Value] = {}
    unknown = []
    for node in ast.parse(text).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name) or target.id not in _CONFIGURED or value is None:
            continue
        name = _CONFIGURED[target.id]
        try:
            literal = ast.literal_eval(value)
        except (ValueError, TypeError, MemoryError, RecursionError):
            unknown.append(target.id)
            found.pop(name, None)
            continue
        if name in _MANY and literal is not None:
            literal = [str(each) for each in literal] if isinstance(literal, (list, tuple)) else [str(literal)]
        found[name] = Value(literal, f"{path}:{node.lineno}")
    return found, unknown


def settings(kind: str, words: list[str], environ: dict[str, str], config: dict[str, Value] | None = None) -> Settings:
    """All that a server was told, as it takes it: its command wins over its environment, and that over a file.

    :param config: what Gunicorn's file says.
    """
    found = {name: Value(value) for name, value in _DEFAULTS.get(kind, {}).items()}
    if kind in ("gunicorn", "uvicorn", "fastapi") and environ.get("WEB_CONCURRENCY", "").isdecimal():
        found["workers"] = Value(int(environ["WEB_CONCURRENCY"]), "WEB_CONCURRENCY")
    found.update(config or {})
    if kind == "uvicorn":
        for name, variable in (("workers", "UVICORN_WORKERS"), ("host", "UVICORN_HOST"), ("port", "UVICORN_PORT")):
            if environ.get(variable):
                found[name] = Value(environ[variable], variable)
    if kind == "gunicorn" and environ.get("GUNICORN_CMD_ARGS"):
        found.update(parse_words(kind, split(environ["GUNICORN_CMD_ARGS"]), "GUNICORN_CMD_ARGS"))
    found.update(parse_words(kind, words))
    return Settings(kind, words, found)


def split(command: str) -> list[str]:
    """A command's words; where a quote isn't closed, by its blanks."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def parse_script(text: str, path: str) -> Settings | None:
    """Settings of the `uvicorn.run(...)` in somebody's script; None where it has none, or is no Python."""
    if "uvicorn" not in text:
        return None
    try:
        tree = ast.parse(text)
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "uvicorn.run"]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = {
        "workers": "workers",
        "host": "host",
        "port": "port",
        "uds": "uds",
        "reload": "reload",
        "timeout_keep_alive": "keepalive",
        "timeout_graceful_shutdown": "graceful",
    }
    for node in calls[:1]:
        found = {name: Value(value) for name, value in _DEFAULTS["uvicorn"].items()}
        for each in node.keywords:
            if each.arg in names:
                # What is computed isn't known, and isn't the default either.
                value = each.value.value if isinstance(each.value, ast.Constant) else None
                if value is not None or each.arg == "workers":
                    found[names[each.arg]] = Value(value, f"{path}:{each.value.lineno}")
        app = node.args[0] if node.args else None
        if isinstance(app, ast.Constant) and isinstance(app.value, str):
            found["app"] = Value(app.value, f"{path}:{node.lineno}")
        elif isinstance(app, ast.Name):
            module = os.path.basename(path)[:-3]
            found["app"] = Value(f"{module}:{app.id}", f"{path}:{node.lineno}")
        return Settings("uvicorn", [], found)
    return None


def binds(told: Settings) -> list[str]:
    """Where it was told to listen, as 'HOST:PORT' or 'unix:PATH'."""
    if told.get("uds"):
        return [f"unix:{told.get('uds')}"]
    if told.get("fd") is not None:
        return []
    if told.get("bind"):
        return [bind if bind.startswith("unix:") or ":" in bind else f"{bind}:8000" for bind in told.get("bind")]
    if told.kind in ("gunicorn", "hypercorn"):
        return ["127.0.0.1:8000"]
    return [f"{told.get('host')}:{told.get('port')}"]
