"""A host with two queues, what is deployed to it, and what counts jobs, requests and schedulers meanwhile."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
VARIABLES = ("-e", f"@{SCENARIO}/variables.yml")
NAME = "jobs"
ROOT = f"/srv/{NAME}"
GENERATIONS = f"{ROOT}/generations"
LONG_LIMIT = 60
"""Seconds in which what takes two is done, on a machine that has other work."""
SAID = pytest.StashKey[list]()
# Of jobs: none that a run before has sent has one of these.
_numbers = itertools.count(int(time.time()) % 10_000_000)
_versions = itertools.count(1)


@dataclass(frozen=True)
class Job:
    """What a job has said of itself."""

    event: str
    kind: str
    n: int
    at: float
    release: str
    process: str
    main: int


def jobs(lines: str) -> list[Job]:
    return [Job(**json.loads(line)) for line in lines.splitlines() if line.startswith("{")]


class Running:
    """A client on the host for as long as the block lasts; then ``report`` is what it has counted."""

    def __init__(self, ask, name: str, command: str) -> None:
        self.ask = ask
        self.unit, self.out = f"count-{name}", f"/run/count-{name}.json"
        self.command = f"{command} --seconds 590 --out {self.out}"
        self.report: dict[str, Any] = {}

    def __enter__(self) -> Running:
        self.ask.run(
            f"systemctl stop {self.unit} 2>/dev/null; rm -f {self.out}; systemd-run --quiet --collect "
            f"--unit={self.unit} --property=TimeoutStopSec=60 {self.command}"
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self.ask.run(f"systemctl stop {self.unit}")
        self.report = json.loads(self.ask.run(f"cat {self.out}"))


@dataclass(frozen=True)
class First:
    """The modules as a person's runs have called them: the tests call them again."""

    swap: Any
    status: Any


class Site:
    """The app on one host, and ways to deploy to it."""

    def __init__(self, ask, control, tmp_path: Path, first: First) -> None:
        self.ask = ask
        self.control = control
        self.tmp_path = tmp_path
        self.first = first
        self.wanted = {name: first.swap.parameters[name] for name in ("processes", "timers")}
        """What variables.yml has of each, as the module takes it."""

    def clone(self, fault: str = "") -> str:
        """A release on the host that no deploy has had before; `fault` is the process that doesn't stay. Its id."""
        return self.ask.clone(ROOT, {"fault.txt": fault, "version.txt": str(next(_versions))})

    def begin(self, release: str, **changes: object) -> subprocess.Popen[str]:
        return self.first.swap.start(**{"release": release, "bake": 0, **changes})

    def swap(self, release: str, **changes: object) -> dict:
        """The module's result; nothing is watched unless the test says so."""
        return self.first.swap.call(**{"release": release, "bake": 0, **changes})

    def deploy(self, release: str = "", **changes: object) -> str:
        """Bring a release, by default a new one, to the traffic, which has to succeed; its id."""
        return self.told(release, **changes)[0]

    def told(self, release: str = "", **changes: object) -> tuple[str, dict]:
        """The same, with the module's result."""
        release = release or self.clone()
        result = self.swap(release, **changes)
        assert result and not result.get("failed"), result
        return release, result

    def roll_back(self) -> str:
        """To the release before; its id."""
        result = self.swap("", rollback=True, front_port=0)
        assert result and not result.get("failed"), result
        return str(result["release"])

    def run(self, playbook: str = "release", **variables: object) -> str:
        """A person's run, which has to succeed, by default of a new source; what it said."""
        if playbook == "release":
            variables = {"fastapi_source": source(self.ask, self.tmp_path), **variables}
        status, said = self.control.run(playbook, *VARIABLES, **variables)
        assert status == 0, said
        return said

    def status(self) -> dict:
        return self.first.status.call()

    @property
    def release(self) -> str:
        """The release that has the traffic, by the app's own word."""
        return str(json.loads(self.ask.get("/")[1])["release"])

    @property
    def live(self) -> int:
        """The live generation."""
        return int(self.ask.run(f"readlink {GENERATIONS}/live"))

    def numbers(self) -> list[int]:
        """Of the generations that are there."""
        return sorted(int(name) for name in self.ask.run(f"ls {GENERATIONS}").split() if name != "live")

    def pids(self, generation: int = 0) -> dict[str, str]:
        """The main process of each instance of a generation, by default the live one, by name and number."""
        units = self.ask.run(
            f"systemctl list-units --plain --no-legend '{NAME}.*.{generation or self.live}@*.service' | cut -d ' ' -f 1"
        ).split()
        shown = {unit: self.ask.show(unit, "MainPID")["MainPID"] for unit in units}
        return {f"{unit.split('.')[1]}{unit.partition('@')[2].split('.')[0]}": pid for unit, pid in shown.items()}

    def states(self, generation: int) -> set[str]:
        """In which states its processes are."""
        units = f"'{NAME}.*.{generation}@*.service'"
        lines = self.ask.run(f"systemctl list-units --all --plain --no-legend {units}").splitlines()
        return {line.split()[2] for line in lines}

    def ends(self, generation: int, limit: float = LONG_LIMIT) -> None:
        """Wait until nothing of a generation runs any more."""
        over = {"inactive", "failed"}
        self.ask.until(f"generation {generation} has ended", lambda: self.states(generation) <= over, limit)

    def send(self, kind: str, seconds: float) -> int:
        """Ask the live release for a job; its number."""
        number = next(_numbers)
        status, said = self.ask.get(f"/jobs/{kind}/{number}?seconds={seconds}", "http://127.0.0.1", "-X", "POST")
        assert status == 200, said
        return number

    def end(self, *numbers: int) -> None:
        """Jobs that have taken long enough."""
        for number in numbers:
            self.ask.run(f"queue-cli rpush end:{number} 1")

    def jobs(self) -> list[Job]:
        return jobs(self.ask.run("queue-cli --raw lrange jobs 0 -1"))

    def of(self, number: int, event: str = "done") -> list[Job]:
        return [job for job in self.jobs() if (job.n, job.event) == (number, event)]

    def until(self, number: int, event: str = "done", limit: float = LONG_LIMIT) -> Job:
        """Wait until a job was begun or done."""
        found = self.ask.until(f"job {number} is {event}", lambda: self.of(number, event), limit)
        assert isinstance(found, list)
        return found[-1]

    def history(self) -> list[dict]:
        return [json.loads(line) for line in self.ask.run(f"cat {ROOT}/history.jsonl").splitlines()]

    def whole(self, finishing: bool = False) -> None:
        """What is live runs all that it should, from the release that has the traffic, and nothing else does.

        :param finishing: whether others may be at their last jobs.
        """
        live = self.live
        units = [f"worker.{live}@1.service", f"queue.{live}@1.service", f"queue.{live}@2.service"]
        units = sorted(f"{NAME}.{unit}" for unit in [*units, f"beat.{live}@1.service", "stock.timer"])
        kinds = f"'{NAME}.*.service' '{NAME}.*.timer'"
        for other in [] if finishing else self.numbers():
            if other != live:
                self.ends(other, 120)
        running = self.ask.run(
            f"systemctl list-units --state=active --plain --no-legend {kinds} | cut -d ' ' -f 1"
        ).split()
        assert sorted(running) == units
        # Each of them starts at boot, and no other.
        links = self.ask.run(f"cd /etc/systemd/system; ls *.wants | grep '^{NAME}[.]'").split()
        assert sorted(links) == units
        held = self.ask.run(f"basename $(readlink {GENERATIONS}/live/release)").strip()
        assert held == self.release
        places = {self.ask.run(f"readlink /proc/{pid}/cwd").strip() for pid in self.pids().values()}
        assert places == {f"{ROOT}/releases/{held}"}


def source(ask, where: Path) -> str:
    """A source that no deploy has had before."""
    version = f"{next(_versions)} of {ask.run('date +%s%N').strip()}\n"
    path = where / f"source-{version.split()[0]}"
    shutil.copytree(SCENARIO / "app", path, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "version.txt").write_text(version)
    return str(path)


_firsts: dict[str, First] = {}


@pytest.fixture
def first(ask, control, recorded, tmp_path) -> First:
    """Made once for each host."""
    name = ask.host.backend.host
    if name not in _firsts:
        for playbook, variables in (("release", {"fastapi_source": source(ask, tmp_path)}), ("status", {})):
            status, said = control.run(playbook, *VARIABLES, keep=True, **variables)
            assert status == 0, said
        _firsts[name] = First(recorded("swap"), recorded("status_info"))
        # For the producer, whose release may be pruned while it runs.
        ask.run(f"rm -rf /opt/load/venv; cp -a $(readlink -f {GENERATIONS}/live/release)/.venv /opt/load/venv")
    return _firsts[name]


@pytest.fixture
def site(ask, control, tmp_path, first) -> Site:
    site = Site(ask, control, tmp_path, first)
    ask.until("clients are served", lambda: ask.get("/ready")[0] == 200)
    # One that failed may have left what is nothing to test others on.
    ask.run("queue-cli del stock:seconds stock:fail >/dev/null; systemctl stop 'count-*'")
    try:
        site.whole(finishing=True)
    except (AssertionError, pytest.fail.Exception):
        site.deploy()
    return site


@pytest.fixture
def load(ask) -> Callable[[], Running]:
    """A client of the web."""
    # Each deploy waits for the slow requests of the slot that goes.
    command = "python3 /opt/load/steady.py --rate 20 --slow 1"
    return lambda: Running(ask, "load", f"{command} --first {next(_numbers) * 100_000}")


@pytest.fixture
def producer(ask) -> Callable[[int], Running]:
    """Sends jobs, so many a second."""
    python = "/opt/load/venv/bin/python /opt/load/producer.py"
    return lambda rate: Running(ask, "producer", f"{python} --rate {rate} --first {next(_numbers) * 100_000}")


@pytest.fixture
def watcher(ask) -> Callable[[], Running]:
    """Counts the processes of the scheduler."""
    return lambda: Running(ask, "watcher", "python3 /opt/load/watcher.py")


@pytest.fixture
def say(request) -> Callable[[str], None]:
    """Take a line for the table at the end of the run."""
    lines = request.config.stash.setdefault(SAID, [])
    return lambda text: lines.append(f"{request.node.name}: {text}")


def twice(numbers: Iterable[int]) -> list[int]:
    """Those that are there more than once."""
    seen: set[int] = set()
    return sorted({n for n in numbers if n in seen or seen.add(n)})


def seconds_of(call: Callable[[], object]) -> tuple[float, Any]:
    begun = time.monotonic()
    found = call()
    return time.monotonic() - begun, found


def pytest_terminal_summary(terminalreporter) -> None:
    terminalreporter.section("What was counted")
    for line in terminalreporter.config.stash.get(SAID, []):
        terminalreporter.line(line)
