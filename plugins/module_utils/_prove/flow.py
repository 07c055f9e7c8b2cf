# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``prove``: begin to ask, and later end it, count, and note what came of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from .._app import history, lock, names, tell
from .._app.by_oxmgr import supervisor_of
from .._app.slots import SLOTS, App
from .._host import files
from .._host.door import GATED, Door
from .._host.systemd import CommandFailed, Systemd
from . import unit
from .count import Counting, Seen, doubled, parse, steady_statuses
from .phases import phases
from .refuse import nothing_of_ours, refusal
from .worked import worked_on

Warn = Callable[[str], None]
EARLIER = 5
"""Seconds by which the journal is read from before the first request on."""
PAUSE = 0.5
AFTERWARDS = 3.0
"""Seconds for which it goes on when all has moved."""
MOST_DRAIN = 150.0
"""Seconds for which the end of the old slot is waited for."""
LOCK_WAIT = 10.0


class Prove:
    """:param params: the module's options.
    :param warn: takes a sentence that fails nothing.
    """

    def __init__(self, params: dict[str, Any], systemd: Systemd, warn: Warn) -> None:
        self.params, self.systemd, self.warn = params, systemd, warn
        self.app = App(params["name"], params["root"])
        self.place = unit.Place(params["name"])
        self.kinds = [called(kind) for kind in params["asked"]]
        self.state = "Nothing was changed."

    def may(self) -> None:
        """:raises CommandFailed: where nothing of the kind may be asked on this host."""
        if problem := names.name("name", self.app.name):
            raise CommandFailed(problem.sentence)
        if said := nothing_of_ours(self.app, self.params["proxy"]):
            raise CommandFailed(said)

    def begin(self) -> dict[str, Any]:
        """Start the client, and see how the app answers before anything is done.

        :raises CommandFailed: where there is nothing to compare with.
        """
        params, place = self.params, self.place
        self.may()
        stopped = self._make_room()
        token = f"prove-{uuid.uuid4().hex[:8]}"
        door = Door(params["host"], port=params["port"], tls=params["tls"])
        headers = {name: value for name, value in door.headers.items() if name != GATED}
        wanted = {name: params[name] for name in ("asked", "port", "tls", "rate", "seconds", "timeout")}
        wanted |= {"headers": headers, "host": params["host"].strip("[]"), "token": token}
        note = {"by": params["by"], "run": params["run"], "token": token, "since": time.time()}
        note["until"] = note["since"] + params["seconds"]
        unit.start(self.systemd, place, params["client"], wanted, note)
        self.state = f"The load client of {params['name']} runs, and ends by itself within {params['seconds']:g} s."
        try:
            seen = self._steady()
        except BaseException:
            unit.stop(self.systemd, place)
            unit.remove(place)
            raise
        statuses = steady_statuses(seen.rows, len(self.kinds))
        return {
            "changed": True,
            "stopped": stopped,
            "statuses": [{str(k): n for k, n in each.items()} for each in statuses],
        }

    def _make_room(self) -> str:
        """See that no other client runs; says whose was ended."""
        note = unit.note(self.place)
        if not unit.runs(self.systemd, self.place):
            return ""
        left = max(0.0, note.get("until", time.time()) - time.time())
        if note.get("by") != self.params["by"] or note.get("run") == self.params["run"]:
            raise CommandFailed(
                f"Numbered requests to {self.app.name} are being sent on this host already: {note.get('by')} has begun "
                f"that, and it ends by itself within {left:.0f} s. Run again then, or end it there: systemctl stop "
                f"{self.place.unit}"
            )
        # A run of the same person's that was cut off has left it.
        unit.stop(self.systemd, self.place)
        return f"ended the client that a run of {note.get('by')}'s had left"

    def _steady(self) -> Seen:
        """Wait until the stretch before is over and each kind of request was answered once."""
        params = self.params
        end = time.monotonic() + params["before"] + params["timeout"] + EARLIER
        while True:
            time.sleep(PAUSE)
            seen = self._seen()
            asked = {row.which for row in seen.rows}
            over = seen.began and time.time() >= seen.began + params["before"]
            if over and len(asked) == len(self.kinds):
                break
            if not unit.runs(self.systemd, self.place) or time.monotonic() > end:
                said = files.read_text(self.place.file("errors"), 2000).strip().rpartition("\n")[2]
                silent = [kind for number, kind in enumerate(self.kinds) if number not in asked]
                raise CommandFailed(
                    f"The load client has seen no answer to {', '.join(silent)} in the steady stretch before. {said} "
                    "Nothing was done."
                )
        if said := refusal(self.app, seen, self.kinds, params["host"]):
            raise CommandFailed(f"{said} Nothing was done.")
        return seen

    def _seen(self) -> Seen:
        return parse(files.read_text(self.place.rows))

    def end(self) -> dict[str, Any]:
        """Wait until the old slot has ended, stop the client and count."""
        began, note = time.time(), unit.note(self.place)
        if not note or note.get("run") != self.params["run"]:
            raise CommandFailed(f"No client of this run's is known on this host: {self.place.directory} is gone.")
        runs = unit.runs(self.systemd, self.place)
        drained = self._wait(began, note)
        unit.stop(self.systemd, self.place)
        seen = self._seen()
        steady_until = seen.began + self.params["before"]
        counting = Counting(seen, self.kinds, steady_until, self.params["late"])
        figures = counting.figures()
        worked = worked_on(self.systemd.run, self.app.name, note["token"], note["since"] - EARLIER)
        twice = doubled(worked)
        figures |= {
            "doubled": len(twice) if worked else None,
            "doubled_requests": twice[:200],
            "worked_on": len(worked),
            "steady_seconds": self.params["before"],
            "ended_early": not runs and self.params["during"] != "nothing",
            "drained": round(drained - seen.began, 2) if drained else None,
            "began": seen.began,
        }
        deploy = self._deploy(note)
        figures |= {"deploy": None, "phases": []}
        if deploy:
            keys = ("release", "previous", "kind", "strategy", "outcome", "reason", "seconds", "slot")
            figures["deploy"] = {key: deploy.get(key) for key in keys}
            figures["phases"] = phases(deploy, seen.began)
            figures["noted"] = self._note_in_history(deploy, figures)
        unit.remove(self.place)
        told = self._tell(figures, note) if deploy else []
        return {"changed": True, "figures": figures, "told": told}

    def _wait(self, began: float, note: dict[str, Any]) -> float:
        """Until the old slot has ended and a moment has passed or, where nothing is done, until the client's own end.

        Returns when the old slot was seen to be gone; 0 where it wasn't.
        """
        nothing, drained = self.params["during"] == "nothing", 0.0
        supervisor = supervisor_of(self.systemd, self.app)
        while unit.runs(self.systemd, self.place):
            if not drained:
                live = self.app.live()
                if not any(supervisor.state(slot).draining for slot in SLOTS if slot != live):
                    drained = time.time()
            if not nothing and time.time() > began + (AFTERWARDS if drained else MOST_DRAIN):
                break
            time.sleep(PAUSE)
        return drained

    def _deploy(self, note: dict[str, Any]) -> history.HistoryEntry | None:
        """The last deploy that has begun since the client was started."""
        new = [entry for entry in history.read(self.app.root) if entry.get("began", 0.0) >= note["since"]]
        new = [entry for entry in new if entry.get("outcome") != history.RAN]
        return new[-1] if new else None

    def _note_in_history(self, deploy: history.HistoryEntry, figures: dict[str, Any]) -> bool:
        proved = {name: figures[name] for name in ("sent", "lost", "late", "doubled")}
        proved |= {name: figures[name].get("p99") for name in ("before", "after")}
        try:
            with lock.beside(self.app.root, LOCK_WAIT):
                return history.amend(self.app.root, deploy["began"], {"proved": proved})
        except (lock.Held, OSError) as error:
            why = "another deploy has the lock" if isinstance(error, lock.Held) else str(error)
            self.warn(f"The figures are not in the history: {why}.")
            return False

    def _tell(self, figures: dict[str, Any], note: dict[str, Any]) -> list[str]:
        deploy = figures["deploy"]
        before, after = (figures[name].get("p99") for name in ("before", "after"))
        known = {"by": note["by"], "release": deploy["release"], "previous": deploy["previous"]}
        known |= {"sent": figures["sent"], "lost": figures["lost"]}
        times = f"p99 {before:.0f} → {after:.0f} ms" if before is not None and after is not None else ""
        # Of what went wrong everybody was told by then; this is not to read as if it had gone well.
        reason = ", ".join(filter(None, ["" if deploy["outcome"] == history.LIVE else deploy["outcome"], times]))
        said, warnings = tell.end(tell.begin(self.app.root, {**known, "event": "proved", "reason": reason}))
        for sentence in warnings:
            older = "event is 'proved'" in sentence
            self.warn(f"{sentence} The host's program is an older one: run site.yml once." if older else sentence)
        return list(said["told"])


def called(kind: dict[str, Any]) -> str:
    """As a person knows it."""
    return str(kind["path"]) if kind["method"] == "GET" else f"{kind['method']} {kind['path']}"
