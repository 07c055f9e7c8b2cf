# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd's units as audit.yml asks for them: properties, and the file and line of a directive."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .._hand.unit_text import parse_unit, words
from .._host.reading import read_text
from .._host.systemd import parse_show

Run = Callable[[list[str]], tuple[int, str, str]]
PROPERTIES = (
    "Id LoadState ActiveState SubState Result UnitFileState FragmentPath DropInPaths ExecStart ExecStop Restart "
    "NRestarts TimeoutStopUSec KillMode KillSignal ControlGroup User EnvironmentFiles WorkingDirectory "
    "CPUQuotaPerSecUSec TriggeredBy WantedBy RequiredBy ActiveEnterTimestampMonotonic StandardOutput StandardError"
).split()
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800, "month": 2629800}


def seconds(text: str) -> float | None:
    """Seconds of a time as systemctl show prints it ('1min 30s'); None for infinity and for nothing."""
    parts = re.findall(r"([0-9.]+)(us|ms|min|month|s|h|d|w)\b", text)
    return sum(float(count) * _UNITS[unit] for count, unit in parts) if parts else 0.0 if text == "0" else None


def commands(text: str) -> list[str]:
    """The words of the (last) command in an ExecStart= as systemctl show prints it."""
    found = re.findall(r"argv\[\]=(.*?) ; ignore_errors=", text)
    return found[-1].split() if found else []


def services(run: Run) -> dict[str, dict[str, str]]:
    """Every service that systemd has loaded or could start, by name; none where it doesn't tell."""
    names = set()
    for listing in (["list-units", "--all"], ["list-unit-files"]):
        status, out, _err = run(["systemctl", *listing, "--type=service", "--plain", "--no-legend", "--no-pager"])
        if not status:
            names |= {line.split()[0] for line in out.splitlines() if line.split()}
    wanted = sorted(name for name in names if name.endswith(".service") and not name.endswith("@.service"))
    if not wanted:
        return {}
    status, out, _err = run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *wanted])
    return {block["Id"]: block for block in parse_show(out) if block.get("LoadState") == "loaded" and block.get("Id")}


def files(unit: Mapping[str, str]) -> list[str]:
    """The files that it was read from, the one that wins last."""
    return [path for path in [unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split()] if path]


def line_of(unit: Mapping[str, str], directive: str, text: Callable[[str], str] = read_text) -> str:
    """The file and line that sets a directive last; the unit's own file alone, where none does."""
    settings = [each for path in files(unit) for each in parse_unit(text(path), path) if each.name == directive]
    return settings[-1].place if settings else unit.get("FragmentPath", "") or unit.get("Id", "")


def environment_files(unit: Mapping[str, str]) -> list[str]:
    """The paths of its EnvironmentFile=, as systemctl show prints them: '/srv/app/.env (ignore_errors=no)'."""
    return re.findall(r"(/\S+) \(ignore_errors=(?:yes|no)\)", unit.get("EnvironmentFiles", ""))


def own_environment(text: str) -> list[tuple[int, str, str]]:
    """Line, name and value of each Environment= of a unit's file."""
    found = []
    for each in parse_unit(text, ""):
        for name, equals, value in (word.partition("=") for word in words(each.value)):
            if each.name == "Environment" and equals:
                found.append((int(each.place.rpartition(":")[2]), name, value))
    return found
