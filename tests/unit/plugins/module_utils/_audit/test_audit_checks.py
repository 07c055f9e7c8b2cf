# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each check both ways: what is wrong is found, and nothing on an app where it isn't."""

from __future__ import annotations

import dataclasses
import json
import os
import time

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._audit import (
    containers,
    disk_checks,
    facts,
    flow,
    health_checks,
    proxy_checks,
    rights_checks,
    run_checks,
    servers,
    stop_checks,
)
from ansible_collections.graceful.deploy.plugins.module_utils._audit.findings import CHECKS, counts, fails, ordered
from ansible_collections.graceful.deploy.plugins.module_utils._audit.model import Host, Proxy, Served
from ansible_collections.graceful.deploy.plugins.module_utils._audit.processes import Process
from ansible_collections.graceful.deploy.plugins.module_utils._audit.sites import Site
from ansible_collections.graceful.deploy.plugins.module_utils._hand import supervisord
from ansible_collections.graceful.deploy.plugins.module_utils._host.memory import Group, Use
from ansible_collections.graceful.deploy.plugins.module_utils._host.probe import STANDS_IN, Answer
from self_signed import self_signed

MIB = 1 << 20
GOOD_UNIT = {
    "Id": "shop.service",
    "FragmentPath": "/etc/systemd/system/shop.service",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "Restart": "on-failure",
    "NRestarts": "0",
    "TimeoutStopUSec": "45s",
    "KillMode": "mixed",
    "KillSignal": "15",
}
COMMAND = (
    "gunicorn app.main:app -k uvicorn_worker.UvicornWorker -w 2 -b 127.0.0.1:8000 --graceful-timeout 30 --keep-alive 5"
)
SITE = Site("nginx", "127.0.0.1:8000", "/site:3", ("shop.test",), 65, "/site:4", 0)


def make(command: str = COMMAND, unit: dict | None = None, **more) -> Served:
    kind, words = servers.recognise(command.split())
    main = Process(10, 1, command.split(), uid=7, gids=(7,), unit="shop.service")
    workers = [Process(pid, 10, command.split(), uid=7, gids=(7,)) for pid in (11, 12)]
    given = {
        "name": "shop",
        "settings": servers.settings(kind, words, {}),
        "main": main,
        "workers": workers,
        "tcp": [("127.0.0.1", 8000)],
        "unit": {**GOOD_UNIT, **(unit or {})},
        "supervisor": "systemd",
        "uses": [Use(40 * MIB, 50 * MIB)] * 2,
        "group": Group(0, 512 * MIB),
        "sites": [SITE],
    }
    return Served(**{**given, **more})


def host(**more) -> Host:
    return Host(
        **{
            "now": time.time(),
            "root": True,
            "cpus": 2.0,
            "cpu_source": "affinity",
            "memory": 2048 * MIB,
            "uptime": 1e6,
            **more,
        }
    )


def ids(check, app: Served, on: Host | None = None) -> list[str]:
    return [finding.id for finding in check(app, on or host())]


def container(**more) -> containers.Container:
    given = {
        "name": "shop",
        "image": "shop",
        "compose": "/srv/compose.yml",
        "restart": "always",
        "stop_wait": 60.0,
        "memory": 512 * MIB,
        "log": "",
        "log_bounded": True,
        "ports": (),
    }
    return containers.Container(**{**given, **more})


PROGRAM = supervisord.parse("[program:shop]\ncommand=gunicorn a:b\nstopwaitsecs=45\nautorestart=true\n", "/s.conf")[0]


# What is wrong: the check, the app, the host, and what is found.
WRONG = [
    (run_checks.server, make("uvicorn main:app"), None, ["uvicorn-alone"]),
    (run_checks.server, make("hypercorn main:app"), None, ["uvicorn-alone"]),
    (run_checks.server, make("fastapi dev main.py"), None, ["reload-in-production", "uvicorn-alone"]),
    (run_checks.server, make("gunicorn a:b --reload"), None, ["reload-in-production"]),
    (run_checks.server, make("gunicorn a:b -k uvicorn.workers.UvicornWorker"), None, ["deprecated-worker"]),
    (run_checks.workers, make(workers=[Process(1, 1, [])] * 5), None, ["too-many-workers"]),
    (run_checks.workers, make("gunicorn a:b -w 96", workers=[]), None, ["too-many-workers"]),
    (
        run_checks.workers,
        make(workers=[Process(1, 1, [])] * 3, unit={"CPUQuotaPerSecUSec": "1s"}),
        None,
        ["too-many-workers"],
    ),
    (run_checks.memory, make(group=Group(0, 110 * MIB)), None, ["workers-exceed-memory"]),
    (run_checks.memory, make(group=Group()), None, ["no-memory-limit"]),
    (run_checks.memory, make(group=Group()), host(memory=100 * MIB), ["workers-exceed-memory", "no-memory-limit"]),
    (run_checks.kills, make(group=Group(2, 100)), None, ["oom-kills"]),
    (
        run_checks.kills,
        make(),
        host(kills=["t h systemd[1]: shop.service: A process of this unit has been killed by the OOM killer."]),
        ["oom-kills"],
    ),
    (
        run_checks.command,
        make(main=Process(1, 1, "gunicorn a:b --env API_TOKEN=x1".split())),
        None,
        ["secrets-in-command"],
    ),
    (stop_checks.ladder, make(unit={"TimeoutStopUSec": "30s"}), None, ["stop-before-graceful"]),
    (stop_checks.ladder, make("gunicorn a:b", unit={"TimeoutStopUSec": "10s"}), None, ["stop-before-graceful"]),
    (stop_checks.ladder, make("uvicorn a:b"), None, ["graceful-unbounded"]),
    (
        stop_checks.ladder,
        make(program=dataclasses.replace(PROGRAM, stop_wait=10), supervisor="supervisord"),
        None,
        ["stop-before-graceful"],
    ),
    (
        stop_checks.ladder,
        make(container=container(stop_wait=10.0), supervisor="docker"),
        None,
        ["stop-before-graceful"],
    ),
    (stop_checks.signals, make(unit={"KillMode": "process"}), None, ["kill-mode"]),
    (stop_checks.signals, make(unit={"KillSignal": "3"}), None, ["kill-mode"]),
    (
        stop_checks.signals,
        make(program=dataclasses.replace(PROGRAM, stop_signal="QUIT"), supervisor="supervisord"),
        None,
        ["kill-mode"],
    ),
    (stop_checks.comes_back, make(unit={"Restart": "no"}), None, ["no-restart"]),
    (stop_checks.comes_back, make(unit={"Restart": "on-success"}), None, ["no-restart"]),
    (stop_checks.comes_back, make(supervisor="", unit={"Id": "session-3.scope"}), None, ["no-restart"]),
    (stop_checks.comes_back, make(container=container(restart="no"), supervisor="docker"), None, ["no-restart"]),
    (
        stop_checks.comes_back,
        make(program=dataclasses.replace(PROGRAM, restart="false"), supervisor="supervisord"),
        None,
        ["no-restart"],
    ),
    (stop_checks.boot, make(unit={"UnitFileState": "disabled"}), None, ["not-enabled"]),
    (stop_checks.boot, make(unit={"UnitFileState": "static"}), None, ["not-enabled"]),
    (stop_checks.restarts, make(unit={"NRestarts": "9", "SubState": "auto-restart"}), None, ["restart-loop"]),
    (
        stop_checks.restarts,
        make(unit={"NRestarts": "9", "ActiveEnterTimestampMonotonic": str(int(1e12 - 3e8))}),
        None,
        ["restart-loop"],
    ),
    (stop_checks.restarts, make(unit={"ActiveState": "failed", "Result": "start-limit-hit"}), None, ["restart-loop"]),
    (proxy_checks.ports, make(tcp=[("0.0.0.0", 8000)]), None, ["listens-beside-proxy"]),
    (proxy_checks.ports, make(tcp=[("::", 8000)], sites=[]), None, ["no-proxy"]),
    (proxy_checks.ports, make(tcp=[], container=container(ports=(("0.0.0.0", 8000),))), None, ["listens-beside-proxy"]),
    (proxy_checks.waits, make("gunicorn a:b -t 120"), None, ["proxy-timeout-short"]),
    (
        proxy_checks.waits,
        make(),
        host(proxies=[Proxy("nginx", Process(1, 1, []), {"Id": "nginx.service", "TimeoutStopUSec": "5s"}, "")]),
        ["proxy-stops-early"],
    ),
    (
        proxy_checks.waits,
        make(),
        host(
            proxies=[
                Proxy(
                    "nginx",
                    Process(1, 1, []),
                    {
                        "TimeoutStopUSec": "90s",
                        "ExecStop": "start-stop-daemon --quiet --stop --retry QUIT/5 --pidfile x ;",
                    },
                    "",
                )
            ]
        ),
        ["proxy-stops-early"],
    ),
    (proxy_checks.keeps, make(sites=[dataclasses.replace(SITE, keeps=60)]), None, ["upstream-keepalive"]),
    (proxy_checks.bodies, make(sites=[dataclasses.replace(SITE, limit=False)]), None, ["no-body-limit"]),
    (rights_checks.user, make(workers=[Process(11, 10, [], uid=0)]), None, ["runs-as-root"]),
    (rights_checks.user, make(main=None, workers=[]), None, ["runs-as-root"]),
    (disk_checks.logs, make(container=container(log="/nowhere", log_bounded=False)), None, ["log-unbounded"]),
]
CHECKED = {row[0] for row in WRONG}


@pytest.mark.parametrize(
    ("check", "app", "on", "found"),
    WRONG,
    ids=[f"{row[0].__name__}-{'-'.join(row[3])}-{n}" for n, row in enumerate(WRONG)],
)
def test_what_is_wrong_is_found(check, app, on, found):
    told = list(check(app, on or host()))
    assert [finding.id for finding in told] == found
    for finding in told:
        assert finding.where and finding.seen and finding.write, finding
        assert finding.seen[-1] == "."


@pytest.mark.parametrize("check", sorted(CHECKED, key=lambda check: check.__name__), ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "app",
    [
        make(),
        make(unix=["/run/shop.sock"], tcp=[]),
        make(program=PROGRAM, supervisor="supervisord", unit={}),
        make(container=container(), supervisor="docker", unit={}, group=Group(0, 512 * MIB)),
    ],
    ids=["systemd", "socket", "supervisord", "docker"],
)
def test_nothing_is_found_where_nothing_is_wrong(check, app):
    proxy = Proxy("nginx", Process(1, 1, []), {"Id": "nginx.service", "TimeoutStopUSec": "1min", "ExecStop": ""}, "")
    assert ids(check, app, host(proxies=[proxy])) == []


def test_what_a_socket_starts_again_needs_no_restart_and_no_boot():
    app = make(unit={"Restart": "no", "TriggeredBy": "shop.socket", "UnitFileState": "disabled"})
    assert ids(stop_checks.comes_back, app) + ids(stop_checks.boot, app) == []


def test_a_units_own_limit_of_time_counts_for_another_signal_too():
    assert ids(stop_checks.signals, make("uvicorn a:b", unit={"KillSignal": "2"})) == []


@pytest.mark.parametrize(
    ("signal", "timeout", "found"),
    [("SIGTERM", 45, ["stop-before-graceful"]), ("SIGINT", 45, []), ("SIGINT", 20, ["stop-before-graceful"])],
)
def test_oxmgr_waits_15_s_at_most_after_sigterm(signal, timeout, found):
    from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.oxfile import read

    text = f'[[apps]]\nname = "shop"\ncommand = "{COMMAND}"\nstop_signal = "{signal}"\nstop_timeout_secs = {timeout}\n'
    text += 'restart_policy = "never"\n'
    app = make(oxmgr=("/srv/oxfile.toml", read(text)[0][0]), supervisor="oxmgr", unit={})
    assert ids(stop_checks.ladder, app) == found
    assert ids(stop_checks.comes_back, app) == ["no-restart"]


# --- What is looked for in files.


def test_code_that_its_user_can_change(tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    main = tmp_path / "app" / "main.py"
    main.write_text("")
    monkeypatch.setattr(os, "statvfs", lambda _path: type("Mount", (), {"f_flag": 0}))
    for path in (main, tmp_path / "app", tmp_path):
        path.chmod(0o755)
    worker = Process(11, 10, [], uid=os.getuid() + 1, gids=(os.getgid() + 1,), cwd=str(tmp_path))
    app = make(workers=[worker])
    assert ids(rights_checks.code, app) == []
    main.chmod(0o757)
    (finding,) = rights_checks.code(app, host())
    assert (finding.where, finding.severity) == (str(main), "high")
    main.chmod(0o775)
    worker.gids = (os.getgid(),)
    (finding,) = rights_checks.code(app, host())
    assert (finding.where, finding.severity) == (str(main), "")
    monkeypatch.setattr(os, "statvfs", lambda _path: type("Mount", (), {"f_flag": os.ST_RDONLY}))
    assert ids(rights_checks.code, app) == []


@pytest.mark.parametrize(
    ("parent", "code", "found"),
    [
        # Whose each is, and its mode.
        ((7, 0o755), (0, 0o755), True),
        ((0, 0o755), (0, 0o755), False),
        ((0, 0o775), (0, 0o755), True),
        ((0, 0o757), (0, 0o755), True),
        ((0, 0o1777), (0, 0o755), False),
        ((7, 0o1777), (0, 0o755), True),
    ],
)
def test_code_that_its_user_can_exchange_by_what_is_above(tmp_path, monkeypatch, parent, code, found):
    """After chown -R root: of the code alone nothing was said any more."""
    top = tmp_path / "trivia" / "server"
    top.mkdir(parents=True)
    (top / "main.py").touch()
    real, known = os.lstat, {str(tmp_path / "trivia"): parent, str(top): code, str(top / "main.py"): (0, 0o644)}

    def lstat(path):
        status = real(path)
        uid, mode = known.get(str(path), (0, 0o755))
        return os.stat_result((status.st_mode & ~0o7777 | mode, *status[1:4], uid, 7, *status[6:]))

    monkeypatch.setattr(os, "lstat", lstat)
    monkeypatch.setattr(os, "statvfs", lambda _path: type("Mount", (), {"f_flag": 0}))
    app = make(workers=[Process(11, 10, [], uid=7, gids=(7,), cwd=str(top))])
    told = list(rights_checks.code(app, host()))
    assert [finding.where for finding in told] == [str(tmp_path / "trivia")] * found
    for finding in told:
        assert finding.seen.startswith(f"Its own user (uid 7) can change {tmp_path}/trivia, and so put another")
        assert finding.write.startswith(
            "The code moves to /srv/shop, where all above it is root's, and chown -R root: /srv"
        )
    # The working directory is above a package that is in it, and above nothing where no code is.
    (top / "main.py").rename(top / "main.txt")
    assert ids(rights_checks.code, app) == []
    (top / "app").mkdir()
    (top / "app" / "main.py").touch()
    known[str(top)] = (7, 0o755)
    told = list(rights_checks.code(app, host()))
    assert [finding.where for finding in told] == [str(top)]
    assert told[0].write.startswith(f"chown -R root: {top} " if parent == (0, 0o755) else "The code moves")
    # In a sticky one it may exchange what is its own.
    (top / "main.txt").rename(top / "main.py")
    known[str(top)] = (7, 0o755)
    (finding,) = rights_checks.code(app, host())
    assert finding.where == str(top) and ("/srv/shop" in finding.write) is (parent != (0, 0o755))


def test_secrets_that_all_can_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rights_checks, "open_to_all", lambda path: bool(os.stat(path).st_mode & 4))
    file, unit = tmp_path / ".env", tmp_path / "shop.service"
    file.write_text("A=1\nDB_PASSWORD=hunter2hunter2\n")
    unit.write_text("[Service]\nEnvironment=SECRET_KEY=abcdefgh123 DEBUG=1\n")
    app = make(unit={"EnvironmentFiles": f"{file} (ignore_errors=no)", "FragmentPath": str(unit)})
    found = list(rights_checks.secrets(app, host()))
    assert [finding.where for finding in found] == [f"{file}:2", f"{unit}:2"]
    assert not any("hunter2" in str(finding) or "abcdefgh123" in str(finding) for finding in found)
    file.chmod(0o600)
    unit.write_text("[Service]\nEnvironment=DEBUG=1\n")
    assert ids(rights_checks.secrets, app) == []


def test_logs_that_nothing_rotates_and_the_disk_that_they_fill(tmp_path, monkeypatch):
    log = tmp_path / "app.log"
    begun = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 2 * 86400))
    log.write_text(f"[{begun} +0000] [1] [INFO] Starting\n" + "x" * 2_000_000)
    app = make(main=Process(10, 1, ["gunicorn"], files={2: str(log), 3: "socket:[1]", 5: "/dev/shm/x"}), workers=[])
    room = type("Room", (), {"free_bytes": 5_000_000})
    monkeypatch.setattr(disk_checks, "room_at", lambda _path: room)
    found = list(disk_checks.logs(app, host()))
    assert [finding.id for finding in found] == ["log-unbounded", "disk-fills"]
    assert "5.0 days" in found[1].seen
    room.free_bytes = 1 << 40
    assert ids(disk_checks.logs, app) == ["log-unbounded"]
    assert ids(disk_checks.logs, app, host(rotated=[f"{tmp_path}/*.log"])) == []
    assert ids(disk_checks.logs, make(main=Process(10, 1, [], files={2: "pipe:[1]"}))) == []


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-30 17:06:46 +0000] [1] [INFO] x",
        '1.2.3.4 - - [30/Nov/2026:17:06:46 +0000] "GET / HTTP/1.1" 200 1',
        '{"level":"info","ts":1796058406.123,"msg":"x"}',
        "2026-11-30T17:06:46Z x",
        "2026/11/30 17:06:46 [error] x",
    ],
)
def test_when_a_log_begins(tmp_path, line):
    path = tmp_path / "log"
    path.write_text(f"nothing\n{line}\n")
    assert disk_checks.begin(str(path)) == 1796058406
    path.write_text("nothing\n")
    assert disk_checks.begin(str(path)) == 0


def test_what_logrotate_has(tmp_path):
    (tmp_path / "a").write_text('# c\n/var/log/a.log /var/log/b/*.log {\n weekly\n}\n"/var/log/c.log"\n{\n}\n')
    found = facts.rotated(f"{tmp_path}/*", "/nowhere")
    assert found == ["/var/log/a.log", "/var/log/b/*.log", "/var/log/c.log"]
    assert disk_checks.is_rotated("/var/log/b/x.log", found)
    assert not disk_checks.is_rotated("/var/log/x.log", found)


def test_postgresqls_limit(tmp_path):
    place = tmp_path / "15" / "main"
    place.mkdir(parents=True)
    (place / "postgresql.conf").write_text("#max_connections = 5\nmax_connections = 200\t# (change requires restart)\n")
    assert facts.postgres(f"{tmp_path}/*/*/postgresql.conf") == (200, f"{place}/postgresql.conf:2")
    assert facts.postgres(f"{tmp_path}/nothing/*/postgresql.conf") is None


# --- Certificates.


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("shop.example.com", "www.shop.example.com"), "shop.example.com, www.shop.example.com"),
        (("shop.example.com", "shop.test"), "shop.example.com"),
        (("*.example.com",), "*.example.com"),
        (("localhost", "_", "192.0.2.7", "10.0.0.7", "web", "shop.local", "x.home.arpa", "~^www", "[::1]", ""), ""),
        ((), ""),
    ],
)
def test_public_names_without_tls(names, told):
    site = dataclasses.replace(SITE, names=names)
    found = list(proxy_checks.plain(make(sites=[site]), host(sites=[site])))
    assert [(each.id, each.where, each.seen) for each in found] == [
        ("no-tls", "/site:3", f"nginx serves {told} by plain HTTP alone.")
    ] * bool(told)
    assert all(each.write.startswith(f"certbot --nginx -d {told.replace(', ', ' -d ')}. Nothing, if") for each in found)
    by_caddy = dataclasses.replace(site, proxy="caddy")
    assert all(
        f"{told} {{ in place of http://" in each.write for each in proxy_checks.plain(make(sites=[by_caddy]), host())
    )
    # A second site has it, for the same names; each is told once; ours are as they were said to be.
    for secure in ({"own_tls": True}, {"certificates": {"/a.pem": "/site:9"}}):
        other = dataclasses.replace(site, address="127.0.0.1:9", **secure)
        assert ids(proxy_checks.plain, make(sites=[site]), host(sites=[site, other])) == []
    assert ids(proxy_checks.plain, make(sites=[site, dataclasses.replace(site, where="/b:1")])) == ["no-tls"] * bool(
        told
    )
    assert ids(proxy_checks.plain, make(sites=[site], ours=True)) == []


@pytest.fixture
def certificate_at(tmp_path):
    """Make a certificate that ends in so many days; its path."""

    def make_one(days: int) -> str:
        path = tmp_path / f"{days}.pem"
        self_signed(path, tmp_path / f"{days}.key", "DNS:shop.test", days)
        return str(path)

    return make_one


def test_certificates_in_files(certificate_at):
    app = lambda path: make(sites=[dataclasses.replace(SITE, certificates={path: "/site:9"})])  # noqa: E731
    soon, late = certificate_at(5), certificate_at(80)
    assert ids(proxy_checks.certificates, app(soon)) == ["certificate-ends", "certificate-not-renewed"]
    assert ids(proxy_checks.certificates, app(late)) == ["certificate-not-renewed"]
    assert ids(proxy_checks.certificates, app(late), host(renewers=["acme.timer"])) == []
    # certbot renews what it has made itself.
    assert ids(proxy_checks.certificates, app(late), host(renewers=["certbot.timer"])) == ["certificate-not-renewed"]
    assert (
        proxy_checks.renewer("/etc/letsencrypt/live/x/fullchain.pem", host(renewers=["certbot.timer"]))
        == "certbot.timer"
    )
    on = host()
    assert ids(proxy_checks.certificates, app("/nowhere.pem"), on) == []
    assert [finding.id for finding in on.findings] == ["not-looked-at"]


def test_a_certificate_that_the_proxy_gets_itself(monkeypatch):
    app = make(sites=[dataclasses.replace(SITE, proxy="caddy", own_tls=True)])
    now, hour, day = time.time(), 3600, 86400

    def served(begins: float, ends: float) -> list[str]:
        monkeypatch.setattr(proxy_checks, "served", lambda _name: {"begins": now + begins, "ends": now + ends})
        return ids(proxy_checks.certificates, app, host(now=now))

    assert served(-60 * day, 30 * day) == []
    # Caddy's own authority: 12 h.
    assert served(-6 * hour, 6 * hour) == []
    assert served(-80 * day, 10 * day) == ["certificate-ends"]
    assert served(-90 * day, -1 * day) == ["certificate-ends"]
    monkeypatch.setattr(proxy_checks, "served", lambda _name: {})
    on = host()
    assert ids(proxy_checks.certificates, app, on) == []
    assert on.findings[0].id == "not-looked-at"


# --- Health.


def answered(found: dict[str, Answer]):
    return lambda _door, path, _limit: found.get(path, Answer(404, "Not Found"))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"/health": Answer(200, "ok"), "/ready": Answer(200, "ready")}, []),
        ({"/healthz": Answer(200, "ok"), "/readyz": Answer(503, "no")}, []),
        ({"/health": Answer(200, "ok")}, [("no-readiness", "")]),
        ({"/ready": Answer(200, "ok")}, [("no-health", "")]),
        ({}, [("no-health", ""), ("no-readiness", "")]),
        ({"/health": Answer(200, STANDS_IN + "x"), "/ready": Answer(200, "ok")}, [("no-health", "low")]),
    ],
)
def test_paths_for_liveness_and_readiness(monkeypatch, found, told):
    monkeypatch.setattr(health_checks, "ask", answered(found))
    monkeypatch.setattr(health_checks.answers, "__defaults__", (answered(found),))
    assert [(finding.id, finding.severity) for finding in health_checks.paths(make(), host())] == told


def test_a_proxy_that_asks_liveness_for_readiness(monkeypatch):
    found = {"/health": Answer(200, "ok")}
    monkeypatch.setattr(health_checks.answers, "__defaults__", (answered(found),))
    app = make(sites=[dataclasses.replace(SITE, proxy="caddy", health="/health")])
    assert ids(health_checks.paths, app) == ["same-health"]


def test_an_app_that_gives_no_answer_is_told_as_not_looked_at(monkeypatch):
    monkeypatch.setattr(health_checks.answers, "__defaults__", (lambda *_: Answer(0, "no answer"),))
    on = host()
    assert ids(health_checks.paths, make(), on) == []
    assert ids(health_checks.paths, make(tcp=[("10.0.0.7", 80)]), on) == []
    assert [finding.id for finding in on.findings] == ["not-looked-at"] * 2


# --- Supervisors' own files.


@pytest.mark.parametrize(
    ("bind", "more", "asked"),
    [
        ("", {}, 8000),
        ("", {"unix": ["/run/other"]}, 8000),
        ("-b unix:run/shop.sock", {"unix": ["/run/other", "/srv/run/shop.sock"]}, "/srv/run/shop.sock"),
        ("-b 0.0.0.0:9000", {"tcp": [("127.0.0.1", 8000), ("0.0.0.0", 9000)]}, 9000),
        # By a socket of systemd's.
        ("", {"unix": ["/run/shop.sock"], "tcp": []}, "/run/shop.sock"),
        ("", {"tcp": [("127.0.0.1", 8080)]}, 8080),
        ("", {"tcp": [("10.0.0.7", 8000)]}, None),
    ],
)
def test_where_the_server_was_told_to_listen_is_asked_first(bind, more, asked):
    door = health_checks.door(make(f"gunicorn -k uvicorn.workers.UvicornWorker {bind} app:app", **more))
    assert asked == (door and (door.unix or door.port))


def test_supervisords_programs(tmp_path):
    (tmp_path / "conf.d").mkdir()
    main = tmp_path / "supervisord.conf"
    main.write_text("[supervisord]\n[include]\nfiles = conf.d/*.conf\n")
    path = tmp_path / "conf.d" / "shop.conf"
    path.write_text(
        "[program:shop]\ncommand=gunicorn a:b ; as it is\nstopwaitsecs = 5\n"
        "stdout_logfile=/var/log/a.log\nstdout_logfile_maxbytes=0\n"
    )
    (program,) = supervisord.read((str(main),))
    assert (program.name, program.command, program.stop_wait, program.restart) == (
        "shop",
        "gunicorn a:b",
        5,
        "unexpected",
    )
    assert (program.where["stopwaitsecs"], program.where[""]) == (f"{path}:3", f"{path}:1")
    assert (program.logs, program.bounded) == (("/var/log/a.log",), False)
    assert supervisord.parse("no ini at all", "x") == []


def test_containers():
    told = {
        "Name": "/shop-web-1",
        "LogPath": "/var/lib/docker/x.log",
        "HostConfig": {
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {}},
            "PortBindings": {"8000/tcp": [{"HostIp": "", "HostPort": "8000"}]},
            "Memory": 0,
        },
        "Config": {"Image": "shop", "Labels": {"com.docker.compose.project.config_files": "/srv/shop/compose.yml"}},
    }
    found = containers.parse(json.dumps([told]))
    assert (found.name, found.where, found.restart, found.stop_wait) == (
        "shop-web-1",
        "/srv/shop/compose.yml",
        "no",
        10,
    )
    assert (found.ports, found.log_bounded) == ((("0.0.0.0", 8000),), False)
    told["HostConfig"]["LogConfig"]["Config"] = {"max-size": "10m"}
    assert containers.parse(json.dumps([told])).log_bounded
    assert containers.parse("[]") is None
    assert containers.parse("Error: no such object") is None


# --- All of it.


def test_a_check_that_fails_is_told_and_the_others_go_on(monkeypatch):
    def odd(_app, _host):
        raise ZeroDivisionError("odd")
        yield

    monkeypatch.setattr(flow, "EACH", (odd, run_checks.server))
    on = host()
    assert [finding.id for finding in flow.judge(make("uvicorn a:b"), on)] == ["uvicorn-alone"]
    assert [(finding.id, "odd" in finding.seen) for finding in on.findings] == [("not-looked-at", True)]


def served(name: str, uid: int, pid: int, **more) -> Served:
    app = make(**more)
    app.name, app.main = name, dataclasses.replace(app.main, pid=pid, uid=uid)
    app.workers = [dataclasses.replace(worker, uid=uid) for worker in app.workers]
    return app


@pytest.mark.parametrize(
    ("apps", "found"),
    [
        ([("blog", 7), ("notes", 7), ("shop", 8)], ["blog", "notes"]),
        # Two slots are one app, and root's are told otherwise.
        ([("blog@blue", 7), ("blog@green", 7)], []),
        ([("blog", 0), ("notes", 0)], []),
        ([("blog", 7), ("notes", 8)], []),
    ],
)
def test_two_apps_of_one_user(apps, found):
    told = list(rights_checks.shared_users([served(name, uid, pid) for pid, (name, uid) in enumerate(apps, start=10)]))
    assert [finding.app for finding in told] == found
    assert all("uid 7" in finding.seen and "User=" in finding.write for finding in told)


def test_a_containers_user_is_its_own_and_one_of_ours_is_told_our_variable():
    apps = [served("blog", 7, 10), served("notes", 7, 11)]
    apps[1].main.container = "4fe2"
    assert list(rights_checks.shared_users(apps)) == []
    apps = [served("blog@blue", 7, 10, ours=True), served("notes@blue", 7, 11, ours=True)]
    first, _second = rights_checks.shared_users(apps)
    assert "as notes does" in first.seen and first.write.startswith("fastapi_user: blog for it alone")


@pytest.fixture
def two(monkeypatch):
    apps = [served("blog", 7, 10), served("notes", 7, 11)]
    monkeypatch.setattr(flow, "read_all", dict)
    monkeypatch.setattr(flow, "services", lambda _run: {"x": {}})
    monkeypatch.setattr(flow, "read_host", lambda *_: host())
    monkeypatch.setattr(flow, "find", lambda *_: apps)
    monkeypatch.setattr(flow, "EACH", ())
    return lambda name: flow.look(lambda _command: (0, "", ""), name, False)


def test_one_app_alone_is_shown_with_how_many_there_are(two):
    told = two("notes")
    assert ([app["name"] for app in told["apps"]], told["others"]) == (["notes"], ["blog"])
    # Whom it shares its user with counts, though that one isn't shown.
    assert [each["app"] for each in told["findings"] if each["id"] == "shared-user"] == ["notes"]
    told = two("")
    assert (len(told["apps"]), told["others"]) == (2, [])
    assert [each["app"] for each in told["findings"] if each["id"] == "shared-user"] == ["blog", "notes"]


def test_what_a_stand_in_costs_doesnt_contradict_it(monkeypatch):
    found = {"/health": Answer(200, STANDS_IN + "x"), "/ready": Answer(200, "ok")}
    monkeypatch.setattr(health_checks.answers, "__defaults__", (answered(found),))
    (finding,) = health_checks.paths(make(), host())
    told = finding.as_dict()
    assert told["costs"].startswith("A worker that hangs is seen by that")
    assert told["costs"] != CHECKS["no-health"].costs
    monkeypatch.setattr(health_checks.answers, "__defaults__", (answered({"/ready": Answer(200, "ok")}),))
    (finding,) = health_checks.paths(make(), host())
    assert finding.as_dict()["costs"] == CHECKS["no-health"].costs


def test_findings_are_ordered_and_counted():
    app = make()
    found = [
        app.find(check, "w", "s", "x").as_dict()
        for check in ("not-looked-at", "no-health", "runs-as-root", "no-body-limit")
    ]
    told = ordered([*found, found[0]])
    assert [each["severity"] for each in told] == ["high", "medium", "low", "info"]
    assert counts(told) == {"high": 1, "medium": 1, "low": 1, "info": 1}
    assert [each["id"] for each in fails(told, "medium")] == ["runs-as-root", "no-health"]
    assert fails(told, "") == []
    assert all(check.costs.endswith(".") and check.severity in counts([]) for check in CHECKS.values())


def test_a_program_that_is_not_there_has_failed_like_any_other():
    assert flow.ask(["/nowhere/systemctl"])[0] == 127
    assert flow.ask(["true"]) == (0, "", "")
