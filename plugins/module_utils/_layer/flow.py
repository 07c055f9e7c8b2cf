# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One layer of a host in one trip: packages, user, directories, files, units; computed once, applied or predicted."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from typing import Any

from .._app.words import parse_wants
from .._host.files import read_text
from .._host.systemd import CommandFailed, Run, Systemd
from . import files, packages, write
from .files import Difference, Wanted


def unit_actions(unit: dict[str, Any], state: dict[str, str], changed_at: float, newest: dict[str, float]) -> list[str]:
    """Which systemctl verbs a unit needs: ``enable``, ``start``, ``stop``, ``restart``, ``reload``; pure.

    A file that changed after the unit last started or reloaded asks for the reload that an interrupted run still owes.

    :param unit: the unit's options.
    :param state: its properties now.
    :param changed_at: when it last changed its state, seconds since the epoch.
    :param newest: when each watched file changes or changed, by path, seconds since the epoch.
    """
    actions = []
    if unit["enabled"] and state.get("UnitFileState") != "enabled":
        actions.append("enable")
    active = state.get("ActiveState") in ("active", "activating", "reloading")
    restart = any(newest.get(path, 0.0) > changed_at for path in unit["restart_for"])
    reload = any(newest.get(path, 0.0) > changed_at for path in unit["reload_for"])
    if unit["state"] == "started" and not active:
        actions.append("start")
    elif unit["state"] == "stopped":
        actions += ["stop"] * active
    elif active and restart:
        actions.append("restart")
    elif active and reload:
        actions.append("reload")
    return actions


class Layer:
    """Computes what separates the host from the layer as declared, then applies it or only says so."""

    def __init__(self, run: Run, params: dict[str, Any]) -> None:
        self.run = run
        self.systemd = Systemd(run)
        self.params = params
        self.packages = packages.missing_packages(run, params["packages"])
        self.user_commands = packages.user_commands(params["user"]) if params["user"] else []
        wanted = [Wanted.directory(item) for item in params["directories"]]
        wanted += [Wanted.file(item, params["secrets"]) for item in params["files"]]
        self.differences = files.compare(run, wanted)
        self.actions = self._unit_actions(future=True)

    def _unit_actions(self, future: bool) -> list[tuple[str, str]]:
        units = self.params["units"]
        if not units:
            return []
        # A file that is about to change counts as changed in the future.
        newest = {
            d.wanted.path: float("inf") if future and d.any else files.changed_at(d.wanted.path)
            for d in self.differences
        }
        # Files of the user's own, such as certificates, which are often links to what is renewed.
        watched = {path for unit in units for path in [*unit["restart_for"], *unit["reload_for"]]} - newest.keys()
        newest |= {path: files.changed_at(os.path.realpath(path)) for path in watched}
        states = self.systemd.show(unit["name"] for unit in units)
        return [
            (verb, unit["name"])
            for unit in units
            for verb in unit_actions(unit, states[unit["name"]], self.systemd.changed_at(states[unit["name"]]), newest)
        ]

    @property
    def changed_files(self) -> list[Difference]:
        return [difference for difference in self.differences if difference.any]

    @property
    def changes(self) -> list[str]:
        """What changes, a sentence each."""
        said = [f"install {name}" for name in self.packages]
        said += [f"run {' '.join(command)}" for command in self.user_commands]
        said += [f"{'remove' if d.wanted.absent else 'write'} {d.wanted.path}" for d in self.changed_files]
        return said + [f"{verb} {unit}" for verb, unit in self.actions]

    def diff(self) -> list[dict[str, str]]:
        rows = [difference.diff() for difference in self.changed_files]
        rest = [line for line in self.changes if not line.startswith(("write ", "remove "))]
        if rest:
            rows.append({"prepared": "".join(f"+ {line}\n" for line in rest)})
        return rows

    def vet(self) -> None:
        """Let the real program read the new configuration; skipped where nothing it reads changes or it isn't there."""
        options = self.params["vet"]
        if not options:
            return
        inside = [d for d in self.changed_files if not os.path.relpath(d.wanted.path, options["tree"]).startswith("..")]
        if inside:
            how = (options["command"], options["user"], self.differences, options["program"])
            vet(self.run, options["tree"], *how)

    def overtaken(self) -> list[dict[str, Any]] | None:
        """What the others' files say now, where the layer was worked out from something else; None where it wasn't.

        :raises CommandFailed: where that is so for the second time.
        """
        options = self.params["others"]
        if not options or not self.changes:
            return None
        own = {difference.wanted.path for difference in self.differences}
        texts = [read_text(path) for path in sorted(glob.glob(options["paths"])) if path not in own]
        said = [want for text in texts if (want := parse_wants(text))]
        if said == options["said"]:
            return None
        if options["again"]:
            raise CommandFailed(
                f"Other runs keep changing {options['paths']} while this one works out what all of these share. "
                "No file was changed: run it again when they have ended."
            )
        return said

    def apply(self) -> None:
        if self.packages:
            packages.install_packages(self.run, self.packages)
            # A package brings files, users and running units of its own.
            self.differences = files.compare(self.run, [d.wanted for d in self.differences])
        for command in self.user_commands:
            status, out, err = self.run(command)
            if status:
                raise CommandFailed(f"{command[0]} failed: {(err or out).strip()}")
        self.vet()
        undo = write.apply(self.differences)
        try:
            self._units()
        except Exception as failure:
            undo.restore()
            raise self._back(failure) from failure

    def _units(self) -> None:
        units = self.params["units"]
        if any(d.wanted.path.startswith("/etc/systemd/system/") for d in self.changed_files) or (
            units
            and any(s.get("NeedDaemonReload") == "yes" for s in self.systemd.show(u["name"] for u in units).values())
        ):
            self.systemd.do("daemon-reload")
        for verb, unit in self._unit_actions(future=False):
            self.systemd.do(verb, "--", unit)

    def _back(self, failure: Exception) -> CommandFailed:
        """After the files are back: have the units read the old ones again, and say how that went."""
        try:
            self.systemd.do("daemon-reload")
            for unit in self.params["units"]:
                if unit["reload_for"] or unit["restart_for"]:
                    self.systemd.do("reload-or-restart", "--", unit["name"])
        except (CommandFailed, OSError) as second:
            return CommandFailed(f"{failure}\nThe files are as they were, but: {second}")
        return CommandFailed(f"{failure}\nThe files are as they were, and the service runs with them.")


def vet(
    run: Run, tree: str, command: list[str], user: str | None, differences: list[Difference], program: str | None = None
) -> None:
    """Have the real program read a copy of ``tree`` with the new files in it, before any of them lands.

    :param command: its ``{tree}`` is replaced by the copy's path.
    :param user: who runs it, so that what the program writes while it looks belongs to the service's user.
    :param program: its name for messages, where the command begins with another.
    :raises CommandFailed: with what the program said.
    """
    with tempfile.TemporaryDirectory(prefix="graceful-vet-") as parent:
        copy = os.path.join(parent, "tree")
        if os.path.isdir(tree):
            shutil.copytree(tree, copy, symlinks=True)
        for difference in differences:
            wanted = difference.wanted
            relative = os.path.relpath(wanted.path, tree)
            if relative.startswith(".."):
                continue
            target = os.path.join(copy, relative)
            if wanted.absent:
                if os.path.lexists(target):
                    os.unlink(target)
            elif wanted.content is None:
                os.makedirs(target, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(wanted.content)
        prefix = []
        if user:
            run(["chown", "-R", user, parent])
            prefix = ["runuser", "-u", user, "--", "env", f"HOME={parent}"]
        status, out, err = run([*prefix, *(word.replace("{tree}", copy) for word in command)])
        if status:
            said = (err or out).strip().replace(copy, tree)
            raise CommandFailed(
                f"{program or command[0]} refuses the new configuration, so no file was changed: {said}"
            )
