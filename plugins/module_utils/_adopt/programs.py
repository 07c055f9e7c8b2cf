# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a hand-made app alive: units of systemd, programs of supervisord, apps of an oxfile. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._app.words import is_ours
from .._hand import supervisord, unit_text
from .._hand.options import program_of
from .._hand.unit_text import Setting
from .._host.files import names_in
from .._host.reading import read_led
from .._host.systemd import Run, parse_show
from .._oxmgr.keys import KEYS
from .._oxmgr.oxfile import read as read_oxfile
from .script import Opaque, see_through

UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system")
SUPERVISOR = ("/etc/supervisor/conf.d", "/etc/supervisord.d")
_PLACES = ("/srv", "/opt", "/var/www", "/home")


class Refused(Exception):
    """What can't be adopted: the sentence says why, and what would be needed."""


@dataclass
class Program:
    """One app server as somebody set it up.

    :param name: by which it is asked for: ``shop.service``, ``supervisor/shop`` or ``/srv/shop/oxfile.toml#api``.
    :param kind: ``systemd``, ``supervisor`` or ``oxmgr``.
    :param file: where its command is.
    :param settings: all that is written of it: section, name, value and place of each.
    :param words: the command, without a shell around it.
    :param steps: lines of a script that was seen through, with what each does: ``cd``, ``export``, ``skip``.
    """

    name: str
    kind: str
    file: str
    settings: list[tuple[str, str, str, str]]
    words: list[str]
    user: str = ""
    group: str = ""
    directory: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    environment_files: list[str] = field(default_factory=list)
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    refused: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Host:
    """The host as it is looked at.

    :param run: runs a command.
    :param top: where its root directory is; another than '' in tests.
    """

    run: Run
    top: str = ""

    def read(self, path: str) -> str:
        """A file's text; '' where there is none, or try_read() refuses it."""
        return self.try_read(path) or ""

    def try_read(self, path: str) -> str | None:
        """None where it is no file, has more than 1 MB, or is what somebody's link leads root to."""
        return read_led(self.top + path)

    def names(self, path: str) -> list[str]:
        return names_in(self.top + path)

    def is_file(self, path: str) -> bool:
        return os.path.isfile(self.top + path)

    def is_dir(self, path: str) -> bool:
        return os.path.isdir(self.top + path)


def programs(host: Host) -> list[Program]:
    """All app servers that somebody set up on the host, this collection's left out."""
    found = []
    for name in _unit_names(host):
        settings = unit_settings(host, name)
        if settings and (program := of_unit(host, name, settings)):
            found.append(program)
    for directory in SUPERVISOR:
        for entry in host.names(directory):
            if entry.endswith((".conf", ".ini")):
                found += of_supervisor(host, f"{directory}/{entry}")
    for path in oxfiles(host):
        found += of_oxfile(host, path)
    return found


def _unit_names(host: Host) -> list[str]:
    names = set()
    for directory in UNITS:
        for entry in host.names(directory):
            path = f"{directory}/{entry}"
            if entry.endswith(".service") and not entry.endswith("@.service") and host.is_file(path):
                names.add(entry)
    return sorted(names)


def unit_settings(host: Host, name: str) -> list[Setting]:
    """What is in force of a unit, drop-ins among it; nothing of one of ours."""
    status, out, _err = host.run(["systemctl", "show", "--property=FragmentPath,DropInPaths", "--", name])
    shown = (parse_show(out) or [{}])[0] if not status else {}
    paths = [path for path in (shown.get("FragmentPath", ""), *shown.get("DropInPaths", "").split()) if path]
    if not paths:
        paths = [path for path in (f"{directory}/{name}" for directory in UNITS) if host.is_file(path)][:1]
        for directory in UNITS:
            paths += [f"{directory}/{name}.d/{entry}" for entry in host.names(f"{directory}/{name}.d")]
    texts = [(path, host.read(path)) for path in paths]
    if texts and is_ours(texts[0][1]):
        return []
    return unit_text.in_force([each for path, text in texts for each in unit_text.parse_unit(text, path)])


def of_unit(host: Host, name: str, settings: list[Setting]) -> Program | None:
    starts = unit_text.values(settings, "ExecStart")
    environment = unit_text.environment(settings, name)
    files = unit_text.environment_files(settings, name)
    for path in files:
        # Only to fill a command's variables in; what is in it isn't told here.
        environment = {**environment, **unit_text.parse_environment(host.read(path))[0]}
    directory = unit_text.specified(unit_text.last(settings, "WorkingDirectory").lstrip("-"), name)
    found = []
    for start in starts:
        words = unit_text.words(unit_text.specified(re.sub(r"^[@:+!-]+", "", start.value), name))
        words = [each for word in words for each in expanded(word, environment)]
        program = Program(name, "systemd", start.place, [], words, directory=directory)
        if _look_into(host, program, environment):
            found.append(program)
    if not found:
        return None
    program = found[0]
    sockets = unit_settings(host, name.removesuffix(".service") + ".socket")
    program.settings = [(each.section, each.name, each.value, each.place) for each in [*settings, *sockets]]
    program.user, program.group = unit_text.last(settings, "User"), unit_text.last(settings, "Group")
    program.environment = {**unit_text.environment(settings, name), **program.environment}
    program.environment_files = files
    if len(found) > 1:
        places = " and ".join(each.file for each in found)
        program.refused = (
            f"{name} starts more than one app server ({places}), and an app here has one. Give each a unit of its own, "
            "and adopt them one after the other."
        )
    return program


def expanded(word: str, environment: dict[str, str]) -> list[str]:
    """A word of a command with its variables, as systemd fills them in: $NAME alone becomes several words."""
    if match := re.fullmatch(r"\$([A-Za-z_]\w*)", word):
        return unit_text.words(environment.get(match[1], ""))
    return [re.sub(r"\$\{([A-Za-z_]\w*)\}", lambda found: environment.get(found[1], ""), word)]


def _look_into(host: Host, program: Program, environment: Mapping[str, str]) -> bool:
    """Whether its command is an app server's, also where a shell begins it, with this environment."""
    if program_of(program.words)[0]:
        return True
    try:
        seen = see_through(program.words, host.read, program.directory, environment)
    except Opaque as opaque:
        program.refused = f"{program.name} runs {opaque} Write the server's own command into it, as ExecStart=."
        return opaque.serves
    if seen is None:
        return False
    program.words, program.steps = seen.words, seen.steps
    program.directory = seen.directory or program.directory
    program.environment = {**program.environment, **seen.environment}
    return bool(program_of(program.words)[0])


def of_supervisor(host: Host, path: str) -> list[Program]:
    found = []
    for each in supervisord.parse(host.read(path), path):
        settings = [("program", key, value, each.where.get(key, path)) for key, value in each.values.items()]
        program = Program(f"supervisor/{each.name}", "supervisor", path, settings, unit_text.words(each.command))
        program.directory, program.user, program.environment = each.directory, each.user, each.environment
        if _look_into(host, program, program.environment):
            if (number := each.values.get("numprocs", "1")) != "1":
                program.refused = f"{program.name} has numprocs={number}: several app servers in one program."
            found.append(program)
    return found


def _place(path: str, text: str, key: str) -> str:
    found = re.search(rf"(?m)^{re.escape(key)}\s*[=:]", text)
    return f"{path}:{text.count(chr(10), 0, found.start()) + 1}" if found else path


def oxfiles(host: Host) -> list[str]:
    tops = [f"{place}/{entry}" for place in _PLACES for entry in host.names(place)]
    tops += [f"{top}/{entry}" for top in tops if top.startswith("/home/") for entry in host.names(top)]
    return [f"{top}/oxfile.toml" for top in tops if host.is_file(f"{top}/oxfile.toml")]


def of_oxfile(host: Host, path: str) -> list[Program]:
    found = []
    text = host.read(path)
    apps, findings = read_oxfile(text, path)
    for app in apps:
        values = app.values
        program = Program(f"{path}#{app.name}", "oxmgr", path, [], app.argv)
        program.directory = os.path.join(os.path.dirname(path), values.get("cwd") or "")
        program.environment = {str(key): str(value) for key, value in (values.get("env") or {}).items()}
        program.settings = [
            ("app", key, str(values[key]), _place(path, text, key))
            for key, known in KEYS.items()
            if key in values and values[key] != known.default
        ]
        program.settings += [("finding", "", finding.sentence, path) for finding in findings]
        if env_file := values.get("env_file") or _env_file(text):
            program.environment_files = [os.path.normpath(os.path.join(program.directory, str(env_file)))]
        program.words = [re.sub(r"^\./", program.directory.rstrip("/") + "/", word) for word in program.words[:1]] + (
            program.words[1:]
        )
        if _look_into(host, program, program.environment):
            found.append(program)
    return found


def _env_file(text: str) -> str:
    """Oxmgr has no such key, and passes over it; who wrote it meant it."""
    found = re.search(r'(?m)^\s*env_file\s*=\s*"([^"]+)"', text)
    return found[1] if found else ""
