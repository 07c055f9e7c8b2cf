"""A host that is measured while it serves, by tune.yml: what scenarios share that ask about it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploys import NAME, ROOT, Counted

SLEEP = {"path": "/python", "method": "POST", "content_type": "text/plain", "body": "import time; time.sleep(0.05)"}
"""A request that keeps its worker from all others for 50 ms: twice the workers answer twice as many, on any machine."""
# Machines that test have other work: neither that nor what it does to answers is asked about, but where a test says so.
QUICK = {"paths": [SLEEP], "clients": 8, "seconds": 2, "idle": 0, "slower": 100}


@dataclass(frozen=True)
class Measured:
    """The first run on a host, by a person's playbook, and what it left.

    :param before: how the slots were before it; ``after`` it.
    :param module: the module as it was called, to be called again.
    """

    said: str
    result: dict
    files: list[Path]
    counted: Counted
    before: str
    after: str
    module: object


def slots(site) -> str:
    """All that is in the slots' directory, with owners, modes and content; and which units run and start at boot."""
    ask = site.ask
    files = f"cd {ROOT}/slots; find . -printf '%p %M %u %g %l\\n' | sort; find . -type f | sort | xargs sha256sum"
    names = [unit for slot in ("blue", "green") for unit in (site.unit(slot), f"{NAME}@{slot}.socket")]
    # A unit that runs has its start in this; one that doesn't, its last.
    show = "systemctl show $unit --property"
    units = f"""for unit in {" ".join(names)}; do {show}=ActiveState,UnitFileState,CPUWeight,Nice
        systemctl --quiet is-active $unit && {show}=InvocationID; done"""
    left = "ls /run/systemd/system.control 2>/dev/null; pgrep h2load"
    return ask.run(f"{files}; {units}; {left} || true")


_first: dict[str, Measured] = {}


@pytest.fixture
def limits() -> dict[str, object]:
    """What the first run is given beside what all are."""
    return {}


@pytest.fixture
def measured(ask, site, load, control, recorded, tmp_path, limits) -> Measured:
    """Made once for each host, under load."""
    name = ask.host.backend.host
    if name not in _first:
        # So that the standby slot holds something that has to be there again.
        site.deploy()
        site.gone(site.standby)
        before = slots(site)
        with load() as running:
            status, said = control.run("tune", *site.options, keep=True, **QUICK, **limits, most=3, into=str(tmp_path))
        assert status == 0, said
        files = sorted(tmp_path.iterdir())
        result = json.loads(next(path for path in files if path.suffix == ".json").read_text())
        _first[name] = Measured(said, result, files, running.counted, before, slots(site), recorded("tune"))
    return _first[name]


class Tune:
    """The module, called again with some options changed."""

    def __init__(self, measured: Measured, ask) -> None:
        self.module = measured.module
        self.ask = ask

    def start(self, **changes: object) -> subprocess.Popen[str]:
        return self.module.start(**{"seconds": 1, "most": 1, **changes})

    def call(self, **changes: object) -> dict:
        return self.ended(self.start(**changes))

    def ended(self, process: subprocess.Popen[str]) -> dict:
        return self.module.result(process)

    def note(self) -> dict:
        """What it says of itself in the lock."""
        return json.loads(self.ask.run(f"cat {ROOT}/deploy.lock").strip() or "{}")

    def at(self, phase: str) -> dict:
        """Wait until it has come so far; its note."""
        return self.ask.until(phase, lambda: (note := self.note()).get("phase") == phase and note, 60)


def cut_off(site, tune: Tune, ask) -> None:
    """SIGKILL while it measures: the load ends with it, and the slot runs on, without traffic and not at boot."""
    process = tune.start(seconds=100)
    note = tune.at("1 worker")
    ask.until("it is asked", lambda: ask.host.run("pgrep -x h2load").rc == 0)
    ask.run(f"kill -9 {note['pid']}")
    assert tune.ended(process) == {}
    ask.until("the load has ended", lambda: ask.host.run("pgrep -x h2load").rc, 20)
    left = ask.show(site.unit(site.standby), "ActiveState", "UnitFileState")
    assert left == {"ActiveState": "active", "UnitFileState": "disabled"}


@pytest.fixture
def tune(measured, ask) -> Tune:
    return Tune(measured, ask)


@pytest.fixture
def status(site, recorded):
    """What status.yml finds, as data."""
    said = site.control.run("status", *site.options, keep=True)
    assert said[0] == 0, said[1]
    return recorded("status_info").call
