# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command NAME-oxmgr: Oxmgr's own commands, given to the daemon that keeps an app's slots alive.

Without it nobody reaches that daemon: it listens in a network namespace of its own, because it obeys whoever connects.
Where no daemon answers, Oxmgr's command starts one, in the session of whoever typed it. So this asks before. And it
refuses what would end what serves.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

ADDRESS = ("127.0.0.1", 40000)
PATIENCE = 30.0
"""Seconds to wait for an answer. While Oxmgr waits for an app to end, it listens to nobody."""
ENDS = ("stop", "delete", "rm")
TAKES_APP = (*ENDS, "restart", "rs", "status")
_NEW_NETWORK = 0x40000000

COMMANDS = {
    "list": "both slots; list --json for programs",
    "status NAME-blue": "one of them",
    "events": "what happens to them, until Ctrl-C",
    "restart NAME-blue": "end it and start it again; requests wait meanwhile, and none is lost",
    "stop, delete": "of the slot that isn't live; which is, status.yml says",
    "ui": "the same on the whole screen; its keys act at once, on the live slot too",
    "COMMAND --help": "what else there is",
}


def usage(name: str) -> str:
    width = max(map(len, COMMANDS)) - len("NAME") + max(len(name), len("NAME"))
    lines = [f"  {words.replace('NAME', name):{width}}  {does}" for words, does in COMMANDS.items()]
    return "\n".join(
        [
            f"{name}-oxmgr COMMAND: what Oxmgr runs of {name}, and what it can do with it.\n",
            *lines,
            f"\nDeploys, and the way back, are Ansible's: release.yml, rollback.yml. Lines of the app: {name}-logs.",
        ]
    )


class Refused(Exception):
    """Why a command isn't given to Oxmgr, in sentences for the person who typed it."""


def live_of(name: str, root: str) -> str:
    """The live slot as Oxmgr calls it; empty where nothing is live."""
    try:
        slot = os.path.basename(os.readlink(f"{root}/live.sock")).removesuffix(".sock")
    except OSError:
        return ""
    return f"{name}-{slot}"


def refusal(name: str, live: str, words: Sequence[str]) -> str:
    """Why these words aren't given to Oxmgr, and what to do instead; empty where they are. Pure.

    :param live: the live slot as Oxmgr calls it.
    """
    command, given = words[0], list(words[1:])
    if given in (["--help"], ["-h"]):
        return ""
    if command in ("logs", "log"):
        return f"The app's lines aren't Oxmgr's: {name}-logs shows them."
    if command == "daemon":
        if "stop" in given:
            return (
                "By that Oxmgr would note that both slots are stopped for good, and start none at the next boot. "
                f"systemctl stop {name}-oxmgr.service ends them until the unit is started again."
            )
        return f"The daemon is {name}-oxmgr.service, and a second one would start the slots twice."
    if command in ("service", "startup"):
        return f"That is for a daemon of somebody's own. This one is systemd's: systemctl status {name}-oxmgr.service."
    if command in ("reload", "rl"):
        return (
            "Old and new would hold the same socket, and Oxmgr couldn't tell whether the new one works. "
            f"release.yml deploys, and {name}-oxmgr restart starts a slot anew."
        )
    if command in ("apply", "import"):
        return _of_file(name, live, command, given)
    if command in (*ENDS, "restart", "rs"):
        return _of_target(name, live, command, given)
    return ""


def _of_file(name: str, live: str, command: str, given: list[str]) -> str:
    only = [given[at + 1] for at, word in enumerate(given[:-1]) if word == "--only"]
    only += [word.partition("=")[2] for word in given if word.startswith("--only=")]
    chosen = {part.strip() for text in only for part in text.split(",")}
    if not only:
        return f"Without --only {command} would also start or replace slots that a deploy has put where they are."
    if "--prune" in given:
        return "--prune deletes every other app of this daemon, the live slot among them. Leave it out."
    if live in chosen:
        return f"{live} serves, and {command} would end it before it starts what the file says. release.yml deploys."
    return ""


def _of_target(name: str, live: str, command: str, given: list[str]) -> str:
    target = next((word for word in given if word != "--"), "")
    if target == "all" or not re.search(r"[A-Za-z_-]", target) or re.search(r"[./]", target):
        return f"Name one app as {name}-oxmgr list does, such as {live or f'{name}-blue'}: no number, no file, not all."
    if target == live and command in ("stop", "delete", "rm"):
        how = f"{name}-oxmgr restart {live} starts it anew"
        return (
            f"{target} serves, and requests would wait for ever. {how}, systemctl stop {name}-oxmgr.service ends all."
        )
    return ""


def main_pid(unit: str) -> int:
    """:raises Refused: where the unit doesn't run."""
    show = ["systemctl", "show", "--property=ActiveState,MainPID", unit]
    said = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=False).stdout
    state = dict(line.split("=", 1) for line in said.split("\n") if "=" in line)
    if state.get("ActiveState") not in ("active", "activating", "reloading") or state.get("MainPID", "0") == "0":
        raise Refused(
            f"{unit} is {state.get('ActiveState') or 'unknown'}, so there is nobody to ask, and Oxmgr's command would "
            f"start a daemon in your session. systemctl start {unit}"
        )
    return int(state["MainPID"])


def enter(pid: int) -> None:
    """Go into the network of a process."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _NEW_NETWORK):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    os.close(descriptor)


def wait(unit: str, patience: float = PATIENCE) -> None:
    """Until the daemon answers, because Oxmgr's own command waits for a quarter of a second.

    :raises Refused: where it doesn't.
    """
    until = time.monotonic() + patience
    while (left := until - time.monotonic()) > 0:
        try:
            with socket.create_connection(ADDRESS, left) as connection:
                connection.settimeout(left)
                connection.sendall(json.dumps({"type": "ping"}).encode() + b"\n")
                if connection.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise Refused(f"{unit} runs, but hasn't answered for {patience:.0f} s: it waits for an app to end. Try again.")


def environment(name: str) -> dict[str, str]:
    """The caller's, with the daemon's own settings."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("OXMGR_")}
    return mine | {
        "OXMGR_HOME": f"/var/lib/{name}-oxmgr",
        "OXMGR_DAEMON_ADDR": "127.0.0.1:40000",
        "OXMGR_API_ADDR": "127.0.0.1:40001",
        "NO_COLOR": "1",
    }


def main(name: str, root: str, words: Sequence[str]) -> int:
    unit = f"{name}-oxmgr.service"
    if not words or list(words) in (["--help"], ["-h"], ["help"]):
        print(usage(name))
        return 0
    try:
        if os.geteuid():
            raise Refused(f"Only root may command the app's supervisor: sudo {name}-oxmgr")
        if why := refusal(name, live_of(name, root), words):
            raise Refused(why)
        enter(main_pid(unit))
        wait(unit)
    except Refused as problem:
        print(problem, file=sys.stderr)
    else:
        if words[0] in TAKES_APP:
            # A file of the app's name would be taken for an oxfile.
            os.chdir("/")
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(f"/usr/local/lib/{name}-oxmgr", ["oxmgr", *words], environment(name))
    return 1
