"""A fault, injected under load: what was lost, how long until all is served again, and the row that says so."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from load import SLOW, Load, Seen
from xdist.scheduler import LoadScopeScheduling

SCENARIO = Path(__file__).resolve().parents[1]
NAME = "night"
ROOT = f"/srv/{NAME}"
INTERVAL = 4
"""Seconds: fastapi_health_interval in variables.yml."""
LIMIT = 3 * INTERVAL
"""Seconds after which what hangs is ended: times fastapi_health_failures."""
WATCHDOG = max(LIMIT, 10)
"""Seconds after which an arbiter that hangs is ended."""
START = 8
"""Seconds that the end of what hung, a start and what has queued meanwhile may take on a busy machine."""


@dataclass(frozen=True)
class State:
    """What serves at one moment."""

    slot: str
    arbiter: int
    """0 for none."""
    workers: list[int]
    answers: list[int]
    """Statuses of /health, and of a path that the proxy hands on where it has seen that the app is ready."""

    @property
    def well(self) -> bool:
        return len(self.workers) == 2 and self.answers == [200, 200]


class Night:
    """The app on one host, and ways to break it."""

    slow = SLOW

    def __init__(self, ask, control, load: Load, count: Callable[..., None]) -> None:
        self.ask = ask
        self.control = control
        self.load = load
        self.count = count

    def look(self) -> State:
        """All that is asked again and again, by one command."""
        out = self.ask.run(
            f"slot=$(basename $(readlink {ROOT}/live.sock) .sock); "
            f"main=$(systemctl show --property=MainPID --value {NAME}@$slot.service); echo $slot $main; "
            "[ $main = 0 ] || pgrep -P $main | tr '\\n' ' '; echo; "
            "for path in health ready; do "
            "curl -s -m 5 -o /dev/null -w '%{http_code} ' http://127.0.0.1/$path || true; done"
        )
        first, workers, answers = out.splitlines()
        slot, arbiter = first.split()
        return State(slot, int(arbiter), sorted(map(int, workers.split())), [int(each) for each in answers.split()])

    @property
    def live(self) -> str:
        return self.look().slot

    @property
    def unit(self) -> str:
        return f"{NAME}@{self.live}.service"

    def show(self, *properties: str) -> dict[str, str]:
        return self.ask.show(self.unit, *properties)

    @property
    def arbiter(self) -> int:
        return self.look().arbiter

    @property
    def workers(self) -> list[int]:
        return self.look().workers

    def up(self) -> bool:
        return self.look().well

    def wait(self) -> State:
        """Wait until the app is well."""
        return self.ask.until("the app is well", lambda: (state := self.look()).well and state)

    def switch(self, name: str, on: bool = True) -> None:
        self.ask.run(f"{'touch' if on else 'rm -f'} {ROOT}/shared/switches/{name}")

    def said(self, pattern: str, since: float) -> list[str]:
        """What the app's journal says since a time (epoch) that matches, as messages."""
        journal = f"journalctl --namespace={NAME}"
        lines = self.ask.run(f"{journal} --sync; {journal} --since=@{since:.3f} --output=cat --no-pager").splitlines()
        texts = [json.loads(line).get("event", line) if line.startswith("{") else line for line in lines]
        return [text for text in texts if re.search(pattern, str(text))]

    def supervisor_said(self, pattern: str, since: float) -> list[str]:
        """What systemd itself says of the unit."""
        command = f"journalctl --sync; journalctl --unit={self.unit} --since=@{since:.3f} --output=cat --no-pager"
        return [line for line in self.ask.run(command).splitlines() if re.search(pattern, line)]

    def now(self) -> float:
        return float(self.ask.run("date +%s.%N"))

    def _clean(self, load: Load) -> float:
        """Since when no request may be lost (epoch): the last fault, or now where something else was done since."""
        well = self.wait()
        if load.calm and load.calm[:2] == (well.arbiter, well.workers):
            return load.calm[2]
        now = self.now()
        load.settle(now)
        return now

    def under(
        self, fault: str, strike: Callable[[], object], over: Callable[[], object], outside: bool = False
    ) -> Seen:
        """Inject a fault under load, wait until it is over, and count.

        :param fault: what it is, for the table.
        :param strike: does it.
        :param over: something true when the host has recovered.
        :param outside: have the client beside the host, not in it.
        """
        with contextlib.closing(Load(self.ask, outside=True)) if outside else contextlib.nullcontext(self.load) as load:
            load.start()
            clean = self._clean(load)
            struck = self.now()
            # What was lost before the fault is no part of it.
            lost = [row for row in load.ended(clean) if row["how"] == "lost" and row["at"] > clean]
            assert not lost, f"lost before the fault: {lost}"
            strike()
            self.ask.until(f"{fault}: over", over, 90)
            # Whatever is slow to come back has the time to be noticed.
            load.settle(self.now())
            seen = Seen(struck, load.ended(struck))
            after = self.look()
            load.calm = (after.arbiter, after.workers, self.now())
        print(f"{fault}: {seen}")
        self.count(fault, seen.sent, len(seen.lost), again=round(seen.again, 1))
        return seen


def one_replaced(night: Night, before: list[int]) -> Callable[[], bool]:
    """A condition: one of these workers is no more, another one is there, and all is served."""
    return lambda: (now := night.look()).well and len({*now.workers} - {*before}) == 1


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "alone: nothing else may be done to the host meanwhile")


class ByApp(LoadScopeScheduling):
    """Two processes share a host: most of what is done to one app is waiting, and the other two don't see it."""

    def _split_scope(self, nodeid: str) -> str:
        return "others" if "test_logs" in nodeid or "test_sandbox" in nodeid else "night"


def pytest_xdist_make_scheduler(config, log) -> ByApp:
    return ByApp(config, log)


@pytest.fixture(autouse=True)
def _room(request, host) -> Iterator[None]:
    """Lets a test that needs the host for itself wait for the other process's, and have that wait for it."""
    alone = request.node.get_closest_marker("alone")
    with open(Path(tempfile.gettempdir(), f"{host.backend.host}.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="module")
def load(ask) -> Iterator[Load]:
    with contextlib.closing(Load(ask)) as load:
        yield load


@pytest.fixture
def night(ask, control, load, count) -> Night:
    night = Night(ask, control, load, count)
    ask.run(f"rm -f {ROOT}/shared/switches/*; systemctl reset-failed '{NAME}@*' 2>/dev/null || true")
    state = night.look()
    if not state.arbiter:
        ask.run(f"systemctl start {NAME}@{state.slot}.service")
    night.wait()
    return night


@pytest.fixture
def deploy(night, tmp_path):
    """Deploy a release that no deploy has had before, by a strategy; it has to succeed."""

    def deployed(strategy: str = "swap", keep: bool = False, **variables: object) -> str:
        source = tmp_path / f"source-{time.monotonic_ns()}"
        shutil.copytree(SCENARIO / "app", source, ignore=shutil.ignore_patterns("__pycache__"))
        (source / "version.txt").write_text(f"{time.time_ns()}\n")
        options = {"fastapi_source": str(source), "fastapi_strategy": strategy, **variables}
        status, said = night.control.run("release", "-e", f"@{SCENARIO}/variables.yml", keep=keep, **options)
        assert status == 0, said
        return said

    return deployed
