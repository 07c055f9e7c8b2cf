"""Runs of prove.yml against one host, and what they have counted."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
NAME, ROOT = "swap", "/srv/swap"
UNIT, PLACE = f"{NAME}-prove.service", f"/run/graceful-prove/{NAME}"


@dataclass
class Proved:
    """What a run has come to: its exit status, all that it said, and its report; {} where it wrote none."""

    status: int
    said: str
    figures: dict
    into: Path

    def well(self) -> Proved:
        assert self.status == 0 and self.figures, self.said
        return self


class Runs:
    def __init__(self, ask, control, tmp_path: Path) -> None:
        self.ask, self.control, self.tmp_path, self.count = ask, control, tmp_path, 0

    @property
    def proxy(self) -> str:
        return "nginx" if self.ask.host.backend.host.endswith("bookworm") else "caddy"

    def source(self, fault: str = "") -> str:
        """The app as nobody has deployed it before, with a fault where one is named."""
        path = self.tmp_path / f"source-{self.count}"
        shutil.copytree(SCENARIO.parent / "swap" / "app", path, ignore=shutil.ignore_patterns("__pycache__"))
        (path / "version.txt").write_text(self.ask.run("date +%s%N"))
        if fault:
            (path / "fault.txt").write_text(fault)
        return str(path)

    def start(self, during: str, *options: str, **variables: object) -> subprocess.Popen[str]:
        self.count += 1
        self.into = self.tmp_path / f"report-{self.count}"
        known = {"during": during, "paths": "/", "rate": 20, "before": 2, "into": str(self.into)}
        known["fastapi_source"] = str(SCENARIO.parent / "swap" / "app")
        return self.control.start("prove", *options, "-e", f"@{SCENARIO}/variables.yml", **{**known, **variables})

    def ended(self, process: subprocess.Popen[str]) -> Proved:
        said = process.communicate(timeout=120)[0]
        reports = list(self.into.glob("*.json")) if self.into.is_dir() else []
        figures = json.loads(reports[0].read_text()) if reports else {}
        return Proved(process.returncode, said, figures, self.into)

    def run(self, during: str, *options: str, **variables: object) -> Proved:
        with self.start(during, *options, **variables) as process:
            return self.ended(process)

    def asked(self, seconds: float) -> str:
        """Wait until a client runs and has asked for so long; its token."""
        lines = f"systemctl is-active --quiet {UNIT} && wc -l <{PLACE}/rows || echo 0"
        self.ask.until("requests are sent", lambda: int(self.ask.run(lines)) > 20 * seconds)
        return str(json.loads(self.ask.run(f"cat {PLACE}/note"))["token"])

    def nothing_left(self) -> None:
        """No client runs, and nothing of one is on the host."""
        assert self.ask.show(UNIT, "ActiveState")["ActiveState"] == "inactive"
        assert self.ask.run(f"ls {PLACE} 2>/dev/null || true") == ""

    def history(self) -> list[dict]:
        return [json.loads(line) for line in self.ask.run(f"cat {ROOT}/history.jsonl").splitlines()]

    def told(self) -> list[dict]:
        return [json.loads(line) for line in self.ask.run("cat /tmp/told.jsonl").splitlines()]


@pytest.fixture
def prove(ask, control, tmp_path) -> Iterator[Runs]:
    yield Runs(ask, control, tmp_path)
    # A test that failed leaves the next one no client.
    ask.host.run(f"systemctl stop {UNIT}; rm -rf {PLACE}")
