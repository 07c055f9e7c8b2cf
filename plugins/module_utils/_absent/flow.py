# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes an app off a host: works out the steps from what is there, then takes them; check mode only tells them."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .._app import leaving, names, roots
from .._app.lock import PAUSE, DeployLock, Held, now
from .._app.slots import SLOTS, App
from .._host import files
from .._host.door import Door
from .._host.probe import ask
from .._host.systemd import CommandFailed, Run, Systemd
from . import facts as absent_facts
from . import steps
from .front import site_layer
from .places import HostTree, Removable, remove, remove_empty
from .steps import Step

QUEUE_PATIENCE = 10
"""Seconds to wait for what is in a socket's queue before it is closed."""


class Removal:
    """One run of the module.

    :param params: its options.
    :param check: tell, and do nothing.
    """

    def __init__(self, params: dict[str, Any], check: bool, run: Run, host: HostTree = HostTree()) -> None:  # noqa: B008
        self.params = params
        self.check = check
        self.run = run
        self.host = host
        self.systemd = Systemd(run)
        self.app = App(params["name"], params["root"])
        self.state = "Nothing was removed."
        """What to say of the host after a failure that nobody thought of."""
        self.until = time.monotonic() + (0 if check else params.get("lock_wait", 0))
        """Until when the end of what is in the way is waited for, on the monotonic clock."""
        self.waited = ""
        """For what it was waited, a sentence; '' where nothing was in the way."""
        self.lock: DeployLock | None = None
        """The deploy's lock, held until the process ends."""

    def result(self) -> dict[str, Any]:
        """Do it; returns the module's result.

        :raises CommandFailed: where it may not be, or failed. What is left then, the next run removes.
        """
        rules = {"name": names.name, "root": names.root, "user": names.account, "group": names.account}
        for option, rule in rules.items():
            if problem := rule(option, self.params[option]):
                raise CommandFailed(problem.sentence)
        self._look()
        if self.steps and not self.check:
            self.lock = self._lock()
            if self.lock:
                self.lock.write(
                    {"by": "a removal", "since": now(), "pid": os.getpid(), "release": "", "phase": "removal"}
                )
                self._look()
                self._write_note()
            self.state = f"Some of {self.app.name} is removed; run again for the rest."
            try:
                for step in self.steps:
                    self._take(step)
            except OSError as error:
                raise CommandFailed(
                    f"{error.filename}: {error.strerror}. Some of {self.app.name} is removed; when that is fixed, run "
                    "again for the rest."
                ) from error
        name, said = self.params["name"], self._said
        done = "would be taken" if self.check else "is"
        msg = f"{name} {done} off the host." if said else f"There is nothing more of {name} to remove."
        return {
            "changed": bool(said),
            "removed": said,
            "kept": self.kept,
            "waited": self.waited,
            "msg": " ".join([msg, *self.kept]),
            "diff": [{"prepared": "".join(f"{line}\n" for line in said)}] if said else [],
        }

    def _look(self) -> None:
        facts = absent_facts.read_facts(self.systemd, self.host, self.params)
        while facts.building and time.monotonic() < self.until:
            self.waited = f"Waited for a release of {self.app.name} that was being built."
            time.sleep(PAUSE)
            facts = absent_facts.read_facts(self.systemd, self.host, self.params)
        if why := steps.refusal(facts, self.params):
            raise CommandFailed(f"Nothing was removed. {why}")
        self.facts = facts
        self.steps = steps.steps(facts, self.params)
        self.kept = steps.kept(facts, self.params)
        self.layers = {
            step.proxy: site_layer(
                self.run, self.host, self.app.name, step.proxy, step.proxy == "caddy" and facts.alone
            )
            for step in self.steps
            if step.proxy
        }
        self._said = [line for step in self.steps for line in self._sentences(step)]

    def _sentences(self, step: Step) -> list[str]:
        if step.proxy:
            return self.layers[step.proxy].changes
        return [step.said] if step.said else []

    def _lock(self) -> DeployLock | None:
        """The deploy's lock, where there is a directory of the app's to have it in."""
        if not any(entry != roots.SHARED for entry in self.facts.entries or []):
            return None
        if not steps.is_proven(self.facts, self.app.name, self.app.root):
            return None
        try:
            lock = DeployLock(self.app.root, max(0.0, self.until - time.monotonic()))
        except FileNotFoundError:
            # Another removal was waited for, or has just ended.
            self._look()
            return None
        except Held as held:
            failure = CommandFailed(f"Nothing was removed. {held.sentence(self.app.name)}")
            failure.more = {"held": held.note}
            raise failure from held
        self.waited = lock.waited or self.waited
        return lock

    def _write_note(self) -> None:
        """What can't be seen any more once the site is gone."""
        trees = {(target.base, target.inside) for target in self.facts.trees} | {
            tuple(row) for row in self.facts.note.get("trees", [])
        }
        text = json.dumps({"name": self.app.name, "trees": sorted(trees)}) + "\n"
        files.write(os.path.join(self.app.root, roots.NOTE), text.encode(), 0o600)

    def _take(self, step: Step) -> None:
        if step.verb == "proxy":
            if self.layers[step.proxy].changes:
                self.layers[step.proxy].apply()
        elif step.verb == "leave":
            # By hand or by patch.yml it may be there already, and is the same to balancers.
            if not leaving.note_in(self.app.root):
                files.write(leaving.path(self.app.root), b"", 0o644)
            time.sleep(self.params["leave_for"])
        elif step.verb == "remove" and step.target:
            remove(step.target)
        elif step.verb == "clear" and step.target:
            for entry in dict.fromkeys([*step.names, *steps.LAST]):
                remove(Removable(self.app.root, entry))
        elif step.verb == "rmdir" and step.target:
            remove_empty(step.target)
        elif step.verb == "stop":
            self._empty_queues()
            self.systemd.do("stop", "--", *step.units)
        elif step.verb == "reset":
            # A unit that has no failures, or is gone, is a failure to systemctl, and as good.
            self.run(["systemctl", "reset-failed", "--", *step.units])
        elif step.verb == "daemon-reload":
            self.systemd.do("daemon-reload")
        elif step.verb in ("userdel", "groupdel"):
            status, out, err = self.run([step.verb, "--", *step.names])
            # Status 6: userdel has taken the user's own group along.
            if status not in (0, 6):
                raise CommandFailed(f"{step.verb} failed: {(err or out).strip()}")

    def _empty_queues(self) -> None:
        """Have what waits in a socket's queue taken up: closing a socket drops it. The queue is first in, first out, so
        an answer to a question of our own says that all before it were accepted."""
        for slot in SLOTS:
            if self.facts.units[self.app.socket_unit(slot)].get("ActiveState") == "active":
                terms = self.app.held(slot).get("terms") or {}
                host, scheme = terms.get("host", "localhost"), terms.get("scheme", "http")
                door = Door(host, unix=self.app.socket(slot), scheme=scheme)
                ask(door, terms.get("ready_path", "/ready"), QUEUE_PATIENCE)
