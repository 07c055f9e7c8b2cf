# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command NAME-oxmgr: Oxmgr's own commands, given to the daemons that keep an app's slots alive.

Each slot has one. Without this nobody reaches it: it listens in a network namespace of its own, because it obeys
whoever connects. Where no daemon answers, Oxmgr's command starts one, in the session of whoever typed it. So this asks
before. And it refuses what would end what serves.
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

SLOTS = ("blue", "green")
LIST = ("list", "ls", "ps")
COMMANDS = {
    "list": "what runs of both slots; list --json for programs",
    "status NAME-blue": "more of one of them",
    "events": "what happens to the live one, until Ctrl-C",
    "restart NAME-blue": "end it and start it again; requests wait meanwhile, and none is lost",
    "stop NAME-blue": "where it isn't live",
    "ui": "all of it on the whole screen; its keys act at once",
    "COMMAND --help": "what else there is",
    "green COMMAND": "anything, of that slot's daemon: by itself it is the one that is named, else the live one",
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


def live_of(root: str) -> str:
    """The live slot; empty where nothing is live."""
    try:
        return os.path.basename(os.readlink(f"{root}/live.sock")).removesuffix(".sock")
    except OSError:
        return ""


def unit_of(name: str, slot: str) -> str:
    return f"{name}-oxmgr@{slot}.service"


def slots_meant(name: str, live: str, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Whose daemons are meant, and the words for them.

    :raises Refused: where that can't be told.
    """
    if words[0] in SLOTS:
        if len(words) == 1:
            raise Refused(f"And what of it? {name}-oxmgr {words[0]} list, say.")
        return [words[0]], list(words[1:])
    named = [slot for slot in SLOTS if f"{name}-{slot}" in words[1:]]
    if named or words[0] not in LIST:
        named = named[:1] or [live] * bool(live)
        if not named:
            raise Refused(f"Nothing is live, so say whose daemon is meant: {name}-oxmgr blue {' '.join(words)}")
        return named, list(words)
    return list(SLOTS), list(words)


def refusal(name: str, live: str, words: Sequence[str]) -> str:
    """Why these words aren't given to Oxmgr, and what to do instead; empty where they are. Pure.

    :param live: the live slot.
    """
    command, given = words[0], list(words[1:])
    serves = f"{name}-{live}" if live else ""
    ends = f"systemctl stop {name}@SLOT.socket {unit_of(name, 'SLOT')}"
    if given in (["--help"], ["-h"]):
        return ""
    if command in ("logs", "log"):
        return f"The app's lines aren't Oxmgr's: {name}-logs shows them."
    if command == "daemon":
        if "stop" in given:
            return f"That would end a slot behind systemd's back, which starts it again. For an end: {ends}"
        return "The daemons are systemd's, and a second one would start a slot twice."
    if command in ("service", "startup"):
        return f"That is for a daemon of somebody's own. These are systemd's: systemctl status '{unit_of(name, '*')}'"
    if command in ("reload", "rl"):
        return (
            "Old and new would hold the same socket, and Oxmgr couldn't tell whether the new one works. "
            f"release.yml deploys, and {name}-oxmgr restart starts a slot anew."
        )
    if command in ("apply", "import"):
        return _of_file(serves, command, given)
    if command in (*ENDS, "restart", "rs"):
        return _of_target(name, serves, command, given)
    return ""


def _of_file(serves: str, command: str, given: list[str]) -> str:
    only = [given[at + 1] for at, word in enumerate(given[:-1]) if word == "--only"]
    only += [word.partition("=")[2] for word in given if word.startswith("--only=")]
    chosen = {part.strip() for text in only for part in text.split(",")}
    if not only:
        return f"Without --only {command} would also start or replace slots that a deploy has put where they are."
    if "--prune" in given:
        return "--prune deletes every other app of this daemon, the slot among them. Leave it out."
    if serves in chosen:
        return f"{serves} serves, and {command} would end it before it starts what the file says. release.yml deploys."
    return ""


def _of_target(name: str, serves: str, command: str, given: list[str]) -> str:
    target = next((word for word in given if word != "--"), "")
    if target == "all" or not re.search(r"[A-Za-z_-]", target) or re.search(r"[./]", target):
        return f"Name one app as {name}-oxmgr list does, such as {serves or f'{name}-blue'}: no number, file or all."
    if serves in given and command in ENDS:
        return f"{serves} serves, and requests would wait for ever. {name}-oxmgr restart {serves} starts it anew."
    return ""


def main_pid(unit: str) -> int:
    """The daemon's process.

    :raises Refused: where the unit doesn't run.
    """
    show = ["systemctl", "show", "--property=ActiveState,MainPID", unit]
    said = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=False).stdout
    state = dict(line.split("=", 1) for line in said.split("\n") if "=" in line)
    if state.get("ActiveState") not in ("active", "activating", "reloading") or state.get("MainPID", "0") == "0":
        raise Refused(
            f"{unit} is {state.get('ActiveState') or 'unknown'}, so there is nobody to ask. If status.yml says that "
            f"this slot is live: systemctl restart {unit}. Else the next deploy starts it."
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


def environment(name: str, slot: str) -> dict[str, str]:
    """The caller's, with the daemon's own settings."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("OXMGR_")}
    return mine | {
        "OXMGR_HOME": f"/var/lib/{name}-oxmgr/{slot}",
        "OXMGR_DAEMON_ADDR": "127.0.0.1:40000",
        "OXMGR_API_ADDR": "127.0.0.1:40001",
        "NO_COLOR": "1",
    }


def reach(name: str, slot: str) -> None:
    """Go where the slot's daemon is, and wait until it listens."""
    unit = unit_of(name, slot)
    enter(main_pid(unit))
    wait(unit)


def lists(name: str, slots: Sequence[str], words: Sequence[str]) -> int:
    """What the daemons of both slots list, as one."""
    tables, why = [], None
    for slot in slots:
        try:
            reach(name, slot)
        except Refused as problem:
            why = problem
            continue
        command = [f"/usr/local/lib/{name}-oxmgr", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment(name, slot))
        if done.returncode:
            return done.returncode
        tables.append(done.stdout)
    if not tables and why:
        raise why
    if "--json" in words:
        tables = [json.dumps([row for table in tables for row in json.loads(table)]) + "\n"]
    print("".join(tables), end="")
    return 0


def give(name: str, root: str, words: Sequence[str]) -> int:
    """:raises Refused: where Oxmgr isn't given them."""
    if os.geteuid():
        raise Refused(f"Only root may command the app's supervisor: sudo {name}-oxmgr")
    live = live_of(root)
    slots, words = slots_meant(name, live, words)
    if why := refusal(name, live, words):
        raise Refused(why)
    if len(slots) > 1:
        return lists(name, slots, words)
    reach(name, slots[0])
    if words[0] in TAKES_APP:
        # A file of the app's name would be taken for an oxfile.
        os.chdir("/")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execve(f"/usr/local/lib/{name}-oxmgr", ["oxmgr", *words], environment(name, slots[0]))
    return 1


def main(name: str, root: str, words: Sequence[str]) -> int:
    if not words or list(words) in (["--help"], ["-h"], ["help"]):
        print(usage(name))
        return 0
    try:
        return give(name, root, words)
    except Refused as problem:
        print(problem, file=sys.stderr)
        return 1
