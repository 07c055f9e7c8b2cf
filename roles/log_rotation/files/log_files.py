# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes an app's journal into files, every line once, and rotates them by size and age.

Usage: log_files.py NAME DIRECTORY MAX_BYTES MAX_SECONDS

``access.log`` has the access log, ``app.log`` all the rest, each line as it was written. ``.position`` says how far the
files go, and up to which line of the journal that is. Whatever ends this program, a kill, a full disk or the power, the
next start cuts off what a file has beyond that, and takes the journal up from there. So it is the only thing that this
program does about an error, too: it ends, and systemd starts it again. Where the journal had to drop lines before they
could be read, ``app.log`` says how many.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LOGS = ("app.log", "access.log")
ACCESS = "6"  # the priority that graceful_logging gives to the access log alone
POSITION = ".position"
COMMIT = 1.0  # seconds between two times at which the position is written, while lines come
IDLE = 600.0  # seconds after which age is looked at although no line came
PARTS = 10  # a file is rotated when it has this part of all bytes, or of all seconds
CHUNK = 1 << 16


def message(entry: dict[str, Any]) -> bytes:
    """A line as it was written. journalctl gives bytes that aren't UTF-8 as numbers."""
    value = entry.get("MESSAGE")
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return bytes(value)
    return ("" if value is None else str(value)).encode(errors="backslashreplace")


def gone_between(cursor: str, following: str) -> int:
    """How many lines the journal had between two that were read one after the other; journald numbers all of them.

    0 also where one cursor is empty, or journald began to count anew.
    """
    if not cursor or not following:
        return 0
    one, other = (dict(part.split("=", 1) for part in each.split(";")) for each in (cursor, following))
    return max(int(other["i"], 16) - int(one["i"], 16) - 1, 0) if one["s"] == other["s"] else 0


def to_remove(rotated: list[tuple[float, int, Path]], now: float, max_bytes: int, max_seconds: float) -> list[Path]:
    """Which rotated files have to go: the too old, then the oldest of too many bytes.

    rotated: when each was last written, its bytes, its path.
    """
    gone, total = [], 0
    for written, size, path in sorted(rotated, reverse=True):
        total += size
        if total > max_bytes or now - written > max_seconds:
            gone.append(path)
    return gone


class Files:
    """The files with their position; ``commit`` makes both last."""

    def __init__(self, directory: Path, max_bytes: int, max_seconds: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.cursor = ""
        self.files: dict[str, int] = {}
        self.begun: dict[str, float] = {}
        self.size: dict[str, int] = {}
        try:
            position = json.loads((directory / POSITION).read_text())
        except FileNotFoundError:
            position = {"cursor": "", "files": {}}
        self.cursor = position["cursor"]
        for log in LOGS:
            self._open(log)
            inode, size, begun = position["files"].get(log, (0, 0, 0.0))
            if os.fstat(self.files[log]).st_ino == inode:
                os.ftruncate(self.files[log], size)
                self.begun[log] = begun
            elif not position["files"]:
                # Somebody else's, or of a position that is lost: out of the way, not away.
                if os.fstat(self.files[log]).st_size:
                    self._rename(log)
            else:
                # Made by a rotation, after which no position was written.
                os.ftruncate(self.files[log], 0)
            self.size[log] = os.fstat(self.files[log]).st_size
        self._remove()
        self.commit()

    def _open(self, log: str) -> None:
        if log in self.files:
            os.close(self.files[log])
        self.files[log] = os.open(self.directory / log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.begun[log] = time.time()
        self.size[log] = 0

    def _rename(self, log: str) -> None:
        when = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        taken = {path.name for path in self.directory.iterdir()}
        number = next(n for n in range(1_000_000) if f"{log}.{when}.{n:06d}" not in taken)
        os.rename(self.directory / log, self.directory / f"{log}.{when}.{number:06d}")
        self._open(log)

    def write(self, lines: dict[str, list[bytes]], cursor: str) -> None:
        for log, found in lines.items():
            data = memoryview(b"".join(found))
            self.size[log] += len(data)
            while data:
                data = data[os.write(self.files[log], data) :]
        self.cursor = cursor or self.cursor

    def commit(self) -> None:
        """Write the files to disk, then how far they go."""
        for descriptor in self.files.values():
            os.fsync(descriptor)
        files = {log: (os.fstat(self.files[log]).st_ino, self.size[log], self.begun[log]) for log in LOGS}
        new = self.directory / f"{POSITION}.new"
        with new.open("w") as file:
            json.dump({"cursor": self.cursor, "files": files}, file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.directory / POSITION)

    def rotate(self) -> None:
        """Begin a new file where one is large or old enough. Only a whole file is renamed: its position is written."""
        now = time.time()
        due = [
            log
            for log in LOGS
            if self.size[log] >= self.max_bytes // PARTS
            or (self.size[log] and now - self.begun[log] >= self.max_seconds / PARTS)
        ]
        if due:
            self.commit()
            for log in due:
                self._rename(log)
            self._remove()
            self.commit()

    def _remove(self) -> None:
        rotated = [path for log in LOGS for path in self.directory.glob(f"{log}.*")]
        found = [(path.stat().st_mtime, path.stat().st_size, path) for path in rotated]
        # The files that grow have their parts, too, and the lines that come at once.
        room = self.max_bytes - len(LOGS) * (self.max_bytes // PARTS) - 16 * CHUNK
        # A file's youngest line has been there for a part of the time already.
        for path in to_remove(found, time.time(), room, self.max_seconds):
            path.unlink()


def follow(name: str, files: Files) -> int:
    """Copy lines until the journal's reader ends; its exit status, negative for a signal."""
    command = ["journalctl", f"--namespace={name}", "--quiet", "--follow", "--no-tail", "--output=json", "--all"]
    command += ["--output-fields=MESSAGE,PRIORITY"]
    command += [f"--after-cursor={files.cursor}"] if files.cursor else []
    # journalctl never sees a directory that is made after its start; this starts journald, which makes it.
    subprocess.run(["journalctl", f"--namespace={name}", "--sync"], check=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        source = process.stdout.fileno()
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        rest, due, dirty = b"", time.monotonic(), False
        while True:
            wait = max(0.0, due - time.monotonic()) if dirty else IDLE
            ready = select.select([source], [], [], wait)[0]
            if ready:
                chunk = os.read(source, CHUNK)
                if not chunk:
                    break
                *whole, rest = (rest + chunk).split(b"\n")
                lines: dict[str, list[bytes]] = {}
                cursor = files.cursor
                for line in whole:
                    entry = json.loads(line)
                    if gone := gone_between(cursor, entry["__CURSOR"]):
                        said = f"{gone} lines are missing here: the journal was full before they could be copied."
                        lines.setdefault(LOGS[0], []).append(f"{said}\n".encode())
                        print(said, file=sys.stderr, flush=True)
                    log = LOGS[entry.get("PRIORITY") == ACCESS]
                    lines.setdefault(log, []).append(message(entry) + b"\n")
                    cursor = entry["__CURSOR"]
                files.write(lines, cursor)
                if not dirty:
                    dirty, due = True, time.monotonic() + COMMIT
            if dirty and time.monotonic() >= due:
                files.commit()
                dirty = False
            files.rotate()
    files.commit()
    return process.returncode


def main(name: str, directory: str, max_bytes: str, max_seconds: str) -> int:
    files = Files(Path(directory), int(max_bytes), int(max_seconds))
    while True:
        before = files.cursor
        status = follow(name, files)
        # journalctl gives up now and then on a journal whose oldest file is removed while it reads. At once, because
        # lines that are gone from the journal are gone; but not in a circle.
        if status <= 0 or files.cursor == before:
            return max(status, 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
