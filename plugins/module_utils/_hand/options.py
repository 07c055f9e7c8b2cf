# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which app server a command starts, and its options by one name for all servers: Gunicorn's own. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian", "fastapi", "daphne")
OURS = "this collection has its own"
_LOGS = "its lines go to the app's journal: logs.yml"
_ITSELF = "each worker imports the app itself, so that a new release never shares memory with an old one"
_DEVELOPMENT = "it is for development"
# By server: why an option needs no equal here, '' where it has one; its spellings with the name that it has in each
# row, '' for none that anybody asks for. A name that ends in '!' is a flag's, which takes no value.
_UVICORN = {
    "": "--host:host --port:port --uds:uds --workers:workers --timeout-keep-alive:keepalive --app-dir:chdir"
    " --timeout-graceful-shutdown:graceful_timeout --env-file:env_file --limit-max-requests:max_requests"
    " --factory:factory!",
    _LOGS: "--log-level: --log-config: --access-log:! --no-access-log:! --use-colors:! --no-use-colors:!",
    OURS: "--forwarded-allow-ips: --backlog: --loop: --http: --ws: --lifespan: --interface: --fd:fd --proxy-headers:!"
    " --no-server-header:! --date-header:! --no-date-header:! --server-header:!",
    _DEVELOPMENT: "--reload:reload!",
}
_TABLES: dict[str, dict[str, str]] = {
    "gunicorn": {
        "": "--workers:workers -w:workers --worker-class:worker_class -k:worker_class --bind:bind -b:bind"
        " --timeout:timeout -t:timeout --graceful-timeout:graceful_timeout --keep-alive:keepalive --chdir:chdir"
        " --config:config -c:config --user:user -u:user --group:group -g:group --max-requests:max_requests"
        " --max-requests-jitter:max_requests_jitter --env:env -e:env --pythonpath:pythonpath --check-config:!",
        _LOGS: "--access-logfile:accesslog --error-logfile:errorlog --log-file:errorlog --access-logformat:"
        " --logger-class: --log-config: --capture-output:! -R:! --enable-stdio-inheritance:!",
        OURS: "--name: -n: --pid: -p: --worker-tmp-dir: --forwarded-allow-ips: --backlog: --umask: -m:"
        " --proxy-allow-from: --control-socket: --no-control-socket:!",
        "an async worker knows no such limit, and Uvicorn never read it": "--worker-connections: --threads:",
        _ITSELF: "--preload:preload_app!",
        _DEVELOPMENT: "--reload:reload!",
    },
    "uvicorn": _UVICORN,
    "fastapi": {**_UVICORN, "": f"{_UVICORN['']} --app:attribute"},
    "hypercorn": {
        "": "--workers:workers -w:workers --bind:bind -b:bind --graceful-timeout:graceful_timeout --config:config"
        " --keep-alive:keepalive -c:config --access-logfile:accesslog --access-log:accesslog --error-logfile:errorlog"
        " --error-log:errorlog --reload:reload!",
    },
    "granian": {
        "": "--workers:workers --host:host --port:port --workers-kill-timeout:graceful_timeout --interface:interface"
        " --working-dir:chdir --reload:reload!",
    },
    "daphne": {"": "--bind:host -b:host --port:port -p:port --unix-socket:uds -u:uds"},
}
_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*(\(\))?")


@dataclass(frozen=True)
class Option:
    """One option of a command.

    :param name: by which it is asked for: ``workers``, ``bind``, ``app`` for what it serves; '' for none.
    :param text: as it is written, its value with it; of ``app`` nothing else.
    :param value: '' for a flag.
    :param why: why it needs no equal here; '' where it does, or isn't known.
    :param known: whether it is one that this server has.
    """

    name: str
    text: str
    value: str = ""
    why: str = ""
    known: bool = True


def program_of(words: list[str], wrapped: bool = True) -> tuple[str, list[str]]:
    """Which server a command starts, and the words after its name; ('', []) for none.

    :param wrapped: whether env, nice, `uv run` and the like may stand before it, which a process has not.
    """
    words = list(words)
    while (
        wrapped
        and words
        and (re.fullmatch(r"[A-Za-z_]\w*=.*", words[0], re.S) or os.path.basename(words[0]) in ("env", "exec", "nice"))
    ):
        words.pop(0)
    if words and is_python(words[0]):
        words = after_python(words)
    if not words:
        return "", []
    name, rest = os.path.basename(words[0]), words[1:]
    if wrapped and name in ("uv", "poetry", "pipenv", "pdm") and rest[:1] == ["run"]:
        return program_of([word for word in rest[1:] if not word.startswith("--")])
    if name == "__main__.py":
        name = os.path.basename(os.path.dirname(words[0]))
    if name not in SERVERS or (name == "fastapi" and rest[:1] not in (["run"], ["dev"])):
        return "", []
    return name, rest


def is_python(word: str) -> bool:
    return bool(re.fullmatch(r"(python|pypy)[0-9.]*", os.path.basename(word)))


def after_python(words: list[str]) -> list[str]:
    """What Python runs, and its words: a module by its package's name, or a script; [] for neither."""
    rest = words[1:]
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        if rest[0] == "-c":
            return []
        rest = rest[2:] if rest[0] in ("-X", "-W") else rest[1:]
    return [rest[1].partition(".")[0], *rest[2:]] if rest[:1] == ["-m"] and len(rest) > 1 else rest


def options(program: str, words: list[str]) -> Iterator[Option]:
    """The options of a server's command, in their order, and what it serves.

    :param words: those after the program; of `fastapi` those after `run`.
    """
    known = {}
    for why, listed in _TABLES.get(program, {}).items():
        for each in listed.split():
            spelled, _colon, name = each.partition(":")
            known[spelled] = (name.rstrip("!"), name.endswith("!"), why)
    rest, served = list(words), False
    while rest:
        word = rest.pop(0)
        spelled, sign, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("--") and word[:2] in known and not known[word[:2]][1] and len(word) > 2:
            # -w4
            spelled, sign, value = word[:2], "=", word[2:].removeprefix("=")
        name, flag, why = known.get(spelled, ("", False, ""))
        if spelled in known and not (flag and sign):
            if not (flag or sign):
                value = rest.pop(0) if rest else ""
            yield Option(name, word if flag else f"{spelled} {value}", value, why)
        elif word.startswith("-"):
            # What takes no value of its own is followed by another option, or by the app.
            is_app = not served and rest and _APP.fullmatch(rest[0])
            if not sign and rest and not rest[0].startswith("-") and not is_app:
                word += f" {rest.pop(0)}"
            yield Option("", word, known=False)
        else:
            yield Option("" if served else "app", word, word, known=not served)
            served = True
