# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``tune``: what stands in its way, the lock, one number of workers after the other, the end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from .._app import names
from .._app.by_oxmgr import supervisor_of
from .._app.hidden import hider
from .._app.lock import MEASURING, MOVES_NOTHING, DeployLock, Held, left_in, now
from .._app.secrets import Hider
from .._app.slots import App, Snapshot, worker_count
from .._app.supervisor import Supervisor
from .._host.door import Door
from .._host.systemd import CommandFailed, Run, Systemd
from .._layer.packages import install_packages
from .._plan.capacity import Capacity, CapacityError, read_capacity
from .._plan.demand import Demand, learn
from .._plan.flow import plan_for, read_params
from .._plan.seen import beside_of, see
from .._plan.timeouts import Refusal
from .._swap.start import NotReady
from .._swap.steps import Terms
from . import host
from .figures import Count, bent, choose, line
from .live import LiveWatch
from .load import PACKAGE, Kind, Target
from .measure import Measure, ask_once
from .press import Press, has_h2load
from .room import full, measured
from .standby import Standby, refusal

LOOK = 3.0
"""Seconds for which it is looked at how much of its CPUs the host has left."""
BETWEEN = 1.0
"""Seconds likewise between two numbers of workers."""
MANY_ERRORS = 0.5
"""The part of answers from which on there is nothing to measure."""
PLANNED = ("workload", "worker_memory", "memory_max", "db_pool_size", "db_max_connections")
"""Options that the planner is asked with, too."""


def _most(count: Count) -> str:
    """The errors of one number of workers, the most frequent first."""
    return ", ".join(f"{'no answer' if status == '0' else status} ({times})" for status, times in count.bad.items())


class Tune:
    """One run of the module.

    :param params: its options.
    :param warn: takes a sentence that doesn't fail the run.
    """

    def __init__(self, params: dict[str, Any], check: bool, run: Run, warn: Callable[[str], None]) -> None:
        self.params = params
        self.check = check
        self.run = run
        self.warn = warn
        self.systemd = Systemd(run)
        self.app = App(params["name"], params["root"] or f"/srv/{params['name']}")
        self.kinds = [Kind(**kind) for kind in params["paths"]]
        self.state = "Nothing was changed."
        """What to say of the host after a failure that nobody thought of."""
        self.installed = False
        self.counts: list[Count] = []
        self.ended = ""
        """Why the sweep ended where it did."""
        self.disturbed = ""
        """What the live slot suffered, where that ended it."""
        self.quiet: list[float] = []
        """The part of the host's CPUs that was idle, before each number of workers and after the last."""

    def hide(self, text: str) -> str:
        """A text without the app's secrets."""
        return self._hider(text)

    @cached_property
    def _hider(self) -> Hider:
        return hider(self.app.root)

    def result(self) -> dict[str, Any]:
        """Do it; returns the module's result.

        :raises CommandFailed: where it may not be, or there is nothing to tell.
        """
        if problem := names.name("name", self.params["name"]):
            raise CommandFailed(problem.sentence)
        if not os.path.isdir(self.app.root):
            raise CommandFailed(
                f"There is no {self.app.root} on this host: nothing of {self.app.name} was ever deployed to it. Fix "
                "fastapi_name or fastapi_root, or run site.yml first."
            )
        with contextlib.ExitStack() as stack:
            lock = None if self.check else stack.enter_context(self._lock())
            left = lock.left if lock else left_in(self.app.root)
            if left and left.get("kind") not in MOVES_NOTHING:
                raise CommandFailed(
                    f"A deploy of {self.app.name} was cut off in phase {left.get('phase')}. Nothing was changed. Run "
                    "release.yml first, which takes the steps that are missing."
                )
            live = self._live()
            held = self.app.held(live)
            terms = Terms.of(held)
            wanted = self.app.configuration(live, held["release"])
            supervisor = supervisor_of(self.systemd, self.app, wanted)
            standby = Standby(self.run, supervisor, self.app, live, terms)
            self._may(supervisor, standby, live)
            if lock and left:
                # Of a run of this that was killed: what it had left is gone now.
                lock.clear()
            self.door = Door(terms.host, unix=self.app.socket(live), scheme=terms.scheme)
            self._plan(supervisor, live)
            self._ask_each()
            idle = self._look()
            if self.check or not lock:
                return self._would(standby.slot)
            self._install()
            said = {
                "by": self.params["by"],
                "since": now(),
                "pid": os.getpid(),
                "kind": MEASURING,
                "slot": standby.slot,
            }
            lock.write({**said, "phase": "before"})
            with LiveWatch(self.door, terms.ready_path, self.params["slower"]) as watch:
                watch.settle()
                try:
                    self._sweep(standby, watch, wanted, lambda phase: lock.write({**said, "phase": phase}))
                finally:
                    # Whatever ended it.
                    standby.put_back()
                    lock.clear()
                self.quiet.append(self._idle(BETWEEN))
            return self._told(terms, watch, idle, standby.slot, held["release"])

    @contextlib.contextmanager
    def _lock(self) -> Iterator[DeployLock]:
        try:
            lock = DeployLock(self.app.root)
        except Held as held:
            failure = CommandFailed(held.sentence(self.app.name))
            failure.more = {"held": held.note}
            raise failure from held
        yield lock

    def _live(self) -> str:
        live = self.app.live()
        if not live or not self.app.held(live).get("terms"):
            raise CommandFailed(f"Nothing of {self.app.name} is live on this host. Deploy it first, by site.yml.")
        return live

    def _may(self, supervisor: Supervisor, standby: Standby, live: str) -> None:
        """See that the standby slot can be had."""
        standing = supervisor.standing()
        if not standing[live].up:
            state = standing[live].service.word
            raise CommandFailed(
                f"Slot {live} of {self.app.name} has the traffic and doesn't serve: {state}. Nothing was changed. "
                "status.yml and logs.yml say why; measure when it serves."
            )
        if said := refusal(self.app.name, standby.slot, standing[standby.slot], self.app.held(standby.slot)):
            raise CommandFailed(said)
        if not self.check:
            standby.take()

    def _plan(self, supervisor: Supervisor, live: str) -> None:
        """What the host could carry, and what the planner would choose."""
        given = {name: self.params[name] for name in PLANNED}
        try:
            self.capacity: Capacity = read_capacity(name=self.app.name)
            seen = see(self.run, self.app.name, self.app.root)
            own = [size for size in (self.capacity.own, seen.own) if size is not None]
            self.capacity = replace(
                self.capacity, own=min(own, default=None), beside=beside_of(self.app), others=seen.others
            )
            demand, _timeouts, _supervisor, problems = read_params(given)
            if problems:
                raise Refusal(problems)
            self.plan = plan_for(given, self.capacity, seen.taken)
        except CapacityError as error:
            raise CommandFailed(str(error)) from None
        except Refusal as refused:
            raise CommandFailed(" ".join(problem.sentence for problem in refused.problems)) from None
        self.written = given["worker_memory"] not in (None, "", "auto")
        self.demand: Demand = demand if self.written else learn(demand, seen.taken, self.capacity)
        self.live_workers = worker_count(self.app.configured(live)) or 1
        self.limit = supervisor.state(live).limit
        if said := self._full(1):
            raise CommandFailed(f"There is no room on this host to measure: {said}. Nothing was changed.")

    def _full(self, count: int) -> str:
        taken = max((each.worker_memory for each in self.counts), default=0)
        demand = measured(self.demand, taken, self.written)
        return full(count, self.live_workers, demand, self.capacity, host.available(), self.limit)

    def _ask_each(self) -> None:
        """Refuse what isn't answered well, before anything is started: of the slot that serves, once. What may change
        something isn't tried there."""
        for kind in self.kinds:
            if kind.method != "GET":
                continue
            answer = ask_once(self.door, kind.path)
            if answer.status and not 200 <= answer.status < 400:
                raise CommandFailed(
                    f"GET {kind.path} of -e paths= is answered {answer.status} by the release that is live. Nothing "
                    "was changed. Name paths that are answered by 2xx or 3xx: errors are quicker, and tell nothing."
                )

    def _look(self) -> float:
        """The CPUs that the host has left, of all of its own.

        :raises CommandFailed: where it has less than it needs.
        """
        cpus = os.cpu_count() or 1
        part = self._idle(LOOK if self.params["idle"] else LOOK / 10)
        if 100 * part < self.params["idle"]:
            raise CommandFailed(
                f"The host is busy: over {LOOK:.0f} s it had {100 * part:.0f} % of its {cpus} CPUs idle, and "
                f"{self.params['idle']} % are wanted (-e idle=). What is measured now would say more of the other load "
                "than of the app, and take from what serves. Nothing was changed. Run it at a quiet hour."
            )
        return part * cpus

    @staticmethod
    def _idle(seconds: float) -> float:
        """The part of the host's CPUs that is idle, over so many seconds."""
        idle, whole = host.idle_ticks()
        time.sleep(seconds)
        idle_then, whole_then = host.idle_ticks()
        return (idle_then - idle) / max(1.0, whole_then - whole)

    def _install(self) -> None:
        if not has_h2load():
            install_packages(self.run, [PACKAGE])
            self.installed = True

    def _sweep(self, standby: Standby, watch: LiveWatch, wanted: Snapshot, phase: Callable[[str], None]) -> None:
        """Measure one number of workers after the other, until more bring nothing."""
        params, terms = self.params, standby.terms
        target = Target(terms.host, terms.scheme, self.app.socket(standby.slot), params["think"])
        press = Press(target, f"{self.app.name}-tune", os.path.join(self.app.root, "slots", ".tune"))
        measure = Measure(standby, watch, press, self.kinds, params["clients"], params["seconds"])
        for count in range(1, params["most"] + 1):
            if said := self._full(count):
                self.ended = f"{count} workers were not tried: {said}."
                return
            standby.stop()
            self.quiet.append(self._idle(BETWEEN))
            phase(f"{count} worker{'s' * (count > 1)}")
            begun = time.monotonic()
            try:
                ready = standby.start(wanted, count)
            except NotReady as trouble:
                if not self.counts:
                    raise CommandFailed(f"{trouble.why}\nIts last lines:\n{trouble.log}") from trouble
                self.ended = f"{count} workers didn't start: {trouble.why.partition(chr(10))[0]}"
                return
            taken = measure.take(count, ready, begun)
            if isinstance(taken, str):
                self.disturbed = taken
                self.ended = (
                    f"Stopped with {count} worker{'s' * (count > 1)}, because the slot that serves suffered: {taken}."
                )
                return
            self.counts.append(taken)
            if taken.errors > MANY_ERRORS * max(1, taken.requests):
                self.ended = f"Stopped: {taken.errors} of {taken.requests} answers were errors: {_most(taken)}."
                return
            if bent(self.counts):
                self.ended = "The last two brought less than 5 % each."
                return
        self.ended = f"It went up to {params['most']}, as -e most= says."

    def _would(self, slot: str) -> dict[str, Any]:
        each = self.params["seconds"] * 1.25 + 5
        msg = (
            f"Would measure up to {self.params['most']} worker(s) of {self.app.name} in slot {slot}, some {each:.0f} s "
            f"each, and put it back as it is. {self.plan['explanation']}"
        )
        missing = "" if has_h2load() else f" {PACKAGE} would be installed, and stay."
        return {"changed": bool(missing), "msg": msg + missing, "counts": [], "chosen": None, "line": ""}

    def _told(self, terms: Terms, watch: LiveWatch, idle: float, slot: str, release: str) -> dict[str, Any]:
        chosen = choose(self.counts)
        if self.disturbed and not self.counts:
            raise CommandFailed(f"{self.ended} Nothing was measured, and all is as it was. Run it at a quieter hour.")
        if not chosen:
            raise CommandFailed(
                f"{self.ended} There is nothing to choose by. Look at logs.yml -e request=graceful-tune."
            )
        doubt = self.ended if self.disturbed else ""
        if not doubt and 100 * min(self.quiet) < self.params["idle"]:
            doubt = (
                f"Between two numbers, with nothing of this at work, the host had {100 * min(self.quiet):.0f} % of its "
                f"CPUs idle, and {self.params['idle']} % are wanted (-e idle=): the figures tell of other work, too. "
                "Measure at a quieter hour."
            )
            self.warn(doubt)
        felt = [count for count in self.counts if watch.disturbed(count.live_p95 / 1000)]
        if felt:
            worst = max(felt, key=lambda count: count.live_p95)
            self.warn(
                f"The slot that serves felt it: its p95 was {watch.before * 1000:.1f} ms before, and "
                f"{worst.live_p95:.1f} ms while {worst.workers} worker(s) were measured."
            )
        return {
            "changed": self.installed,
            "installed": [PACKAGE] if self.installed else [],
            "counts": [asdict(count) for count in self.counts],
            "chosen": chosen.workers,
            "line": line(self.counts, chosen),
            "ended": self.ended,
            "doubt": doubt,
            "tuned": {
                "workers": chosen.workers,
                "at": now(),
                "rate": chosen.rate,
                "p99": chosen.p99,
                "cpus": self.capacity.cpus,
                "worker_memory": max(count.worker_memory for count in self.counts),
            },
            "planned": self.plan["workers"],
            "plan": self.plan["explanation"],
            "cpus": self.capacity.cpus,
            "idle": round(idle, 2),
            "slot": slot,
            "release": release,
            "live_workers": self.live_workers,
            "live_p95": round(watch.before * 1000, 2),
            "live_path": terms.ready_path,
            "msg": line(self.counts, chosen),
        }
