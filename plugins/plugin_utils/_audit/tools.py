# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that are asked where the control node has them: ruff and pip-audit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Holes:
    """What pip-audit has answered.

    :param found: name, version, holes, and the versions without them, of each package that has any.
    :param skipped: packages that it knows nothing of, as where its service isn't reached.
    :param why: the reason that it gives for the first of them.
    """

    found: list[tuple[str, str, list[str], list[str]]]
    skipped: list[str]
    why: str = ""


def holes(packages: Mapping[str, str]) -> Holes | None:
    """None where the control node has no pip-audit on its PATH.

    :raises ProgramError: where it fails, as without a network.
    """
    program = shutil.which("pip-audit")
    if not program:
        return None
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "requirements.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{name}=={version}\n" for name, version in sorted(packages.items()))
        command = [program, "--requirement", path, "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--progress-spinner", "off"]
        try:
            # It ends with 1 where it has found some.
            done = finish(command, environment_without(), LIMIT)
            rows = json.loads(done.stdout)["dependencies"]
            skipped = [row for row in rows if "skip_reason" in row]
            return Holes(
                [_hole(row) for row in rows if row.get("vulns")],
                [row["name"] for row in skipped],
                skipped[0]["skip_reason"] if skipped else "",
            )
        except subprocess.SubprocessError:
            raise ProgramError(f"pip-audit gave no answer within {LIMIT:.0f} s.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProgramError(f"pip-audit gave no answer ({type(error).__name__}).") from None


def _hole(row: dict[str, Any]) -> tuple[str, str, list[str], list[str]]:
    fixed = {version for each in row["vulns"] for version in each["fix_versions"]}
    return row["name"], row["version"], [each["id"] for each in row["vulns"]], sorted(fixed)
