# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a release to the traffic: fill a slot, start it, prove it ready, move the link, watch it, drain the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from .._app import prepared
from .._app.roots import make_home, publish
from .._app.slots import GUNICORN, App, Snapshot, worker_count
from .._app.supervisor import Supervisor
from .._host.door import Door
from .._host.memory import hold_to, most_taken
from .._host.probe import ask, wait_until_good
from .._host.systemd import Run
from .._plan.sizes import human_size
from .._process.move import Died, Move
from . import standby, steps
from .back import FRONT_BACK, Back
from .canary import Canary
from .canary import end as end_canary
from .rules import fewer_workers, with_room
from .start import Candidate, NotReady
from .steps import Failed, Terms
from .units import UnitFiles
from .watch import BAD_PATIENCE, Start

READY_AGAIN = 3.0
"""Seconds within which what serves has to be ready again after a command before a new release."""
FRONT_EVERY = 0.5
"""Seconds between two questions to the proxy while a release is watched."""
FRONT_AGAIN = 3.0
"""Seconds for the proxy's good answer after it was had to ask, where the release itself says that it is ready."""


class Swap(Back):
    """Works out the steps from what is there now, then takes them; check mode stops after the first half.

    :param run: how to run a command.
    :param wanted: what the live slot has to be.
    :param commands: lines for the shell; where there are any, they are run from the new release, and nothing else is.
    :param beside: what runs beside the web workers, on its way; None leaves it alone.
    :param anew: by which strategy it is brought to the traffic although it is live; '' where it isn't then.
    """

    def __init__(
        self,
        run: Run,
        supervisor: Supervisor,
        app: App,
        wanted: Snapshot,
        terms: Terms,
        commands: list[str],
        beside: Move | None = None,
        anew: str = "",
    ) -> None:
        self.run = run
        self.supervisor = supervisor
        self.app = app
        self.wanted = wanted
        self.terms = terms
        self.live = app.live()
        standing = supervisor.standing()
        self.reread = any(slot.stale for slot in standing.values())
        self.cut = app.cut_off(self.live) if self.live else False
        held = app.held(self.live, aside=self.cut) if self.live else {}
        self.before = held.get("release")
        self.ill = ""
        """What was wrong with it."""
        if self.live and not self.cut:
            self.ill = standing[self.live].service.ill(time.time())
        current = bool(self.live) and held.get("fingerprint") == wanted.fingerprint and not self.cut and not anew
        # Nobody knows what the processes of a slot that was cut off were started with, so they can't be kept.
        # Nor can those of another supervisor.
        way = anew or terms.strategy
        strategy = "restart" if (self.cut or supervisor.changes) and way == "reload" else way
        slots = steps.now(self.live, current, standing)
        self.slot = steps.target(slots, strategy)
        by = standby.marked(app, self.slot) if self.slot != self.live else None
        self.now = replace(slots, ready=by is not None and by.fingerprint == wanted.fingerprint)
        self.other = steps.other(self.slot)
        self.commands = commands
        # What stands by has them already, whatever becomes of it.
        self.units = UnitFiles(supervisor.reread, supervisor.files(wanted), by.units if by else None)
        self.asked = wanted.fingerprint
        self.beside = beside if beside and beside.due else None
        self.steps = steps.steps(self.now, strategy, bool(self.units.changes), bool(self.beside))
        self.strategy = strategy
        self.reloads = "reload" in self.steps
        """Whether the release comes to the traffic by a reload, after the commands where there are any."""
        if commands:
            # The release that is live has been prepared for already, by the lines that there were.
            done = wanted.release == self.before and prepared.by(app.root, wanted.release) == prepared.digest(commands)
            self.steps = [] if done else ["fill", "before"]
        self.candidate = Candidate(run, supervisor, app, self.slot, self.live, wanted, terms)
        self.left_out: list[str] = []
        """Sentences about processes that the release of a rollback doesn't have."""
        self.forgiving = False
        """Whether a release may lack the command of a process or timer, which is left out then."""
        self.wanted_fewer = False
        """Whether fewer workers will do, where the kernel kills some for memory."""
        self.room = 0
        """Bytes that the slot may take where that happens and nothing else of the app runs; 0 is what the unit says."""
        self.widened = False
        """Whether the slot has taken that."""
        self.planned = worker_count(wanted.files.get(GUNICORN, ""))
        self.taken = most_taken(standing[self.live].service.main) if self.live else 0
        """The most bytes that a worker of the live slot has taken; at the end, or one of the new."""
        self.new = ""
        """The directory that was filled, until it is the slot's."""
        self.moved_at = 0.0
        """When this run last moved the link, on the monotonic clock; 0 before it has."""
        self.phases: dict[str, float] = {}
        self.notes: list[str] = []
        self.ran: list[str] = []
        """Of the commands those that may have changed something."""
        self.broke = ""
        """A sentence about the one that the release that serves doesn't bear."""
        self.front: Door | None = None
        """The proxy's door, where the deploy asks through it."""
        self.front_unit = ""
        """What to reload, or restart, to have the proxy ask whether the app is ready; '' where nothing does."""
        self.is_rollback = False
        """Whether what serves is known to be worse. Nothing that the proxy answers undoes it then."""
        self.fronts = False
        """Whether the trouble is the proxy's answer alone, which blames no release."""
        self.part = "all"
        """``standby`` where the release is made ready and nothing moves."""
        self.canary: Canary | None = None
        self.told: Callable[[str], None] = lambda _name: None
        """Called with the name of each phase when it begins."""

    def sentences(self) -> list[str]:
        beside = self.beside.sentence() if self.beside else ""
        canary = self.canary.sentence if self.canary else ""
        return steps.sentences(self.steps, self.slot, self.wanted.release, beside, canary)

    def phase(self, name: str) -> None:
        """Begin a phase; the one before has ended."""
        now = time.monotonic()
        self._end_phase(now)
        self.phases[name] = 0.0
        self._begun = (name, now)
        self.told(name)

    def _end_phase(self, now: float) -> None:
        if self.phases:
            name, begun = self._begun
            self.phases[name] = round(now - begun, 2)

    def apply(self) -> None:
        """Take the steps.

        :raises Failed: when the release can't be proved; what was live before still is, or is again.
        """
        take: dict[str, Callable[[], None]] = {
            "prepare": self._prepare,
            "fill": self._fill,
            "before": self._before,
            "check": lambda: self.candidate.check(self.new, self._serves()),
            "unit": self._write_units,
            "start": lambda: self._bring_up("start"),
            "restart": lambda: self._bring_up("restart"),
            "reload": lambda: self._bring_up("reload"),
            "adopt": self._adopt,
            "canary": self._canary,
            "enable": self._enable,
            "move": lambda: self._point_to(self.slot),
            "disable": self._disable,
            "watch": lambda: self._watch(served),
            "processes": self._processes,
            "drain": self._drain,
        }
        # What clients got before all of it: where that was nothing good, it is no fault of the new release.
        judges = self.front if "watch" in self.steps and not self.is_rollback else None
        served = bool(judges and ask(judges, self.terms.health_path, FRONT_BACK).good)
        try:
            # Of a run that was cut off with whoever would have ended it.
            end_canary(self.app)
            if self.reread:
                self.supervisor.reread()
            for step in self.steps:
                self.phase(step)
                take[step]()
            self.phase("done")
            if self.part == "standby":
                self._stand_by()
                return
            publish(self.app.root, self.wanted.environment)
            self.app.follow(self.app.live())
            if self.beside:
                self.beside.finish()
        except Failed:
            self._clear_unused()
            raise
        except Exception as error:
            raise self._undone(error) from error
        finally:
            self._end_phase(time.monotonic())
            self.phases.pop("done", None)
        self.taken = max(self.taken, most_taken(self.candidate.watch.main))
        if self.commands:
            prepared.note(self.app.root, self.wanted.release, self.commands)
            self._clear_unused()
        else:
            self.app.clear()

    @property
    def says(self) -> str:
        """A sentence where the release didn't fit in memory as planned, else ''."""
        has = worker_count(self.wanted.files.get(GUNICORN, ""))
        taken = f"A worker has taken up to {human_size(self.taken)}"
        if has != self.planned:
            return (
                f"Release {self.wanted.release} runs with {has} worker(s) where {self.planned} were planned: there was "
                f"no memory for more. {taken}, and the next run plans by that, or by fastapi_worker_memory."
            )
        if self.widened:
            return f"There was no memory for two slots, so that the next deploys take over by restart. {taken}."
        return ""

    def _prepare(self) -> None:
        """See that the release has what its processes and timers run, before anything moves."""
        missing = self.beside.prepare() if self.beside else []
        if not missing or not self.beside:
            return
        commands, release = self.beside.beside.commands, self.wanted.release
        told = [f"{name} is to run {commands[name]!r}, and release {release} has no {what}." for name, what in missing]
        if self.forgiving:
            self.left_out = told
            self.beside.leave_out([name for name, _what in missing])
            return
        advice = "Fix it in fastapi_processes or fastapi_timers, or add what it needs to the app's requirements."
        raise Failed(f"{' '.join(told)} {advice}", f"Nothing has moved. {self._serves()}", "", blames=False)

    def _processes(self) -> None:
        if self.beside:
            try:
                self.beside.go(watch=self.terms.bake > 0)
            except Died as died:
                self._go_back(died.why, died.log)

    def _fill(self) -> None:
        make_home(self.app.root, self.terms.user, self.terms.group)
        booted = self.app.booted(self.slot) if "reload" in self.steps else ""
        self.new = self.app.make(self.slot, self.wanted, vars(self.terms), self.terms.group, booted)

    def _before(self) -> None:
        """Run the commands, and ask what serves after each whether it still can: a migration that it doesn't bear is
        told with its name. The deploy goes on: what the database is now, the new release is made for."""
        asked = self._ask_live(READY_AGAIN)
        for note, line, changed in self.candidate.prepare(self.new, self.commands, self._serves()):
            self.notes.append(note)
            self.ran += [line] if changed else []
            if asked == "" and not self.broke and (trouble := self._ask_live(READY_AGAIN)):
                self.broke = f"Release {self.before} serves, and isn't ready any more since {line!r} ran: {trouble}"

    def _ask_live(self, limit: float) -> str | None:
        """What the release that serves answers for its readiness where that is nothing good, else ''; None where none
        serves."""
        terms = self.app.held(self.live).get("terms") if self.live else None
        if not terms or not self.live:
            return None
        door = Door(terms["host"], unix=self.app.socket(self.live), scheme=terms.get("scheme", "http"))
        said = wait_until_good(door, terms["ready_path"], limit)
        return said if isinstance(said, str) else ""

    def _write_units(self) -> None:
        self.units.write()
        state = self.candidate.watch.state()
        hold_to(state.group, state.limit or 0)

    def _bring_up(self, verb: str) -> None:
        if self.cut and self.live:
            # What was proved is what this run goes back to.
            self.app.put(self.live, self.app.aside(self.live))
        try:
            self.candidate.bring_up(verb, self.units, self.new, self.slot in self.now.up, lambda: self.phase("ready"))
        except NotReady as trouble:
            if self.candidate.watch.short_of_memory and verb == "start" and self._make_fit():
                self._bring_up(verb)
                return
            raise Failed(trouble.why, self._step_back(), trouble.log) from trouble

    def _make_fit(self) -> bool:
        """In a slot that was just filled and has no traffic: let it take all that the host can give, where nothing else
        runs that has to have its part; or else ask for half of the workers. False where neither can be."""
        if "fill" not in self.steps:
            return False
        fit = with_room(self.wanted, self.room) if not self.live else None
        if fit:
            # There will be no room for a second slot.
            self.widened = True
            self.terms = self.candidate.terms = replace(self.terms, strategy="restart")
            self.units = UnitFiles(self.supervisor.reread, self.supervisor.files(fit), self.units.found)
        else:
            fit = fewer_workers(self.wanted) if self.wanted_fewer else None
        if not fit:
            return False
        self.wanted = self.candidate.wanted = fit
        self.app.refill(self.slot, fit, vars(self.terms), self.terms.group)
        self.new = ""
        return True

    def stand_by(self) -> None:
        """Take those steps alone after which the release is ready beside what serves."""
        self.part, self.steps = "standby", steps.standing_by(self.steps)

    def _stand_by(self) -> None:
        """What stands by is told from what a run that was cut off has left; what it took the place of is kept."""
        if "start" in self.steps:
            standby.mark(self.app, self.slot, standby.Mark(self.asked, self.units.found))
            if self.beside:
                self.beside.discard()
        else:
            self._clear_unused()

    def _adopt(self) -> None:
        """Go on with what stands by. Whatever fails from now on ends it as it ends one that was just started."""
        try:
            standby.unmark(self.app, self.slot)
            self.candidate.adopt()
        except NotReady as trouble:
            raise Failed(trouble.why, self._step_back(), trouble.log) from trouble

    def with_canary(self, canary: Canary) -> None:
        """Let it have a part of the requests first, where it takes over by the other slot."""
        self.canary = canary
        self.steps = steps.steps(self.now, self.strategy, bool(self.units.changes), bool(self.beside), canary=True)

    def _canary(self) -> None:
        start, canary, watch = self.candidate.start, self.canary, self.candidate.watch
        if not start or not canary:
            return

        def well(seconds: float) -> str | None:
            if trouble := watch.stays_well(start, self.terms.health_path, seconds):
                return trouble
            # The proxy asks what serves alone. Where that isn't ready either, it is no fault of this one.
            said = wait_until_good(watch.door, self.terms.ready_path, FRONT_BACK)
            return said if isinstance(said, str) and self._ask_live(FRONT_BACK) == "" else None

        try:
            trouble = canary.watch(well)
        except BaseException:
            self._empty(self.slot, BAD_PATIENCE)
            raise
        if trouble:
            self._empty(self.slot, BAD_PATIENCE)
            why = f"Release {self.wanted.release} didn't stay well as a canary: {trouble}"
            raise Failed(why, self._step_back(), watch.log(start.since), moved_back=True)

    def _enable(self) -> None:
        self.supervisor.boot(self.slot, last="disable" not in self.steps)

    def _disable(self) -> None:
        self.supervisor.no_boot(self.other)

    def _watch(self, served: bool) -> None:
        """See that the release stays well while there is something to go back to, and go back if it doesn't.

        :param served: whether clients got good answers before it had the traffic; they have to get them still.
        """
        terms, candidate = self.terms, self.candidate
        if self.is_rollback:
            # It may have held the other one to be down a moment ago, and would answer clients so until it asks again.
            self._have_proxy_ask()
        if candidate.start:
            watched = time.monotonic() - self.moved_at if self.moved_at else 0.0
            trouble = self._stays_well(candidate.start, terms.bake - watched, served)
        else:
            # An earlier run was cut off before it had watched.
            candidate.start = candidate.watch.begin(time.time() - terms.bake)
            trouble = candidate.watch.ready(candidate.start, terms.ready_path, terms.ready_timeout)
        if trouble:
            self._go_back(trouble, candidate.watch.log(candidate.start.since))

    def _stays_well(self, start: Start, seconds: float, served: bool) -> str | None:
        """The first thing that is wrong within these seconds, at the release's own socket or for clients; or None."""
        path, end = self.terms.health_path, time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            asks = self.front if served else None
            trouble = self.candidate.watch.stays_well(start, path, min(left, FRONT_EVERY) if asks else left)
            if trouble is None and asks:
                trouble = self._front_trouble(asks, path)
            if trouble or not asks or time.monotonic() >= end:
                return trouble

    def _front_trouble(self, front: Door, path: str) -> str | None:
        """What clients get in place of a good answer, or None. Where the release says that it is ready, the proxy is
        had to ask it first: what it knows may be of the slot that served before."""
        said = wait_until_good(front, path, FRONT_BACK)
        if not isinstance(said, str):
            return None
        if isinstance(wait_until_good(self.candidate.watch.door, self.terms.ready_path, FRONT_BACK), str):
            return said
        self._have_proxy_ask()
        again = wait_until_good(front, path, FRONT_AGAIN)
        self.fronts = isinstance(again, str)
        return again if isinstance(again, str) else None

    def _go_back(self, trouble: str, log: str) -> None:
        """The release has the traffic and isn't well: what was live before gets it back, or is started again.

        :param log: its last lines.
        """
        blames = not self.fronts
        if "move" not in self.phases and not self._can_go_back():
            why = f"Release {self.wanted.release} didn't stay well: {trouble}"
            # Where its processes alone are other ones, it serves as well as before.
            raise Failed(why, self._step_back(), log, blames=blames and {"fill", "start"} & self.phases.keys() != set())
        why = f"Release {self.wanted.release} had the traffic and didn't stay well: {trouble}"
        raise Failed(why, self._return(), log, moved_back=True, blames=blames)

    def _drain(self) -> None:
        start = self.candidate.start
        if "reload" in self.steps:
            self.candidate.await_old_workers()
        if self.other in self.now.quiet:
            return
        if "watch" in self.steps and start and (trouble := self.candidate.watch.lost(start)):
            # The last moment in which there is something to go back to.
            self._go_back(trouble, self.candidate.watch.log(start.since))
        served = self.other in self.now.up
        if served:
            self._empty(self.other, self.terms.patience)
        # Nothing new can reach it.
        self.supervisor.leave(self.other)
        if self.front and not served:
            self._have_proxy_ask_when_closed(self.other)
