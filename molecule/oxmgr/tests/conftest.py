"""The app of scenario swap, under load, with Oxmgr as the supervisor of its slots."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deploys import *  # noqa: F403
from deploys import NAME, ROOT, SWAP, Load, Site, served
from testinfra.backend.base import CommandResult
from tunes import *  # noqa: F403

SCENARIO = Path(__file__).resolve().parents[1]
SLOTS = ("blue", "green")
PROGRAM = f"/usr/local/lib/{NAME}-oxmgr"
# The tests of swap and tune, which are asked here as well, and the client of supervise; behind this directory, whose
# names come first.
sys.path += [str(SWAP.parent / name / "tests") for name in ("swap", "supervise", "tune")]


def left_of_oxmgr(ask, name: str = NAME) -> list[str]:
    """What an app's Oxmgr has on the host, and what of any runs."""
    places = f"/run/{name}-oxmgr /var/lib/{name}-oxmgr /usr/local/lib/*oxmgr* /usr/local/bin/{name}-oxmgr"
    units = "/etc/systemd/system/*oxmgr* /etc/systemd/system/*/*oxmgr*"
    return ask.run(f"ls -d {places} {units} 2>/dev/null || true; pgrep --list-full oxmgr || true").splitlines()


class Oxmgr(Site):
    """See Site."""

    def unit(self, slot: str) -> str:
        return f"{NAME}-oxmgr@{slot}.service"

    def record(self, slot: str) -> dict[str, Any]:
        """What Oxmgr has written down of the slot."""
        said = self.ask.host.run(f"cat /var/lib/{NAME}-oxmgr/{slot}/state.json").stdout
        rows = json.loads(said)["processes"] if said else []
        return rows[0] if rows else {}

    def main_pid(self, slot: str) -> str:
        pid = str(self.record(slot).get("pid") or 0)
        return pid if self.ask.host.run(f"grep -q gunicorn /proc/{pid}/cmdline").rc == 0 else "0"

    def daemon(self, slot: str) -> str:
        """The process id of the slot's Oxmgr; '0' for none."""
        return super().main_pid(slot)

    def restarts(self, slot: str) -> int:
        return super().restarts(slot) + int(self.record(slot).get("restart_count") or 0)

    def tell(self, slot: str, words: str) -> CommandResult:
        """Give a slot's Oxmgr a command of its own, in its network; the app's own command refuses some."""
        home = self.ask.show(self.unit(slot), "Environment")["Environment"]
        return self.ask.host.run(f"nsenter --net --target {self.daemon(slot)} env {home} {PROGRAM} {words}")

    def python(self, code: str) -> Any:
        """What a worker of the live slot says when it runs this code: its ``said``."""
        said = self.ask.host.run("curl -s -m 20 --data-binary %s http://127.0.0.1/python", code)
        assert said.rc == 0 and said.stdout, said
        try:
            return json.loads(said.stdout)
        except ValueError:
            pytest.fail(f"{code}: {said.stdout}")

    def alone(self, oxmgr: bool = True) -> None:
        """The live slot runs and is enabled, and nothing of the other slot, or by the other supervisor.

        :param oxmgr: whether it is Oxmgr that runs it.
        """
        kinds = {True: f"{NAME}-oxmgr@{{}}.service", False: f"{NAME}@{{}}.service"}
        units = {f"{NAME}@{slot}.socket": slot == self.live for slot in SLOTS}
        units |= {kinds[by].format(slot): slot == self.live and by is oxmgr for slot in SLOTS for by in kinds}
        for by in kinds:
            ends = lambda by=by: "deactivating" in self._states(kinds[by].format(slot) for slot in SLOTS)  # noqa: E731
            self.ask.until("what was told to stop has ended", lambda: not ends(), 40)  # noqa: B023
        show = {unit: self.ask.show(unit, "ActiveState", "UnitFileState") for unit in units}
        now = {unit: (seen["ActiveState"], seen["UnitFileState"] or "disabled") for unit, seen in show.items()}
        assert now == {unit: ("active", "enabled") if up else ("inactive", "disabled") for unit, up in units.items()}
        left = f"ls -A {ROOT}/slots {ROOT}/releases | grep '^\\.' || true; cat {ROOT}/deploy.lock"
        assert self.ask.run(left).split() == []

    def _states(self, units) -> str:
        return self.ask.run(f"systemctl show --value --property=ActiveState {' '.join(units)}")


@pytest.fixture
def options() -> list[str]:
    return ["-e", f"@{SWAP}/variables.yml", "-e", f"@{SCENARIO}/variables.yml"]


@pytest.fixture
def limits() -> dict[str, object]:
    """Tests of memory have taught the planner that a worker takes more than there is room for here."""
    return {"fastapi_worker_memory": "60M"}


@pytest.fixture
def site(ask, control, tmp_path, first, options) -> Oxmgr:
    site = Oxmgr(ask, control, tmp_path, first, options)
    # One that failed may have left a slot that Oxmgr doesn't run, or that systemd does.
    ask.host.run(f"systemctl reset-failed '{NAME}*'")
    if ask.show(site.unit(site.live), "ActiveState")["ActiveState"] != "active":
        site.swap(site.held(site.live))
    elif site.main_pid(site.live) == "0":
        ask.run(f"systemctl restart {site.unit(site.live)}")
    left = [site.unit(site.standby), *(f"{NAME}@{slot}.service" for slot in SLOTS)]
    ask.host.run(f"systemctl disable --quiet --no-reload {' '.join(left)}")
    return served(site)


@pytest.fixture
def count(ask, count) -> Callable[..., None]:
    """As everywhere, with Oxmgr's version; of tests that are scenario swap's, too."""
    version = ask.run(f"{PROGRAM} --version").split()[-1]
    return lambda fault, *counted, **more: count(f"Oxmgr {version}: {fault}", *counted, **more)


@pytest.fixture
def tally(count) -> Callable[[str, Load], None]:
    """Record a row of what a load has counted."""
    return lambda fault, running: count(fault, running.counted.sent, len(running.counted.lost))
