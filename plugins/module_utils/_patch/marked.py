# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The apps of a host that is patched: marked and locked together, because a reboot takes all of them. A host without
one, such as a balancer, has a directory of root's own for that."""

from __future__ import annotations

import os
import time
from typing import Any

from .._app import history, leaving, roots
from .._app.lock import PAUSE, DeployLock, Held, is_held, now
from .._app.slots import App
from .._host.door import Door
from .._host.probe import ask, wait_until_good
from .._host.systemd import CommandFailed

HOST = "/var/lib/graceful-patch"
"""Where a host keeps what patch.yml knows of it, beside what its apps' directories hold; root's alone."""
ELSEWHERE = ("reboot", "again")
"""Phases in which patch.yml has no process on the host, so that no lock tells whether it is alive."""
SIGN = 30.0
"""Seconds within which one that is alive is heard of again by a host that answers: after a reboot Ansible asks for the
host again at most 13 s after it has given up a connection, which it does after 10 s (CONNECT in action/patch.py)."""


def make_host_directory() -> None:
    """:raises OSError: on a full disk, say."""
    os.makedirs(HOST, 0o700, exist_ok=True)


def apps_here(app: App) -> list[App]:
    """The app that is asked for and the others of this collection's, those of them that serve."""
    others = roots.roots_by_units(app.units)
    found = [app, *(App(name, root) for name, root in sorted(others.items()) if name != app.name)]
    return [each for each in found if os.path.isdir(each.root) and each.live()]


def terms_of(app: App) -> dict[str, Any]:
    return dict(app.held(app.live() or "").get("terms") or {})


def door_of(app: App) -> Door:
    terms = terms_of(app)
    return Door(terms.get("host", "localhost"), unix=app.socket(app.live() or ""), scheme=terms.get("scheme", "http"))


def front_of(app: App, port: int, tls: bool) -> Door:
    terms = terms_of(app)
    return Door(terms.get("host", "localhost"), port=port, tls=tls, scheme=terms.get("scheme", "http"))


def is_good(app: App, door: Door) -> bool:
    """Whether clients get a good answer there."""
    return ask(door, terms_of(app).get("health_path", "/health"), 5.0).good


class Marked:
    """The leaving marks of a host's apps, the first of which is the one that was asked for, and patch.yml's notes.

    :param by: who patches.
    """

    def __init__(self, apps: list[App], by: str) -> None:
        self.apps = apps
        self.by = by
        self.locks: list[DeployLock] = []
        self.roots = [app.root for app in apps] or [HOST]
        self.by_hand: list[str] = []
        """Where somebody else's mark has stayed at the end."""
        self.note = self._told()
        """What a run that is gone, or this one's earlier call, has left."""

    @property
    def heard(self) -> float:
        """When that said its last word, in seconds since the epoch."""
        said = self.note.get("said", 0.0)
        return float(said) if isinstance(said, (int, float)) else 0.0

    def _told(self) -> dict[str, Any]:
        return next(filter(None, map(leaving.patching_in, self.roots)), {})

    def lock(self, wait: float, goes_on: bool = False) -> None:
        """Hold off deploys of all of them, and another patch.yml, for as long as this process lives.

        :param wait: seconds for which the end of who is at work there is waited for.
        :param goes_on: whether the note is this run's own.
        :raises CommandFailed: where one is under way.
        """
        if not self.apps:
            make_host_directory()
        # Whoever looks whether a lock is held has it for a moment.
        end = time.monotonic() + (max(wait, 5.0) if goes_on else wait)
        while True:
            try:
                if not goes_on:
                    self._see_whether_dead()
                self._take()
                break
            except Held as held:
                if time.monotonic() >= end:
                    raise self._refusal(Held(held.note, wait), goes_on) from held
                time.sleep(PAUSE)
        for lock in self.locks:
            # What a deploy that was cut off has left is the next deploy's to see.
            if not lock.left or lock.left.get("kind") == leaving.PATCHING:
                lock.write(self._said("back" if goes_on else "begin") | {"pid": os.getpid()})

    def _see_whether_dead(self) -> None:
        """Another patch.yml that reboots the host, say, holds no lock: it is dead where nothing is heard of it.

        :raises Held: where it isn't.
        """
        self.note = first = self._told()
        end = time.monotonic() + SIGN
        while self.note.get("alive") and self.note["phase"] in ELSEWHERE and time.monotonic() < end:
            if self.note != first or any(map(is_held, self.roots)):
                raise Held(self.note)
            time.sleep(PAUSE)
            self.note = self._told()

    def _take(self) -> None:
        """:raises Held: where another process has one of the locks."""
        try:
            for root in self.roots:
                self.locks.append(DeployLock(root, patches=True))
        except Held:
            for lock in self.locks:
                os.close(lock.descriptor)
            self.locks.clear()
            raise

    def _refusal(self, held: Held, goes_on: bool) -> CommandFailed:
        name = next((app.name for app in self.apps if is_held(app.root)), "an app")
        done = (
            "This run has upgraded or rebooted this host, and isn't finished with it."
            if goes_on
            else "Nothing was changed."
        )
        failure = CommandFailed(f"{done} {held.sentence(name)}")
        failure.more = {"held": held.note}
        return failure

    def unlock(self) -> None:
        for lock in self.locks:
            if not lock.left or lock.left.get("kind") == leaving.PATCHING:
                lock.clear()

    def _said(self, phase: str) -> dict[str, Any]:
        since = self.note.get("since") or now()
        return {"by": self.by, "since": since, "phase": phase, "kind": leaving.PATCHING}

    def say(self, phase: str, **more: Any) -> None:
        """Mark the apps, or say how far it is; what was said more stays."""
        self.note |= {**more, **self._said(phase), "began": self.note.get("began") or round(time.time(), 1)}
        for root in self.roots:
            leaving.write(root, self.note)

    def end(self) -> None:
        """A mark that somebody has made by hand stays."""
        for root in self.roots:
            leaving.remove(root)
        self.by_hand = [root for root in self.roots if leaving.is_by_hand(root)]

    def wait_until_ready(self, limit: float, port: int, tls: bool) -> str:
        """Ask each at its own socket, and the first one through the proxy where that answered before; what is wrong, or
        '' where nothing is."""
        end = time.monotonic() + limit
        for app in self.apps:
            path = terms_of(app).get("ready_path", "/ready")
            said = wait_until_good(door_of(app), path, max(1.0, end - time.monotonic()), in_a_row=3)
            if isinstance(said, str):
                return f"{app.name} isn't ready: {said}"
        if port and self.note.get("front") and self.apps:
            path = terms_of(self.apps[0]).get("health_path", "/health")
            said = wait_until_good(front_of(self.apps[0], port, tls), path, max(5.0, end - time.monotonic()))
            if isinstance(said, str):
                return f"The proxy doesn't answer for it: {said}"
        return ""

    def last_down(self) -> float | None:
        """For how many seconds nobody was answered when the host was rebooted last; None where nobody knows."""
        told = [e["down"] for e in history.read(self.apps[0].root) if "down" in e] if self.apps else []
        return float(told[-1]) if told else None

    def write_history(self, reason: str, seconds: float, down: float | None) -> None:
        """:raises OSError: on a full disk, say."""
        for app in self.apps:
            release = str(app.held(app.live() or "").get("release") or "")
            entry = {
                "started": self.note.get("since", now()),
                "began": float(self.note.get("began", time.time())),
                "release": release,
                "previous": release,
                "slot": app.live() or "",
                "strategy": "",
                "kind": history.PATCHED,
                "by": self.by,
                "seconds": round(seconds, 1),
                "outcome": history.DONE,
                "reason": reason,
                "blames": False,
                **({} if down is None else {"down": round(down, 1)}),
            }
            history.append(app.root, entry, os.stat(app.directory(app.live() or "")).st_gid)
