# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each setting of a unit, of a supervisord program or of an oxfile comes to here. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .front import seconds

_OWN = "ours has its own"
_SANDBOX = "ours is as tight: docs/secrets-and-sandbox.md"
_READ = ""
_SYSTEMD = {
    "User Group WorkingDirectory Environment EnvironmentFile ExecStart ListenStream": _READ,
    "Description Documentation After Before Wants Requires BindsTo PartOf WantedBy Alias DefaultDependencies": _OWN,
    "ConditionPathExists AssertPathExists Type NotifyAccess Restart RestartSec RestartSteps RestartMaxDelaySec": _OWN,
    "StartLimitInterval StartLimitIntervalSec StartLimitBurst KillSignal KillMode SendSIGKILL FinalKillSignal": _OWN,
    "ExecReload ExecStop PIDFile GuessMainPID RemainAfterExit TimeoutStartSec WatchdogSec UMask StandardInput": _OWN,
    "StandardOutput StandardError SyslogIdentifier SyslogFacility LogLevelMax RuntimeDirectory": _OWN,
    "RuntimeDirectoryMode RuntimeDirectoryPreserve OOMPolicy SuccessExitStatus Slice Delegate": _OWN,
    "SocketUser SocketGroup SocketMode Accept Backlog": _OWN,
    "NoNewPrivileges PrivateTmp PrivateDevices PrivateUsers ProtectSystem ProtectHome ProtectKernelTunables": _SANDBOX,
    "ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname ProtectProc": _SANDBOX,
    "ProcSubset RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality": _SANDBOX,
    "MemoryDenyWriteExecute SystemCallFilter SystemCallArchitectures SystemCallErrorNumber RemoveIPC": _SANDBOX,
    "CapabilityBoundingSet AmbientCapabilities DevicePolicy KeyringMode": _SANDBOX,
}
_SUPERVISOR = {
    "command directory user environment": _READ,
    "process_name numprocs priority autostart autorestart startsecs startretries stopsignal": _OWN,
    "stopasgroup exitcodes": _OWN,
    "killasgroup redirect_stderr stdout_logfile stderr_logfile stdout_logfile_maxbytes stderr_logfile_maxbytes": _OWN,
    "stdout_logfile_backups stderr_logfile_backups stdout_capture_maxbytes": _OWN,
}
_OXMGR = {
    "name command cwd env env_file": _READ,
    "restart_policy max_restarts crash_restart_limit restart_delay_secs stop_signal": _OWN,
    "wait_ready ready_timeout_secs": _OWN,
    "health_cmd health_interval_secs health_timeout_secs health_max_failures cgroup_enforce": _OWN,
    "namespace start_order": _OWN,
}
TABLES = {
    kind: {name: why for names, why in table.items() for name in names.split()}
    for kind, table in (("systemd", _SYSTEMD), ("supervisor", _SUPERVISOR), ("oxmgr", _OXMGR))
}


@dataclass
class Taken:
    """:param values: variables without prefix.
    :param ours: and `unknown`: place, text and why, as Front has them.
    """

    values: dict[str, t.Any] = field(default_factory=dict)
    ours: list[tuple[str, str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str, str]] = field(default_factory=list)


def take(kind: str, rows: t.Iterable[t.Sequence[str]], hide: t.Callable[[str], str] = str) -> Taken:
    """:param rows: section, name, value and place of each setting.
    :param hide: takes secrets out of a line.
    """
    taken = Taken()
    table = TABLES[kind]
    for section, name, value, place in rows:
        if section == "finding":
            taken.unknown.append((value.partition(": ")[0], value.partition(": ")[2], ""))
            continue
        row = (place, hide(f"{name}={value}"))
        if name in ("TimeoutStopSec", "TimeoutSec", "stopwaitsecs", "stop_timeout_secs"):
            if limit := seconds(value):
                taken.values["stop_timeout"] = limit
            else:
                taken.unknown.append((*row, "ours has a limit: fastapi_stop_timeout"))
        elif name in ("MemoryMax", "MemoryLimit", "max_memory_mb"):
            found = re.fullmatch(r"([0-9]+)([KMGT]?)", value if name != "max_memory_mb" else f"{value}M")
            if found:
                taken.values["memory_max"] = value if found[2] else f"{int(found[1]) >> 10}K"
                taken.values["memory_max"] = taken.values["memory_max"] if name != "max_memory_mb" else f"{value}M"
            else:
                taken.unknown.append((*row, "write fastapi_memory_max, in bytes with K, M or G"))
        elif name in ("ReadWritePaths", "ReadWriteDirectories", "StateDirectory"):
            below = "/var/lib/" if name == "StateDirectory" else ""
            paths = [below + each.lstrip("-+") for each in value.split()]
            taken.values["writable_paths"] = [*taken.values.get("writable_paths", []), *paths]
        elif name == "SupplementaryGroups":
            sandbox = taken.values.setdefault("sandbox", {})
            sandbox[name] = [*sandbox.get(name, []), *value.split()]
        elif name == "OnFailure" and len(value.split()) == 1:
            taken.values["on_failure"] = value
        elif name in ("StandardOutput", "StandardError") and re.match("(append|file|truncate):", value):
            taken.unknown.append((*row, "its lines go to the app's journal; fastapi_log_files has files as well"))
        elif name.startswith("ExecStartPre"):
            taken.unknown.append((*row, "a migration belongs into fastapi_before_swap"))
        elif name in table:
            if table[name]:
                taken.ours.append((*row, table[name]))
        else:
            advice = "a limit or a sandbox goes into fastapi_sandbox" if kind == "systemd" else "it has no equal"
            taken.unknown.append((*row, advice))
    return taken
