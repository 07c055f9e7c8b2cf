# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What any user of a host can put before the audit costs that user's own processes, and nothing else is left out."""

from __future__ import annotations

import time

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._audit import (
    bounds,
    caddyfile,
    code,
    facts,
    filesystem,
    find,
    flow,
    nginx,
    servers,
    supervisors,
)
from ansible_collections.graceful.deploy.plugins.module_utils._audit.model import Host, Served
from ansible_collections.graceful.deploy.plugins.module_utils._audit.processes import Process

APP = "import uvicorn\nuvicorn.run('main:app', port=8123)\n"


@pytest.fixture
def on(monkeypatch) -> Host:
    monkeypatch.setattr(find.supervisord, "read", list)
    monkeypatch.setattr(find.processes, "read_more", lambda _process: None)
    return Host(time.time(), True, 2.0, "affinity", 1 << 30)


def none(_command):
    return 127, "", "not found"


def table(*commands: list[str], cwd: str = "/srv") -> dict[int, Process]:
    return {pid: Process(pid, 1, argv, uid=1000 + pid, cwd=cwd) for pid, argv in enumerate(commands, start=1 << 23)}


@pytest.mark.parametrize("argv", [[" ", "9999"], [""], ["\t"]])
def test_a_process_without_a_name_blinds_nobody(on, argv):
    rows = table(argv, ["uvicorn", "main:app"])
    first, second = rows.values()
    second.ppid = first.pid
    facts.read_proxies(on, rows, {})
    assert [app.settings.get("app") for app in find.find(rows, none, on, {})] == ["main:app"]
    app = Served("x", servers.settings("uvicorn", [], {}))
    supervisors.supervised(app, second, rows, [], none, on)
    assert [each for each in on.findings if "can't be read" in each.seen and "pid 8388609" not in each.where] == []


@pytest.mark.parametrize(
    "text",
    [
        f"uvicorn = {'-' * 50_000}1",
        f"uvicorn = {'(' * 5_000}",
        f"uvicorn.{'a.' * 20_000}run()",
        f"uvicorn = {'[' * 90 + ']' * 90}",
    ],
)
def test_a_script_that_python_cant_read_blinds_nobody(on, tmp_path, text):
    (tmp_path / "odd.py").write_text(text)
    (tmp_path / "app.py").write_text(APP)
    assert servers.parse_script(text, "odd.py") is None
    rows = table(["python3", "odd.py"], ["python3", "app.py"], cwd=str(tmp_path))
    assert [app.settings.get("app") for app in find.find(rows, none, on, {})] == ["main:app"]


@pytest.mark.parametrize("bind", ["None", "7", "{1: 2}", "['a', None]", f"{'-' * 50_000}1"])
def test_gunicorns_file_may_say_anything(on, tmp_path, bind):
    (tmp_path / "gunicorn.conf.py").write_text(f"bind = {bind}\nworker_class = 'uvicorn.workers.UvicornWorker'\n")
    rows = table(["gunicorn", "main:app", "-k", "uvicorn_worker.UvicornWorker"], cwd=str(tmp_path))
    rows |= {7: Process(7, 1, ["uvicorn", "other:app"], cwd="/srv")}
    found = find.find(rows, none, on, {})
    assert sorted(app.settings.get("app") for app in found) == ["main:app", "other:app"]
    assert all(servers.binds(app.settings) for app in found)


def test_what_is_met_in_one_app_is_told_and_the_others_are_shown(on, monkeypatch):
    served = find._served

    def odd(process, *arguments):
        if process.argv[1] == "odd:app":
            raise RuntimeError("odd")
        return served(process, *arguments)

    monkeypatch.setattr(find, "_served", odd)
    rows = table(["uvicorn", "odd:app"], ["uvicorn", "main:app"])
    assert [app.settings.get("app") for app in find.find(rows, none, on, {})] == ["main:app"]
    assert any("RuntimeError: odd" in finding.seen for finding in on.findings)


@pytest.mark.parametrize("module", [nginx, caddyfile], ids=["nginx", "caddy"])
def test_files_that_include_the_next_one_twice_end(tmp_path, module, monkeypatch):
    word, end = ("include", ";") if module is nginx else ("import", "")
    for number in range(19):
        (tmp_path / f"c{number}").write_text(f"{word} {tmp_path}/c{number + 1}{end}\n" * 3)
    read = []
    real = filesystem.read_text
    monkeypatch.setattr(filesystem, "read_text", lambda path, most: [read.append(path), real(path, most)][1])
    with pytest.raises(bounds.TooMuch, match="without end"):
        module.read(str(tmp_path / "c0"), filesystem.Files(budget=bounds.Budget(files=100)))
    assert len(read) <= 100


@pytest.mark.parametrize("module", [nginx, caddyfile], ids=["nginx", "caddy"])
def test_a_file_that_includes_itself_twice_is_read_once(tmp_path, module):
    word, end = ("include", ";") if module is nginx else ("import", "")
    passes = "proxy_pass http://127.0.0.1:8000;" if module is nginx else "x.com {\n reverse_proxy :8000\n}\n"
    (tmp_path / "C").write_text(f"{word} {tmp_path}/C{end}\n" * 2 + passes)
    files = filesystem.Files(budget=bounds.Budget(files=2))
    assert len(module.sites(module.read(str(tmp_path / "C"), files))) == 1


def test_snippets_that_import_the_next_one_twice_end(tmp_path):
    rows = [f"(s{number}) {{\n import s{number + 1}\n import s{number + 1}\n}}\n" for number in range(13)]
    (tmp_path / "C").write_text("".join(rows) + "x.com {\n import s0\n}\n")
    with pytest.raises(bounds.TooMuch, match="directives"):
        caddyfile.read(str(tmp_path / "C"), filesystem.Files(budget=bounds.Budget(blocks=1000)))


def test_a_proxy_without_end_is_told_and_the_others_sites_are_read(on, tmp_path):
    rows = "".join(f"(s{number}) {{\n import s{number + 1}\n import s{number + 1}\n}}\n" for number in range(18))
    (tmp_path / "odd").write_text(f"{rows}x.com {{\n import s0\n}}\n")
    (tmp_path / "good").write_text("x.com {\n reverse_proxy :8000\n}\n")
    caddies = [["caddy", "run", "--config", str(tmp_path / name)] for name in ("odd", "good")]
    facts.read_proxies(on, table(*caddies), {})
    assert [site.address for site in on.sites] == ["127.0.0.1:8000"]
    assert ["TooMuch" in finding.seen for finding in on.findings] == [True]


def busy():
    while True:
        try:
            time.sleep(0.01)
        except bounds.TooMuch:
            raise
        except Exception:  # what passes over all else
            continue


def test_time_is_counted_for_each_user():
    turns = bounds.Turns(each=0.05, user=0.08)
    for _try in range(2):
        with pytest.raises(bounds.TooMuch, match="more than"), turns.of(7):
            busy()
    with pytest.raises(bounds.TooMuch, match="uid 7"), turns.of(7):
        pytest.fail("it has none left")
    with turns.of(8):
        pass


def test_a_check_that_takes_too_long_is_told_and_the_others_go_on(on, monkeypatch):
    def slow(_app, _host):
        busy()
        yield

    def quick(app, _host):
        yield app.find("no-restart", "x", "seen", "write")

    monkeypatch.setattr(flow, "EACH", (slow, quick))
    app = Served("x", servers.settings("uvicorn", [], {}), Process(7, 1, ["uvicorn"], uid=9))
    assert [each.id for each in flow.judge(app, on, bounds.Turns(each=0.05))] == ["no-restart"]
    assert any("more than 0.05 s" in finding.seen for finding in on.findings)


def test_an_app_whose_files_cant_be_read_is_told_without_them(on, monkeypatch):
    monkeypatch.setattr(code, "top_of", lambda _app: 1 / 0)
    app = Served("x", servers.settings("uvicorn", ["main:app"], {}), Process(7, 1, ["uvicorn", "main:app"]))
    app.main.environ = {"POOL": "9" * 5000}
    told = flow._asked(app, on, bounds.Turns(), True)
    assert (told["app"], told["files"], told["variables"]) == ("main:app", "", [])
    assert "ZeroDivisionError" in on.findings[0].seen
    monkeypatch.setattr(code, "top_of", lambda _app: "")
    assert flow._told(app, True)["numbers"] == {}


@pytest.mark.parametrize("module", [nginx, caddyfile], ids=["nginx", "caddy"])
def test_a_proxy_in_a_container_reads_the_containers_files(tmp_path, module):
    root = tmp_path / "proc[1]" / "root"
    (root / "etc" / "inner").mkdir(parents=True)
    word, end = ("include", ";") if module is nginx else ("import", "")
    passes = "proxy_pass http://127.0.0.1:8000;" if module is nginx else "x.com {\n reverse_proxy :8000\n}\n"
    (root / "etc" / "main").write_text(f"{word} /etc/inner/*{end}\n")
    (root / "etc" / "inner" / "a").write_text(passes)
    (site,) = module.sites(module.read("/etc/main", filesystem.Files(str(root))))
    assert site.where.startswith("/etc/inner/a:")


def test_a_proxys_files_are_those_of_its_own_root(on, monkeypatch):
    roots = []
    monkeypatch.setattr(facts, "Files", lambda root: [roots.append(root), filesystem.Files(root)][1])
    rows = table(["nginx: master process nginx"], ["nginx: master process nginx"])
    inner, _outer = rows.values()
    inner.container = "4fe2"
    facts.read_proxies(on, rows, {})
    assert roots == [f"/proc/{inner.pid}/root", ""]


def test_whose_time_is_over_is_told(on):
    rows = table(["uvicorn", "main:app"])
    assert find.find(rows, none, on, {}, bounds.Turns(user=0)) == []
    assert ["have taken 0 s already" in finding.seen for finding in on.findings] == [True]
