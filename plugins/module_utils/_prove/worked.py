# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which numbered requests the app says it has worked on: its access log has a line for each, with the number."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator

from .._host.systemd import Run


def numbers_in(lines: Iterable[bytes], token: str) -> Iterator[int]:
    """The number of each line that has one of this client's."""
    mark = re.compile(rb"\b" + re.escape(token.encode()) + rb"-([0-9]{1,9})\b")
    for line in lines:
        if found := mark.search(line):
            yield int(found[1])


def worked_on(run: Run, name: str, token: str, since: float) -> list[int]:
    """The number of each request that a worker of the app has ended its work on, as often as one has.

    :param since: seconds since the epoch.
    """
    # What has been written already has to be there to be read.
    run(["journalctl", f"--namespace={name}", "--sync"])
    # The access log alone, which has this priority: an app may log the number in lines of its own.
    command = ["journalctl", f"--namespace={name}", "--quiet", "--output=cat", "--all", "--priority=6..6"]
    command += [f"--since=@{int(since)}", "_TRANSPORT=stdout"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        return list(numbers_in(process.stdout or (), token))
