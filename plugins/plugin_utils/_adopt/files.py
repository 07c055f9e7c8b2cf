# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that adopting writes on the control node: over nothing that says something else."""

from __future__ import annotations

import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from ...module_utils._adopt.programs import Refused
from ...module_utils._host.files import read_text
from .._init.written import as_yaml


@dataclass(frozen=True)
class File:
    """:param secret: whether only its owner may read it, and nothing shows it."""

    path: str
    text: str
    secret: bool = False


def hosts_file(name: str, variables: t.Mapping[str, t.Any], user: str) -> str:
    """An inventory with one host, as it was reached now; no password is in it."""
    rows = {key: variables[key] for key in ("ansible_host", "ansible_port", "ansible_connection") if variables.get(key)}
    if rows.get("ansible_host") == name:
        del rows["ansible_host"]
    if rows.get("ansible_connection") in ("ssh", "smart"):
        del rows["ansible_connection"]
    if login := variables.get("ansible_user") or user:
        rows["ansible_user"] = login
    text = f"---\nall:\n  hosts:\n    {as_yaml(name)}:\n"
    return text + "".join(
        f"      {key}: {as_yaml(value if isinstance(value, int) else str(value))}\n" for key, value in rows.items()
    )


def compared(files: list[File]) -> tuple[bool, list[dict[str, t.Any]]]:
    """Whether anything is to be written, and the diff, without secrets.

    :raises Refused: where one of the files is there and says something else.
    """
    changed, diff = False, []
    for file in files:
        there = os.path.exists(file.path)
        if there and read_text(file.path) != file.text:
            vault = " (or was encrypted, which is as it should be)" if file.secret else ""
            raise Refused(
                f"{os.path.relpath(file.path)} is there already and says something else{vault}, and adopt.yml writes "
                "over "
                "nothing. Write -e into=DIRECTORY to compare, or take it away."
            )
        changed |= not there
        after = re.sub(r"(?m)^(\s*\w+: ).+$", r"\1********", file.text) if file.secret else file.text
        if not there:
            diff.append({"before": "", "after": after, "after_header": file.path})
    return changed, diff


def put(files: list[File], code: tuple[str, str]) -> None:
    """:param code: a directory, and where it goes; ('', '') for none."""
    if code[1] and not os.path.exists(code[1]):
        shutil.copytree(code[0], code[1], symlinks=True)
    for file in files:
        if os.path.exists(file.path):
            continue
        os.makedirs(os.path.dirname(file.path), exist_ok=True)
        mode = 0o600 if file.secret else 0o666
        # Readable by nobody else from its first moment on.
        with open(os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as out:
            out.write(file.text)
