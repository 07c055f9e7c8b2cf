"""What a host says of its Oxmgr."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import names
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import facts as preflight_facts
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import oxmgr

DIGEST = "0123456789abcdef"


def test_versions_are_read() -> None:
    assert oxmgr.parse_version("oxmgr 0.5.0\n") == "0.5.0"
    assert oxmgr.parse_version("oxygen 0.5.0\n") == oxmgr.parse_version("") == ""
    assert oxmgr.parse_candidate("Package: oxmgr\nVersion: 1:0.5.0-2\nSize: 1\n") == "0.5.0"
    assert oxmgr.parse_candidate("") == ""


def test_programs_are_told_from_the_links_to_them(tmp_path: Path) -> None:
    """The longest name that an app may have looks like a program's."""
    library = tmp_path / "usr/local/lib"
    library.mkdir(parents=True)
    path = f"/usr/local/lib/graceful-oxmgr-{DIGEST}"
    (library / f"graceful-oxmgr-{DIGEST}").touch()
    for app in ("hello", "graceful", f"graceful-oxmgr-{DIGEST}"):
        (tmp_path / oxmgr.link_of(app)[1:]).symlink_to(path)
    assert oxmgr.brought(str(tmp_path)) == [path]
    assert oxmgr.in_use("hello", str(tmp_path)) == {path}
    for app in ("graceful", f"graceful-oxmgr-{DIGEST}"):
        (tmp_path / oxmgr.link_of(app)[1:]).unlink()
    assert oxmgr.in_use("hello", str(tmp_path)) == set()
    assert oxmgr.leads(f"{tmp_path}/usr/local/lib/hello-oxmgr") == path


def test_who_could_exchange_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "oxmgr"
    program.touch(0o755)
    stat = os.stat

    def owned_by(uid: int) -> None:
        rest = stat(program)
        monkeypatch.setattr(os, "stat", lambda _path: os.stat_result((rest[0], *rest[1:4], uid, *rest[5:10])))

    for uid, name in ((0, ""), (1, "daemon"), (987654, "")):
        owned_by(uid)
        assert oxmgr.led_by(str(program)) == name
    monkeypatch.undo()
    program.chmod(0o775)
    assert oxmgr.led_by(str(program)) == "others than its owner"


def test_a_unit_that_somebody_else_wrote_isnt_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = tmp_path / "hello-oxmgr@.service"
    monkeypatch.setattr(preflight_facts, "UNIT_DIRECTORIES", (str(tmp_path),))
    unit.write_text("[Service]\nExecStart=/usr/bin/oxmgr daemon run\n")
    assert preflight_facts.foreign_units("hello", "oxmgr") == [str(unit)]
    assert preflight_facts.foreign_units("hello") == []
    unit.write_text("# Written by Ansible (graceful.deploy.gunicorn); more.\n")
    assert preflight_facts.foreign_units("hello", "oxmgr") == []


def test_each_daemon_is_told_once_by_the_port_that_takes_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"port": port, "pid": pid, "program": name} for port, pid, name in
            ((41000, 5, "node"), (47824, 7, "oxmgr"), (48824, 7, "oxmgr"))]  # fmt: skip
    monkeypatch.setattr(preflight_facts, "read_holders", lambda _ports: rows)
    monkeypatch.setattr(preflight_facts, "read_oxmgr", lambda _run, _name, _named: {})
    told = preflight_facts.read_supervisor({"name": "hello", "supervisor": "oxmgr"}, lambda _command: (0, "", ""))
    assert told == {"daemons": [rows[1]]}
    assert preflight_facts.read_supervisor({"name": "hello", "supervisor": "systemd"}, lambda _c: (0, "", "")) == {}


def test_the_units_of_an_apps_oxmgr_are_never_taken_for_an_app(tmp_path: Path) -> None:
    problem = names.name("name", "hello-oxmgr")
    assert problem and problem.advice == "Write fastapi_name: hello-app."
    assert names.name("name", "oxmgr") is None
    for unit in ("hello@.service", "hello-oxmgr@.service"):
        (tmp_path / unit).write_text("# Written by Ansible (graceful.deploy.gunicorn); more.\n")
    assert names.missing("shop", str(tmp_path)) == "There is no app shop on this host; there is hello."
