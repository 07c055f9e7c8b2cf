"""What runs beside the web workers, as text: what is wanted of it, and its units."""

from __future__ import annotations

import dataclasses
import json

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.command import Place
from ansible_collections.graceful.deploy.plugins.module_utils._process import units
from ansible_collections.graceful.deploy.plugins.module_utils._process.specs import Beside, Process, beside, from_record

UNIT = """# Written by Ansible (graceful.deploy.gunicorn); changes made here are undone by the next run.
[Unit]
Description=shop (slot %i): Gunicorn
Wants=network-online.target
After=network-online.target postgresql.service
Before=caddy.service nginx.service
Requires=shop@%i.socket
Wants=shop-log-files.service
After=shop@%i.socket
OnFailure=mail@%n.service
RequiresMountsFor=/data

[Service]
Type=notify
LoadCredential=token:/srv/shop/slots/%i/credentials/token
WatchdogSec=30
TimeoutStopSec=45
OOMPolicy=continue
MemoryMax=500M
LogNamespace=shop
SyslogIdentifier=shop
SyslogLevel=notice
PrivateTmp=yes
ReadWritePaths=-/srv/shop/home /data
"""
PLACE = Place("shop", "deploy", "deploy", "/srv/shop/generations/4", UNIT)
ROWS = {
    "worker": {"command": "celery -A app worker", "stop_timeout": 300, "memory_max": "400M", "hosts": "all"},
    "beat": {"command": "celery -A app beat", "instances": 1, "hosts": "first"},
    "many": {"command": "rq worker", "instances": 3},
}
TIMERS = {
    "cleanup": {"command": "python -m app.cleanup", "calendars": ["*-*-* 03:30"]},
    "everywhere": {"command": "true", "calendars": ["daily"], "hosts": "all", "timeout": "5min"},
}


def test_what_is_left_out_has_its_default():
    found = {each.name: each for each in beside(ROWS, TIMERS, {"worker": 'A="1"\n'}, first=True).processes}
    assert found["worker"] == Process(
        "worker", "celery -A app worker", stop_timeout=300, memory_max="400M", environment='A="1"\n'
    )
    assert (found["many"].instances, found["many"].alone) == (3, False)


def test_one_instance_that_is_written_is_never_two():
    found = {each.name: each.alone for each in beside(ROWS, {}, {}, first=True).processes}
    assert found == {"beat": True, "many": False, "worker": False}


def test_what_is_for_one_host_runs_on_the_first_alone():
    other = beside(ROWS, TIMERS, {}, first=False)
    assert [each.name for each in other.processes] == ["many", "worker"]
    assert [each.name for each in other.timers] == ["everywhere"]
    assert [each.name for each in beside(ROWS, TIMERS, {}, first=True).timers] == ["cleanup", "everywhere"]


def test_a_generation_remembers_what_it_runs():
    found = beside(ROWS, TIMERS, {"worker": 'A="1"\n'}, first=True)
    assert from_record(json.loads(json.dumps(dataclasses.asdict(found)))) == found
    assert not from_record({"processes": [], "timers": []})


def test_a_process_has_what_the_web_s_unit_lets_it():
    texts = units.texts(PLACE, beside(ROWS, {}, {"worker": 'A="1"\n'}, first=True), 4)
    assert sorted(texts) == ["shop.beat.4@.service", "shop.many.4@.service", "shop.worker.4@.service"]
    lines = texts["shop.worker.4@.service"].split("\n")
    for line in (
        "Wants=network-online.target",
        "After=network-online.target postgresql.service",
        "OnFailure=mail@%n.service",
        "RequiresMountsFor=/data",
        "ConditionPathExists=/srv/shop/generations/live/4",
        "WorkingDirectory=/srv/shop/generations/4/release",
        "EnvironmentFile=/srv/shop/generations/4/env",
        "EnvironmentFile=/srv/shop/generations/4/env.worker",
        "LoadCredential=token:/srv/shop/generations/4/credentials/token",
        "Slice=system-shop.slice",
        "TimeoutStopSec=300",
        "KillSignal=SIGTERM",
        "MemoryMax=400M",
        "LogNamespace=shop",
        "SyslogIdentifier=worker",
        "PrivateTmp=yes",
        "ReadWritePaths=-/srv/shop/home /data",
    ):
        assert lines.count(line) == 1, line
    # What is the web's alone.
    text = "\n".join(texts.values())
    for word in ("slots", "socket", "Watchdog", "Before=", "Type=notify", "log-files", "SyslogIdentifier=shop"):
        assert word not in text
    assert "MemoryMax=500M" in texts["shop.beat.4@.service"].split("\n")


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("worker --rate 50%", "worker --rate 50%%"),
        ("worker $REDIS_URL", "worker $$REDIS_URL"),
        ('worker "a b"', 'worker \\"a b\\"'),
        ("worker a\\b", "worker a\\\\b"),
    ],
)
def test_systemd_reads_a_command_as_it_is_written(command, written):
    text = units.texts(PLACE, Beside((Process("w", command),)), 4)["shop.w.4@.service"]
    line = next(line for line in text.split("\n") if line.startswith("ExecStart="))
    assert line.endswith(f'\\nexec {written}"')


def test_a_timer_is_the_same_for_all_generations_and_follows_the_live_one():
    found = beside({}, TIMERS, {}, first=True)
    texts = units.texts(PLACE, found, 4)
    assert texts == units.texts(dataclasses.replace(PLACE, directory="/srv/shop/generations/7"), found, 7)
    run = texts["shop.cleanup.service"].split("\n")
    for line in (
        "Type=oneshot",
        "WorkingDirectory=/srv/shop/generations/live/release",
        "EnvironmentFile=/srv/shop/generations/live/env",
        "LoadCredential=token:/srv/shop/generations/live/credentials/token",
        "OnFailure=mail@%n.service",
        "TimeoutStartSec=1h",
    ):
        assert line in run, line
    assert "TimeoutStartSec=5min" in texts["shop.everywhere.service"]
    assert "OnCalendar=*-*-* 03:30" in texts["shop.cleanup.timer"].split("\n")
    assert "Persistent=yes" in texts["shop.cleanup.timer"]


def test_no_other_app_s_units_are_taken_for_these():
    mine = ["shop.worker.4@1.service", "shop.worker.4@.service", "shop.cleanup.timer", "shop.cleanup.service"]
    others = [
        "shop@blue.service",
        "shop-worker.x.4@.service",
        "shopx.worker.4@.service",
        "shop.service",
        "shop.a.socket",
    ]
    assert units.of("shop", [*mine, *others]) == mine
    assert [units.generation_of(unit) for unit in mine] == [4, 4, 0, 0]


def test_two_generations_of_one_process_compare_equal():
    found = beside(ROWS, {}, {}, first=True)
    later = units.texts(dataclasses.replace(PLACE, directory="/srv/shop/generations/17"), found, 17)
    first = units.texts(PLACE, found, 4)
    for name in ("beat", "many", "worker"):
        old, new = first[f"shop.{name}.4@.service"], later[f"shop.{name}.17@.service"]
        assert old != new
        assert units.unnumbered(old, "/srv/shop/generations", 4) == units.unnumbered(new, "/srv/shop/generations", 17)
