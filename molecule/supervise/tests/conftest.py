"""A fault, injected under load: what was lost, how long until all is served again, and the row that says so."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
STEADY = SCENARIO.parents[1] / "tests" / "load" / "steady.py"
NAME = "night"
ROOT = f"/srv/{NAME}"
INTERVAL = 4
"""Seconds: fastapi_health_interval in variables.yml."""
LIMIT = 3 * INTERVAL
"""Seconds after which what hangs is ended: times fastapi_health_failures."""
START = 8
"""Seconds that the end of what hung, a start and what has queued meanwhile may take on a busy machine."""
QUICK = 1.0
"""Seconds within which a GET or a POST is answered when all is well."""
ROWS = pytest.StashKey[list]()
_loads = itertools.count(1)


class Seen:
    """What a load client saw around a fault. Counts are requests, times seconds."""

    def __init__(self) -> None:
        self.struck = 0.0
        self.sent = self.answered = 0
        self.lost: list[dict] = []
        self.again = 0.0
        """From the fault until the last request that was lost, or answered late, had ended."""

    def read(self, report: dict, slow: float) -> None:
        self.sent, self.answered, self.lost = report["sent"], report["answered"], report["lost"]
        assert report["mixed"] == [], f"lost in other answers: {report['mixed']}"
        usual = {"get": QUICK, "post": QUICK, "slow": slow + QUICK}
        late = [at + took for _, kind, at, took, *_ in report["timeline"] if took > usual[kind]]
        ends = late + [each["at"] + each["seconds"] for each in self.lost]
        self.again = max((end - self.struck for end in ends), default=0.0)
        # What was lost before the fault is no part of it.
        before = [each for each in self.lost if each["at"] + each["seconds"] < self.struck]
        assert not before, f"lost before the fault: {before}"

    def __str__(self) -> str:
        kinds = sorted({f"{each['kind']}: {each['what']}" for each in self.lost})
        return f"{len(self.lost)} of {self.sent} lost {kinds or ''}, all served again after {self.again:.1f} s"


class Night:
    """The app on one host, and ways to break it."""

    slow = 2.0  # seconds that a third of the requests take

    def __init__(self, ask, control, request) -> None:
        self.ask = ask
        self.control = control
        self.rows = request.config.stash.setdefault(ROWS, [])

    @property
    def live(self) -> str:
        return self.ask.run(f"readlink {ROOT}/live.sock").strip().removeprefix(f"/run/{NAME}/").removesuffix(".sock")

    @property
    def unit(self) -> str:
        return f"{NAME}@{self.live}.service"

    def show(self, *properties: str) -> dict[str, str]:
        return self.ask.show(self.unit, *properties)

    @property
    def arbiter(self) -> int:
        return int(self.show("MainPID")["MainPID"])

    @property
    def workers(self) -> list[int]:
        return sorted(int(pid) for pid in self.ask.run(f"pgrep -P {self.arbiter} || true").split())

    def up(self) -> bool:
        return len(self.workers) == 2 and self.ask.get("/health")[0] == 200

    def switch(self, name: str, on: bool = True) -> None:
        self.ask.run(f"{'touch' if on else 'rm -f'} {ROOT}/shared/switches/{name}")

    def said(self, pattern: str, since: float) -> list[str]:
        """What the app's journal says since a time (epoch) that matches, as messages."""
        self.ask.run(f"journalctl --namespace={NAME} --sync")
        lines = self.ask.run(f"journalctl --namespace={NAME} --since=@{since:.3f} --output=cat --no-pager").splitlines()
        texts = [json.loads(line).get("event", line) if line.startswith("{") else line for line in lines]
        return [text for text in texts if re.search(pattern, str(text))]

    def supervisor_said(self, pattern: str, since: float) -> list[str]:
        """What systemd itself says of the unit."""
        self.ask.run("journalctl --sync")
        command = f"journalctl --unit={self.unit} --since=@{since:.3f} --output=cat --no-pager"
        return [line for line in self.ask.run(command).splitlines() if re.search(pattern, line)]

    def now(self) -> float:
        return float(self.ask.run("date +%s.%N"))

    def _client(self, options: str, outside: bool) -> Callable[[], str]:
        """Begin to send requests; what comes back ends that and gives the client's report."""
        if outside:
            address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
            inspect = ["docker", "inspect", "--format", address, self.ask.host.backend.host]
            found = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()
            command = [sys.executable, str(STEADY), "--address", found, *options.split()]
            client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

            def report() -> str:
                client.terminate()
                return client.communicate(timeout=60)[0]

            return report
        out = "/run/steady.json"
        service = "systemd-run --quiet --collect --unit=steady --property=TimeoutStopSec=60"
        self.ask.run(f"rm -f {out}; {service} python3 /opt/load/steady.py {options} --out {out}")
        return lambda: self.ask.run(f"systemctl stop steady; cat {out}")

    def under(
        self,
        fault: str,
        strike: Callable[[], object],
        over: Callable[[], object],
        options: str = "",
        outside: bool = False,
    ) -> Seen:
        """Inject a fault under load, wait until it is over, and count.

        :param fault: what it is, for the table; '' makes no row.
        :param strike: does it.
        :param over: something true when the host has recovered.
        :param options: for the client.
        :param outside: have the client beside the host, not in it.
        """
        seen = Seen()
        wanted = f"--seconds 590 --rate 30 --slow {self.slow} --timeline --first {next(_loads) * 1_000_000} {options}"
        end = self._client(wanted, outside)
        self.ask.run("sleep 3")
        try:
            seen.struck = self.now()
            strike()
            self.ask.until(f"{fault}: over", over, 90)
            # Whatever is slow to come back has the time to be noticed.
            self.ask.run("sleep 4")
        finally:
            report = end()
        seen.read(json.loads(report), self.slow)
        print(f"{fault}: {seen}")
        if fault:
            debian = "trixie" if self.ask.systemd_version() > 252 else "bookworm"
            row = {"fault": fault, "debian": debian, "sent": seen.sent, "lost": len(seen.lost)}
            self.rows.append({**row, "again": round(seen.again, 1)})
        return seen


@pytest.fixture
def night(ask, control, request) -> Night:
    night = Night(ask, control, request)
    ask.run(f"rm -f {ROOT}/shared/switches/*; systemctl reset-failed '{NAME}@*' 2>/dev/null || true")
    if not night.arbiter:
        ask.run(f"systemctl start {night.unit}")
    ask.until("the app is well", night.up)
    return night


@pytest.fixture
def deploy(night, tmp_path):
    """Deploy a release that no deploy has had before, by a strategy; it has to succeed."""

    def deployed(strategy: str = "swap", **variables: object) -> str:
        source = tmp_path / f"source-{time.monotonic_ns()}"
        shutil.copytree(SCENARIO / "app", source, ignore=shutil.ignore_patterns("__pycache__"))
        (source / "version.txt").write_text(f"{time.time_ns()}\n")
        options = {"fastapi_source": str(source), "fastapi_strategy": strategy, **variables}
        status, said = night.control.run("release", "-e", f"@{SCENARIO}/variables.yml", **options)
        assert status == 0, said
        return said

    return deployed


def pytest_terminal_summary(terminalreporter) -> None:
    """The rows for a person, and, where SUPERVISE_ROWS names a file, added to it for scripts/reliability."""
    rows = terminalreporter.config.stash.get(ROWS, [])
    if not rows:
        return
    terminalreporter.section("Faults under load")
    for row in rows:
        terminalreporter.line("{debian:9} {fault:60} {lost:4} of {sent} lost, again after {again} s".format(**row))
    if path := os.environ.get("SUPERVISE_ROWS"):
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(json.dumps({**row, "at": time.strftime("%Y-%m-%d")}) + "\n" for row in rows)
