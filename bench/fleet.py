# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each further host costs: the same deploy to 1, 2, 4, 8 and 16 hosts, which are copies of one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import source
from hosts import Host, docker
from measure import Run, Side, run, run_on

COUNTS = (1, 2, 4, 8, 16)
# As docs/several-hosts.md has it written where there are more than Ansible's five.
FORKS = 20
# What 8 hosts that share this machine's CPUs may take of one host's time.
HOSTS, MOST = 8, 2.2
PHASES = {"code": "code-only deploy", "again": "no-change run"}
# phase -> side -> number of hosts -> runs
Results = dict[str, dict[str, dict[int, list[Run]]]]
Say = Callable[[str], None]
START = 10_000
"""The first edition of the code, which no other part of the benchmark writes."""


class Fleet:
    """Copies of one host of a side.

    :param prefix: what the containers' names begin with, and the image's name.
    :param to: directory of the source that is deployed.
    :param programs: ansible-playbook, and the cache of our side's control node.
    """

    def __init__(self, side: Side, prefix: str, key: Path, to: Path, programs: tuple[Path, Path]) -> None:
        self.side, self.key, self.source, self.programs = side, key, to, programs
        self.prefix, self.image = f"{prefix}-{side.name}", f"{prefix}-{side.name}"
        self.hosts: list[Host] = []
        self.edition = START

    def prepare(self, pip: dict[str, str], count: int) -> None:
        """Set up one host as its side does, and start that many copies of it."""
        first = Host(f"{self.prefix}-0", self.key)
        self.hosts = [first]
        first.start(pip)
        source.write(self.source, START)
        run(self.side, "site.yml", first, *self.programs)
        first.keep(self.image)
        self.hosts = [Host(f"{self.prefix}-{number}", self.key) for number in range(count)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda host: (host.boot(self.image), host.serves()), self.hosts))

    def remove(self) -> None:
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(docker, "rmi", "--force", self.image, check=False)
            # One that can't be removed doesn't keep the others.
            for host in self.hosts:
                cleanup.callback(host.remove)

    def run(self, playbook: str, count: int) -> Run:
        """Of the side's playbooks one, on the first hosts."""
        hosts = {f"app{number:02}": host for number, host in enumerate(self.hosts[:count])}
        return run_on(self.side, playbook, hosts, *self.programs, forks=FORKS)

    def measure(self, counts: Sequence[int], runs: int) -> Iterator[tuple[str, int, Run]]:
        """A no-change run and a deploy for each number of hosts; fewest first, so that each is new to all of them."""
        if self.side.name == "plain":
            # Its site.yml and its release.yml know nothing of each other.
            yield from (("again", count, self.run("site.yml", count)) for count in counts for _ in range(runs))
            self.run("to-releases.yml", len(self.hosts))
        for count in counts:
            for _ in range(runs):
                self.edition += 1
                release = source.write(self.source, self.edition)
                yield "code", count, self.run("release.yml", count)
                for host in self.hosts[:count]:
                    host.answers_with(release)
                if self.side.name == "ours":
                    yield "again", count, self.run("site.yml", count)


def measure(fleets: Sequence[Fleet], pip: dict[str, str], counts: Sequence[int], runs: int, say: Say) -> Results:
    """One side after the other: both at once would be twice as many hosts."""
    results: Results = {phase: {} for phase in PHASES}
    for fleet in fleets:
        say(f"==> {max(counts)} hosts: {fleet.side.name}")
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(fleet.remove)
            fleet.prepare(pip, max(counts))
            for phase, count, done in fleet.measure(counts, runs):
                say(f"    {fleet.side.name:6} {PHASES[phase]}, {count} host(s): {done.seconds:.1f} s")
                results[phase].setdefault(fleet.side.name, {}).setdefault(count, []).append(done)
    return results


def seconds(runs: Mapping[int, Sequence[Run]], count: int) -> float:
    return median(each.seconds for each in runs[count])


def trips(runs: Mapping[int, Sequence[Run]], count: int) -> float:
    """Modules, commands and files for each host."""
    return median(each.modules + each.commands for each in runs[count]) / count


def table(results: Results) -> str:
    """A row for each number of hosts, as bench/README.md has it."""
    head = "seconds|of one host's|CPU s of the control node|of each further host|trips a host|kB a host".split("|")
    lines = []
    for phase, sides in results.items():
        for name, runs in sides.items():
            lines += ["", f"{PHASES[phase]}, {name}", f"{'hosts':>6}" + "".join(f"{title:>27}" for title in head)]
            least = min(runs)
            for count in sorted(runs):
                cpu = median(each.cpu for each in runs[count])
                further = (cpu - median(each.cpu for each in runs[least])) / max(1, count - least)
                cells = [
                    f"{seconds(runs, count):.1f}",
                    f"{seconds(runs, count) / seconds(runs, least):.2f}",
                    f"{cpu:.1f}",
                    f"{further:.2f}" if count > least else "-",
                    f"{trips(runs, count):.1f}",
                    f"{median(each.sent for each in runs[count]) / count / 1000:.0f}",
                ]
                lines.append(f"{count:6}" + "".join(f"{cell:>27}" for cell in cells))
    return "\n".join(lines[1:])


def verdict(results: Results, calm: bool) -> list[str]:
    """What is wanted, beside what is."""
    lines = []
    for phase, sides in results.items():
        runs = sides.get("ours", {})
        # Of several hosts each has one more than a single one: what stands by is started in a trip of its own.
        several = sorted(count for count in runs if count > 1)
        if len(several) > 1:
            first, last = (trips(runs, count) for count in (several[0], several[-1]))
            told = f"{PHASES[phase]}: {last:.1f} trips a host on {several[-1]}, {first:.1f} on {several[0]}"
            lines.append(f"{told}, wanted no more: {'reached' if last <= first else 'MISSED'}")
    ours = results["code"].get("ours", {})
    if HOSTS in ours and 1 in ours:
        quotient = seconds(ours, HOSTS) / seconds(ours, 1)
        word = "not decided, the machine was busy" if not calm else "reached" if quotient <= MOST else "MISSED"
        lines.append(f"code-only deploy, {HOSTS} hosts: {quotient:.2f} times one host's, wanted {MOST} or less: {word}")
    return lines
