# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a release to the traffic: fill a slot, start it, prove it ready, move the link, drain and stop the other."""

from __future__ import annotations

import os
import shutil
import time

from ansible_collections.graceful.deploy.plugins.module_utils.probe import Answer, Door, ask, wait_until_good
from ansible_collections.graceful.deploy.plugins.module_utils.slots import SLOTS, App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import CommandFailed, Systemd

READY_IN_A_ROW = 3


class Swap:
    """Works out the steps from what is there now, then takes them; check mode stops after the first half.

    :param app: names and paths.
    :param wanted: what the live slot has to be.
    :param strategy: ``swap`` (both slots for a moment) or ``restart`` (the live slot in place, its socket queues).
    :param door_host: the Host header of the readiness questions.
    """

    def __init__(self, systemd: Systemd, app: App, wanted: Snapshot, group: str, strategy: str, door_host: str) -> None:
        self.systemd = systemd
        self.app = app
        self.wanted = wanted
        self.group = group
        self.door_host = door_host
        self.live = app.live()
        self.states = systemd.show(unit for slot in SLOTS for unit in (app.service(slot), app.socket_unit(slot)))
        self.before = app.held(self.live).get("release") if self.live else None
        current = bool(self.live) and app.held(str(self.live)).get("fingerprint") == wanted.fingerprint
        if self.live and (current or strategy == "restart"):
            self.slot = self.live
        else:
            self.slot = "green" if self.live == "blue" else "blue"
        self.steps = self._steps(current)

    def _is(self, unit: str, key: str, value: str) -> bool:
        return self.states[unit].get(key) == value

    def _up(self, slot: str) -> bool:
        units = (self.app.service(slot), self.app.socket_unit(slot))
        return all(self._is(unit, "ActiveState", "active") for unit in units)

    def _steps(self, current: bool) -> list[str]:
        """The steps that are due, in order; none when the wanted snapshot is live, up and alone."""
        app, slot, other = self.app, self.slot, self.other
        steps = []
        if not current:
            steps.append("fill")
        if not current and slot == self.live:
            steps.append("restart")
        elif not current or not self._up(slot):
            steps.append("start")
        if self.live != slot:
            steps.append("move")
        if not all(self._is(unit, "UnitFileState", "enabled") for unit in (app.service(slot), app.socket_unit(slot))):
            steps.append("enable")
        leftover = (app.service(other), app.socket_unit(other))
        if other == self.live or any(self._is(u, "UnitFileState", "enabled") for u in leftover):
            steps.append("disable")
        if other == self.live or not all(self.states[u].get("ActiveState") in ("inactive", "failed") for u in leftover):
            steps.append("drain")
        return steps

    @property
    def other(self) -> str:
        return "green" if self.slot == "blue" else "blue"

    def sentences(self) -> list[str]:
        """The steps for a person, and for the diff."""
        release = self.wanted.release
        told = {
            "fill": f"prepare slot {self.slot} with release {release}",
            "restart": f"restart slot {self.slot} in place; its socket queues meanwhile",
            "start": f"start slot {self.slot} and wait until it is ready",
            "move": f"move the traffic to slot {self.slot}",
            "enable": f"enable slot {self.slot} for boot",
            "disable": f"disable slot {self.other} for boot",
            "drain": f"drain and stop slot {self.other}",
        }
        return [told[step] for step in self.steps]

    def apply(self, ready_path: str, ready_timeout: float, patience: float) -> None:
        """Take the steps.

        :raises CommandFailed: when the release can't be proved ready; what was live before still is.
        """
        app, slot = self.app, self.slot
        if any(state.get("NeedDaemonReload") == "yes" for state in self.states.values()):
            self.systemd.do("daemon-reload")
        if "fill" in self.steps:
            app.fill(slot, self.wanted, self.group)
        if "start" in self.steps or "restart" in self.steps:
            self._start(ready_path, ready_timeout)
        if "move" in self.steps:
            app.point_to(slot)
        if "enable" in self.steps:
            self.systemd.do("--quiet", "enable", "--", app.service(slot), app.socket_unit(slot))
        if "disable" in self.steps:
            self.systemd.do("--quiet", "disable", "--", app.service(self.other), app.socket_unit(self.other))
        if "drain" in self.steps:
            self._drain(ready_path, patience)
        for each in SLOTS:
            shutil.rmtree(app.aside(each), ignore_errors=True)

    def _start(self, ready_path: str, ready_timeout: float) -> None:
        app, slot = self.app, self.slot
        since = time.time()
        if slot != self.live:
            # A failed try of an earlier run may still be there.
            self.systemd.run(["systemctl", "stop", "--", app.service(slot), app.socket_unit(slot)])
            self.systemd.run(["systemctl", "reset-failed", "--", app.service(slot), app.socket_unit(slot)])
        self.systemd.do("start", "--", app.socket_unit(slot))
        verb = "restart" if "restart" in self.steps else "start"
        trouble = self._job(verb) or self._prove(ready_path, ready_timeout)
        if trouble is None:
            return
        lines = self.systemd.last_lines(app.name, app.service(slot), since) or "(it logged nothing)"
        kept = self._step_back(ready_path, ready_timeout)
        raise CommandFailed(
            f"Release {self.wanted.release} did not become ready: {trouble}\n{kept}\n\nIts last lines:\n{lines}"
        )

    def _job(self, verb: str) -> str | None:
        status, out, err = self.systemd.run(["systemctl", verb, "--", self.app.service(self.slot)])
        if status == 0:
            return None
        return self._lost("") or (err or out).strip()

    def _lost(self, invocation: str) -> str | None:
        """Why the started service won't become ready any more: it ended, or systemd had to start it again."""
        unit = self.app.service(self.slot)
        state = self.systemd.show([unit])[unit]
        again = state.get("InvocationID") != invocation
        if state.get("ActiveState") in ("failed", "inactive") or state.get("SubState") == "auto-restart" or again:
            return f"{unit} ended ({state.get('Result')}, status {state.get('ExecMainStatus')})."
        return None

    def _prove(self, ready_path: str, ready_timeout: float) -> str | None:
        unit = self.app.service(self.slot)
        started = self.systemd.show([unit])[unit].get("InvocationID", "")
        door = Door(self.door_host, unix=self.app.socket(self.slot))
        answer = wait_until_good(door, ready_path, ready_timeout, READY_IN_A_ROW, lambda: self._lost(started))
        return None if isinstance(answer, Answer) else answer

    def _step_back(self, ready_path: str, ready_timeout: float) -> str:
        """Leave the host as it was before the try."""
        app, slot = self.app, self.slot
        units = (app.service(slot), app.socket_unit(slot))
        aside = app.aside(slot)
        if slot != self.live:
            self.systemd.run(["systemctl", "stop", "--", *units])
            self.systemd.run(["systemctl", "reset-failed", "--", *units])
            shutil.rmtree(app.directory(slot), ignore_errors=True)
            if os.path.isdir(aside):
                os.rename(aside, app.directory(slot))
            return (
                f"Release {self.before} serves as before." if self.live else "Nothing was live before, and nothing is."
            )
        if not os.path.isdir(aside):
            return f"Slot {slot} held this release already; it is left to systemd, which goes on trying."
        app.put(slot, aside)
        self.systemd.run(["systemctl", "restart", "--", app.service(slot)])
        answer = wait_until_good(Door(self.door_host, unix=app.socket(slot)), ready_path, ready_timeout)
        back = "serves again" if isinstance(answer, Answer) else f"was started again, but {answer}"
        return f"Release {self.before} {back}."

    def _drain(self, ready_path: str, patience: float) -> None:
        """Stop the other slot once nothing waits in its queue: closing a socket drops what was not accepted.

        The queue is first in, first out, so when a question of our own is answered, all before it were accepted. A
        second one covers a proxy that had read the link just before it moved.
        """
        app, other = self.app, self.other
        service, socket_unit = app.service(other), app.socket_unit(other)
        if self._up(other):
            for _ in range(2):
                ask(Door(self.door_host, unix=app.socket(other)), ready_path, patience)
                time.sleep(0.1)
        self.systemd.do("stop", "--", service, socket_unit)
        self.systemd.run(["systemctl", "reset-failed", "--", service, socket_unit])
