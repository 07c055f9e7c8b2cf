"""A host under load, and what is deployed to it meanwhile: what scenarios share that serve the app of swap."""

from __future__ import annotations

import importlib.util
import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SWAP = Path(__file__).resolve().parent / "swap"
STEADY = SWAP.parents[1] / "tests" / "load" / "steady.py"
spec = importlib.util.spec_from_file_location("steady", STEADY)
steady = importlib.util.module_from_spec(spec)
sys.modules["steady"] = steady
spec.loader.exec_module(steady)

NAME = "swap"
ROOT = f"/srv/{NAME}"
PACKAGES = "/usr/lib/python3/dist-packages"
SAID = pytest.StashKey[list]()
_loads = itertools.count(1)
_versions = itertools.count(1)


class Counted:
    """What a load client saw while something was done, and what the app says of it."""

    def __init__(self, report: dict, log: list[dict]) -> None:
        self.sent: int = report["sent"]
        self.answered: int = report["answered"]
        self.lost: list[dict] = report["lost"]
        self.mixed: list[dict] = report["mixed"]
        self.releases: dict[str, dict] = report["releases"]
        self.latency: dict[str, dict] = report["latency"]
        self.timeline: list[list] = report["timeline"]
        self.worker_of = {line["n"]: line["pid"] for line in log}
        audit = steady.audit(self.timeline, [line["n"] for line in log])
        self.doubled, self.unknown = audit["doubled"], audit["unknown"]

    def __str__(self) -> str:
        each = ", ".join(f"{name} {seen['answers']}" for name, seen in self.releases.items())
        slowest = {kind: seen.get("max") for kind, seen in self.latency.items()}
        return (
            f"{self.sent} sent, {len(self.lost)} lost, {len(self.mixed)} mixed up, {len(self.doubled)} doubled; "
            f"slowest {slowest['get']} ms GET, {slowest['post']} ms POST; answered by {each}"
        )

    def nothing_wrong(self) -> None:
        assert self.mixed == [] and self.doubled == [] and self.unknown == [], str(self)

    def nothing_lost(self) -> None:
        self.nothing_wrong()
        assert self.lost == [], f"{self}\n{self.lost[:10]}"
        assert self.sent == self.answered


class Load:
    """Constant load inside the host for as long as the block lasts; then ``counted`` has what came of it."""

    def __init__(self, ask, say, options: str) -> None:
        self.ask = ask
        self.say = say
        self.options = options
        self.counted: Counted

    def __enter__(self) -> Load:
        ask = self.ask
        ask.until("the app serves", lambda: ask.get("/ready")[0] == 200)
        self.number = next(_loads) * 1_000_000
        self.since = ask.run("date +%s").strip()
        ask.run(
            "rm -f /run/steady.json; systemd-run --quiet --collect --unit=steady --property=TimeoutStopSec=60 "
            # Each request that waits is an open file of the client's.
            "--property=LimitNOFILE=16384 "
            f"python3 /opt/load/steady.py --seconds 590 --first {self.number} --timeline --out /run/steady.json "
            # Each deploy waits for the slow requests of the slot that goes.
            f"--slow 1 {self.options}"
        )
        return self

    def __exit__(self, kind, *_rest) -> None:
        self.ask.run("systemctl stop steady")
        report = json.loads(self.ask.run("cat /run/steady.json"))
        self.counted = Counted(report, self._log())
        self.say(str(self.counted))

    def _log(self) -> list[dict]:
        """The app's line for each number that it worked on."""
        self.ask.run(f"journalctl --namespace={NAME} --sync")
        lines = self.ask.run(
            f"journalctl --namespace={NAME} --since=@{self.since} --output=cat --no-pager --grep='^.\"n\"'"
        )
        log = [json.loads(line) for line in lines.splitlines()]
        return [line for line in log if line["n"] // 1_000_000 == self.number // 1_000_000]


@dataclass(frozen=True)
class First:
    """The session's first deploy to a host, by a real run, whose call of the module others make again."""

    swap: Any
    """Brings a release to the traffic, the live slot's configuration with it."""
    before: str
    made: str
    said: str
    counted: Counted


class Site:
    """The app on one host, and ways to deploy to it: by the module alone, or by a person's run of a playbook."""

    def __init__(self, ask, control, tmp_path: Path, first: First, options: list[str]) -> None:
        self.ask = ask
        self.control = control
        self.tmp_path = tmp_path
        self.first = first
        self.options = options

    def unit(self, slot: str) -> str:
        """The service that a slot's supervisor runs, or is."""
        return f"{NAME}@{slot}.service"

    def clone(self, fault: str = "") -> str:
        """A release on the host that no deploy has had before, with a fault where one is named; its id."""
        return self.ask.clone(ROOT, {"fault.txt": fault, "version.txt": str(next(_versions))})

    def begin(self, release: str = "", **changes: object) -> subprocess.Popen[str]:
        """Begin a call of the module; without a release it is a rollback's that names none."""
        return self.first.swap.start(**{"release": release, "bake": 0, **changes})

    def swap(self, release: str, **changes: object) -> dict:
        """The module's result for a release that is there, which isn't watched unless the test says so."""
        return self.first.swap.call(**{"release": release, "bake": 0, **changes})

    def rollback(self, release: str = "", **changes: object) -> dict:
        return self.swap(release, rollback=True, front_port=0, **changes)

    def deploy(self, release: str = "", **changes: object) -> str:
        """Bring a release, by default a new good one, to the traffic, which has to succeed; its id."""
        release = release or self.clone()
        result = self.swap(release, **changes)
        assert result and not result.get("failed"), result
        return release

    def roll_back(self, release: str = "") -> None:
        """A rollback that has to succeed."""
        result = self.rollback(release)
        assert result and not result.get("failed"), result

    def source(self, fault: str = "", **files: str) -> str:
        """A source that no deploy has had before: the app, with a fault where one is named, and more files."""
        return source(self.ask, self.tmp_path, fault, **files)

    def start(self, playbook: str = "release", *options: str, **variables: object):
        """Begin a run, by default a deploy of a new good release."""
        if playbook in ("release", "site"):
            variables = {"fastapi_source": variables.get("fastapi_source") or self.source(), **variables}
        return self.control.start(playbook, *self.options, *options, **variables)

    def run(self, playbook: str = "release", *options: str, **variables: object) -> tuple[int, str]:
        with self.start(playbook, *options, **variables) as process:
            said = process.communicate(timeout=400)[0]
        return process.returncode, said

    def good(self, playbook: str = "release", *options: str, **variables: object) -> str:
        """A run that has to succeed; what it said."""
        status, said = self.run(playbook, *options, **variables)
        assert status == 0, said
        return said

    def held(self, slot: str) -> str:
        """The release that a slot was filled with."""
        return self.ask.run(f"basename $(readlink {ROOT}/slots/{slot}/release)").strip()

    @property
    def live(self) -> str:
        """The slot that has the traffic."""
        return self.ask.run(f"readlink {ROOT}/live.sock").strip().removeprefix(f"/run/{NAME}/").removesuffix(".sock")

    @property
    def standby(self) -> str:
        return "green" if self.live == "blue" else "blue"

    @property
    def release(self) -> str:
        """The release that has the traffic, by the app's own word."""
        return str(json.loads(self.ask.get("/")[1])["release"])

    def main_pid(self, slot: str) -> str:
        """The arbiter's process id; '0' for none."""
        return self.ask.show(self.unit(slot), "MainPID")["MainPID"]

    def restarts(self, slot: str) -> int:
        """How often the slot's supervisor has started it again."""
        return int(self.ask.show(self.unit(slot), "NRestarts")["NRestarts"])

    def gone(self, slot: str) -> None:
        """Wait until a slot that was told to stop has ended; within the stop timeout, and no longer."""
        draining = lambda: self.ask.show(self.unit(slot), "ActiveState")["ActiveState"] == "deactivating"  # noqa: E731
        self.ask.until(f"slot {slot} has ended", lambda: not draining())

    def history(self) -> list[dict]:
        return [json.loads(line) for line in self.ask.run(f"cat {ROOT}/history.jsonl").splitlines()]

    def alone(self) -> None:
        """The live slot runs and is enabled, and nothing is left of any other once that has finished its requests."""
        self.gone(self.standby)
        units = [unit for slot in (self.live, self.standby) for unit in (self.unit(slot), f"{NAME}@{slot}.socket")]
        show = f"systemctl show --value --property=ActiveState,UnitFileState {' '.join(units)}"
        left = f"ls -A {ROOT}/slots {ROOT}/releases | grep '^\\.' || true; cat {ROOT}/deploy.lock"
        assert self.ask.run(f"{show}; {left}").split() == ["active", "enabled"] * 2 + ["inactive", "disabled"] * 2


@pytest.fixture
def say(request):
    """Take a line for the table at the end of the run."""
    lines = request.config.stash.setdefault(SAID, [])
    return lambda text: lines.append(f"{request.node.name}: {text}")


@pytest.fixture
def load(ask, say):
    return lambda options="": Load(ask, say, options)


def source(ask, where: Path, fault: str = "", **files: str) -> str:
    version = f"{next(_versions)} of {ask.run('date +%s%N').strip()}\n"
    path = where / f"source-{version.split()[0]}"
    shutil.copytree(SWAP / "app", path, ignore=shutil.ignore_patterns("__pycache__"))
    wanted = {"version.txt": version, **({"fault.txt": fault} if fault else {}), **files}
    for name, text in wanted.items():
        (path / name).write_text(text)
    return str(path)


_firsts: dict[str, First] = {}


@pytest.fixture
def options() -> list[str]:
    """What every run of a playbook is given, as the scenario's converge.yml."""
    return ["-e", f"@{SWAP}/variables.yml"]


@pytest.fixture
def first(ask, control, load, recorded, tmp_path, options) -> First:
    """Made once for each host."""
    name = ask.host.backend.host
    if name not in _firsts:
        before = json.loads(ask.get("/")[1])["release"]
        variables = {"fastapi_source": source(ask, tmp_path)}
        with load() as running:
            status, said = control.run("release", *options, keep=True, **variables)
        assert status == 0, said
        made = json.loads(ask.get("/")[1])["release"]
        _firsts[name] = First(recorded("swap"), before, made, said, running.counted)
    return _firsts[name]


@pytest.fixture
def site(ask, control, tmp_path, first, options) -> Site:
    return served(Site(ask, control, tmp_path, first, options))


def served(site: Site) -> Site:
    """The site, when clients are served and by a good release."""
    ask = site.ask
    # One that failed may have left a proxy that waits until it asks again.
    ask.until("clients are served", lambda: ask.get("/ready")[0] == 200)
    if ask.host.file(f"{ROOT}/slots/{site.live}/release/fault.txt").exists:
        # A test that failed has left its bad release live, which is nothing to test others on.
        site.deploy()
    return site


@pytest.fixture
def sabotage(ask):
    """Have a shell command run inside a module when a phase of `swap` begins or a function of another has ended."""
    ask.run(f"cp /opt/load/saboteur.py {PACKAGES}; echo import saboteur >{PACKAGES}/saboteur.pth")

    def plan(command: str, phase: str = "", file: str = "_swap/swap.py", function: str = "phase") -> None:
        text = json.dumps({"file": file, "function": function, "phase": phase, "command": command})
        ask.run(f"cat >/run/saboteur.json <<'END'\n{text}\nEND")

    yield plan
    ask.run(f"rm -f /run/saboteur.json {PACKAGES}/saboteur.*")


def pytest_terminal_summary(terminalreporter) -> None:
    terminalreporter.section("What was counted")
    for line in terminalreporter.config.stash.get(SAID, []):
        terminalreporter.line(line)
