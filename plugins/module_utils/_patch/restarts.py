# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the services that run replaced files may be started anew, and which are named alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .._host.systemd import CommandFailed, Run, Systemd

LIMIT = 90
"""Seconds for the new start of one service: systemd's own for its end, by default."""
UNTIL_REBOOT = re.compile(
    r"(dbus|dbus-broker|systemd-[\w-]+|getty@.*|serial-getty@.*|console-getty|user@.*|polkit|docker|containerd)\.service"
)
"""Services that others don't survive, or that systemd's own package sees to."""
SHARED = re.compile(
    r"(postgresql|postgres|pgbouncer|pgpool\d*|mariadb|mysql|mysqld|percona|redis|redis-server|redis-sentinel|valkey"
    r"|valkey-server|valkey-sentinel|keydb-server|dragonfly|memcached|rabbitmq-server|mongod|mongodb|couchdb|cassandra"
    r"|elasticsearch|opensearch|solr|clickhouse-server|influxdb|influxd|kafka|zookeeper|nats|nats-server|mosquitto|emqx"
    r"|activemq|artemis|etcd|consul|vault|minio|slapd|nfs-server|nfs-mountd|haproxy)([@-].*)?\.service"
)
"""Databases, brokers and the like: other hosts may be at work with them."""
OURS = re.compile(r"graceful-.*\.service")
"""A run's own, such as commands of NAME-run: jobs."""
PROXIES = ("caddy.service", "nginx.service", "haproxy.service", "keepalived.service")
"""What serves on a balancer, and what decides whether it does."""


class _Asked(Systemd):
    properties = ("Id", "ActiveState", "Type", "Transient", "TriggeredBy")


@dataclass
class Sorted:
    """Services by what is done about them.

    :param restart: is started anew.
    :param by_hand: is named: it does harm at the wrong moment.
    :param until_reboot: is named likewise: nobody can start it anew.

    Jobs are in none of them: they would be cut off, and end by themselves.
    """

    restart: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    until_reboot: list[str] = field(default_factory=list)


def is_job(unit: str, state: dict[str, str]) -> bool:
    """Whether it ends by itself, or is another's to start: a new start would cut it off, and begin it again."""
    return bool(
        state.get("ActiveState") != "active"
        or state.get("Type") == "oneshot"
        or state.get("Transient") == "yes"
        or any(each.endswith(".timer") for each in state.get("TriggeredBy", "").split())
        or OURS.fullmatch(unit)
    )


def sort(run: Run, units: Iterable[str], serves: Iterable[str] = ()) -> Sorted:
    """:param serves: units that clients need meanwhile, which are named alone.

    Where systemd doesn't tell what they are, all are named.
    """
    found, named = Sorted(), sorted(units)
    try:
        states = _Asked(run).show(named) if named else {}
    except CommandFailed:
        return Sorted(by_hand=named)
    for unit in named:
        if UNTIL_REBOOT.fullmatch(unit):
            found.until_reboot.append(unit)
        elif is_job(unit, states[unit]):
            continue
        elif SHARED.fullmatch(unit) or unit in serves:
            found.by_hand.append(unit)
        else:
            found.restart.append(unit)
    return found


def restart(run: Run, unit: str) -> str:
    """Start a service anew; what is wrong, in a sentence, or ''."""
    status, out, err = run(["timeout", str(LIMIT), "systemctl", "try-restart", "--", unit])
    if status == 124:
        return f"{unit} has not restarted within {LIMIT} s, and systemd goes on with it: systemctl status {unit}"
    return f"systemctl restart {unit} failed: {(err or out).strip()}" if status else ""
