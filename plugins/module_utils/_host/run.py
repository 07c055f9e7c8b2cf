# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a program that somebody else has made the command of, on the control node and on the host alike."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence

from .text import hide, last_lines

CONTROL_NODE, HOST, BUILD_HOST = "the control node", "the host", "the build host"


class ProgramError(Exception):
    """A program that failed, in a sentence that says where, with the last that it said.

    :param said: the last that it said alone; empty where it didn't start, or didn't end in time.
    """

    def __init__(self, sentence: str, said: str = "") -> None:
        super().__init__(sentence)
        self.said = said


def finish(
    command: Sequence[str],
    environment: Mapping[str, str],
    limit: float,
    directory: str | None = None,
    account: pwd.struct_passwd | None = None,
    detached: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever that is. It has no input, so nothing waits for one.

    :param limit: seconds after which it is killed.
    :param account: whom it runs as, without further groups; the caller has to be root.
    :param detached: without the terminal, where ssh would ask otherwise.
    :raises OSError: where it doesn't start.
    :raises subprocess.SubprocessError: where it doesn't end in time.
    """
    return subprocess.run(
        command,
        env=dict(environment),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=limit,
        check=False,
        start_new_session=detached,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )


def run(
    step: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    where: str,
    limit: float = 1200,
    hidden: Sequence[str] = (),
    directory: str | None = None,
    account: pwd.struct_passwd | None = None,
    detached: bool = False,
) -> str:
    """Run a program that has to succeed; returns what it printed.

    :param step: what it does, to begin a sentence with: 'Resolving'.
    :param where: CONTROL_NODE, HOST or BUILD_HOST.
    :param hidden: secrets that its words may hold.
    :raises ProgramError: where it doesn't start, doesn't end in `limit` seconds, or says that it failed.
    """
    try:
        done = finish(command, environment, limit, directory, account, detached)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"{step} failed on {where}: it didn't end within {limit:.0f} s.") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise ProgramError(f"{step} failed on {where}: {hide(str(error), hidden)}") from None
    if done.returncode:
        said = hide(last_lines(_telling(done.stderr) or done.stdout, 30), hidden) or "It said nothing."
        raise ProgramError(f"{step} failed on {where} with exit code {done.returncode}:\n{said}", said)
    return done.stdout


def _telling(said: str) -> str:
    """Without pip's warnings, which stand before its error by the dozen, unless there is nothing else."""
    lines = [line for line in said.split("\n") if not line.startswith("WARNING: ")]
    return "\n".join(lines) if any(map(str.strip, lines)) else said


def environment_without(*prefixes: str) -> dict[str, str]:
    """This process's environment without the variables that begin so."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
