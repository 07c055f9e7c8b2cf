# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploys and rollbacks of both sides in turn, each under load."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import source
from hosts import BenchError, Host
from load import Load
from measure import Run, Side, run
from report import PHASES

# Seconds of load with nothing else going on, for the latency that a deploy adds to.
QUIET = 15
# Stops the app, and says how many seconds it takes from the start to the first 200 of /ready, asked as each side can.
START_UP = r"""
set -e
if [ -L /srv/hello/live.sock ]; then
    unit=hello@$(basename "$(readlink /srv/hello/live.sock)" .sock).service
    set -- --unix-socket /srv/hello/live.sock http://localhost/ready
else
    unit=hello.service
    set -- http://127.0.0.1:8000/ready
fi
systemctl stop "$unit"
start=$(date +%s%N)
systemctl start "$unit"
tries=0
until curl --silent --fail --output /dev/null --max-time 30 "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ]
    sleep 0.05
done
echo $(($(date +%s%N) - start))
"""


def start_up(host: Host) -> float:
    """Seconds that the app takes from its unit's start until it is ready; the median of three."""
    return median(int(host.run("sh", "-c", START_UP, check=True)) / 1e9 for _ in range(3))


def last_phases(host: Host) -> dict[str, float]:
    """What the host's history says of the last deploy: seconds by phase."""
    return json.loads(host.run("tail", "--lines=1", "/srv/hello/history.jsonl", check=True))["phases"]


class Deploys:
    """The hosts of both sides, and what runs on them.

    :param to: directory of the source that both deploy.
    :param programs: ansible-playbook, and the cache of our side's control node.
    """

    def __init__(self, sides: Mapping[str, Side], hosts: Mapping[str, Host], to: Path, programs: tuple[Path, Path]):
        self.sides = sides
        self.hosts = hosts
        self.source = to
        self.programs = programs

    def prepare(self) -> None:
        """Both sides serve edition 1."""
        source.write(self.source, 1)
        for name, host in self.hosts.items():
            self._run(name, "site.yml")
            if name == "plain":
                self._run(name, "to-releases.yml")
            host.serves()

    def quiet(self) -> dict[str, dict[str, float]]:
        """What the sides are like when nothing is done to them: seconds of a start, milliseconds of a GET at p99."""
        found = {}
        for name, host in self.hosts.items():
            seconds = start_up(host)
            host.serves()
            found[name] = {"start_up": seconds, "p99": Load(host).quiet(QUIET).p99}
        return found

    def round(self, number: int) -> Iterator[tuple[str, str, Run]]:
        """Phase, side and run of one deploy of each kind and a rollback to where the first of them led.

        :param number: of the repetition, from 0.
        """
        first = source.write(self.source, number + 2)
        yield from self._step("code", "release.yml", first)
        yield from self._step("same", "release.yml", first)
        second = source.write(self.source, number + 2, change=number)
        yield from self._step("dependency", "release.yml", second)
        yield from self._step("rollback", "rollback.yml", first)

    def _step(self, phase: str, playbook: str, release: str) -> Iterator[tuple[str, str, Run]]:
        for name, host in self.hosts.items():
            with Load(host) as load:
                done = self._run(name, playbook)
            traffic = load.traffic
            if traffic.release != release:
                raise BenchError(f"{name}: after the {PHASES[phase]}, {traffic.release} answers, not {release}.")
            if phase == "same" and name == "ours" and done.changed:
                raise BenchError(f"ours: a deploy of what is live changed something: {', '.join(done.changed)}.")
            phases = last_phases(host) if name == "ours" and done.changed else {}
            yield phase, name, dataclasses.replace(done, traffic=traffic, phases=phases)

    def _run(self, name: str, playbook: str) -> Run:
        return run(self.sides[name], playbook, self.hosts[name], *self.programs)
