# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that are asked where the control node has them: ruff and pip-audit."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...module_utils._host.run import CONTROL_NODE, ProgramError, environment_without, finish, run

LIMIT = 120.0
"""Seconds for each."""


@dataclass(frozen=True)
class Ruff:
    """ruff, whose ASYNC rules know more calls than we do.

    :param program: its path.
    """

    program: str

    def asked(self, top: str) -> Iterator[tuple[str, int, str, str]]:
        """File, line, rule and message of each of its findings below a directory.

        :raises ProgramError: where it doesn't answer.
        """
        command = [
            self.program,
            "check",
            "--isolated",
            "--no-cache",
            "--exit-zero",
            "--select",
            "ASYNC",
            "--output-format",
            "json",
            top,
        ]
        out = run("Asking ruff", command, environment_without("RUFF_"), CONTROL_NODE, LIMIT)
        try:
            rows = json.loads(out)
            for row in rows:
                path = os.path.relpath(os.path.realpath(row["filename"]), os.path.realpath(top))
                yield path, int(row["location"]["row"]), str(row["code"]), str(row["message"]).rstrip(".")
        except (ValueError, KeyError, TypeError) as error:
            raise ProgramError(f"ruff's answer wasn't understood ({type(error).__name__}).") from None


def ruff() -> Ruff | None:
    """None where the control node has none on its PATH."""
    program = shutil.which("ruff")
    return Ruff(program) if program else None


def holes(packages: Mapping[str, str]) -> list[tuple[str, str, list[str], list[str]]] | None:
    """Name, version, holes and the versions without them, of each package that has any; None where nobody can be asked.

    :raises ProgramError: where pip-audit fails, as without a network.
    """
    program = shutil.which("pip-audit")
    if not program:
        return None
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "requirements.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{name}=={version}\n" for name, version in sorted(packages.items()))
        command = [
            program,
            "--requirement",
            path,
            "--no-deps",
            "--disable-pip",
            "--format",
            "json",
            "--progress-spinner",
            "off",
        ]
        try:
            # It ends with 1 where it has found some.
            done = finish(command, environment_without(), LIMIT)
            told = json.loads(done.stdout)
            rows = told["dependencies"] if isinstance(told, dict) else told
            return [
                (
                    row["name"],
                    row["version"],
                    [each["id"] for each in row["vulns"]],
                    sorted({v for each in row["vulns"] for v in each["fix_versions"]}),
                )
                for row in rows
                if row.get("vulns")
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProgramError(f"pip-audit gave no answer ({type(error).__name__}).") from None
        except Exception as error:
            raise ProgramError(f"pip-audit gave no answer within {LIMIT:.0f} s ({type(error).__name__}).") from None
