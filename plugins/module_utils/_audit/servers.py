# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With which settings a server runs: its options, its environment and Gunicorn's file, and where each is set. Pure."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass, field
from typing import Any

from .._hand import gunicorn_conf
from .._hand.options import after_python, is_python, options, program_of
from .._hand.unit_text import words as split

COMMAND, DEFAULT = "command", "default"


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
    program, words = program_of(argv, wrapped=False)
    if program:
        return program, words
    script = after_python(argv) if argv and is_python(argv[0]) else []
    return ("python", script) if script and script[0].endswith(".py") else None


_FLAGS = ("reload", "preload_app")
_CONFIGURED = frozenset(
    "workers worker_class bind timeout graceful_timeout keepalive accesslog errorlog chdir pythonpath user reload "
    "preload_app wsgi_app control_socket".split()
)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "gunicorn": {"workers": 1, "worker_class": "sync", "timeout": 30, "graceful_timeout": 30, "keepalive": 2},
    "uvicorn": {"workers": 1, "keepalive": 5, "host": "127.0.0.1", "port": 8000},
    "hypercorn": {"workers": 1, "graceful_timeout": 3, "keepalive": 5},
    "granian": {"workers": 1, "host": "127.0.0.1", "port": 8000},
    "fastapi": {"workers": 1, "keepalive": 5, "host": "0.0.0.0", "port": 8000},
    "daphne": {"workers": 1, "host": "127.0.0.1", "port": 8000},
}


def parse_words(kind: str, words: list[str], where: str = COMMAND) -> dict[str, Value]:
    """The settings in a command's words, the app among them."""
    found: dict[str, Value] = {}
    if kind == "fastapi" and words and words[0] == "dev":
        found |= {"reload": Value(True, where), "host": Value("127.0.0.1", where)}
    for option in options(kind, words[1:] if kind == "fastapi" else words):
        if option.name == "bind":
            found["bind"] = Value([*(found["bind"].value if "bind" in found else []), option.value], where)
        elif option.name:
            found[option.name] = Value(True if option.name in _FLAGS else option.value, where)
    return found


def parse_config(text: str, path: str) -> tuple[dict[str, Value], list[str]]:
    """What Gunicorn's own file sets, and the names whose value only running it would tell.

    :raises SyntaxError: where it is no Python.
    """
    found: dict[str, Value] = {}
    unknown = []
    for each in gunicorn_conf.statements(text):
        name = "app" if each.name == "wsgi_app" else each.name
        if each.name not in _CONFIGURED:
            continue
        if not each.known:
            unknown.append(each.name)
            found.pop(name, None)
            continue
        value = each.value
        if name == "bind" and value is not None:
            value = [str(one) for one in value] if isinstance(value, list) else [str(value)]
        found[name] = Value(value, f"{path}:{each.line}")
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
        "timeout_graceful_shutdown": "graceful_timeout",
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
