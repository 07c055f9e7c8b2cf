# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``patch``: out of the balancers, upgraded, and what the upgrade asks for; then back again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .._app import names
from .._app.slots import App
from .._host.systemd import CommandFailed, Run
from . import needs
from .apt import Apt, Package
from .marked import Marked, apps_here, front_of, is_good, terms_of
from .quiet import Traffic, wait_for_one, wait_until_left

SHOWN = 20
"""So many packages are named in the history."""
ADDRESS = "keepalived.service"
"""What gives the balancers' common address to the other one when it stops."""
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
        self.apps = apps_here(App(self.params["name"], self.params["root"]))
        self.marked = Marked(self.apps, self.params["by"])
        if self.check:
            return self._would()
        if self.params["step"] == "back":
            return self._back(self.marked.note.get("upgraded", ""))
        self.marked.lock(self.params["lock_wait"])
        try:
            return self._begin()
        finally:
            self.marked.unlock()

    def _would(self) -> dict[str, Any]:
        packages, kept = self.apt.plan()
        return self._told(packages, kept, needs.reboot_reasons(self.run), bool(packages))

    def _begin(self) -> dict[str, Any]:
        self.apt.update()
        packages, kept = self.apt.plan()
        reasons, old = needs.reboot_reasons(self.run), needs.stale()
        begun = self.marked.note
        if not packages and not (reasons and self.params["reboot"]) and not self._anew(old) and not begun:
            self._say_of(old, [])
            return self._told([], kept, reasons, False)
        self._leave()
        if packages:
            self.state = "Some packages may be upgraded."
            self._upgrade(packages)
        upgraded = ", ".join(filter(None, [str(begun.get("upgraded", "")), *map(str, packages[:SHOWN])]))
        if len(packages) > SHOWN:
            upgraded += f" and {len(packages) - SHOWN} more"
        self.state = "The packages are upgraded."
        reasons, old = needs.reboot_reasons(self.run), needs.stale()
        if reasons and self.params["reboot"]:
            self._hand_over_address()
            # Where it has been down is known when it is back.
            at = {"down_at": round(time.time(), 1), "boot": needs.boot()}
            self.marked.say("reboot", upgraded=upgraded, why="; ".join(reasons), **at)
            return self._told(packages, kept, reasons, True, reboot=True)
        self._restart(old)
        if again := self._anew(old):
            self.marked.say("again", upgraded=upgraded)
            return self._told(packages, kept, reasons, True, again=again)
        done = self._back(upgraded)
        return self._told(packages, kept, reasons, True, down=done["down"])

    def _leave(self) -> None:
        """Mark the host, and wait until the balancers send it nothing more."""
        port, tls, limit = self.params["front_port"], self.params["front_tls"], self.params["leave_within"]
        first = not self.marked.note
        served = bool(port and self.apps and is_good(self.apps[0], front_of(self.apps[0], port, tls)))
        self.marked.say("leaving", front=self.marked.note.get("front", served))
        if not (limit and self.apps):
            return
        left = wait_until_left([Traffic(app) for app in self.apps], self.params["notice"], limit)
        if left.coming:
            if first:
                self.marked.end()
            raise CommandFailed(
                f"Requests still come {left.seconds:.0f} s after this host was marked as leaving; the last one was "
                f"{left.coming}. Nothing was upgraded. Either a balancer doesn't ask "
                f"{terms_of(self.apps[0]).get('ready_path', '/ready')} of this host, or is slower than that: "
                "-e leave_within=120; or clients come past the balancers, and lose requests if it goes on: "
                "-e leave_within=0."
            )
        if left.under_way:
            self.warn(f"{left.under_way} request(s) hadn't ended after {left.seconds:.0f} s; a reboot ends them.")
        self.notes.append(f"left the balancers in {left.seconds:.0f} s")

    def _upgrade(self, packages: list[Package]) -> None:
        self.marked.say("upgrade")
        try:
            self.apt.upgrade()
        except CommandFailed as failure:
            trouble = self.marked.wait_until_ready(10, self.params["front_port"], self.params["front_tls"])
            if trouble:
                raise CommandFailed(
                    f"{failure}\n{trouble}\nThe host stays marked as leaving, so that balancers send it nothing."
                ) from failure
            self.marked.end()
            raise CommandFailed(
                f"{failure}\nThe app serves as before, and balancers may send it requests."
            ) from failure
        self.notes.append(f"upgraded {len(packages)} package(s)")

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
        services = [unit for unit in self._others(old) if not needs.NEVER_RESTARTED.fullmatch(unit)]
        done = []
        for unit in services if self.params["leave_within"] else []:
            status, out, err = self.run(["systemctl", "try-restart", "--", unit])
            if status:
                self.warn(f"systemctl restart {unit} failed: {(err or out).strip()}")
            else:
                done.append(unit)
        if done:
            self.notes.append(f"restarted {', '.join(done)}")
        self._say_of(old, done)

    def _say_of(self, old: dict[str, list[int]], done: list[str]) -> None:
        left = [unit for unit in self._others(old) if unit not in done]
        safe = [unit for unit in left if not needs.NEVER_RESTARTED.fullmatch(unit)]
        if safe:
            self.warn(
                f"An upgrade has replaced what {', '.join(safe)} still run{'s' if len(safe) == 1 else ''}. When that "
                f"does no harm: systemctl restart {' '.join(safe)}"
            )
        if rest := [unit for unit in left if unit not in safe]:
            self.warn(f"{', '.join(rest)}: what an upgrade has replaced runs until the next reboot.")

    def _hand_over_address(self) -> None:
        """A balancer gives its address away before it goes down."""
        if not self.apps and self.run(["systemctl", "is-active", "--quiet", ADDRESS])[0] == 0:
            self.run(["systemctl", "stop", ADDRESS])

    def _back(self, upgraded: str) -> dict[str, Any]:
        """See that the host serves, have balancers send it requests again, and write down what was done."""
        note, params = dict(self.marked.note), self.params
        # Perhaps of a run that is gone, and has ended while the host was down.
        rebooted = note.get("boot", needs.boot()) != needs.boot()
        trouble = self.marked.wait_until_ready(
            params["back_within"] if rebooted else READY_AFTER, params["front_port"], params["front_tls"]
        )
        if trouble:
            raise CommandFailed(f"{trouble}\nThe host stays marked as leaving, so that balancers send it nothing.")
        at = time.time()
        down = at - float(note["down_at"]) if rebooted and "down_at" in note else None
        traffic = [Traffic(app) for app in self.apps]
        self.marked.end()
        came = None
        if self.apps and params["leave_within"]:
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
            "again": [],
            "down": None,
            "diff": [{"before": "", "after": lines, "after_header": "upgraded packages"}] if packages else [],
            **more,
        }
