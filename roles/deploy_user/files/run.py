# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command NAME-run: a command of the app's at a terminal, in a script, or for run.yml.

run.yml begins one (``--begin``) and comes back for what it prints (``--poll``). Where nobody has come for a while, the
connection is gone, and systemd ends it. How it ended is noted by systemd's ``ExecStopPost=`` (``--ended``), also where
this program was killed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from command import Notes, Place, boot, command_line, shell, text_of

KEPT = 100
"""Notes that stay."""
ALONE = 30
"""Seconds after which what run.yml has started is ended, where nobody has asked for it: the connection is gone."""
WOUND = 10
"""Seconds until the timer that would end it is wound up again: 5 starts in 10 s are too many for systemd."""
STOP_LIMIT = 10
"""Seconds that a command and its children have after SIGTERM."""
MOST = 256 * 2**20
"""Bytes that what run.yml has started may print; what prints more belongs into a file of the app's."""
CHUNK = 2**18


class Refused(Exception):
    """Why a command isn't run, in sentences for the person who wants it."""


def now() -> str:
    """As the history has it: UTC, ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def place_of(name: str, release: str = "", units: str = "/etc/systemd/system") -> Place:
    """Where the app's live slot is, and with ``release`` another one of its releases.

    :raises Refused: where nothing is live, or there is no such release.
    """
    unit = text_of(f"{units}/{name}@.service")
    found = re.search(r"=(/\S+)/slots/%i/", unit)
    root = found[1] if found else ""
    try:
        slot = os.path.basename(os.readlink(f"{root}/live.sock"))[: -len(".sock")]
    except OSError:
        raise Refused(
            f"Nothing of {name} is live on this host, so there is no release to run it in. Deploy first."
        ) from None
    said = dict(line.split("=", 1) for line in unit.split("\n") if "=" in line)
    place = Place(name, said["User"], said["Group"], f"{root}/slots/{slot}", unit)
    if not release:
        return place
    releases = f"{root}/releases"
    there = [entry for entry in sorted(os.listdir(releases)) if os.path.isfile(f"{releases}/{entry}/release.json")]
    if release not in there:
        raise Refused(f"There is no release {release} of {name} on this host. There are: {', '.join(there)}.")
    return Place(name, place.user, place.group, place.directory, unit, f"{releases}/{release}")


class Kept(Notes):
    """The notes, to be written: by root alone."""

    def write(self, number: str, note: dict[str, Any]) -> None:
        """Whole, or as it was."""
        os.makedirs(self.directory, 0o700, exist_ok=True)
        beside = self.path(number, "new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(note, file)
        os.replace(beside, self.path(number))

    def clear(self) -> None:
        """Forget the oldest."""
        for number in self.numbers()[:-KEPT]:
            os.unlink(self.path(number))
            self.drop(number)

    def beside(self, number: str) -> list[str]:
        """What there is of a command while run.yml comes back for it."""
        return [self.path(number, kind) for kind in ("out", "asked")]

    def drop(self, number: str) -> None:
        for path in self.beside(number):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


class Runner:
    """One command of an app's: begun, looked at, ended."""

    def __init__(self, place: Place, number: str = "") -> None:
        self.place = place
        self.number = number or f"{now().replace(':', '')}-{secrets.token_hex(3)}"
        self.unit = f"graceful-{place.name}-run-{self.number}"
        self.notes = Kept(place.root)

    def words(self, command: list[str], how: Sequence[str], by: str, said: str) -> list[str]:
        """Note it down; the line that begins it."""
        release = os.path.basename(self.place.release)
        note = {"started": now(), "by": by, "command": said, "release": release, "boot": boot()}
        self.notes.write(self.number, note)
        self.notes.clear()
        program = f"/usr/local/bin/{self.place.name}-run --ended {self.number}"
        more = [f"TimeoutStopSec={STOP_LIMIT}", f"ExecStopPost=+{program}"]
        more += [line for line in self.place.unit.split("\n") if line.startswith("MemoryMax=")]
        return command_line(self.place, f"run-{self.number}", command, how, more)

    def ended(self, result: str, code: str, status: str) -> None:
        """Note down how it ended, told by systemd: systemd.exec(5), $SERVICE_RESULT and the two after it."""
        self.notes.write(self.number, {**self.notes.read(self.number), "ended": now(), **outcome(result, code, status)})

    def stop(self) -> None:
        """End it with its children, and wait for that."""
        _call("systemctl", "stop", f"{self.unit}.service")

    def active(self) -> bool:
        """Also while it is being ended: only then is all noted down."""
        show = ["systemctl", "show", "--property=ActiveState", "--value", f"{self.unit}.service"]
        said = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
        return said not in ("inactive", "failed")

    def poll(self, offset: int) -> dict[str, Any]:
        """What it has printed from there on, and how it ended if it did: the output is whole by then."""
        over = not self.active()
        note = self.notes.read(self.number)  # later: by then its end is in it
        path = self.notes.path(self.number, "out")
        printed, size = b"", 0
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            printed = file.read(CHUNK)
        if not over:
            self._still_wanted()
            if size > MOST:
                self.stop()
                return {"error": f"It printed more than {MOST >> 20} MiB, and was ended. Have it write to a file."}
        running = not over or offset + len(printed) < size
        if not running:
            _call("systemctl", "stop", f"{self.unit}-alone.timer")
            self.notes.drop(self.number)
        end = {} if running else {key: note.get(key) for key in ("status", "why")}
        return {"output": printed.decode(errors="backslashreplace"), "read": len(printed), "running": running, **end}

    def _still_wanted(self) -> None:
        path = self.notes.path(self.number, "asked")
        with contextlib.suppress(FileNotFoundError):
            if abs(time.time() - os.stat(path).st_mtime) < WOUND:
                return
        _call("systemctl", "restart", f"{self.unit}-alone.timer")
        with open(path, "w", encoding="utf-8"):
            os.utime(path)


def outcome(result: str, code: str, status: str) -> dict[str, Any]:
    """An exit status as a shell has it, and what to say of it."""
    if code == "exited":
        return {"status": int(status), "why": ""}
    number = getattr(signal.Signals, f"SIG{status}", None)
    if result == "timeout":
        why = f"It was told to stop, and killed after {STOP_LIMIT} s."
    elif status == "KILL":  # systemd knows of the kernel's reason with cgroup v2 only
        why = "It was killed, mostly for its memory: it has as much as the app's slot, see fastapi_memory_max."
    else:
        why = f"It was ended by SIG{status}."
    return {"status": 128 + (number or 0), "why": why}


def _call(*words: str) -> int:
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def who() -> str:
    """Who asks for it on the host."""
    return f"{os.environ.get('SUDO_USER') or 'root'}@{socket.gethostname()}"


INTERACTIVE = """export PS1="$0:\\\\W\\\\$ "
if command -v bash >/dev/null; then exec bash --norc; else exec sh; fi"""


def at_terminal(place: Place, words: list[str]) -> int:
    """Run it for a person, or a script, and wait for its end; its exit status."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not words and not terminal:
        raise Refused(f"A shell needs a terminal, or a command: {place.name}-run COMMAND. By ssh: ssh -t.")
    runner = Runner(place)
    command = shell(place, 'exec "$@"', words) if words else [*shell(place, INTERACTIVE), place.name]
    how = ["--pty" if terminal else "--pipe", "--wait"]
    line = runner.words(command, how, who(), shlex.join(words) or "(a shell)")
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: told.append(number))
    # A group of its own: Ctrl-C is told to the command, and not to what waits for it.
    with subprocess.Popen(line, start_new_session=not terminal) as process:
        while process.poll() is None:
            if told or (not terminal and _gone()):
                runner.stop()
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        status = process.wait()
    note = runner.notes.read(runner.number)
    if note.get("why"):
        print(f"{place.name}-run: {note['why']}", file=sys.stderr)
    if "ended" not in note:  # systemd-run itself has said why it wasn't begun
        runner.notes.write(runner.number, {**note, "ended": now(), "status": status, "why": "It wasn't begun."})
    return 130 if signal.SIGINT in told else int(note.get("status", status))


def _gone() -> bool:
    """Whether nobody is left who could read what is printed: the connection is gone."""
    waiting = select.poll()
    waiting.register(1, 0)
    return bool(waiting.poll(0))


def begin(place: Place, line: str, by: str) -> dict[str, Any]:
    """Begin a command for run.yml, which comes back for it by its number."""
    runner = Runner(place)
    out = runner.notes.path(runner.number, "out")
    how = [f"--property=Standard{stream}=append:{out}" for stream in ("Output", "Error")]
    words = runner.words(shell(place, line), how, by, line)
    os.close(os.open(out, os.O_WRONLY | os.O_CREAT, 0o600))
    rest = " ".join(runner.notes.beside(runner.number))
    limit = ["systemd-run", "--quiet", "--collect", f"--unit={runner.unit}-alone", f"--on-active={ALONE}"]
    limit += ["--timer-property=AccuracySec=1s", "/bin/sh", "-c", f"systemctl stop {runner.unit}.service; rm -f {rest}"]
    for call in (limit, words):
        done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            _call("systemctl", "stop", f"{runner.unit}-alone.timer")
            runner.ended("", "exited", str(done.returncode))
            raise Refused(f"systemd doesn't run it: {done.stdout.strip()}")
    return {"number": runner.number, "release": os.path.basename(place.release)}


def main(arguments: Sequence[str], name: str) -> int:
    parser = argparse.ArgumentParser(
        prog=f"{name}-run",
        description=f"Runs a command as {name} is run: its user, environment, credentials, sandbox and live release. "
        "Without a command, a shell.",
        allow_abbrev=False,
    )
    parser.add_argument("-r", "--release", default="", metavar="ID", help="in this release, not in the live one")
    # For run.yml, and for systemd.
    for option in ("--begin", "--by", "--poll", "--stop", "--ended"):
        parser.add_argument(option, default="", help=argparse.SUPPRESS)
    parser.add_argument("--offset", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="with its arguments")
    given = parser.parse_args(arguments)
    try:
        place = place_of(name, given.release)
        if given.ended:
            told = [os.environ.get(key, "") for key in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS")]
            Runner(place, given.ended).ended(*told)
        elif given.poll:
            print(json.dumps(Runner(place, given.poll).poll(given.offset)))
        elif given.stop:
            Runner(place, given.stop).stop()
        elif given.begin:
            print(json.dumps(begin(place, given.begin, given.by or who())))
        else:
            return at_terminal(place, given.command)
    except Refused as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], sys.argv[1]))
