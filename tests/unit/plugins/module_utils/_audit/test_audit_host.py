# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is looked up once for a host, and how apps are found on it, by programs and files that are made here."""

from __future__ import annotations

import time

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._audit import (
    code,
    facts,
    filesystem,
    find,
    flow,
    proxy_checks,
    servers,
    stop_checks,
    supervisors,
)
from ansible_collections.graceful.deploy.plugins.module_utils._audit.model import Host, Served
from ansible_collections.graceful.deploy.plugins.module_utils._audit.processes import Process
from ansible_collections.graceful.deploy.plugins.module_utils._audit.sites import Site


def host() -> Host:
    return Host(time.time(), True, 2.0, "affinity", 1 << 30)


def said(*answers):
    """A runner of programs that answers each with what stands behind a word of its command."""

    def run(command):
        return next((answer for word, answer in answers if word in " ".join(command)), (127, "", "not found"))

    return run


@pytest.mark.parametrize(
    ("out", "found"),
    [
        ("certbot.timer loaded active waiting Run certbot\napt-daily.timer loaded active\n", ["certbot.timer"]),
        ("hello-nginx-certificate.service loaded active\n", ["hello-nginx-certificate.service"]),
        ("acme-backup.timer loaded active\n", []),
        ("", []),
    ],
)
def test_what_renews_certificates(monkeypatch, out, found):
    monkeypatch.setattr(facts.glob, "glob", lambda _pattern: [])
    monkeypatch.setattr(facts, "read_text", lambda *_: "")
    assert facts.renewers(said(("list-units", (0, out, "")))) == found


def test_crons_lines_that_renew(monkeypatch):
    texts = {
        # Debian's own, which does nothing where systemd runs.
        "/etc/cron.d/certbot": "0 */12 * * * root test ! -d /run/systemd/system && certbot -q renew\n",
        "/var/spool/cron/crontabs/root": "#0 0 * * * dehydrated -c\n5 0 * * * /root/.acme.sh/acme.sh --cron\n",
        "/etc/crontab": "# certbot\n",
    }
    monkeypatch.setattr(facts.glob, "glob", lambda pattern: [p for p in texts if p.startswith(pattern.split("*")[0])])
    monkeypatch.setattr(facts, "read_text", lambda path: texts.get(path, ""))
    assert facts.renewers(said()) == ["/var/spool/cron/crontabs/root"]


@pytest.mark.parametrize(
    ("answer", "lines", "unseen"),
    [
        ((0, "t h kernel: Out of memory: Killed process 7 (gunicorn)\n", ""), 1, 0),
        ((1, "", ""), 0, 0),
        ((1, "", "No journal files were opened due to insufficient permissions."), 0, 1),
        ((127, "", "not found"), 0, 1),
    ],
)
def test_the_journals_word_on_kills(answer, lines, unseen):
    on = host()
    assert len(facts.kills(said(("journalctl", answer)), on)) == lines
    assert len(on.findings) == unseen


def table(*rows: tuple[int, int, str]) -> dict[int, Process]:
    found = {
        pid: Process(pid, ppid, command if isinstance(command, list) else command.split(), cwd="/srv")
        for pid, ppid, command in rows
    }
    for process in found.values():
        if process.ppid in found:
            found[process.ppid].children.append(process)
    return found


def test_proxies_and_what_cant_be_read_of_them(monkeypatch):
    texts = {"/etc/my.conf": "server { location / { proxy_pass http://127.0.0.1:8000; } }", "/etc/caddy/x.json": "{}"}
    monkeypatch.setattr(filesystem, "read_text", lambda path, *_: texts.get(path, ""))
    on = host()
    rows = table(
        (1, 0, "/sbin/init"),
        (2, 1, ["nginx: master process /usr/sbin/nginx -c /etc/my.conf"]),
        (3, 2, ["nginx: worker process"]),
        (4, 1, "/usr/bin/caddy run --config /etc/caddy/x.json"),
        (5, 1, "/usr/sbin/haproxy -Ws"),
        (6, 5, "/usr/sbin/haproxy -Ws"),
    )
    facts.read_proxies(on, rows, {})
    assert [(proxy.kind, proxy.main.pid) for proxy in on.proxies] == [("nginx", 2), ("caddy", 4)]
    assert [site.address for site in on.sites] == ["127.0.0.1:8000"]
    assert [finding.where for finding in on.findings] == ["pid 4: caddy", "pid 5: haproxy"]


def test_requests_that_nginx_has_waited_for_in_vain(tmp_path):
    log = tmp_path / "error.log"
    line = "2026/11/30 17:06:46 [error] 1#1: *1 upstream timed out (110: Connection timed out) while reading, {}\n"
    mine = 'request: "GET /slow HTTP/1.1", upstream: "http://127.0.0.1:8000/slow", host: "x"'
    other = 'request: "GET / HTTP/1.1", upstream: "http://127.0.0.1:9000/", host: "x"'
    log.write_text(line.format(mine) * 2 + line.format(other))
    app = Served(
        "shop", servers.settings("uvicorn", [], {}), sites=[Site("nginx", "127.0.0.1:8000", "/site:3", wait=60)]
    )
    assert proxy_checks.timed_out(app, str(log)) == 2
    assert proxy_checks.timed_out(app, str(tmp_path / "none")) == 0


SHOW = (
    "Id=shop.service\nLoadState=loaded\nActiveState={state}\nUnitFileState={file}\nTriggeredBy={by}\n"
    "ExecStart={{ path=/x ; argv[]=/venv/bin/gunicorn main:app -k uvicorn_worker.UvicornWorker ; ignore_errors=no }}\n"
)


@pytest.mark.parametrize(
    ("state", "file", "by", "found"),
    [
        ("failed", "disabled", "", ["shop"]),
        ("inactive", "enabled", "", ["shop"]),
        ("inactive", "disabled", "shop.socket", ["shop"]),
        ("inactive", "disabled", "", []),
    ],
)
def test_units_that_should_serve_an_app_and_dont(state, file, by, found):
    unit = dict(line.split("=", 1) for line in SHOW.format(state=state, file=file, by=by).splitlines())
    assert [app.name for app in find._down([], {"shop.service": unit})] == found
    # One that runs was found by its process.
    assert find._down([Served("shop", servers.settings("gunicorn", [], {}), unit=unit)], {"shop.service": unit}) == []


def test_a_wsgi_app_is_none_of_ours():
    assert find._is_wsgi(servers.settings("gunicorn", ["shop.wsgi:application"], {}))
    assert not find._is_wsgi(servers.settings("gunicorn", ["a:b", "-k", "uvicorn_worker.UvicornWorker"], {}))


def test_setproctitle_doesnt_hide_the_settings():
    process = Process(7, 1, ["gunicorn: master [main:app]"], cwd="/nowhere")
    unit = {"ExecStart": "{ path=/x ; argv[]=/venv/bin/gunicorn main:app --workers 4 ; ignore_errors=no }"}
    told, _config = find.read_settings(process, "gunicorn", ["main:app"], unit, host())
    assert (told.get("workers"), told.get("app")) == ("4", "main:app")


@pytest.mark.parametrize(
    ("words", "place", "found"),
    [
        ("main:app", "main.py", True),
        ("app.main:app", "app/main.py", True),
        ("app.main:app --chdir src", "src/app/main.py", True),
        ("other:app", "main.py", False),
    ],
)
def test_where_the_source_is(tmp_path, words, place, found):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("")
    app = Served("x", servers.settings("gunicorn", words.split(), {}), Process(7, 1, ["x"], cwd=str(tmp_path)))
    below = "/src" if "chdir" in words else ""
    assert code.top_of(app) == (f"{tmp_path}{below}" if found else "")


def test_versions_in_an_environment(tmp_path):
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    place = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    for name in ("fastapi-0.115.0.dist-info", "Python_Dotenv-1.0.dist-info", "fastapi"):
        (place / name).mkdir(parents=True)
    argv = [f"{tmp_path}/venv/bin/python", f"{tmp_path}/venv/bin/gunicorn"]
    app = Served("x", servers.settings("gunicorn", [], {}), Process(7, 1, argv, cwd="/"))
    assert code.packages(app) == {"fastapi": "0.115.0", "python-dotenv": "1.0"}


@pytest.mark.parametrize(
    ("above", "cgroup", "unit", "supervisor", "found"),
    [
        (["PM2 v5.3.0: God Daemon (/root/.pm2)"], "/user.slice", "session-1.scope", "PM2", []),
        (["/usr/bin/runsv", "shop"], "/system.slice/runit.service", "runit.service", "runsv", []),
        (
            ["/lib/systemd/systemd", "--user"],
            "/user.slice/user@7.service/app.slice/a.service",
            "a.service",
            "a user's own systemd",
            [],
        ),
        (["-bash"], "/user.slice/session-1.scope", "session-1.scope", "", ["no-restart"]),
        (["tmux: server"], "/user.slice/user@7.service/tmux-spawn-1.scope", "tmux-spawn-1.scope", "", ["no-restart"]),
    ],
)
def test_who_starts_it_again(above, cgroup, unit, supervisor, found):
    rows = table((1, 0, "/sbin/init"), (5, 1, above), (7, 5, "uvicorn main:app"))
    rows[7].cgroup, rows[7].unit = cgroup, unit
    # PM2 and runit are services of systemd's themselves.
    own = {"Id": unit, "Restart": "no"} if supervisor in ("PM2", "runsv") else {}
    app = Served("shop", servers.settings("uvicorn", ["main:app"], {}), rows[7], unit=own)
    supervisors.supervised(app, rows[7], rows, [], said(), host())
    assert app.supervisor == supervisor
    assert [finding.id for finding in stop_checks.comes_back(app, host())] == found


def test_two_apps_of_one_unit_are_told_apart(monkeypatch):
    rows = table((1, 0, "/sbin/init"), (7, 1, "uvicorn a:app"), (8, 1, "uvicorn b:app"))
    for pid in (7, 8):
        rows[pid].unit = "both.service"
    monkeypatch.setattr(find.supervisord, "read", list)
    monkeypatch.setattr(find.processes, "read_more", lambda _process: None)
    on = host()
    loaded = {"both.service": {"Id": "both.service", "FragmentPath": "/nowhere"}}
    assert [app.name for app in find.find(rows, said(), on, loaded)] == ["both", "both-8"]
    # Neither may be read, which is told of each.
    assert [finding.app for finding in on.findings] == ["both", "both-8"]


@pytest.mark.parametrize("place", ["app/.env", ".env", "app/.env.production"])
def test_what_an_app_reads_into_its_environment_by_itself(tmp_path, place):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("")
    (tmp_path / place).write_text("SECRET_KEY=of-the-host\n# OTHER=1\n")
    process = Process(7, 1, ["uvicorn", "main:app"], cwd=str(tmp_path / "app"), environ={"PATH": "/bin"})
    app = Served("x", servers.settings("uvicorn", ["main:app"], {}), process)
    told = flow._told(app, True)
    assert told["variables"] == ["PATH", "SECRET_KEY"]
    assert "of-the-host" not in str(told)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('class S(BaseSettings):\n    model_config = SettingsConfigDict(env_file="shop.env.live")\n', "shop.env.live"),
        (
            'class Config:\n    env_file = (\n        "a.env",\n        "conf/prod-environment",\n    )\n',
            "conf/prod-environment",
        ),
        ('load_dotenv(BASE / "config" / "x.env")\nS(_env_file="live-env")\n', "live-env"),
        ('config = Config(".environment")\n', ".environment"),
    ],
)
@pytest.mark.parametrize("source", [True, False])
def test_what_an_apps_source_names_as_its_environment(tmp_path, text, place, source):
    (tmp_path / "main.py").write_text(text)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("SECRET_KEY=of-the-host\n")
    process = Process(7, 1, ["uvicorn", "main:app"], cwd=str(tmp_path), environ={})
    told = flow._told(Served("x", servers.settings("uvicorn", ["main:app"], {}), process), source)
    assert (told["variables"], bool(told["files"])) == (["SECRET_KEY"], source)


def test_an_example_of_an_env_file_sets_nothing(tmp_path):
    (tmp_path / ".env.example").write_text("SECRET_KEY=x\n")
    app = Served("x", servers.settings("uvicorn", [], {}), Process(7, 1, ["uvicorn"], cwd=str(tmp_path), environ={}))
    assert flow._told(app, True)["variables"] == []


@pytest.mark.parametrize(
    ("command", "children"),
    [
        # Eight processes of the app's own pool answer no requests.
        ("uvicorn main:app", 0),
        ("fastapi run main.py", 0),
        ("daphne main:app", 0),
        ("uvicorn main:app --workers 4", 8),
        ("uvicorn main:app --reload", 8),
        ("gunicorn main:app", 8),
        ("granian main:app", 8),
    ],
)
def test_children_of_one_uvicorn_are_no_workers(command, children):
    rows = table((7, 1, command), *((pid, 7, "python3 -c spawn_main") for pid in range(8, 16)))
    kind, words = servers.recognise(rows[7].argv)
    told = servers.settings(kind, words, {})
    assert len(find.workers_of(rows[7], told)) == children
    app = Served("x", told, rows[7], find.workers_of(rows[7], told))
    assert app.count == (children or 1)


@pytest.mark.parametrize(
    ("words", "environ", "children"),
    [("", {}, 0), ("workers=4", {}, 2), ("workers=os.cpu_count()", {}, 2), ("", {"WEB_CONCURRENCY": "4"}, 2)],
)
def test_a_scripts_workers(tmp_path, words, environ, children):
    (tmp_path / "serve.py").write_text(f"import os, uvicorn\nuvicorn.run('main:app', port=8123, {words})\n")
    rows = table((7, 1, "python3 serve.py"), (8, 7, "python3 -c x"), (9, 7, "python3 -c x"))
    rows[7].cwd, rows[7].environ = str(tmp_path), environ
    told, _config = find.read_settings(rows[7], "python", ["serve.py"], {}, host())
    assert len(find.workers_of(rows[7], told)) == children
