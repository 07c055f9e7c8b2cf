# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of supervisord's configuration, as it reads them. Pure but for reading its files."""

from __future__ import annotations

import configparser
import glob
import os
import re
from dataclasses import dataclass

from .._host.reading import read_text

PATHS = ("/etc/supervisor/supervisord.conf", "/etc/supervisord.conf")


@dataclass(frozen=True)
class Program:
    """One [program:...], with the values that hold where the file has none.

    :param where: by key, the file and line; '' is the section's own.
    :param values: all that the file has of it, by key.
    """

    name: str
    command: str
    stop_wait: float
    stop_signal: str
    restart: str
    user: str
    directory: str
    environment: dict[str, str]
    logs: tuple[str, ...]
    bounded: bool
    where: dict[str, str]
    values: dict[str, str]


def parse(text: str, path: str) -> list[Program]:
    """Programs of one file; none where it can't be read as one."""
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    found = []
    for section in parser.sections():
        if not section.startswith("program:"):
            continue
        values = dict(parser[section])
        found.append(
            Program(
                name=section.partition(":")[2].strip(),
                command=values.get("command", ""),
                stop_wait=_number(values.get("stopwaitsecs", ""), 10),
                stop_signal=values.get("stopsignal", "TERM"),
                restart=_restart(values.get("autorestart", "unexpected")),
                user=values.get("user", ""),
                directory=values.get("directory", ""),
                environment=_pairs(values.get("environment", "")),
                logs=tuple(
                    values[key] for key in ("stdout_logfile", "stderr_logfile") if values.get(key, "").startswith("/")
                ),
                bounded=all(values.get(f"{of}_logfile_maxbytes", "50MB") != "0" for of in ("stdout", "stderr")),
                where=_lines(text, path, section),
                values=values,
            )
        )
    return found


def _pairs(text: str) -> dict[str, str]:
    """Variables as environment= has them: A="b",C=d."""
    listed = re.findall(r"""([A-Za-z_]\w*)=("[^"]*"|'[^']*'|[^,]*)""", text)
    return {name: value.strip("\"' ") for name, value in listed}


def _restart(text: str) -> str:
    """'true', 'false' or 'unexpected', as supervisord takes its words for them, in any case."""
    word = text.strip().lower()
    return {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(word, word)


def _number(text: str, default: float) -> float:
    return float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text.strip()) else default


def _lines(text: str, path: str, wanted: str) -> dict[str, str]:
    section, found = "", {}
    for number, line in enumerate(text.splitlines(), start=1):
        if head := re.match(r"\s*\[(.+?)\]", line):
            section = head[1]
            if section == wanted:
                found[""] = f"{path}:{number}"
        elif section == wanted and (key := re.match(r"\s*(\w+)\s*[=:]", line)):
            found[key[1].lower()] = f"{path}:{number}"
    return found


def read(paths: tuple[str, ...] = PATHS) -> list[Program]:
    """Programs of the main file and of what it includes."""
    found = []
    for path in paths:
        text = read_text(path)
        found += parse(text, path)
        match = re.search(r"(?ms)^\s*\[include\].*?^\s*files\s*=\s*(.*?)$", text)
        for pattern in match[1].split() if match else []:
            for other in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern))):
                found += parse(read_text(other), other)
    return found
