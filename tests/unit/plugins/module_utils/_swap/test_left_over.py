"""What Oxmgr had of an app goes when no slot can need it any more, and nothing that is another app's."""

from __future__ import annotations

import grp
import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import OXMGR_UNIT, App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import Systemd
from ansible_collections.graceful.deploy.plugins.module_utils._swap.left_over import OfOxmgr

GROUP = grp.getgrgid(os.getgid()).gr_name
PLAIN = Snapshot("one", "", {"gunicorn.conf.py": "workers = 2\n"}, "[Service]\n")
UNDER = Snapshot("two", "", {**PLAIN.files, OXMGR_UNIT: "[Service]\n"}, "[Service]\n")
OURS = "# Written by Ansible (graceful.deploy.gunicorn)\n"
PROGRAM = "/usr/local/lib/graceful-oxmgr-0123456789abcdef"


@pytest.fixture
def top(tmp_path):
    """A host with the program, and two apps that have it."""
    for place in ("usr/local/lib", "usr/local/bin", "etc/systemd/system", "var/lib", "run"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / PROGRAM[1:]).write_text("")
    for name in ("hello", "other"):
        (tmp_path / f"usr/local/lib/{name}-oxmgr").symlink_to(PROGRAM)
        (tmp_path / f"usr/local/bin/{name}-oxmgr").write_text("#!/usr/bin/python3 -IS\n" + OURS)
        (tmp_path / f"etc/systemd/system/{name}-oxmgr@.service").write_text(OURS)
        for slot in ("blue", "green"):
            (tmp_path / f"var/lib/{name}-oxmgr/{slot}").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def app(top):
    return App("hello", str(top / "srv/hello"), str(top / "etc/systemd/system"))


@pytest.fixture
def said():
    return []


@pytest.fixture
def left(app, top, said):
    return OfOxmgr(Systemd(lambda command: said.append(" ".join(command)) or (0, "", "")), app, str(top))


def fill(app, slot, snapshot):
    app.put(slot, app.make(slot, snapshot, {}, GROUP))


@pytest.mark.parametrize(("blue", "green"), [(UNDER, PLAIN), (PLAIN, UNDER), (UNDER, None)])
def test_all_of_it_stays_while_a_slot_is_oxmgrs(app, left, blue, green):
    for slot, snapshot in (("blue", blue), ("green", green)):
        if snapshot:
            fill(app, slot, snapshot)
    assert left.paths == []


def there(top):
    return {str(path.relative_to(top)) for path in top.rglob("*oxmgr*")}


def test_it_goes_and_another_apps_stays(app, left, top, said):
    fill(app, "blue", PLAIN)
    fill(app, "green", PLAIN)
    others = {name for name in there(top) if "hello" not in name}
    left.remove()
    assert there(top) == others and PROGRAM[1:] in others
    assert said == [
        "systemctl --quiet stop -- hello-oxmgr@blue.service hello-oxmgr@green.service",
        "systemctl --quiet disable -- hello-oxmgr@blue.service hello-oxmgr@green.service",
        "systemctl --quiet reset-failed -- hello-oxmgr@blue.service hello-oxmgr@green.service",
        "systemctl daemon-reload",
    ]
    assert left.paths == []


def test_the_last_app_takes_the_program_along(app, left, top):
    (top / "usr/local/lib/other-oxmgr").unlink()
    fill(app, "blue", PLAIN)
    left.remove()
    assert not (top / PROGRAM[1:]).exists()


def test_what_was_cut_off_is_finished(app, left, top, monkeypatch):
    """By the unit, which goes last."""
    fill(app, "blue", PLAIN)
    unlink = os.unlink
    cut = lambda path: unlink(path) if "@" not in path else (_ for _ in ()).throw(KeyboardInterrupt)  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", cut)
        with pytest.raises(KeyboardInterrupt):
            left.remove()
    assert left.paths == [f"{top}/etc/systemd/system/hello-oxmgr@.service"]
    left.remove()
    assert left.paths == []


def test_what_somebody_else_has_by_such_names_stays(app, left, top):
    fill(app, "blue", PLAIN)
    (top / "usr/local/bin/hello-oxmgr").write_text("#!/bin/sh\n")
    (top / "var/lib/hello-oxmgr/theirs").mkdir()
    assert [path.removeprefix(str(top)) for path in left.paths] == [
        "/usr/local/lib/hello-oxmgr",
        "/etc/systemd/system/hello-oxmgr@.service",
    ]
    (top / "etc/systemd/system/hello-oxmgr@.service").write_text("[Service]\n")
    assert left.paths == []
