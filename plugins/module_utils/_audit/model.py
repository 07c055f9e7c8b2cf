# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was seen of a host and of the apps on it, before anything is judged."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .._app.secrets import STARS
from .._hand.supervisord import Program
from .._host.memory import Group, Use
from .containers import Container
from .findings import Finding
from .leaks import without_secrets
from .processes import Process
from .servers import Settings
from .sites import Site
from .units import line_of, seconds

WORLD = ("0.0.0.0", "::")
LOCAL = ("127.", "::1")


@dataclass
class Served:
    """An app that a server runs, or should run.

    :param main: the server's first process; None where its unit doesn't run.
    :param tcp: addresses and ports that it listens on; `unix` the paths of its sockets.
    :param supervisor: 'systemd', 'supervisord', 'oxmgr', 'docker'; '' for none.
    :param ours: whether this collection made it.
    :param uses: bytes of each worker; `beside` those of the process above them.
    :param names: of the variables in its environment; `numbers` those that are whole numbers.
    :param config: what Gunicorn's file sets otherwise than by a literal, as (path, names).
    """

    name: str
    settings: Settings
    main: Process | None = None
    workers: list[Process] = field(default_factory=list)
    tcp: list[tuple[str, int]] = field(default_factory=list)
    unix: list[str] = field(default_factory=list)
    unit: dict[str, str] = field(default_factory=dict)
    supervisor: str = ""
    program: Program | None = None
    container: Container | None = None
    oxmgr: tuple[str, Any] | None = None
    ours: bool = False
    uses: list[Use] = field(default_factory=list)
    beside: int = 0
    group: Group = field(default_factory=Group)
    sites: list[Site] = field(default_factory=list)
    affinity: int = 0
    config: tuple[str, list[str]] = ("", [])
    doors: dict[str, str] = field(default_factory=dict)

    @property
    def process(self) -> str:
        """The process, for a finding's `where`: its id and its command, secrets hidden."""
        if not self.main:
            return self.unit.get("Id", self.name)
        command = shlex.join(without_secrets(self.main.argv))
        return f"pid {self.main.pid}: {command if len(command) <= 120 else command[:119] + '…'}"

    @property
    def count(self) -> int:
        """Workers: those that run, or those that it was told to run."""
        return len(self.workers) or int(self.settings.number("workers") or 1)

    def at(self, setting: str) -> str:
        """Where a setting was set, for a finding."""
        where = self.settings.where(setting)
        return where if "/" in where else self.process

    def directive(self, name: str) -> str:
        return line_of(self.unit, name)

    @property
    def unit_path(self) -> str:
        """Where to write a directive of its unit."""
        return self.unit.get("FragmentPath") or self.unit.get("Id", "its unit")

    def find(self, check: str, where: str, seen: str, write: str, severity: str = "") -> Finding:
        return Finding(check, self.name, where, seen, write, severity)


@dataclass
class Proxy:
    """Caddy or nginx, as it runs."""

    kind: str
    main: Process
    unit: dict[str, str]
    config: str

    @property
    def stop_wait(self) -> float | None:
        """Seconds until its unit kills it."""
        if self.kind == "nginx" and "--retry QUIT/" in self.unit.get("ExecStop", ""):
            return float(self.unit["ExecStop"].partition("--retry QUIT/")[2].split("/")[0].split()[0])
        return seconds(self.unit.get("TimeoutStopUSec", ""))


@dataclass
class Host:
    """What all apps share.

    :param rotated: what logrotate has, as shell patterns.
    :param renewers: timers and cron files that renew certificates.
    :param kills: lines of the journal about processes that were killed for memory.
    :param connections: PostgreSQL's max_connections on this host, and where that is set.
    :param now: seconds since the epoch; `uptime` of systemd's monotonic clock.
    """

    now: float
    root: bool
    cpus: float
    cpu_source: str
    memory: int
    sites: list[Site] = field(default_factory=list)
    proxies: list[Proxy] = field(default_factory=list)
    rotated: list[str] = field(default_factory=list)
    renewers: list[str] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)
    connections: tuple[int, str] | None = None
    uptime: float = 0
    findings: list[Finding] = field(default_factory=list)

    def unseen(self, what: str, why: str, write: str = "", app: str = "") -> None:
        """Note a check that couldn't be done."""
        self.findings.append(Finding("not-looked-at", app, what, why, write or "Nothing: it is told so that you know."))


def listed(words: Iterable[object], most: int = 5) -> str:
    """'a, b and 3 more'."""
    texts = [str(word) for word in words]
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


__all__ = ["LOCAL", "STARS", "WORLD", "Host", "Proxy", "Served", "listed"]
