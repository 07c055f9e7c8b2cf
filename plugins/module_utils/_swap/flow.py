# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``swap``: what is wanted, whether it may be, the lock, the steps, and the history of it."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from .._app import history, names, tell, tuned
from .._app.advice import advice
from .._app.by_oxmgr import supervisor_of
from .._app.hidden import hider
from .._app.lock import MOVES_NOTHING, DeployLock, Held, left_in, now
from .._app.raised import because, without_frames
from .._app.releases import complete, record_of
from .._app.roots import rename_environment
from .._app.sandbox import hints
from .._app.secrets import Hider
from .._app.slots import App, Snapshot
from .._host.door import Door
from .._host.files import read_text
from .._host.probe import wait_until_good
from .._host.systemd import CommandFailed, Run, Systemd
from .._process.generations import asked_by
from .._process.move import Move
from .._process.specs import NOTHING, Beside, beside
from . import canary, standby
from .compare import Limits
from .left_over import SAYS, OfOxmgr
from .rules import broken, comes_back, reload_refusal, rollback_release, stood_in, with_workers
from .steps import Failed, Terms, other
from .swap import Swap

Warn = Callable[[str], None]
EVENTS = {history.LIVE: "live", history.BACK: "moved_back", history.FAILED: "failed"}
"""What is told of each outcome."""
FRONT_LIMIT = 30.0
"""Seconds in which the front door has to answer after a move: a proxy may just have seen an app that wasn't ready."""


TRIED = (
    *("release", "environment", "credentials", "files", "unit", "socket"),
    *("processes", "timers", "process_environments", "first"),
    *(name for name in Terms.__dataclass_fields__ if name != "worker_memory"),
)
"""Options by which one try is told from another. What a worker takes is measured, and nobody's setting."""


def told(failure: Exception, why: str, log: str, root: str, record: dict[str, Any]) -> str:
    """What a person reads: what is wrong, what serves, what to write; then the last lines.

    :param record: the release's own.
    """
    serves = f"{why}\n{failure.now}" if isinstance(failure, Failed) else why
    said = f"{serves}\n{log}"
    shared = [path for kind in ("shared_paths", "writes") for path in record.get(kind, [])]
    writes = shared if record.get("writes") else []
    known = advice(said, root, writes, record.get("settings", {}), record.get("hosts", {}))
    write = " ".join(filter(None, [hints(said, root), known]))
    return "\n\n".join(filter(None, [serves, write, log and f"Its last lines:\n{without_frames(log)}"]))


def _in_place(terms: Terms) -> Terms:
    """The same, but by a new start where they are by a reload."""
    return replace(terms, strategy="restart") if terms.strategy == "reload" else terms


class Deploy:
    """One run of the module.

    :param params: its options.
    :param warn: takes a sentence that doesn't fail the run.
    """

    def __init__(self, params: dict[str, Any], check: bool, run: Run, warn: Warn) -> None:
        self.params = params
        self.check = check
        self.systemd = Systemd(run)
        self.warn: Warn = lambda sentence: warn(self.hide(sentence))
        self.app = App(params["name"], params["root"])
        self.left_over = OfOxmgr(self.systemd, self.app)
        self.gid = 0 if check else grp.getgrnam(params["group"]).gr_gid
        self.state = "Nothing was changed."
        """What to say of the host after a failure that nobody thought of."""
        self.left: dict[str, Any] = {}
        """The note of a run that was cut off before this one."""
        self.waited = ""
        """For whom the lock was waited for, a sentence; '' where it was free."""
        self.began = 0.0
        """When it began to move anything, seconds since the epoch."""
        self.front: Door | None = None
        """The proxy, where it is asked."""
        self.telling: list[tell.Telling] = []
        """What tells of this deploy's outcome, and of the one that was cut off before it."""
        self.no_canary = ""
        """Why a deploy has none although one is asked for, a sentence; '' where it has, or where none is."""
        self.told: list[str] = []
        """Whom it has told."""

    def hide(self, text: str) -> str:
        """A text without the app's secrets: what an app or a command of it says may quote any of them."""
        return self._hider(text)

    @cached_property
    def _hider(self) -> Hider:
        """Made when there is something to hide them in."""
        own = "\n".join(self.params["process_environments"].values())
        return hider(self.app.root, f"{self.params['environment']}\n{own}", self.params["credentials"])

    def result(self) -> dict[str, Any]:
        """Do it; returns the module's result.

        :raises CommandFailed: where it may not be, or failed.
        """
        if problem := names.name("name", self.params["name"]):
            raise CommandFailed(problem.sentence)
        try:
            return self._result()
        finally:
            self._end_telling()

    def _result(self) -> dict[str, Any]:
        lock = None if self.check else self._lock()
        self.left = lock.left if lock else left_in(self.app.root)
        if self.params["part"] == "leave":
            return self._left_standby(lock)
        swap = self._swap()
        self.front = swap.front = self._front(swap) if self.params["front_port"] else None
        swap.front_unit, swap.is_rollback = self.params["front_unit"], self.params["rollback"]
        previous = self._previous(swap)
        self._may(swap)
        failure = None
        seconds, why, log, unseen = 0.0, "", "", ""
        if swap.steps and lock:
            begun, at = time.monotonic(), now()
            self.began = round(time.time(), 3)
            note = {"by": self.params["by"], "since": at, "pid": os.getpid(), "release": swap.wanted.release}
            note |= {"previous": previous, "kind": self.kind, "slot": swap.slot, "strategy": swap.strategy}
            note |= {"ill": swap.ill}
            swap.told = lambda phase: lock.write({**note, "phase": phase})
            try:
                self.state = f"The traffic was to move to release {swap.wanted.release}; status.yml says what serves."
                swap.apply()
            except (Failed, CommandFailed) as error:
                failure = error
            seconds = round(time.monotonic() - begun, 2)
            if failure:
                why, log = self._why(failure)
            outcome, reason = self._outcome(swap, failure), self._reason(swap, why)
            stands_by = swap.part == "standby" and not failure
            if failure or swap.ran or not (swap.commands or stands_by):
                self._write_history(swap, previous, at, seconds, failure, outcome, reason)
            left = not failure and not stands_by and self._leave(swap)
            self._keep_tuned(failure)
            lock.release()
            if swap.front and not failure and not swap.commands and not stands_by:
                unseen = self._ask_front(swap)
                if unseen and self.params["part"] == "back":
                    # It is where it was to go, and that is what the fleet's run has to know.
                    self.warn(unseen)
                    unseen = ""
            # Nobody has to know of a release that serves as before.
            if failure or not (swap.commands or stands_by or self.params["again"]):
                event = EVENTS.get(outcome, "failed")
                if (event, self.kind) == ("live", "rollback"):
                    event = "rolled_back"
                known = {"by": self.params["by"], "release": swap.wanted.release, "previous": previous}
                self._tell({**known, "event": event, "seconds": seconds, "reason": unseen or reason})
                self._end_telling()
        elif lock and not swap.commands and swap.part == "all":
            # What a run that was cut off at its very end has left.
            self.app.clear()
            self.app.follow(self.app.live())
            self.move.tidy()
            left = self._leave(swap)
            self._keep_tuned(None)
        else:
            # Whether it goes with a deploy is known when that is done.
            left = not swap.steps and swap.part == "all" and self._leave(swap)
        for sentence in (swap.says, *swap.left_out, broken(swap.broke)) if not failure else ():
            if sentence:
                self.warn(sentence)
        if failure:
            record = record_of(self.app.root, swap.wanted.release)
            failed = CommandFailed(told(failure, why, log, self.app.root, record))
            failed.more = {"told": self.told, **self._moved(swap)}
            raise failed from failure
        if swap.candidate.watch.missing and not self.params["rollback"]:
            self.warn(stood_in(swap.candidate.watch.missing, first=not swap.before))
        if unseen:
            failed = CommandFailed(unseen)
            failed.more = {"told": self.told, **self._moved(swap)}
            raise failed
        return self._told(swap, seconds, left)

    def _keep_tuned(self, failure: Exception | None) -> None:
        """Have the next plan choose what was measured: it would bring another number back."""
        measured = tuned.parse(self.params["tuned"])
        if measured and not failure:
            tuned.keep(self.app.root, measured)

    def _left_standby(self, lock: DeployLock | None) -> dict[str, Any]:
        """Stop what stands by, because another host of the fleet isn't ready."""
        release = standby.leave(self.systemd, self.app, self.check)
        if lock:
            lock.release()
        live = self.app.live()
        serves = self.app.held(live).get("release") if live else None
        said = f"Release {release} was stopped before it had any traffic. " if release else ""
        said += f"Release {serves} serves as before." if serves else "Nothing is live, as before."
        return {"changed": bool(release), "release": serves, "slot": live, "msg": said}

    @staticmethod
    def _moved(swap: Swap) -> dict[str, Any]:
        """What a run of several hosts has to know of one: whether its traffic is another one by now."""
        moved = bool(swap.steps) and swap.part == "all" and not swap.commands and swap.moved
        return {"moved": moved, "release": swap.wanted.release if moved else swap.before, "previous": swap.before}

    def _leave(self, swap: Swap) -> bool:
        """Take away what the other supervisor has left, where the traffic has its release; whether there is any."""
        left = not swap.commands and bool(self.left_over.paths)
        if left and not self.check:
            self.left_over.remove()
        return left

    def _why(self, failure: Exception) -> tuple[str, str]:
        """What is wrong, first in the app's own words, and its last lines; both without secrets."""
        if not isinstance(failure, Failed):
            return self.hide(str(failure)), ""
        # Hidden first: the first line of a secret that has several is none that is known.
        log = self.hide(failure.log)
        return because(self.hide(failure.why), log), log

    def _ask_front(self, swap: Swap) -> str:
        """Ask once as clients do; what is wrong, '' where nothing is. The release has proved itself on its socket, so
        what fails here is the proxy's."""
        if not self.front:
            return ""
        answer = wait_until_good(self.front, swap.terms.health_path, FRONT_LIMIT)
        if not isinstance(answer, str):
            return ""
        return (
            f"Release {swap.wanted.release} is live in slot {swap.slot}, and answers on its own socket, but not "
            f"through the proxy: {answer.rstrip('.')}. Run site.yml, which sees to the proxy."
        )

    def _tell(self, event: dict[str, Any]) -> None:
        self.telling.append(tell.begin(self.app.root, event))

    def _end_telling(self) -> None:
        """Warn of whom couldn't be told; nothing else comes of that."""
        while self.telling:
            said, warnings = tell.end(self.telling.pop(0))
            self.told += said["told"]
            for sentence in warnings:
                self.warn(sentence)

    def _front(self, swap: Swap) -> Door | None:
        """The proxy's door, where clients come. A rollback may be run from anywhere, with a port that isn't the host's:
        nobody is there then, and that is no reason to fail."""
        port = self.params["front_port"]
        door = Door(swap.terms.host, port=port, tls=self.params["front_tls"], scheme=swap.terms.scheme)
        if self.params["rollback"]:
            try:
                door.connect(2.0).close()
            except ConnectionRefusedError:
                self.warn(
                    f"The app isn't asked through the proxy: nobody listens at port {port} of this host. Is "
                    "fastapi_http_port, or fastapi_tls, another one there?"
                )
                return None
            except OSError:
                pass
        return door

    def _lock(self) -> DeployLock:
        try:
            with self._kept():
                lock = DeployLock(self.app.root, self.params["lock_wait"], patches=bool(self.params["again"]))
        except FileNotFoundError:
            raise CommandFailed(
                f"There is no {self.app.root} on this host: nothing of {self.app.name} was ever deployed to it. "
                "Fix fastapi_name or fastapi_root, or run site.yml first."
            ) from None
        except Held as held:
            failure = CommandFailed(held.sentence(self.app.name))
            failure.more = {"held": held.note}
            raise failure from held
        self.waited = lock.waited
        rename_environment(self.app.root)
        if lock.left.get("kind") in MOVES_NOTHING:
            # It moved nothing, and what it has started in the standby slot is stopped as any other there.
            lock.left = {}
            lock.clear()
        if lock.left:
            entry = {"kind": "deploy", "release": "unknown", "previous": None, "phases": {}, "reason": "", **lock.left}
            # Cut off when its watch was over: it has served since, and may be gone back to.
            live = self.app.held(self.app.live() or "").get("release") == lock.left.get("release")
            served = live and lock.left.get("phase") in ("drain", "done")
            entry |= {"started": lock.left.get("since"), "outcome": history.LIVE if served else history.INTERRUPTED}
            entry["reason"] = f"cut off in phase {lock.left.get('phase')}"
            self._append({key: value for key, value in entry.items() if key not in ("since", "pid", "phase")})
            lock.clear()
            # Meanwhile this one goes on.
            self._tell(tell.of_cut_off(lock.left))
        return lock

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """While another deploy is waited for, nobody's pruning takes the release: it has never served, so it would be
        the first to go (_release/place.py)."""
        with contextlib.ExitStack() as stack:
            release = self.params["release"]
            if release and self.params["lock_wait"]:
                with contextlib.suppress(OSError):
                    place = os.open(os.path.join(self.app.root, "releases", release), os.O_RDONLY | os.O_DIRECTORY)
                    stack.callback(os.close, place)
                    fcntl.flock(place, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield

    def _swap(self) -> Swap:
        params, app = self.params, self.app
        if params["again"]:
            return self._anew()
        if params["rollback"]:
            return self._other_slot() or self._rollback() if params["part"] == "back" else self._rollback()
        if params["tuned"]:
            return self._tuned()
        if not self.check and not record_of(app.root, params["release"]):
            gone = f"Release {params['release']} is not complete under {app.root}/releases."
            if self.waited:
                gone += " A deploy beside this one has removed it. Nothing has moved; run again, which builds it anew."
            raise CommandFailed(gone)
        parts = ("release", "environment", "files", "unit", "socket", "credentials")
        wanted = Snapshot(*(params[name] for name in parts))
        terms = Terms(**{name: params[name] for name in Terms.__dataclass_fields__})
        live = app.held(app.live() or "").get("release")
        # A run that has commands is told by what comes after them whether they have changed anything.
        tried = "" if params["before"] else self._tried()
        if wanted.release != live and (said := history.once_more(history.read(app.root), wanted.release, tried)):
            self.warn(said)
        rows = (params["processes"], params["timers"], params["process_environments"], params["first"])
        self.move = Move(self.systemd, app, wanted, beside(*rows), terms.user, terms.group)
        move = None if params["before"] else self.move
        supervisor = supervisor_of(self.systemd, app, wanted)
        swap = Swap(self.systemd.run, supervisor, app, wanted, terms, params["before"], move)
        swap.wanted_fewer, swap.room = params["fewer_workers"], params["memory_room"]
        self._give_canary(swap)
        if params["part"] == "standby":
            swap.stand_by()
        return swap

    def _give_canary(self, swap: Swap) -> None:
        """Have a part of the requests go to the release first, where that is asked for and can be.

        :raises CommandFailed: where the site has no way for it, and nothing in this run gives it one.
        """
        if not self.params["canary"] or not swap.steps or swap.now.current:
            return
        limits, path = Limits.of(self.params["canary"]), self.params["front_site"]
        same = swap.wanted.release == swap.before
        skipped = canary.why_not(swap.live, same, swap.strategy, self.params["reason"])
        if not skipped and canary.mark(limits.share) not in read_text(path):
            skipped = canary.no_branch(self.app.name, limits.share)
            if not self.params["front_follows"]:
                raise CommandFailed(
                    f"{skipped} Nothing has moved; release {swap.before} serves. Run site.yml once, which writes the "
                    "site, or leave the canary out this time: -e fastapi_canary={}."
                )
            if not swap.commands:
                self.warn(
                    f"{skipped} This release has no canary; this run writes the site, and the next one will have."
                )
            return
        self.no_canary = skipped
        if not skipped and not swap.commands:
            log = self.params["front_log"]
            swap.with_canary(canary.Canary(self.systemd.run, self.app, swap.slot, limits, log))

    def _tried(self) -> str:
        """Equal for tries of the same with the same settings. So short that a secret can't be found by it."""
        given = json.dumps({name: self.params[name] for name in TRIED}, sort_keys=True)
        return hashlib.sha256(given.encode()).hexdigest()[:8]

    def _tuned(self) -> Swap:
        """The live release with its configuration and terms, and the number of workers that was measured."""
        app, slot = self.app, self.app.live()
        held = app.held(slot) if slot else {}
        measured = tuned.parse(self.params["tuned"])
        if not slot or not held.get("terms") or not measured:
            raise CommandFailed(f"Nothing of {app.name} is live on this host, or `tuned` isn't what tune returns.")
        # A reload takes changes of code alone.
        terms = _in_place(Terms.of(held))
        wanted = with_workers(app.configuration(slot, held["release"]), measured.workers)
        # What runs beside the web is of the same release, and stays.
        return self._from_slot(wanted, terms, asked_by(app), beside=False)

    def _other_slot(self) -> Swap | None:
        """The way back of one host where another of the fleet has failed: what the other slot was started with, its
        settings too. None where that isn't what was live before, as after a restart in place."""
        live = self.app.live()
        slot = other(live) if live else ""
        held = self.app.held(slot) if slot else {}
        if not held.get("terms") or held.get("release") != self.params["release"]:
            return None
        terms = replace(Terms.of(held), bake=0, strategy="swap")
        swap = self._from_slot(self.app.configuration(slot, held["release"]), terms, asked_by(self.app))
        swap.forgiving = True
        return swap

    def _rollback(self) -> Swap:
        """The wanted release with the configuration and the terms of the live slot."""
        app, slot = self.app, self.app.live()
        held = app.held(slot) if slot else {}
        if not slot or not held.get("terms"):
            raise CommandFailed(f"Nothing of {app.name} is live on this host: there is nothing to roll back from.")
        entries = history.read(app.root)
        asked = self.params["release"]
        if not asked and self.left.get("kind") == "rollback" and self.left.get("release") in complete(app.root):
            # The last one was cut off, and may have moved the traffic: one more would go too far.
            asked = str(self.left["release"])
        last = history.last_telling(entries)
        if not asked and last.get("outcome") in (history.FAILED, history.BACK):
            raise CommandFailed(
                f"There is nothing to roll back from: the last deploy, of release {last['release']}, did not get "
                f"through ({last.get('outcome')}), and release {held['release']} serves as before it. To leave that "
                "one all the same, say where to: -e fastapi_release=ID, by the table of status.yml."
            )
        release = rollback_release(app, asked, held.get("release"))
        if ran := history.ran_since(entries, release):
            lines = ", ".join(dict.fromkeys(ran))
            self.warn(
                f"Since release {release} was live, fastapi_before_swap has run {lines}, which a rollback doesn't "
                "undo: the database is what the newer release made of it."
            )
        if last and last.get("outcome") != history.LIVE and last["release"] not in (release, held["release"]):
            self.warn(
                f"The last deploy, of release {last['release']}, did not get through ({last.get('outcome')}), and "
                f"{held['release']} is live as before it. This rollback goes behind that one, to {release}, and marks "
                "it as bad."
            )
        # A release that has served well isn't watched: at night each second counts, and what it would go back to is
        # worse. A reload of it would be no faster, and trusts more.
        terms = replace(_in_place(Terms.of(held)), bake=0)
        asked = asked_by(app)
        if asked is None:
            self.warn("What runs beside the web can't be read, and is left as it is: deploy to bring it along.")
        swap = self._from_slot(app.configuration(slot, release), terms, asked)
        swap.forgiving = True
        return swap

    def _anew(self) -> Swap:
        """The live release once more, with the configuration of the live slot, which keeps its terms."""
        app, slot, strategy = self.app, self.app.live(), self.params["again"]
        held = app.held(slot) if slot else {}
        if not slot or not held.get("terms"):
            raise CommandFailed(f"Nothing of {app.name} is live on this host: there is nothing to start anew.")
        if app.cut_off(slot):
            raise CommandFailed(
                f"The last deploy of {app.name} was cut off, so that what runs may not be what the slot names. Run "
                "release.yml first."
            )
        terms = Terms.of(held)
        if strategy == "swap" and terms.strategy != "swap":
            raise CommandFailed(
                f"A second slot of {app.name} isn't started on this host: its deploys take over by {terms.strategy}, "
                "which fastapi_strategy says, or the memory that there is. Write during=restart or during=reload."
            )
        # What runs beside the web is left as it is: the release is the same.
        wanted = app.configuration(slot, held["release"])
        return self._from_slot(wanted, terms, asked_by(app), beside=False, anew=strategy)

    def _from_slot(
        self, wanted: Snapshot, terms: Terms, asked: Beside | None, beside: bool = True, anew: str = ""
    ) -> Swap:
        """A swap to what a slot has had, and not to what a run brings.

        :param asked: what runs beside the web, as it was deployed; None where that can't be read, and is left alone.
        :param beside: whether that moves too.
        """
        self.move = Move(self.systemd, self.app, wanted, asked or NOTHING, terms.user, terms.group)
        move = self.move if beside and asked is not None else None
        supervisor = supervisor_of(self.systemd, self.app, wanted)
        return Swap(self.systemd.run, supervisor, self.app, wanted, terms, [], move, anew)

    def _may(self, swap: Swap) -> None:
        """Refuse a reload that can't be, before the commands that come before it."""
        if not (swap.steps and swap.reloads) or self.params["rollback"]:
            return
        old = record_of(self.app.root, str(swap.before))
        # In check mode it may not be built, and what it depends on is not known.
        new = record_of(self.app.root, swap.wanted.release) or (old if self.check else {})
        if said := reload_refusal(swap.wanted, self.app.held(swap.slot), old, new):
            raise CommandFailed(f"{said} Release {swap.before} serves as before.")

    @property
    def kind(self) -> str:
        return history.AGAIN if self.params["again"] else "rollback" if self.params["rollback"] else "deploy"

    def _previous(self, swap: Swap) -> str | None:
        """The release whose place is taken, for the history: a rollback marks it as bad.

        A run that was cut off may have brought the wanted one to the traffic already, or have filled the live slot.
        """
        live = self.app.live()
        previous = self.app.held(live).get("release") if live and self.params["rollback"] else swap.before
        if previous == swap.wanted.release == self.left.get("release"):
            return self.left.get("previous")
        return previous

    def _outcome(self, swap: Swap, failure: Exception | None) -> str:
        if failure and not (isinstance(failure, CommandFailed) and swap.moved):
            return history.BACK if isinstance(failure, Failed) and failure.moved_back else history.FAILED
        return history.RAN if swap.commands else history.LIVE

    def _reason(self, swap: Swap, why: str) -> str:
        """In one line, and without the release, which tables have in a column of its own."""
        said = (why or self.hide(swap.broke)).encode(errors="backslashreplace").decode()
        return said.partition("\n")[0].removeprefix(f"Release {swap.wanted.release} ")

    def _write_history(
        self,
        swap: Swap,
        previous: str | None,
        at: str,
        seconds: float,
        failure: Exception | None,
        outcome: str,
        reason: str,
    ) -> None:
        taken = {"worker_memory": swap.taken} if swap.taken and outcome == history.LIVE else {}
        self._append(
            {
                "started": at,
                "began": self.began,
                "release": swap.wanted.release,
                "previous": previous,
                "slot": swap.slot,
                "strategy": swap.strategy,
                "kind": "before" if outcome == history.RAN else self.kind,
                "by": self.params["by"],
                "revision": record_of(self.app.root, swap.wanted.release).get("source", {}).get("revision", ""),
                "phases": swap.phases,
                "seconds": seconds,
                "outcome": outcome,
                "ill": swap.ill,
                **taken,
                **({"canary": swap.canary.figures} if swap.canary and "canary" in swap.phases else {}),
                **({"tried": self._tried()} if failure and self.kind == "deploy" else {}),
                **({"commands": [self.hide(line) for line in swap.ran]} if swap.ran else {}),
                "blames": bool(isinstance(failure, Failed) and failure.blames),
                "reason": reason,
            }
        )

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            history.append(self.app.root, entry, self.gid)
        except OSError as error:
            self.warn(f"What became of this deploy could not be written to {history.path(self.app.root)}: {error}")

    def _told(self, swap: Swap, seconds: float, left: bool) -> dict[str, Any]:
        """:param left: whether what Oxmgr had is taken away, or would be."""
        release, before, said = swap.wanted.release, swap.before or "nothing", swap.sentences()
        msg = f"Release {release} is live in slot {swap.slot}."
        if said and swap.commands:
            count = f"{len(swap.commands)} command(s)"
            msg = f"{count} {'would run' if self.check else 'ran'} for release {release}."
            release = before
        elif swap.part == "standby":
            able = f"stands by in slot {swap.slot}, ready" if "start" in swap.steps else "loads beside what serves"
            msg = f"Release {release} {'would be made ready' if self.check else able}." if said else msg
            release = before if said else release
        elif said and self.check:
            msg = f"Release {release} would be live in slot {swap.slot}, by {swap.strategy}."
        elif said:
            times = ", ".join(f"{name} {spent:.1f} s" for name, spent in swap.phases.items() if spent >= 0.05)
            ways = [swap.says or self.params["reason"], self.no_canary, swap.canary.says if swap.canary else ""]
            way = " ".join(filter(None, [f"by {swap.strategy} in {seconds:.1f} s ({times}).", *ways, self.move.says]))
            msg = f"Release {release} is live in slot {swap.slot}, {way}"
        if said and self.params["rollback"] and swap.part == "all" and swap.before not in (None, release):
            msg = f"{msg} {comes_back(before)}"
        if left:
            msg = f"{msg} {SAYS}"
        diff = {"before": f"live: {before}\n", "after": f"live: {release}\n" + "".join(f"# {s}\n" for s in said)}
        return {
            "changed": bool(said) or left,
            "moved": self._moved(swap)["moved"] and not self.check,
            "slot": swap.slot,
            "release": release,
            "previous": swap.before,
            "strategy": swap.strategy,
            "steps": said,
            "phases": swap.phases,
            "seconds": seconds,
            "waited": self.waited,
            "told": self.told,
            "commands": [self.hide(note) for note in swap.notes],
            "msg": msg,
            "diff": ([diff] if said else [])
            + (swap.units.diffs() + self.move.diffs() if said and not swap.commands else []),
        }
