# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the load: several h2load side by side, as nobody, and never longer than this process."""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .._host.systemd import CommandFailed
from .host import NICE, WEIGHT, step_aside
from .load import Group, Stream, Target, command, read_log, uris

TICK = 0.1
"""Seconds between two looks at whether it is to stop."""
LATE = 2.0
"""Seconds after its time in which an h2load has to have ended by itself."""
LARGEST = 512 << 20
"""Bytes of a log that are read."""


@dataclass
class Pressed:
    """What came of it.

    :param rows: status and seconds of each answer.
    :param groups: likewise, by what one h2load asks for.
    :param load_cpu: CPUs that the load has taken on average.
    :param stopped: why it was stopped, '' where it came to its end.
    """

    rows: list[tuple[int, float]] = field(default_factory=list)
    groups: dict[Group, list[tuple[int, float]]] = field(default_factory=dict)
    load_cpu: float = 0.0
    stopped: str = ""


class Press:
    """The load on one socket.

    :param scope: begins the names of the scopes in which systemd keeps the processes.
    :param place: a directory that isn't there, below one that is root's alone; what is left of it by a run that was
        killed, the next deploy clears away.
    """

    def __init__(self, target: Target, scope: str, place: str) -> None:
        self.target = target
        self.scope = scope
        self.place = place

    def run(
        self,
        streams: Sequence[Stream],
        warm: float,
        seconds: float,
        at: Sequence[tuple[float, Callable[[], None]]],
        stop: Callable[[], str],
    ) -> Pressed:
        """Ask for `warm` seconds that don't count and `seconds` that do.

        :param at: what to call when so many seconds have passed, in order.
        :param stop: asked all the time; says why it has to end, or ''.
        :raises CommandFailed: where h2load can't be run.
        """
        target, whole = self.target, warm + seconds
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        running: list[subprocess.Popen[bytes]] = []
        pressed, calls = Pressed(), list(at)
        with self._directory() as place:
            try:
                begun = time.monotonic()
                for number, stream in enumerate(streams):
                    time.sleep(max(0.0, begun + stream.after - time.monotonic()))
                    base = os.path.join(place, str(number))
                    self._write(f"{base}.uris", uris(stream, target.host).encode())
                    self._write(f"{base}.body", stream.body.encode())
                    words = command(stream, target, base, warm, seconds)
                    running.append(self._begin(number, words, f"{base}.out"))
                while any(each.poll() is None for each in running):
                    passed = time.monotonic() - begun
                    while calls and passed >= calls[0][0]:
                        calls.pop(0)[1]()
                    pressed.stopped = stop()
                    if pressed.stopped or passed > whole + max(stream.after for stream in streams) + LATE:
                        break
                    time.sleep(TICK)
                passed = time.monotonic() - begun
            finally:
                for each in running:
                    with contextlib.suppress(OSError):
                        each.terminate()
                for each in running:
                    each.wait()
            for _due, call in calls:
                call()
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            pressed.load_cpu = (used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime) / max(passed, 0.1)
            for number, stream in enumerate(streams):
                rows = read_log(self._read(os.path.join(place, f"{number}.log")))
                pressed.rows += rows
                pressed.groups.setdefault((stream.method, stream.body, stream.content_type), []).extend(rows)
            if not pressed.rows and not pressed.stopped:
                # An app that answers nothing leaves an empty log, too.
                said = self._read(os.path.join(place, "0.out")).strip()
                if any(each.returncode for each in running):
                    raise CommandFailed(f"h2load ended with status {running[0].returncode}: {said[-500:]}")
        return pressed

    @contextlib.contextmanager
    def _directory(self) -> Iterator[str]:
        """Of nobody's, so that what asks can change nothing of root's, and the app nothing of what is read here."""
        nobody = pwd.getpwnam("nobody")
        shutil.rmtree(self.place, ignore_errors=True)
        os.mkdir(self.place, 0o700)
        os.chown(self.place, nobody.pw_uid, nobody.pw_gid)
        try:
            yield self.place
        finally:
            shutil.rmtree(self.place, ignore_errors=True)

    def _write(self, path: str, content: bytes) -> None:
        # The directory is nobody's by now: no link of theirs is followed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def _read(self, path: str) -> str:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            return file.read(LARGEST).decode(errors="replace")

    def _begin(self, number: int, words: list[str], out: str) -> subprocess.Popen[bytes]:
        """In a scope of its own, because a control group's part of the CPU isn't divided by niceness; killed by the
        kernel where this process ends."""
        nobody, group = pwd.getpwnam("nobody"), os.stat(self.target.socket).st_gid
        scope = ["systemd-run", "--quiet", "--scope", "--collect", f"--unit={self.scope}-{os.getpid()}-{number}"]
        scope += [f"--property=CPUWeight={WEIGHT}", "--"]
        account = [f"--reuid={nobody.pw_uid}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        wrapped = [*scope, "nice", "-n", str(NICE), "setpriv", *account, "--pdeathsig", "KILL", *words]
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            process = subprocess.Popen(
                wrapped, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True
            )
        except OSError as error:
            raise CommandFailed(f"h2load can't be started: {error}") from None
        finally:
            os.close(descriptor)
        step_aside("", [str(process.pid)])
        return process


def has_h2load() -> bool:
    return shutil.which("h2load") is not None
