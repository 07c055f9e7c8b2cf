"""Workers that can't start are tried again for as long as it takes; a service that can't run at all is given up."""

from __future__ import annotations

import json
import re

from conftest import NAME, ROOT


def test_the_database_is_away_when_a_worker_is_respawned(night):
    """The other worker serves on; when the database is back, so is the worker."""
    one, other = night.workers

    def strike() -> None:
        night.ask.run("systemctl stop 'postgresql@*'")
        night.ask.run(f"kill -KILL {one}")

    def over() -> bool:
        if len(night.said("did not start; the next try is in", since)) == 2:
            night.ask.run("systemctl restart postgresql")
        now = night.look()
        return now.well and one not in now.workers and night.said("startup complete", since)

    since = night.now()
    seen = night.under("PostgreSQL is away while a worker is respawned", strike, over)
    assert other in night.workers
    # What the killed worker was at.
    assert len(seen.lost) < 30, str(seen)


def test_the_database_is_away_when_the_service_starts(night, ask):
    """A reboot while the database's host is down: the slot that has the traffic is not given up."""
    ask.run("systemctl stop 'postgresql@*'")
    try:
        since = night.now()
        ask.run(f"systemctl restart {night.unit}")
        ask.until("several tries", lambda: len(night.said("did not start; the next try is in", since)) >= 6, 60)
        assert night.show("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    finally:
        ask.run("systemctl restart postgresql")
    ask.until("it serves", night.up, 40)


def test_what_no_waiting_mends_is_given_up_and_told(night, ask, control):
    """The release's Python is gone, say. The unit of fastapi_on_failure is started, and status says what to do."""
    drop_in = f"/run/systemd/system/{NAME}@.service.d"
    ask.run(
        "printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"echo %%i >/run/told\"\\n' "
        ">/etc/systemd/system/tell@.service; rm -f /run/told; "
        # As many starts as the unit allows, with less time between them.
        f"mkdir -p {drop_in}; printf '[Service]\\nRestartSec=100ms\\n' >{drop_in}/quick.conf; systemctl daemon-reload"
    )
    unit, since = night.unit, night.now()
    python = f"{ROOT}/slots/{night.live}/release/.venv/bin/python"
    ask.run(f"mv {python} {python}.gone; systemctl kill --signal=KILL --kill-who=all {unit}")
    try:
        ask.until("it is given up", lambda: ask.show(unit, "ActiveState")["ActiveState"] == "failed", 60)
        assert len(night.supervisor_said("Start request repeated too quickly", since)) == 1
        ask.until("the user's unit ran", lambda: ask.host.file("/run/told").exists)
        assert ask.run("cat /run/told").strip() == unit
        status, said = control.run("status", fastapi_name=NAME)
        assert status == 0
        assert re.search(r"given it up after \d+ restarts \(exit-code, status 203\)", said), said
        assert f"systemctl reset-failed {unit} && systemctl start {unit}" in said
    finally:
        ask.run(f"mv {python}.gone {python}; rm -r {drop_in}; systemctl daemon-reload")
    ask.run(f"systemctl reset-failed {unit} && systemctl start {unit}")
    ask.until("it serves", night.up)


def test_a_worker_that_dies_at_once_is_not_forked_at_once_again(night, ask):
    """A library that crashes when it is loaded: tries come at growing distances, not hundreds a minute."""
    since = night.now()
    night.switch("crash-at-import")
    ask.run(f"kill -KILL {night.workers[0]}")
    ask.until("several tries", lambda: len(night.said("was killed in its startup", since)) == 3, 40)
    night.switch("crash-at-import", on=False)
    ask.until("it serves", night.up, 40)
    pauses = [float(line.split(" in ")[-1].split()[0]) for line in night.said("was killed in its startup", since)]
    assert pauses == sorted(pauses) and pauses[-1] > 2, json.dumps(pauses)
