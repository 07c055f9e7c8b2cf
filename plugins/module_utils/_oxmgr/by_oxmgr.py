# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Oxmgr as the supervisor of an app's slots: a daemon of the app's own, which is a service of systemd's and holds the
sockets of both slots."""

from __future__ import annotations

import contextlib
import os
import signal

from .._app.slots import DAEMON_UNIT, SLOTS, App, Snapshot, lasting
from .._app.supervisor import Standing, State
from .._app.words import slice_of
from .._host.files import read_text
from .._host.journal import last_lines
from .._host.systemd import CommandFailed, Systemd
from .client import Client, OxmgrError, recorded, start, told_to_end

PROGRAMS = ("oxfile.toml", "oxmgr.py", "graceful_stop.py")
"""Of a slot's files those that the daemon's unit and Oxmgr read where both slots can share them."""
TOLD = 255
"""So many bytes at most of what an arbiter says of itself."""


class ByOxmgr:
    """See Supervisor.

    :param wanted: what is to be started; None where nothing is.
    """

    def __init__(self, systemd: Systemd, app: App, wanted: Snapshot | None = None) -> None:
        self.systemd = systemd
        self.app = app
        held = read_text(os.path.join(app.directory(app.live() or SLOTS[0]), DAEMON_UNIT))
        text = wanted.files.get(DAEMON_UNIT, "") if wanted else ""
        self.in_place = bool(held and text) and lasting(held) != lasting(text)

    @property
    def daemon(self) -> str:
        return f"{self.app.name}-oxmgr.service"

    @property
    def home(self) -> str:
        return f"/var/lib/{self.app.name}-oxmgr"

    @property
    def place(self) -> str:
        """The directory of what the slots share."""
        return os.path.join(self.app.root, "oxmgr")

    def _process(self, slot: str) -> str:
        return f"{self.app.name}-{slot}"

    def _drain(self, slot: str) -> str:
        return f"graceful-{self.app.name}-drain-{slot}.service"

    def by(self, slot: str) -> str:
        del slot
        return "Oxmgr"

    def called(self, slot: str) -> str:
        return self._process(slot)

    def files(self, wanted: Snapshot) -> dict[str, str]:
        unit = os.path.join(self.app.units, self.daemon)
        programs = {os.path.join(self.place, name): wanted.files[name] for name in PROGRAMS if name in wanted.files}
        # The service's own unit is never started here: commands and processes of the app get their sandbox from it.
        texts = {self.app.unit_file: wanted.unit, self.app.socket_file: wanted.socket, **programs}
        return {**texts, unit: wanted.files.get(DAEMON_UNIT, "")}

    def reread(self) -> None:
        self.systemd.do("daemon-reload")

    def standing(self) -> dict[str, Standing]:
        sockets = {slot: self.app.socket_unit(slot) for slot in SLOTS}
        drains = {slot: self._drain(slot) for slot in SLOTS}
        units = self.systemd.show([self.daemon, *sockets.values(), *drains.values()])
        daemon = units[self.daemon]
        active = daemon.get("ActiveState") in ("active", "reloading")
        found = {}
        for slot in SLOTS:
            state = self.state(slot)
            leaving = units[drains[slot]].get("ActiveState") in ("active", "activating")
            listens = units[sockets[slot]].get("ActiveState") == "active"
            found[slot] = Standing(
                state,
                up=active and listens and not state.ended and not leaving,
                quiet=leaving or state.stopped or not active,
                boots=daemon.get("UnitFileState") == "enabled",
                # Which slot a boot starts says the link alone.
                loose=False,
                stale=any(units[unit].get("NeedDaemonReload") == "yes" for unit in (self.daemon, sockets[slot])),
            )
        return found

    def state(self, slot: str) -> State:
        # The daemon itself answers nobody while it starts or stops something.
        record = recorded(self.home, self._process(slot))
        pid = record.get("pid")
        born = started_at(pid) if isinstance(pid, int) else ""
        status, wanted = str(record.get("status", "stopped")), record.get("desired_state") == "running"
        code = record.get("last_exit_code")
        return State(
            word=status if born or status != "running" else "crashed",
            ended=not born,
            down=not born and (wanted or status == "errored"),
            stopped=not born and not wanted,
            draining=os.path.exists(f"/run/systemd/transient/{self._drain(slot)}"),
            given_up=not born and status == "errored",
            how=f"status {code}" if code is not None else "a signal",
            start=born,
            main=str(pid) if born else "",
            restarts=int(record.get("restart_count") or 0),
            told=self._told(slot),
            group=f"/system.slice/{slice_of(self.app.name)}/{self.daemon}" if born else "",
            boots=wanted,
            since=float(record.get("last_started_at") or 0),
            changed=float(max(record.get("last_started_at") or 0, record.get("last_stopped_at") or 0)),
        )

    def _told(self, slot: str) -> str:
        """What the arbiter says of itself, in a file of root's that its launcher has opened for it."""
        return read_text(f"/run/{self.app.name}-oxmgr/{slot}.told")[:TOLD].strip().removeprefix("STATUS=")

    def _limit(self) -> float:
        """Seconds that a slot may take to end."""
        try:
            import tomllib

            with open(os.path.join(self.place, "oxfile.toml"), "rb") as file:
                return float(tomllib.load(file)["apps"][0]["stop_timeout_secs"])
        except (OSError, ValueError, LookupError, TypeError):
            return 45.0

    def _client(self) -> Client:
        return Client(pid=int(self._main()), limit=60)

    def _main(self) -> str:
        """Process id of the daemon.

        :raises CommandFailed: where it doesn't run.
        """
        main = self.systemd.show([self.daemon])[self.daemon].get("MainPID", "")
        if main in ("", "0"):
            raise CommandFailed(f"{self.daemon} isn't running: systemctl start {self.daemon}.")
        return main

    def listen(self, slot: str) -> None:
        self.systemd.do("start", "--", self.app.socket_unit(slot))

    def begin(self, slot: str, verb: str) -> str:
        try:
            if verb == "reload":
                os.kill(int(self.state(slot).main), signal.SIGHUP)
                return ""
            if self.in_place:
                # It starts the slot that has the traffic by itself. What comes meanwhile waits in the sockets.
                self.systemd.do("restart", "--", self.daemon)
                if slot == self.app.live():
                    return ""
            self.systemd.do("start", "--", self.daemon)
            self._vet()
            start(self._client(), self._process(slot), os.path.join(self.place, "oxfile.toml"), self._limit())
        except (OxmgrError, OSError, ValueError) as error:
            raise CommandFailed(f"Oxmgr can't {verb} {self._process(slot)}: {error}") from error
        return ""

    def _vet(self) -> None:
        """Have Oxmgr read the file. What it ignores, a test of ours has read."""
        oxfile, program = os.path.join(self.place, "oxfile.toml"), f"/usr/local/lib/{self.app.name}-oxmgr"
        command = ["env", f"OXMGR_HOME={self.home}", "NO_COLOR=1", program, "validate", oxfile]
        status, out, err = self.systemd.run(command)
        if status:
            raise CommandFailed(f"Oxmgr doesn't take {oxfile}: {(err or out).strip()}")

    def forgive(self, slot: str) -> None:
        """Each start registers it anew, with nothing on its account."""
        self.systemd.run(["systemctl", "reset-failed", "--", self.daemon])

    def stop(self, slot: str) -> None:
        if main := self.state(slot).main:
            told_to_end(int(main), self._limit())
        with contextlib.suppress(CommandFailed, OxmgrError):
            self._client().delete(self._process(slot))
        if self._last(slot):
            self.systemd.run(["systemctl", "--quiet", "disable", "--now", "--", self.daemon])

    def leave(self, slot: str) -> None:
        if self._last(slot):
            self.systemd.do("--quiet", "disable", "--", self.daemon)
            # Its end takes the slot's requests along (ExecStop=).
            self.systemd.do("stop", "--no-block", "--", self.daemon, self.app.socket_unit(slot))
            return
        limit = self._limit()
        unit = ["systemd-run", "--quiet", "--collect", f"--unit={self._drain(slot)}", "--property=Type=exec"]
        unit += [f"--property=RuntimeMaxSec={int(limit) + 60}"]
        program = ["/usr/bin/python3", "-IS", os.path.join(self.place, "oxmgr.py"), "end", self.app.name, self.app.root]
        status, out, err = self.systemd.run([*unit, *program, slot, str(limit), self._main()])
        if status:
            raise CommandFailed(f"Slot {slot} can't be told to end: {(err or out).strip()}")

    def _last(self, slot: str) -> bool:
        """Whether the app's other slot is another supervisor's, and has the traffic."""
        live = self.app.live()
        return bool(live) and live != slot and not self.app.under_oxmgr(live or "")

    def boot(self, slot: str, last: bool = True) -> None:
        del slot
        once = [] if last else ["--no-reload"]
        self.systemd.do("--quiet", *once, "enable", "--", self.daemon)

    def no_boot(self, slot: str) -> None:
        """A boot starts what the link names, and nothing else."""

    def lines(self, slot: str, since: float, count: int) -> str:
        return last_lines(self.systemd.run, self.app.name, self._process(slot), since, count)

    def where_lines(self, slot: str) -> str:
        return f"{self.app.name}-logs --slot {slot}"

    def start_again(self, slot: str) -> str:
        return f"{self.app.name}-oxmgr restart {self._process(slot)}"


def started_at(pid: int) -> str:
    """What tells a process that lives from all others; '' where it has ended."""
    stat = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return f"{pid} {stat[19]}" if len(stat) > 19 and stat[0] not in "ZX" else ""
