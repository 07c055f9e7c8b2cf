"""Which services that run replaced files are started anew, and which are left alone."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._patch import restarts

RUNS = {"ActiveState": "active", "Type": "simple", "Transient": "no", "TriggeredBy": ""}
UNITS = {
    "cron.service": RUNS,
    "ssh.service": {**RUNS, "Type": "notify", "TriggeredBy": "ssh.socket"},
    "nginx.service": {**RUNS, "Type": "forking"},
    # Jobs: cut off and begun again they would do harm, and they end by themselves.
    "backup.service": {**RUNS, "ActiveState": "activating", "Type": "oneshot"},
    "done.service": {**RUNS, "Type": "oneshot"},
    "nightly.service": {**RUNS, "TriggeredBy": "nightly.timer"},
    "run-u12.service": {**RUNS, "Transient": "yes"},
    "graceful-shop-run-0001.service": RUNS,
    "stops.service": {**RUNS, "ActiveState": "deactivating"},
    # Others may be at work with these.
    "postgresql@15-main.service": RUNS,
    "mariadb.service": RUNS,
    "redis-server.service": RUNS,
    "valkey-server@cache.service": RUNS,
    "rabbitmq-server.service": RUNS,
    "dbus.service": RUNS,
    "systemd-logind.service": RUNS,
    "user@0.service": RUNS,
    "getty@tty1.service": RUNS,
}


class Host:
    def __init__(self, status: int = 0) -> None:
        self.status, self.commands = status, []

    def __call__(self, command):
        self.commands.append(command)
        if command[1] != "show":
            return self.status, "", "no such thing"
        names = command[command.index("--") + 1 :]
        blocks = ["".join(f"{key}={value}\n" for key, value in UNITS[each].items()) for each in names]
        return 0, "\n".join(blocks), ""


def test_only_what_serves_on_is_started_anew():
    found = restarts.sort(Host(), UNITS)
    assert found.restart == ["cron.service", "nginx.service", "ssh.service"]
    assert found.by_hand == [
        "mariadb.service",
        "postgresql@15-main.service",
        "rabbitmq-server.service",
        "redis-server.service",
        "valkey-server@cache.service",
    ]
    assert found.until_reboot == ["dbus.service", "getty@tty1.service", "systemd-logind.service", "user@0.service"]


def test_what_clients_need_meanwhile_is_named_alone():
    found = restarts.sort(Host(), ["cron.service", "nginx.service"], restarts.PROXIES)
    assert (found.restart, found.by_hand) == (["cron.service"], ["nginx.service"])


def test_nothing_is_asked_of_nothing():
    host = Host()
    assert restarts.sort(host, []).restart == [] and host.commands == []


@pytest.mark.parametrize(
    ("status", "said"), [(0, ""), (1, "systemctl restart a.service failed: no such thing"), (124, "within 90 s")]
)
def test_a_new_start_has_a_limit(status, said):
    host = Host(status)
    told = restarts.restart(host, "a.service")
    assert host.commands == [["timeout", "90", "systemctl", "try-restart", "--", "a.service"]]
    assert said in told and bool(told) == bool(status)
