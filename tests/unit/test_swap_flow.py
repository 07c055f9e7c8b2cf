"""What a swap may do and what a person reads of it, without systemd."""

from __future__ import annotations

import grp
import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.graceful.deploy.plugins.module_utils import as_service, history, status, swap_flow
from ansible_collections.graceful.deploy.plugins.module_utils.deploy_lock import DeployLock
from ansible_collections.graceful.deploy.plugins.module_utils.slots import App, Snapshot
from ansible_collections.graceful.deploy.plugins.module_utils.swap_watch import crashes
from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import CommandFailed
from ansible_collections.graceful.deploy.plugins.modules import swap as swap_module

ONE = Snapshot("one", 'A="1"\n', {"gunicorn.conf.py": "workers = 1\n"}, "[Service]\n")
HELD = {"release": "zero", "parts": ONE.parts}
SAME = {"environment": "e1"}
GROUP = grp.getgrgid(os.getgid()).gr_name


def test_a_reload_takes_a_change_of_code_alone():
    assert swap_flow.reload_refusal(ONE, HELD, SAME, SAME) == ""


@pytest.mark.parametrize(
    ("wanted", "old", "new", "word"),
    [
        (ONE, SAME, {"environment": "e2"}, "the dependencies"),
        (ONE, {}, {}, "the dependencies"),
        (Snapshot("one", 'A="2"\n', ONE.files, ONE.unit), SAME, SAME, "the environment"),
        (Snapshot("one", ONE.environment, ONE.files, "[Service]\nUser=x\n"), SAME, SAME, "the unit"),
        (
            Snapshot("one", ONE.environment, {"gunicorn.conf.py": "workers = 2\n"}, ONE.unit),
            SAME,
            SAME,
            "gunicorn.conf",
        ),
    ],
)
def test_a_reload_of_anything_more_is_refused_by_name(wanted, old, new, word):
    said = swap_flow.reload_refusal(wanted, HELD, old, new)
    assert word in said
    assert "fastapi_strategy" in said


@pytest.fixture
def app(tmp_path):
    for release in ("a1", "b2", "c3"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "release.json").write_text(json.dumps({"id": release, "created": release}))
    (tmp_path / "releases" / "half").mkdir()
    lines = [
        {"release": "a1", "outcome": "live"},
        {"release": "b2", "outcome": "failed", "reason": "it died"},
        {"release": "c3", "outcome": "live"},
    ]
    (tmp_path / history.NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return App("hello", str(tmp_path))


def test_only_complete_releases_count(app):
    assert swap_flow.complete(app) == ["a1", "b2", "c3"]


def test_a_rollback_chooses_or_says_what_there_is_to_choose(app):
    assert swap_flow.rollback_release(app, "", "c3") == "a1"
    assert swap_flow.rollback_release(app, "a1", "c3") == "a1"
    with pytest.raises(CommandFailed, match=r"fastapi_release is zz.*those that it has: a1"):
        swap_flow.rollback_release(app, "zz", "c3")
    with pytest.raises(CommandFailed, match=r"b2.*known to be bad \(it died\)"):
        swap_flow.rollback_release(app, "b2", "c3")
    with pytest.raises(CommandFailed, match="no release of hello to roll back to"):
        swap_flow.rollback_release(App("hello", app.root + "/none"), "", "c3")


def test_the_arbiters_line_is_read():
    assert crashes("3 worker(s) ended unexpectedly, the last (pid 7) at noon") == 3
    assert crashes("Gunicorn arbiter booted") == 0
    assert crashes("") == 0


def test_a_command_is_handed_over_without_its_environment_and_unexpanded():
    place = as_service.Place("hello", "deploy", "deploy", "/srv/hello/slots/.blue-x", ("/srv/hello/shared",))
    words = as_service.command_line(place, "before-swap", ["/bin/sh", "-c", "echo $HOME"], 60)
    assert words[-3:] == ["/bin/sh", "-c", "echo $$HOME"]
    assert "--property=EnvironmentFile=/srv/hello/slots/.blue-x/env" in words
    assert "--property=User=deploy" in words
    assert "--unit=graceful-hello-before-swap" in words
    assert "--property=ReadWritePaths=/srv/hello/shared" in words


def test_the_module_leaves_variables_in_commands_to_their_shell(monkeypatch):
    """Ansible expands them by default, with root's environment."""
    seen = {}

    class Stub:
        def __init__(self, _params, _check, run, _warn):
            seen["out"] = run(["printf", "%s", "$$HOME ~"])[1]

        def result(self):
            return {}

    monkeypatch.setattr(swap_module, "Deploy", Stub)
    with patch_module_args({"name": "hello", "root": "/srv/hello", "group": "deploy"}), pytest.raises(SystemExit):
        swap_module.main()
    assert seen["out"] == "$$HOME ~"


def slot(state, release, workers=0):
    return {
        "state": state,
        "service": "active (running)" if workers else "inactive (dead)",
        "release": release,
        "since": 1000,
        "workers": workers,
        "restarts": 0,
        "memory": 80 << 20,
        "memory_max": 460 << 20,
        "enabled": bool(workers),
        "note": "",
        "ready": "/ready answers 200 ready" if workers else "",
    }


def test_status_is_a_table_for_people():
    facts = {
        "name": "hello",
        "live": "green",
        "slots": {"blue": slot("stopped", "a1"), "green": slot("live", "c3", 2)},
        "releases": [
            {"release": "c3", "state": "live", "built": "2026-11-25T00:57:50", "revision": "f" * 40, "why": ""},
            {"release": "b2", "state": "bad", "built": "2026-11-25T00:50:50", "revision": "", "why": "it died"},
        ],
        "history": [
            {"started": "2026-11-25T00:58:16Z", "kind": "deploy", "release": "c3", "strategy": "swap", "seconds": 4.52}
            | {"outcome": "live", "by": "ann@laptop", "reason": ""}
        ],
        "deploying": {"by": "bob@desk", "since": "noon", "release": "d4", "phase": "ready"},
        "cut_off": {},
    }
    text = status.render(facts, 1000 + 7300, 10)
    assert text.splitlines()[0] == "hello: release c3 is live in slot green, /ready answers 200 ready"
    assert "bob@desk, since noon, in phase ready" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["green", "live", "active", "(running)", "c3", "2", "h", "2", "80M", "of", "460M"] in rows
    assert ["b2", "bad", "2026-11-25", "00:50", "it", "died"] in rows
    assert ["2026-11-25", "00:58", "deploy", "c3", "swap", "4.5", "s", "live", "ann@laptop"] in rows


def test_status_of_nothing():
    facts = {"name": "hello", "live": None, "slots": {}, "releases": [], "history": []}
    facts |= {"deploying": {}, "cut_off": {}}
    assert status.render(facts, 0, 10).startswith("hello: nothing is live.")


def test_status_tells_a_deploy_under_way_from_one_that_was_cut_off(app, monkeypatch):
    monkeypatch.setattr(status, "_slot", lambda *_: slot("stopped", None))
    lock = DeployLock(app.root)
    note = {"by": "bob@desk", "since": "noon", "release": "d4", "phase": "restart"}
    lock.write(note)
    facts = status.look(None, app)
    assert (facts["deploying"], facts["cut_off"]) == (note, {})
    os.close(lock.descriptor)
    facts = status.look(None, app)
    assert (facts["deploying"], facts["cut_off"]) == ({}, note)
    assert "release d4 was cut off in phase restart: bob@desk, begun at noon." in status.render(facts, 0, 10)


def deploy(app, **params):
    given = {"name": app.name, "root": app.root, "group": GROUP, "by": "ann@laptop", **params}
    arguments = {name: given.get(name, option.get("default")) for name, option in swap_module.ARGUMENTS.items()}
    run = lambda _command: (0, "\n\n".join(["ActiveState=active\nUnitFileState=enabled"] * 4), "")  # noqa: E731
    return swap_flow.Deploy(arguments, params.get("check", False), run, print)


def test_an_app_that_was_never_deployed_is_named_with_what_to_mend(tmp_path):
    with pytest.raises(CommandFailed, match=r"There is no .*/none on this host.*fastapi_name or fastapi_root"):
        deploy(App("hello", f"{tmp_path}/none"), rollback=True).result()


@pytest.mark.parametrize("check", [False, True])
def test_a_reload_that_cannot_be_is_refused_before_any_command_and_in_check_mode(app, check):
    (Path(app.root) / "slots").mkdir()
    app.put("blue", app.make("blue", Snapshot("a1", 'A="1"\n', {}, ""), {}, GROUP))
    app.point_to("blue")
    # In check mode the release isn't built yet.
    wanted = {"release": "e5" if check else "c3", "environment": 'A="2"\n', "strategy": "reload"}
    with pytest.raises(CommandFailed, match=r"fastapi_strategy is reload.*also changes the environment"):
        deploy(app, before=["touch /nowhere/at/all"], check=check, **wanted).result()
