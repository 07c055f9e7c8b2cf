# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What apt would upgrade, and the upgrade: security alone by pins of this call's own, so that nothing on the host
changes but the packages. Debian's own engine decides; nothing is removed, and configuration files stay as they are."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from .._host.files import names_in, read_text
from .._host.systemd import CommandFailed, Run
from .._layer.packages import APT_GET, apt_errors

SECURITY, ALL = "security", "all"
PREFERENCES = "/etc/apt/preferences"
PREFERENCES_PARTS = "/etc/apt/preferences.d"
LISTS = "/var/lib/apt/lists"
HALF_DONE = "/var/lib/dpkg/updates"
QUIET = ("LC_ALL=C", "APT_LISTCHANGES_FRONTEND=none", "UCF_FORCE_CONFFOLD=1", "NEEDRESTART_SUSPEND=1")
"""No questions, no mails, and no restarts by a hook: what has to be restarted is looked at when all is upgraded."""
PINS = """\
Package: *
Pin: release l=Debian-Security
Pin-Priority: 500

Package: *
Pin: release a=now
Pin-Priority: 100

Package: *
Pin: release a=*backports*
Pin-Priority: 1

Package: *
Pin: release a=experimental
Pin-Priority: 1

Package: *
Pin: release *
Pin-Priority: 50
"""
"""With less than what is installed has (its archive is called now) nothing is replaced, and what a security update
needs anew can still be installed. The first pin that fits a source counts (apt_preferences(5))."""
_PART = re.compile(r"[\w-]+|[\w-][\w.-]*\.pref", re.ASCII)
"""Names of the files in PREFERENCES_PARTS that apt reads (apt_preferences(5))."""
_ALL = re.compile(r"(src:)?(\*+|/\^?\.?\*?\$?/)(:\S+)?")
"""A word after ``Package:`` that any package fits."""
_INSTALLED = re.compile(r"^Inst (\S+)(?: \[([^\]]+)\])? \((\S+) ", re.MULTILINE)
_KEPT = re.compile(r"^The following packages have been kept back:\n((?: .*\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """:param old: the installed version; '' where it is a new one that another needs."""

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.name} {self.old} -> {self.new}" if self.old else f"{self.name} {self.new} (new)"


def parse(simulated: str) -> tuple[list[Package], list[str]]:
    """What ``apt-get --simulate upgrade`` would upgrade, and the names of what it keeps back."""
    found = [Package(name, old or "", new) for name, old, new in _INSTALLED.findall(simulated)]
    kept = _KEPT.search(simulated)
    return found, kept[1].split() if kept else []


_NAMES = re.compile(r"^package:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
"""A record's field of names, which goes on in lines that begin with a space."""


def _records(preferences: str) -> Iterator[tuple[str, bool]]:
    """Each record that pins something, without its comments, and whether it is for all packages."""
    lines = [line.rstrip() for line in preferences.splitlines() if not line.startswith("#")]
    for record in re.split(r"\n{2,}", "\n".join(lines)):
        if named := _NAMES.search(record):
            yield record.strip("\n"), any(_ALL.fullmatch(word) for word in named[1].split())


def without_general(preferences: str) -> str:
    """Those of somebody's pins that name packages: of pins for all packages the first would count, and not ours."""
    return "".join(f"{record}\n\n" for record, general in _records(preferences) if not general)


def own_pins() -> tuple[str, list[str]]:
    """The host's own pins that name packages, and the paths of the files that pin all packages too."""
    parts = [f"{PREFERENCES_PARTS}/{name}" for name in names_in(PREFERENCES_PARTS) if _PART.fullmatch(name)]
    texts = {path: read_text(path) for path in (PREFERENCES, *parts)}
    general = [path for path, text in texts.items() if any(general for _record, general in _records(text))]
    return "".join(without_general(text) for text in texts.values()), general


class Apt:
    """:param which: SECURITY or ALL."""

    def __init__(self, run: Run, which: str) -> None:
        self.run = run
        self.which = which

    def set_aside(self) -> str:
        """That pins of the host's own don't count in these calls, in a sentence; '' where there are none."""
        general = own_pins()[1] if self.which == SECURITY else []
        if not general:
            return ""
        return (
            f"{', '.join(general)}: pins for all packages (Package: *) don't count here, for security updates alone "
            "are taken. -e upgrade=all goes by them."
        )

    def is_half_done(self) -> bool:
        """Whether dpkg was cut off; apt does nothing until that is finished."""
        return bool(names_in(HALF_DONE))

    def finish(self) -> None:
        """Finish what dpkg was cut off in, which may start services anew.

        :raises CommandFailed: where it fails.
        """
        command = ["env", *QUIET, "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confold", "--configure", "-a"]
        self._do("finish what dpkg was cut off in", command)

    def update(self) -> None:
        """Fetch the lists.

        :raises CommandFailed: where that fails.
        """
        self._do("fetch the lists of packages", [*self._command(), "update"])

    def plan(self) -> tuple[list[Package], list[str]]:
        """What would be upgraded by the lists that the host has, and what is kept back; changes nothing."""
        with self._pinned() as options:
            command = [*self._command(), *options, "--simulate", "upgrade", "--with-new-pkgs"]
            return parse(self._do("work out what to upgrade", command))

    def upgrade(self) -> None:
        """:raises CommandFailed: with apt's own words."""
        with self._pinned() as options:
            self._do("upgrade", [*self._command(), *options, "upgrade", "--with-new-pkgs"])

    def listed_at(self) -> float:
        """When the host's lists were fetched last, in seconds since the epoch; 0 where there are none."""
        try:
            return os.stat(LISTS).st_mtime if any(name != "lock" for name in names_in(LISTS)) else 0.0
        except OSError:
            return 0.0

    @staticmethod
    def _command() -> list[str]:
        return [APT_GET[0], *QUIET, *APT_GET[1:]]

    def _do(self, what: str, command: list[str]) -> str:
        status, out, err = self.run(command)
        if status:
            raise CommandFailed(f"apt-get could not {what}: {apt_errors(out + err)}")
        return out

    @contextlib.contextmanager
    def _pinned(self) -> Iterator[list[str]]:
        """Options of apt-get's by which only security updates count, for that call alone."""
        if self.which == ALL:
            yield []
            return
        with tempfile.NamedTemporaryFile("w", prefix="graceful-pins-") as file:
            # The host's own first, as what says more of a package does; its files are in there, and not read again.
            file.write(own_pins()[0] + PINS)
            file.flush()
            yield ["-o", f"Dir::Etc::Preferences={file.name}", "-o", "Dir::Etc::PreferencesParts=/dev/null"]
