# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``patch``: out of the balancers, upgraded, and what the upgrade asks for; then back again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .._app import leaving, names
from .._app.slots import App
from .._host.systemd import CommandFailed, Run
from . import needs, ready, restarts
from .apt import Apt, Package
from .marked import HOST, Marked, apps_here, make_host_directory, terms_of
from .quiet import Traffic, wait_for_one
from .way import Way

SHOWN = 20
"""So many packages are named in the history."""
READY_AFTER = 60.0
"""Seconds in which the apps have to be ready where nothing was rebooted."""


class Patch:
    """One call of the module.

    :param params: its options.
    :param warn: takes a sentence that doesn't fail the run.
    """

    def __init__(self, params: dict[str, Any], check: bool, run: Run, warn: Callable[[str], None]) -> None:
        self.params = params
        self.check = check
        self.run = run
        self.warn = warn
        self.apt = Apt(run, params["upgrade"])
        self.state = "Nothing was upgraded."
        """What to say of the host after a failure that nobody thought of."""
        self.notes: list[str] = []

    def result(self) -> dict[str, Any]:
        """:raises CommandFailed: where it may not be, or failed."""
        if problem := names.name("name", self.params["name"]):
            raise CommandFailed(problem.sentence)
        if self.params["step"] == "others":
            # Which there are is known to the action plugin alone.
            return {"changed": False, "others": []}
        if self.params["step"] == "ready":
            return {"changed": False, "unready": ready.why_not(self.params, self.run)}
        self.apps = apps_here(App(self.params["name"], self.params["root"]))
        self.marked = Marked(self.apps, self.params["by"])
        self.way = Way(self.params, self.marked, self.run, self.warn, self.notes)
        if self.check:
            return self._would()
        goes_on = self.params["step"] == "back"
        self.marked.lock(self.params["lock_wait"], goes_on)
        try:
            if not goes_on:
                return self._begin()
            # From here on the lock tells whether it is alive.
            self.marked.say("back")
            return self._back(self.marked.note.get("upgraded", ""))
        finally:
            self.marked.unlock()

    def _would(self) -> dict[str, Any]:
        self._warn_of(self.apt.set_aside())
        if half := self.apt.is_half_done():
            self.warn("dpkg was cut off on this host. A run finishes that first; what it upgrades then isn't known.")
        packages, kept = ([], []) if half else self.apt.plan()
        return self._told(packages, kept, self._reboot_reasons(), half or bool(packages))

    def _warn_of(self, sentence: str) -> None:
        if sentence:
            self.warn(sentence)

    def _reboot_reasons(self) -> list[str]:
        self.reboot = needs.reboot_reasons(self.run, HOST)
        return self.reboot.reasons

    def _reboots(self, reasons: list[str]) -> bool:
        """Whether the host is rebooted for these reasons: asked to, or where nobody notices."""
        wish = self.params["reboot"]
        return bool(reasons) and (wish == "needed" or (wish == "auto" and not self.way.serves))

    def _begin(self) -> dict[str, Any]:
        self.apt.update()
        self._warn_of(self.apt.set_aside())
        # What dpkg was cut off in may start services anew, so that waits until nobody is served here.
        half = self.apt.is_half_done()
        packages, kept = ([], []) if half else self.apt.plan()
        self._look_at_kernel()
        reasons, old = self._reboot_reasons(), needs.stale()
        begun = self.marked.note
        if time.time() - self.marked.heard > leaving.QUIET:
            # Nobody knows for how long it has been there again.
            begun.pop("down_at", None)
        if not packages and not half and not self._reboots(reasons) and not self._anew(old) and not begun:
            self._warn_of(self.reboot.unbooted)
            self._say_of(restarts.sort(self.run, self._others(old)), [])
            return self._told([], kept, reasons, False)
        earlier = str(begun.get("upgraded", ""))
        self.way.leave()
        if packages or half:
            self.state = "Some packages may be upgraded."
            packages, kept = self._upgrade(packages, kept, half)
        upgraded = ", ".join(filter(None, [earlier, *map(str, packages[:SHOWN])]))
        if len(packages) > SHOWN:
            upgraded += f" and {len(packages) - SHOWN} more"
        self.state = "The packages are upgraded."
        reasons, old = self._reboot_reasons(), needs.stale()
        self._warn_of(self.reboot.unbooted)
        if self._reboots(reasons):
            # Where it has been down is known when it is back.
            at = {"down_at": round(time.time(), 1), "boot": needs.boot(), "kernel": self.reboot.kernel}
            self.marked.say("reboot", upgraded=upgraded, why="; ".join(reasons), **at)
            return self._told(packages, kept, reasons, True, reboot=True)
        self._restart(old)
        if again := self._anew(old):
            self.marked.say("again", upgraded=upgraded)
            return self._told(packages, kept, reasons, True, again=again)
        done = self._back(upgraded)
        return self._told(packages, kept, reasons, True, down=done["down"])

    def _look_at_kernel(self) -> None:
        """After a reboot for a kernel, perhaps of a run that is gone: whether it brought that."""
        note = self.marked.note
        if note.get("boot", needs.boot()) == needs.boot() or not note.get("kernel"):
            return
        try:
            make_host_directory()
            self._warn_of(needs.note_kernel(HOST, str(note.pop("kernel"))))
        except OSError as error:
            self.warn(f"Which kernel runs after this reboot could not be written down: {error}")

    def _upgrade(self, packages: list[Package], kept: list[str], half: bool) -> tuple[list[Package], list[str]]:
        """Upgrade what was planned, or is when dpkg has finished what it was cut off in."""
        self.marked.say("upgrade")
        try:
            if half:
                self.apt.finish()
                self.notes.append("finished what dpkg was cut off in")
                packages, kept = self.apt.plan()
            if packages:
                self.apt.upgrade()
        except CommandFailed as failure:
            if trouble := self.way.wait_until_ready(10):
                raise CommandFailed(f"{failure}\n{trouble}\n{self.way.stays}") from failure
            try:
                self.way.come_back()
            except CommandFailed as problem:
                raise CommandFailed(f"{failure}\n{problem}") from failure
            raise CommandFailed(f"{failure}\nIt serves as before, and requests may come to it.") from failure
        if packages:
            self.notes.append(f"upgraded {len(packages)} package(s)")
        return packages, kept

    def _own_units(self, app: App) -> set[str]:
        live = app.live() or ""
        return {app.service(live), app.daemon(live)}

    def _anew(self, old: dict[str, list[int]]) -> list[dict[str, str]]:
        """The apps whose Python, or a library of it, was replaced: how each is started anew."""
        found = []
        for app in self.apps:
            terms = terms_of(app)
            if self._own_units(app) & old.keys() and terms:
                way = "swap" if terms.get("strategy") == "swap" else "restart"
                found.append({"name": app.name, "root": app.root, "group": str(terms.get("group")), "again": way})
        return found

    def _others(self, old: dict[str, list[int]]) -> list[str]:
        own = {unit for app in self.apps for unit in self._own_units(app)}
        return sorted(unit for unit in old if unit not in own)

    def _restart(self, old: dict[str, list[int]]) -> None:
        """Start anew what else has old files in memory, where nobody is served by this host meanwhile."""
        serves = restarts.PROXIES if self.way.serves else ()
        found, done = restarts.sort(self.run, self._others(old), serves), []
        for unit in found.restart if self.params["leave_within"] else []:
            if problem := restarts.restart(self.run, unit):
                self.warn(problem)
            else:
                done.append(unit)
        if done:
            self.notes.append(f"restarted {', '.join(done)}")
        self._say_of(found, done)

    def _say_of(self, found: restarts.Sorted, done: list[str]) -> None:
        safe = sorted({*found.restart, *found.by_hand} - {*done})
        if safe:
            self.warn(
                f"An upgrade has replaced what {', '.join(safe)} still run{'s' if len(safe) == 1 else ''}. When that "
                f"does no harm: systemctl restart {' '.join(safe)}"
            )
        if found.until_reboot:
            self.warn(f"{', '.join(found.until_reboot)}: what an upgrade has replaced runs until the next reboot.")

    def _back(self, upgraded: str) -> dict[str, Any]:
        """See that the host serves, have balancers send it requests again, and write down what was done."""
        note, params = dict(self.marked.note), self.params
        # Perhaps of a run that is gone, and has ended while the host was down.
        rebooted = note.get("boot", needs.boot()) != needs.boot()
        self._look_at_kernel()
        if trouble := self.way.wait_until_ready(params["back_within"] if rebooted else READY_AFTER):
            raise CommandFailed(f"{trouble}\n{self.way.stays}")
        at = time.time()
        # As the history has it: the screen, too, rounds no other number.
        down = round(at - float(note["down_at"]), 1) if rebooted and "down_at" in note else None
        traffic = [Traffic(app) for app in self.apps]
        self.way.come_back()
        came = None
        if self.apps and params["leave_within"] and not self.marked.by_hand:
            came = wait_for_one(traffic, params["notice"])
            self.notes.append("gets requests again" if came else f"got no request within {params['notice']:g} s")
        if rebooted:
            self.notes.append(f"rebooted ({note.get('why', '')})")
        reason = "; ".join(filter(None, [str(upgraded), "rebooted" if rebooted else ""])) or "nothing to upgrade"
        try:
            self.marked.write_history(reason, at - float(note.get("began", at)), down)
        except OSError as error:
            self.warn(f"What was done could not be written to the app's history: {error}")
        return {**self._told([], [], [], True), "down": down, "came": came, "upgraded": upgraded}

    def _told(
        self, packages: list[Package], kept: list[str], reasons: list[str], changed: bool, **more: Any
    ) -> dict[str, Any]:
        lines = "".join(f"{package}\n" for package in packages)
        return {
            "changed": changed,
            "packages": [str(package) for package in packages],
            "kept_back": kept,
            "reboot_reasons": reasons,
            "apps": [app.name for app in self.apps],
            "listed_at": self.apt.listed_at(),
            "last_down": self.marked.last_down(),
            "notes": self.notes,
            "reboot": False,
            "stays_up": self.way.serves if reasons else "",
            "again": [],
            "down": None,
            "diff": [{"before": "", "after": lines, "after_header": "upgraded packages"}] if packages else [],
            **more,
        }
