# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the unit of a slot's Oxmgr calls, and Oxmgr itself as its health check; as root, in the daemon's network.

    graceful_daemon.py forget              before it starts: it is to start nothing by what it remembers, and only where
                                           nobody else reaches it
    graceful_daemon.py begin APP PROGRAM   when it has started: the slot, as its oxfile says
    graceful_daemon.py reload              new workers in place of those that run
    graceful_daemon.py watch TOLD SECONDS  an arbiter that hangs is ended

Oxmgr is asked by its own protocol, a line of JSON each way over TCP, and never by its program, which starts a daemon of
its own where this one doesn't answer at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from typing import Any

STARTING = 60.0
"""Seconds within which the daemon has to answer."""
ANSWER = 16 << 20
"""Bytes that an answer may have."""
CHECK = "health_"


class Refused(Exception):
    """What Oxmgr said, or that it said nothing."""


def ask(address: str, request: dict[str, Any], limit: float) -> dict[str, Any]:
    """One question to a daemon.

    :param limit: seconds for all of it: while the daemon starts or stops something it takes questions and answers none.
    :raises Refused: where it says no, and where it closes without a word, as it does for what it doesn't understand.
    :raises OSError: where it can't be reached, or is busy for longer.
    """
    host, _colon, port = address.rpartition(":")
    end, data = time.monotonic() + limit, b""
    with socket.create_connection((host, int(port)), limit) as link:
        link.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        while not data.endswith(b"\n") and len(data) < ANSWER:
            link.settimeout(max(0.01, end - time.monotonic()))
            more = link.recv(65536)
            if not more:
                raise Refused(f"Oxmgr doesn't understand what it was asked for: {request['type']}.")
            data += more
    try:
        answer = json.loads(data)
        said, fine = str(answer["message"]), answer["ok"] is True
    except (ValueError, LookupError, TypeError):
        raise Refused("What answers there isn't Oxmgr.") from None
    if not fine:
        raise Refused(f"Oxmgr said: {said}")
    return dict(answer)


def forget(home: str) -> None:
    """:raises Refused: where it would listen in the host's network: systemd goes on where it can't make another."""
    if os.stat("/proc/self/ns/net").st_ino == os.stat("/proc/1/ns/net").st_ino:
        raise Refused(
            "Oxmgr isn't started: it has no network of its own here, so that everybody on this host could command it, "
            "and it is root. Write fastapi_supervisor: systemd."
        )
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(home, "state.json"))


def spec(oxfile: str, app: str) -> dict[str, Any]:
    """What Oxmgr is to be told of an app of an oxfile; it has other words for some of it there."""
    with open(oxfile, "rb") as file:
        found = next(row for row in tomllib.load(file)["apps"] if row["name"] == app)
    check = {key.removeprefix(CHECK).replace("cmd", "command"): found.pop(key) for key in list(found) if CHECK in key}
    return {"env": {}, "start_delay_secs": 0, **found, "health_check": check or None}


def begin(address: str, app: str, program: str, oxfile: str) -> None:
    vetted = subprocess.run([program, "validate", oxfile], capture_output=True, text=True, check=False)
    if vetted.returncode:
        raise Refused(f"Oxmgr doesn't take {oxfile}: {(vetted.stderr or vetted.stdout).strip()}")
    end = time.monotonic() + STARTING
    while True:
        try:
            ask(address, {"type": "ping"}, 5)
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
    ask(address, {"type": "start", "spec": spec(oxfile, app)}, STARTING)


def arbiter(home: str) -> int:
    """Its process id by what Oxmgr has written down: it can't be asked by its own health check. 0 for none."""
    try:
        with open(os.path.join(home, "state.json"), encoding="utf-8") as file:
            return int(json.load(file)["processes"][0]["pid"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def watch(home: str, told: str, limit: float) -> None:
    """End an arbiter that hasn't told anything for too long (graceful_watch.tell). Its workers finish what they are at,
    and Oxmgr starts another one."""
    late, pid = time.time() - os.stat(told).st_mtime, arbiter(home)
    if pid and late > limit:
        # It writes where it hangs, and dies of it (graceful_watch.on_starting).
        os.kill(pid, signal.SIGURG)
        os.kill(pid, signal.SIGCONT)
        if late > 2 * limit:
            os.kill(pid, signal.SIGKILL)


def main(verb: str, *given: str) -> None:
    home, address = os.environ["OXMGR_HOME"], os.environ["OXMGR_DAEMON_ADDR"]
    if verb == "forget":
        forget(home)
    elif verb == "begin":
        oxfile = os.path.join(os.path.dirname(os.path.abspath(__file__)), "oxfile.toml")
        begin(address, *given, oxfile)
    elif verb == "reload":
        os.kill(arbiter(home) or sys.exit("no arbiter runs"), signal.SIGHUP)
    elif verb == "watch":
        with contextlib.suppress(OSError):
            watch(home, given[0], float(given[1]))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Refused, OSError) as error:
        sys.exit(str(error))
