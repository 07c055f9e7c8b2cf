# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the command line that runs an app says: Gunicorn's or Uvicorn's, or `fastapi run`, and Gunicorn's file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._hand import gunicorn_conf
from .._hand.options import OURS, Option, options, program_of

_FIELDS = frozenset(
    "workers worker_class timeout graceful_timeout keepalive chdir user group max_requests max_requests_jitter "
    "pythonpath".split()
)
_FILE_OURS = frozenset(
    "accesslog errorlog loglevel access_log_format capture_output logger_class logconfig_dict proc_name pidfile "
    "worker_tmp_dir forwarded_allow_ips backlog umask preload_app worker_connections threads control_socket_disable "
    "reload".split()
)


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


def read(words: list[str]) -> Server | None:
    """None where the command is no app server's."""
    program, rest = program_of(words)
    if not program:
        return None
    server = Server(program)
    found = list(options(program, rest[1:] if program == "fastapi" else rest))
    if program in ("gunicorn", "uvicorn", "fastapi"):
        for option in found:
            _take(server, option)
    else:
        server.unknown = rest
        server.app = next((word for word in rest if re.fullmatch(r"[\w.]+:\w+(\(\))?", word)), "")
        server.bind = [option.value for option in found if option.name == "bind"]
    _finish(server)
    return server


def _take(server: Server, option: Option) -> None:
    if not option.known:
        server.unknown.append(option.text)
    elif option.why or not option.name:
        server.ours.append((option.text, option.why))
    elif option.name == "app":
        server.app = option.value
    elif option.name == "bind":
        server.bind += [each for each in option.value.split(",") if each]
    elif option.name == "env":
        variable, _sign, its = option.value.partition("=")
        server.env[variable] = its
    else:
        server.given[option.name] = option.value


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
    if given.pop("factory", None) is not None and not server.app.endswith(")"):
        server.app += "()"


def read_file(server: Server, text: str, file: str, environment: Mapping[str, str], cpus: int) -> None:
    """Add what Gunicorn's file says to what the command line has, which wins.

    :param environment: what the file may ask for.
    """
    try:
        found = list(gunicorn_conf.statements(text, environment, cpus))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        server.unknown.append(f"{file}: it isn't Python that can be read")
        return
    for each in found:
        place = f"{file}:{each.line}"
        known = each.name in {*_FIELDS, *_FILE_OURS, "bind", "raw_env", "wsgi_app"}
        if each.known:
            _set(server, each.name, each.value, place)
        elif not each.name or known or each.name.islower():
            server.unknown.append(f"{place}: {each.told}")


def _set(server: Server, name: str, value: object, place: str) -> None:
    if name == "bind":
        listed = value if isinstance(value, list) else str(value).split(",")
        server.bind = server.bind or [str(each) for each in listed]
    elif name == "raw_env" and isinstance(value, list):
        for each in value:
            variable, _sign, its = str(each).partition("=")
            server.env.setdefault(variable, its)
    elif name == "wsgi_app":
        server.app = server.app or str(value)
    elif name in _FIELDS:
        server.given.setdefault(name, str(value))
    elif name in _FILE_OURS:
        server.ours.append((f"{place}: {name}", OURS))
    elif name.islower() and not name.startswith("_"):
        # A helper of the file's own has such a name, too; better told than dropped.
        server.unknown.append(f"{place}: {name} = ...")
