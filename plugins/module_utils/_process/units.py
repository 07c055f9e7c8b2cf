# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units of what runs beside an app's web workers: their names, and their text by the text of the app's own. Pure.

An app's name has no dot, so none of them can be another app's, or a slot's:

- ``shop.worker.4@1.service``: the first instance of process ``worker``, of the app's 4th generation
- ``shop.cleanup.timer`` and ``shop.cleanup.service``: a timer, and a run of it
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

from .._app.command import Place, settings, shell
from .._app.words import MARK
from .specs import Beside, Process, Timer

_KEPT = re.compile(r"(Wants=network-online|After=network-online|OnFailure=|RequiresMountsFor=)")
"""Begin what the [Unit] section takes from that of the web's."""
_SHARED = re.compile(r"(OOMPolicy|LogNamespace|SyslogLevel)=")
"""Begin what the [Service] section takes from it beside the sandbox."""
_MEMORY = "MemoryMax="
RESTART = 5
"""Seconds between two starts of a process that ends by itself: its queue may be away for long."""


def template(app: str, process: str, generation: int) -> str:
    """The file of a process's units."""
    return f"{app}.{process}.{generation}@.service"


def instances(app: str, process: Process, generation: int) -> list[str]:
    return [f"{app}.{process.name}.{generation}@{n}.service" for n in range(1, process.instances + 1)]


def timer(app: str, name: str) -> str:
    return f"{app}.{name}.timer"


def run(app: str, name: str) -> str:
    """The unit of a timer's runs: there is one, so that two never overlap."""
    return f"{app}.{name}.service"


def slice_of(app: str) -> str:
    """systemd's own group of an app's slots, which it keeps when they are gone; a hyphen in it means depth."""
    return "system-{}.slice".format(app.replace("-", "\\x2d"))


def of(app: str, names: Sequence[str]) -> list[str]:
    """Those of these units, or names of their files, that belong to what runs beside the app's web workers."""
    shape = rf"{re.escape(app)}\.[a-z0-9_-]+(\.[0-9]+@[0-9]*)?\.(service|timer)"
    return [name for name in names if re.fullmatch(shape, name)]


def generation_of(unit: str) -> int:
    """The generation that a process's unit or template belongs to; 0 for a timer's."""
    match = re.search(r"\.([0-9]+)@", unit)
    return int(match[1]) if match else 0


def texts(place: Place, beside: Beside, generation: int) -> dict[str, str]:
    """The text of each unit file by its name.

    :param place: with the directory of the generation, and the text of the app's own unit.
    :param generation: its number.
    """
    found = {template(place.name, each.name, generation): _process(place, each) for each in beside.processes}
    return found | timer_texts(place, beside)


def timer_texts(place: Place, beside: Beside) -> dict[str, str]:
    """Those of the timers alone: they are the same for all generations, and follow the link to the live one."""
    live = replace(place, directory=os.path.join(os.path.dirname(place.directory), "live"))
    found = {}
    for each in beside.timers:
        found[run(place.name, each.name)] = _run(live, each)
        found[timer(place.name, each.name)] = _timer(place.name, each)
    return found


def unnumbered(text: str, directory: str, generation: int) -> str:
    """The text of a process's unit as it were of generation 0, to be compared.

    :param directory: of the generations.
    """
    text = text.replace(f"{directory}/{generation}/", f"{directory}/0/").replace(f"/live/{generation}\n", "/live/0\n")
    return text.replace(f", generation {generation}\n", ", generation 0\n")


def _process(place: Place, process: Process) -> str:
    directory = place.directory
    number = os.path.basename(directory)
    own = [f"EnvironmentFile={directory}/env.{process.name}"] if process.environment else []
    limit = [f"{_MEMORY}{process.memory_max}"] if process.memory_max else _lines(place.unit, re.compile(_MEMORY))
    writable = [f"ReadWritePaths={path}" for path in process.writable_paths]
    lines = [
        *_head(place, f"{place.name}: process {process.name} (%i), generation {number}", process.writable_paths),
        "# A reboot starts what the traffic belongs to.",
        f"ConditionPathExists={os.path.dirname(directory)}/live/{number}",
        "# Never given up: its queue may be away for an hour.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        *_common(place, f"FASTAPI_PROCESS={process.name} FASTAPI_INSTANCE=%i"),
        *own,
        f"ExecStart={_command(place, f'exec {process.command}')}",
        "# The program itself is told to stop, and what it has started is its own to tell: a child may be at a job.",
        "KillMode=mixed",
        f"KillSignal={process.stop_signal}",
        f"TimeoutStopSec={process.stop_timeout}",
        "Restart=always",
        f"RestartSec={RESTART}",
        *limit,
        f"SyslogIdentifier={process.name}",
        *settings(place.unit, directory),
        *writable,
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _run(place: Place, timer: Timer) -> str:
    lines = [
        *_head(place, f"{place.name}: a run of timer {timer.name}"),
        "",
        "[Service]",
        "Type=oneshot",
        *_common(place, f"FASTAPI_PROCESS={timer.name}"),
        f"ExecStart={_command(place, timer.command)}",
        f"TimeoutStartSec={timer.timeout}",
        *_lines(place.unit, re.compile(_MEMORY)),
        f"SyslogIdentifier={timer.name}",
        *settings(place.unit, place.directory),
    ]
    return "\n".join(lines) + "\n"


def _timer(app: str, timer: Timer) -> str:
    lines = [
        f"{MARK}swap); changes made here are undone by the next run.",
        "[Unit]",
        f"Description={app}: when timer {timer.name} runs",
        "",
        "[Timer]",
        *(f"OnCalendar={when}" for when in timer.calendars),
        "# What was due while the host was down is made up for at its start.",
        "Persistent=yes",
        "AccuracySec=1s",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "\n".join(lines) + "\n"


def _head(place: Place, description: str, needed: Sequence[str] = ()) -> list[str]:
    mounts = [f"RequiresMountsFor={' '.join(needed)}"] if needed else []
    head = [f"{MARK}swap); changes made here are undone by the next run.", "[Unit]", f"Description={description}"]
    return [*head, *_lines(place.unit, _KEPT), *mounts]


def _common(place: Place, known: str) -> list[str]:
    return [
        f"User={place.user}",
        f"Group={place.group}",
        f"Slice={slice_of(place.name)}",
        f"WorkingDirectory={place.directory}/release",
        f"EnvironmentFile={place.directory}/env",
        f"Environment=FASTAPI_NAME={place.name} {known} PYTHONUNBUFFERED=1 TMPDIR=/var/tmp HOME={place.home}",
        *_lines(place.unit, _SHARED),
    ]


def _command(place: Place, line: str) -> str:
    """The words of ExecStart=. Which release it is, is looked up once, at the start: the link to it may move."""
    return " ".join(map(_quoted, shell(replace(place, chosen="$(pwd -P)"), line)))


def _quoted(word: str) -> str:
    """As systemd.service(5) wants it: its specifiers and variables are none of ours."""
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("%", "%%"), ("$", "$$")):
        word = word.replace(sign, escaped)
    return f'"{word}"'


def _lines(unit: str, begin: re.Pattern[str]) -> list[str]:
    return [line for line in unit.split("\n") if begin.match(line)]
