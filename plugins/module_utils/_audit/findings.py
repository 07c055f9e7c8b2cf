# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What audit.yml can find: each check by its id, and what a finding of it says. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

SEVERITIES = ("high", "medium", "low", "info")


class Check(NamedTuple):
    """One thing that is looked for.

    :param severity: the usual one; a finding may have another, where what was seen is worse or better.
    :param looks: what it looks for, for the list in docs/audit.md.
    :param costs: what it costs, in one sentence.
    """

    severity: str
    looks: str
    costs: str


CHECKS = {
    # How it is run.
    "uvicorn-alone": Check(
        "medium",
        "one Uvicorn, Hypercorn or `fastapi run` process with nothing that manages workers",
        "One CPU is used, and while the process restarts or hangs nobody is served.",
    ),
    "reload-in-production": Check(
        "high",
        "`--reload`, `fastapi dev` or `reload=True`",
        "Each change of a file restarts the app under its users, cuts their requests off, and watching costs CPU.",
    ),
    "too-many-workers": Check(
        "medium",
        "more workers of async code than CPUs + 1, as by 2N + 1",
        "Each is an interpreter with its own memory and connection pool, and brings no more requests a second.",
    ),
    "workers-exceed-memory": Check(
        "high",
        "workers that together take nearly all of the memory that their unit or the host has",
        "The kernel kills one of them in the middle of its requests as soon as they need a little more.",
    ),
    "pool-exceeds-database": Check(
        "high",
        "the pool's most connections times the workers, against PostgreSQL's max_connections",
        "Under load the database refuses connections, and requests that would have waited are answered 500.",
    ),
    "deprecated-worker": Check(
        "low",
        "the worker class `uvicorn.workers`",
        "It is deprecated, and a later Uvicorn comes without it: then Gunicorn doesn't start after an upgrade.",
    ),
    # How it stops.
    "stop-before-graceful": Check(
        "high",
        "a stop timeout of systemd, supervisord, Oxmgr or Docker that isn't above the graceful timeout",
        "Whoever supervises it kills it before its requests are finished: answers are cut off at each deploy.",
    ),
    "graceful-unbounded": Check(
        "low",
        "a server that waits for open connections without a limit of its own",
        "A client that keeps its connection open holds a stop back until it is killed, without the lifespan shutdown.",
    ),
    "kill-mode": Check(
        "medium",
        "`KillMode=process` or `none`, or a signal that doesn't let requests finish",
        "Workers are left behind, or cut off in the middle of their requests, at each stop.",
    ),
    "proxy-stops-early": Check(
        "medium",
        "a proxy's unit that gives it less time to stop than the app has, as Debian's 5 s for Caddy and nginx",
        "A restart or upgrade of the proxy cuts off what is still being answered.",
    ),
    "proxy-timeout-short": Check(
        "medium",
        "a proxy that waits less for an answer than Gunicorn's timeout allows, or that has logged such time-outs",
        "Slow requests are answered 504 by the proxy while the app still works on them, and clients send them again.",
    ),
    "upstream-keepalive": Check(
        "medium",
        "connections that the proxy keeps for longer than the app does",
        "A POST sent on a connection that the app is just closing is a 502 that no proxy may retry.",
    ),
    # What it is when nobody looks.
    "no-restart": Check(
        "high",
        "no supervisor, or one that doesn't start the app again when it fails",
        "After a crash it is down until somebody notices.",
    ),
    "not-enabled": Check("medium", "a unit that doesn't start at boot", "After a reboot of the host the app is down."),
    "restart-loop": Check(
        "high",
        "a service that is started again and again, or was given up",
        "Requests fail between two starts, and after some of them systemd gives it up.",
    ),
    "oom-kills": Check(
        "high",
        "processes of the app that the kernel has killed for memory, by the cgroup's count and the journal",
        "Each one cut off all requests of its worker.",
    ),
    "no-memory-limit": Check(
        "low",
        "no limit of memory for the app",
        "One worker that runs away takes the memory of the whole host, and the kernel may kill the database for it.",
    ),
    "no-health": Check(
        "medium",
        "an app that answers to no path for liveness",
        "Nobody can tell a worker that hangs from one that works.",
    ),
    "no-readiness": Check(
        "medium",
        "an app that answers to no path for readiness",
        "Proxy and deploy send it requests while its database is away, or before it can serve.",
    ),
    "health-asks-database": Check(
        "low",
        "a liveness path whose function, or what it depends on, asks the database",
        "A short outage of the database looks like workers that hang, and all of them are restarted for it.",
    ),
    "same-health": Check(
        "low",
        "liveness and readiness that are one and the same function",
        "If it asks the database, a short outage of that restarts all workers; if not, nobody knows of the outage.",
    ),
    "readiness-asks-nothing": Check(
        "medium",
        "a readiness path whose function asks nothing, in an app that has a database or the like",
        "It says ready while the database is away, so requests are sent where they can only fail.",
    ),
    # What others can do to it.
    "runs-as-root": Check(
        "high",
        "workers that run as root",
        "Whoever gets in by a hole in the app or in a library owns the whole host.",
    ),
    "shared-user": Check(
        "low",
        "two apps of the host that run as the same user",
        "Whoever gets in by a hole in one of them has the files, secrets and memory of the other, too.",
    ),
    "code-writable": Check(
        "medium",
        "code, or a directory above it, that the app's own user, or everybody, can change",
        "Whoever gets in by a hole can change the code, and stays after the hole is closed.",
    ),
    "secrets-readable": Check(
        "high",
        "secrets in an environment file, unit, oxfile or configuration that every user of the host can read",
        "Every user and every hijacked service of the host has them.",
    ),
    "secrets-in-command": Check(
        "high",
        "secrets in a command line",
        "Every user of the host sees them in the process list, and so do logs and monitoring.",
    ),
    "listens-beside-proxy": Check(
        "high",
        "a port of the app that is open to the world beside the proxy",
        "Clients go past the proxy: without TLS, without its limits, and with any X-Forwarded-For they like.",
    ),
    "no-proxy": Check(
        "medium",
        "an app that faces the world without a proxy",
        "There is no TLS, no limit of sizes, and slow clients each hold a connection of the app's.",
    ),
    "no-tls": Check(
        "medium",
        "a public name that a site serves by plain HTTP alone",
        "Whoever is on the way reads passwords and sessions, and can change what is answered.",
    ),
    "no-body-limit": Check(
        "low",
        "a proxy that takes bodies of any size",
        "Requests are held in memory or on disk while they arrive: a few large ones are enough to fill it.",
    ),
    "secret-default": Check(
        "high",
        "a secret, or an API's key, whose default is in the source, and that the environment doesn't set",
        "Whoever reads the source can sign what the app believes, or gets in by it.",
    ),
    "known-holes": Check(
        "high",
        "installed versions with known holes, where pip-audit is on the control node",
        "These holes are public, and scanners try them.",
    ),
    # What ends one day.
    "certificate-ends": Check(
        "high",
        "a TLS certificate that has ended, or ends within 20 days",
        "From that day on browsers refuse the site.",
    ),
    "certificate-not-renewed": Check(
        "medium",
        "a certificate in files that no timer or cron job known renews",
        "It ends one day, on which browsers refuse the site.",
    ),
    "log-unbounded": Check(
        "medium",
        "a log file that nothing rotates, or a container's log without a limit",
        "It grows until the disk is full, and then the database stops, too.",
    ),
    "disk-fills": Check(
        "high",
        "a disk that such a log fills within 30 days at its present rate",
        "When it is full, nothing on it can be written: uploads, database and logs fail at once.",
    ),
    # What the source shows.
    "sync-call-in-async": Check(
        "high",
        "calls that block in async functions: HTTP, subprocesses, open, time.sleep, sync drivers, SQLAlchemy's Session",
        "While it waits, the worker's event loop stands still, and all other requests of this worker wait, too.",
    ),
    "no-lifespan-shutdown": Check(
        "medium",
        "pools and clients that nothing closes at shutdown",
        "At each deploy connections are cut and not closed, and what a background task was at is lost.",
    ),
    "pool-at-import": Check(
        "medium",
        "connections and pools that are opened when a module is imported",
        "Whoever imports the module connects, migrations too; a fork shares the connection, and nobody closes it.",
    ),
    "memory-shared-by-none": Check(
        "medium",
        "what requests change in a worker's memory, with more than one worker",
        "Each worker has its own, so what one request has stored the next one doesn't find.",
    ),
    # What is only worth knowing.
    "oxfile": Check(
        "medium", "what Oxmgr makes of an oxfile otherwise than it looks", "It runs otherwise than it says."
    ),
    "event-loop-unseen": Check(
        "info",
        "how long the event loop stood still, which only the worker class of graceful.deploy records",
        "What blocks it in a library, and not in the source, isn't seen.",
    ),
    "in-container": Check(
        "info",
        "an app in a container, and what can't be seen of it",
        "Some checks couldn't be done from outside of it.",
    ),
    "source-read": Check(
        "info",
        "how the source was read: by whose rules, and that none of it was run",
        "What blocks in a library isn't seen.",
    ),
    "holes-not-asked": Check(
        "info", "versions that no database of holes was asked about", "Whether they have known holes isn't known."
    ),
    "not-looked-at": Check("info", "a check that couldn't be done, and why", "What it would have found isn't known."),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    :param id: one of CHECKS.
    :param app: the app's name; '' for what is the host's.
    :param where: a file and line, or a process with its id and command, secrets hidden.
    :param seen: what was seen, in a sentence.
    :param write: what to write instead, and where.
    :param severity: one of SEVERITIES; '' for the check's own.
    :param costs: what it costs, where that is otherwise than the check says.
    """

    id: str
    app: str
    where: str
    seen: str
    write: str
    severity: str = ""
    costs: str = ""

    def as_dict(self) -> dict[str, Any]:
        check = CHECKS[self.id]
        return {**asdict(self), "severity": self.severity or check.severity, "costs": self.costs or check.costs}


def ordered(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst first, each once."""
    unique = {(f["id"], f["app"], f["where"], f["seen"]): f for f in findings}
    return sorted(
        unique.values(), key=lambda f: (SEVERITIES.index(f["severity"]), f["app"], list(CHECKS).index(f["id"]))
    )


def counts(findings: list[dict[str, Any]]) -> dict[str, int]:
    """How many of each severity."""
    return {severity: sum(f["severity"] == severity for f in findings) for severity in SEVERITIES}


def fails(findings: list[dict[str, Any]], fail_on: str) -> list[dict[str, Any]]:
    """Those that are as bad as `fail_on` or worse; none where it is ''."""
    bad = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on else ()
    return [each for each in findings if each["severity"] in bad]
