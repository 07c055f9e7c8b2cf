# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an app ends and comes back: its supervisor, the time-outs, the boot. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .findings import Finding
from .model import Host, Served
from .units import seconds

MARGIN = 5
"""Seconds by which whoever kills has to be later than who drains."""
LOOP = 3
"""Restarts from which on it isn't a mishap."""
_GOOD = ("always", "on-failure", "on-abnormal", "unexpected", "true", "unless-stopped", "on_failure")
_HARSH = {
    "gunicorn": {
        "SIGQUIT": "Uvicorn's workers go on until the graceful timeout, and are killed without a lifespan shutdown",
        "SIGKILL": "requests in flight are cut off at once",
        "SIGHUP": "Gunicorn reloads and doesn't end, so that it is killed",
    },
    "": {"SIGKILL": "requests in flight are cut off at once", "SIGHUP": "it ends at once"},
}
"""What a signal does that isn't for stopping."""


def ladder(app: Served, _host: Host) -> Iterator[Finding]:
    """Whether whoever supervises waits until the server has finished."""
    wait, where, write = patience(app)
    graceful = app.settings.number("graceful_timeout")
    if graceful is None and app.settings.kind in ("uvicorn", "fastapi") and app.main:
        yield app.find(
            "graceful-unbounded",
            app.process,
            "Uvicorn waits for open connections without a limit when it is told to stop.",
            "--timeout-graceful-shutdown 30"
            if app.settings.kind == "uvicorn"
            else "uvicorn with --timeout-graceful-shutdown 30 in place of fastapi run",
        )
    if wait is None or graceful is None:
        return
    if wait <= graceful:
        yield app.find(
            "stop-before-graceful",
            where,
            f"It is killed {wait:g} s after it was told to stop, and {app.settings.kind} gives requests {graceful:g} s "
            f"({app.settings.set_by('graceful')}).",
            write.format(int(graceful) + MARGIN + 10),
        )


def patience(app: Served) -> tuple[float | None, str, str]:
    """Seconds until whoever supervises kills it, where that is said, and what to write (with {} for the seconds)."""
    if app.container:
        return app.container.stop_wait, app.container.where, "stop_grace_period: {}s for the service"
    if app.program:
        at = app.program.where
        return (
            app.program.stop_wait,
            at.get("stopwaitsecs") or at.get("", ""),
            f"In [program:{app.program.name}]: stopwaitsecs={{}}",
        )
    if app.oxmgr:
        path, ox = app.oxmgr
        from .._oxmgr.app import CAP

        capped = ox.signal == "SIGTERM" and ox.stop_timeout > CAP
        wait = min(ox.stop_timeout, CAP) if ox.signal == "SIGTERM" else ox.stop_timeout
        why = (
            f"--graceful-timeout {CAP - MARGIN}: Oxmgr waits {CAP} s at most after SIGTERM"
            if capped or wait >= CAP
            else "stop_timeout_secs = {}"
        )
        return float(wait), f"{path} ({ox.name})", why
    if app.supervisor == "systemd" and app.unit:
        return (
            seconds(app.unit.get("TimeoutStopUSec", "")),
            app.directive("TimeoutStopSec"),
            f"In [Service] of {app.unit_path}: TimeoutStopSec={{}}",
        )
    return None, "", ""


def signals(app: Served, _host: Host) -> Iterator[Finding]:
    """How it is told to stop."""
    mode = app.unit.get("KillMode", "")
    if app.supervisor == "systemd" and mode in ("process", "none"):
        yield app.find(
            "kill-mode",
            app.directive("KillMode"),
            f"KillMode={mode}: when the first process has ended, its workers are left to themselves.",
            f"In [Service] of {app.unit_path}: KillMode=mixed",
        )
    numbers = {"2": "SIGINT", "3": "SIGQUIT", "9": "SIGKILL", "1": "SIGHUP"}
    signal, where, line = "", "", ""
    if app.supervisor == "systemd":
        signal = numbers.get(app.unit.get("KillSignal", ""), "")
        where, line = app.directive("KillSignal"), f"In [Service] of {app.unit_path}: KillSignal=SIGTERM"
    elif app.program:
        signal = f"SIG{app.program.stop_signal.removeprefix('SIG')}"
        where = app.program.where.get("stopsignal") or app.program.where.get("", "")
        line = f"In [program:{app.program.name}]: stopsignal=TERM"
    means = _HARSH["gunicorn" if app.settings.kind == "gunicorn" else ""].get(signal, "")
    if means and not app.ours:
        yield app.find("kill-mode", where, f"It is told to stop by {signal}: {means}.", line, "high")


def comes_back(app: Served, _host: Host) -> Iterator[Finding]:
    """Whether somebody starts it again."""
    unit = app.unit_path
    if app.container:
        policy, where, write = app.container.restart, app.container.where, "restart: unless-stopped"
    elif app.program:
        policy, where = app.program.restart, app.program.where.get("autorestart") or app.program.where.get("", "")
        write = f"In [program:{app.program.name}]: autorestart=true"
    elif app.oxmgr:
        policy, where = str(app.oxmgr[1].values.get("restart_policy")), app.oxmgr[0]
        write = 'restart_policy = "on_failure"'
    elif app.supervisor == "systemd" and app.unit.get("Id", "").endswith(".service"):
        policy, where, write = (
            app.unit.get("Restart", ""),
            app.directive("Restart"),
            f"In [Service] of {unit}: Restart=on-failure",
        )
    elif app.supervisor:
        # Its settings couldn't be read, which was told.
        return
    else:
        by = f"it belongs to {app.main.unit}" if app.main and app.main.unit else "it belongs to no unit"
        yield app.find(
            "no-restart",
            app.process,
            f"No supervisor runs it; {by}, as what somebody has started by hand or by nohup, screen or tmux.",
            "A unit in /etc/systemd/system with ExecStart=, User=, Restart=on-failure; systemctl enable --now it.",
        )
        return
    # The next connection starts it again.
    by_socket = ".socket" in app.unit.get("TriggeredBy", "")
    if policy not in _GOOD and not by_socket:
        yield app.find(
            "no-restart", where, f"After a failure it isn't started again (restart: {policy or 'no'}).", write
        )


def boot(app: Served, _host: Host) -> Iterator[Finding]:
    state = app.unit.get("UnitFileState", "")
    wanted = any(app.unit.get(by) for by in ("WantedBy", "RequiredBy", "TriggeredBy"))
    off = state == "disabled" or (state in ("static", "transient") and not wanted)
    # Which of our slots starts at boot is the deploy's matter.
    if app.supervisor == "systemd" and app.main and off and not app.ours and not app.unit.get("TriggeredBy"):
        line = "" if state == "disabled" else f"[Install] and WantedBy=multi-user.target in {app.unit_path}; "
        yield app.find(
            "not-enabled",
            app.unit_path,
            f"{app.unit.get('Id')} is {state}, and nothing wants it: somebody has started it by hand.",
            f"{line}systemctl enable {app.unit.get('Id')}",
        )


def restarts(app: Served, host: Host) -> Iterator[Finding]:
    """Whether it is started again and again."""
    unit = app.unit
    count = int(unit.get("NRestarts", "0") or 0)
    name = unit.get("Id", "")
    advice = f"journalctl -u {name} -n 50 says why it ends."
    if unit.get("ActiveState") == "failed":
        yield app.find(
            "restart-loop",
            name,
            f"It has failed ({unit.get('Result')}) after {count} restart(s), and systemd doesn't try again.",
            f"{advice} When that is fixed: systemctl reset-failed {name} && systemctl start {name}",
        )
    elif count >= LOOP and (unit.get("SubState") == "auto-restart" or _fresh(unit, host)):
        yield app.find(
            "restart-loop", name, f"systemd has started it again {count} times, and it doesn't stay up.", advice
        )


def _fresh(unit: dict[str, str], host: Host) -> bool:
    """Whether its last start is less than ten minutes ago."""
    since = unit.get("ActiveEnterTimestampMonotonic", "")
    return since.isdecimal() and host.uptime - int(since) / 1e6 < 600
