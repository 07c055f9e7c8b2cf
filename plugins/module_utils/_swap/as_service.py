# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command as the service would: user, environment, sandbox, release; a transient unit of systemd's."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .._app.roots import HOME
from .._app.sandbox import settings
from .._host.journal import readable
from .._host.systemd import CommandFailed, Run


@dataclass(frozen=True)
class Place:
    """Where and as whom a command runs.

    :param name: of the app.
    :param directory: of a filled slot, with ``env`` and ``release`` in it.
    :param unit: text of the service's unit: a command gets the sandbox and the credentials that it has.
    """

    name: str
    user: str
    group: str
    directory: str
    unit: str = ""

    @property
    def release(self) -> str:
        """The release itself: the link to it moves."""
        return os.path.realpath(os.path.join(self.directory, "release"))

    @property
    def home(self) -> str:
        return os.path.join(os.path.dirname(os.path.dirname(self.directory)), HOME)


LINES = 100
"""The last of what a command printed: a traceback is there whole."""


class Ended(CommandFailed):
    """A command ended with another status than 0.

    :param said: the last that it printed.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"it ended with status {status}.")
        self.said = said


def command_line(place: Place, unit: str, command: list[str], limit: int) -> list[str]:
    """The ``systemd-run`` that runs ``command``; nothing of the environment is in it.

    :param unit: the last part of the transient unit's name. A second one of the same name is refused by systemd.
    :param limit: seconds after which it is ended.
    """
    properties = {
        "User": place.user,
        "Group": place.group,
        "WorkingDirectory": place.release,
        "EnvironmentFile": os.path.join(place.directory, "env"),
        "Environment": f"FASTAPI_NAME={place.name} PYTHONUNBUFFERED=1 TMPDIR=/var/tmp HOME={place.home}",
        "RuntimeMaxSec": str(limit),
    }
    lines = [f"{key}={value}" for key, value in properties.items()] + settings(place.unit, place.directory)
    # Not a name that a unit of somebody's may have.
    unit = f"graceful-{place.name}-{unit}"
    words = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={unit}", "--service-type=exec"]
    words += [f"--property={line}" for line in lines]
    # systemd expands variables in the words of a command; twice the sign is the sign.
    return [*words, "--", *(word.replace("$", "$$") for word in command)]


def shell(place: Place, line: str) -> list[str]:
    """A line of the user's for the shell: the release's programs come first, and Python finds what Gunicorn would."""
    release = place.release
    paths = f"PATH={release}/.venv/bin:$PATH PYTHONPATH={release}${{PYTHONPATH:+:$PYTHONPATH}}"
    return ["/bin/sh", "-ec", f"export {paths}\n{line}"]


def run(runner: Run, place: Place, unit: str, command: list[str], limit: int) -> str:
    """Run it and wait for it; returns what it printed.

    :raises Ended: where its status isn't 0.
    :raises CommandFailed: where an earlier one is still at work.
    """
    status, out, err = runner(command_line(place, unit, command, limit))
    said = "\n".join(readable(line) for line in f"{out}\n{err}".strip().split("\n")[-LINES:]).strip()
    if status and "was already loaded" in err:
        raise CommandFailed(
            f"an earlier run that was cut off has left it running. Wait until it has ended, and run again: "
            f"systemctl status graceful-{place.name}-{unit}"
        )
    if status:
        raise Ended(status, said or "(it said nothing)")
    return said
