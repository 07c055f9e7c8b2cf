"""An app that somebody set up by hand is moved in and back again, each step under constant load through the front door.

The tests of one app go in the order in which they stand: each begins where the one before has left the host.
"""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest
import yaml
from adopted import Adopted, last
from conftest import APPS

pytestmark = pytest.mark.core
# Moved as a whole, by one question.
WHOLE = ("stock",)
# By test_two.py.
TWO = ("books", "bills", "cafe", "menu")
_where: dict[str, Path] = {}


def pytest_generate_tests(metafunc) -> None:
    host = os.environ.get("MOLECULE_PLATFORM_NAME", "")
    names = [name for each, apps in APPS.items() for name in apps if host in ("", each) and name not in WHOLE + TWO]
    if not list(metafunc.definition.iter_markers("parametrize")):
        metafunc.parametrize("name", names, scope="module")


@pytest.fixture
def app(ask, app_of, name, tmp_path_factory) -> Adopted:
    host = ask.host.backend.host
    if name not in APPS[host]:
        pytest.skip("the other host's")
    where = _where.setdefault(f"{host}-{name}", tmp_path_factory.mktemp(name))
    return app_of(name, where)


def test_reading_changes_nothing_there(app, monkeypatch):
    app.ask.until("the old one serves", lambda: app.get("/ready")[0] == 200)
    app.note()
    monkeypatch.chdir(app.where)
    unread = app.run("", "--check", "--diff", unit=app.unit, into=str(app.inventory))
    assert "fastapi_name: " in unread
    assert not app.inventory.exists()
    said = app.run("", unit=app.unit, into=str(app.inventory))
    assert "step=beside" in said
    files = app.inventory / "group_vars" / "all"
    assert stat.S_IMODE((files / "secrets.yml").stat().st_mode) == 0o600
    values = yaml.safe_load((files / "app.yml").read_text())
    assert (values["fastapi_name"], values["fastapi_domains"][0]) == (app.name, app.domain)
    assert (app.where / app.name / "app" / "main.py").exists()
    assert not list((app.where / app.name).rglob(".env"))
    assert "changed=0 " in app.run("", unit=app.unit, into=str(app.inventory))
    app.is_as_before()


def test_beside_touches_nothing_of_the_old_one(app):
    pid = app.ask.show(app.unit, "MainPID")["MainPID"]
    report, said = app.under_load(
        "a deploy beside what serves", "beside", paths="/ready,/health,/nothing,/slow?seconds=0"
    )
    assert list(report["releases"]) == ["none"]
    assert app.ask.show(app.unit, "MainPID")["MainPID"] == pid
    assert "/nothing 404 404 the same" in " ".join(said.split()), said
    app.again("beside")


def test_beside_says_what_differs(app):
    """The index tells the release, which is another one. A path that one of them hasn't makes it red."""
    said = app.run("beside", paths="/")
    assert "from byte" in said, said
    if app.name != "myapi":
        return
    code = app.where / app.name / "app" / "main.py"
    text = code.read_text()
    code.write_text(f"{text}\n\n@app.get('/new')\ndef new() -> str:\n    return 'new'\n")
    said = app.run("beside", paths="/,/new", ok=False)
    assert "/new 404 200 another status" in " ".join(said.split()), said
    assert "answers with another status for /new" in said
    code.write_text(text)


@pytest.mark.parametrize("name", ["myapi"], scope="module")
def test_what_is_beside_is_undone(app):
    """Nothing of it had clients."""
    report, _said = app.under_load("what ran beside undone", "undo")
    assert list(report["releases"]) == ["none"]
    app.is_as_before()
    app.run("beside", paths="/ready")


@pytest.mark.parametrize("name", ["myapi"], scope="module")
def test_a_move_that_is_not_good_goes_back(app):
    """The front door is asked at a port where nobody listens: as good as an answer that isn't."""
    site = app.ask.run("cat /etc/caddy/Caddyfile")
    report, said = app.under_load("a move whose front door fails", "move", ok=False, _fastapi_front_port=81)
    assert "The old site serves again, as before." in said, said
    assert (len(report["releases"]), last(report)) == (2, "none")
    assert (app.ask.run("cat /etc/caddy/Caddyfile"), app.release) == (site, "none")


@pytest.mark.parametrize(("name", "step"), [("myapi", "undo"), ("shop", "move")], scope="module")
def test_a_move_that_is_cut_off_can_be_undone_or_ended(app, step):
    """Killed when it has noted the old site and before ours is there, or just after: whoever comes next knows."""
    with app.loaded(f"a move that is cut off, then {'undone' if step == 'undo' else 'ended'}"):
        process = app.start("move")
        app.ask.until("the move has begun", lambda: app.stage == "moving", 60)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        app.run(step)
    assert (app.release == "none") is (step == "undo")
    if step == "undo":
        app.is_as_before()
        app.run("beside", paths="/ready")


def test_the_move_loses_nothing(app):
    report, said = app.under_load("the move of the site", "move")
    # On trixie it was cut off before.
    assert last(report) == app.release
    assert "step=finish" in said and "step=undo" in said
    assert app.release != "none"
    if "trixie" in app.ask.host.backend.host:
        assert app.ask.get("/", "http://127.0.0.1", "-H", "Host: other.example.com") == (200, "another site")
    app.again("move")


def test_the_old_one_is_ended_last(app):
    report, _said = app.under_load("the end of the old one", "finish")
    assert list(report["releases"]) == [app.release]
    assert app.ask.show(app.unit, "ActiveState", "UnitFileState") == {
        "ActiveState": "inactive",
        "UnitFileState": "disabled",
    }
    app.again("finish")
    if app.name == "myapi":
        # From here on it is an app like any other.
        status, said = app.control.run("site", "-i", str(app.inventory))
        assert status == 0 and "changed=0 " in said, said


def test_all_of_it_is_undone(app, monkeypatch, tmp_path):
    if app.name == "myproject":
        report, _said = app.under_load("all of it undone", "undo")
    else:
        # Cut off when the app's directory has gone, and before what its proxy's roles brought has.
        cut = {"host": app.ask.host.backend.host, "when": f"test ! -e {app.root}", "power": False}
        monkeypatch.setenv("CUT", json.dumps({**cut, "note": str(tmp_path / "cut")}))
        monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(Path(__file__).parents[2] / "connection"))
        with app.loaded("all of it undone, by two runs of which the first is cut off") as report:
            said = app.run("undo", ok=False, ansible_connection="cut_off")
            assert "Take ours off the host" in said and "the line is cut" in said, said
            assert "serves again" in app.run("undo")
    assert last(report) == "none"
    assert app.release == "none"
    app.is_as_before()
    app.again("undo")


@pytest.mark.parametrize("name", WHOLE, scope="module")
def test_others_are_moved_and_undone_too(app, monkeypatch):
    """A program of supervisord's behind nginx."""
    app.ask.until("the old one serves", lambda: app.get("/ready")[0] == 200)
    app.note()
    monkeypatch.chdir(app.where)
    said = app.run("", unit=app.unit, into=str(app.inventory))
    assert "step=beside" in said
    with app.loaded("a whole move and its undo") as report:
        app.run("beside", paths="/ready,/nothing")
        assert app.release == "none"
        app.run("move")
        assert app.release != "none"
        said = app.run("finish")
        assert "is stopped and disabled" in said, said
        assert "RUNNING" not in app.ask.host.run("supervisorctl status").stdout
        # What had no equal goes on as it was.
        assert app.get("/x.php")[0] == 404
        app.run("undo")
    assert last(report) == "none" and len(report["releases"]) == 2
    app.is_as_before()
