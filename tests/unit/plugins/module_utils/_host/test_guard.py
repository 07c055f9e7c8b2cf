"""No module ends in an exception's text, nor leaves what it makes to root's umask."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.graceful.deploy.plugins.module_utils._host.guard import finish

MODULES = Path(__file__).resolve().parents[5] / "plugins" / "modules"
# Of these actions what runs on a host is NAME_host, or nothing.
ACTIONS = ("adopt", "deployer", "init", "prove", "release", "run", "status_report")
NAMES = sorted(path.stem for path in MODULES.glob("*.py") if path.stem not in ACTIONS)
ARGUMENTS = {
    "absent": {"name": "hello", "root": "/srv/hello"},
    "adopt_host": {"step": "read"},
    "caddy": {"name": "hello"},
    "prove_host": {"state": "begun", "root": "/srv/hello", "proxy": "caddy", "port": 80, "tls": False, "asked": []}
    | dict.fromkeys(("during", "name", "host", "by", "run"), "hello")
    | dict.fromkeys(("rate", "seconds", "before", "late", "timeout"), 1.0),
    "tune": {"name": "hello", "paths": ["/"]},
    "deployer_host": {"name": "hello", "step": "ask", "digest": "0123456789abcdef"},
    "layer": {"units": [{"name": "none.service"}]},
    "logs_info": {"name": "hello"},
    "oxmgr": {"name": "hello"},
    "patch": {"name": "hello"},
    "probe": {"port": 1},
    "release_host": {"state": "queried", "root": "/srv/hello", "keep": 1, "name": "hello"}
    | {"group": "deploy", "user": "deploy", "python": "/usr/bin/python3"},
    "status_info": {"name": "hello"},
    "swap": {"name": "hello", "root": "/srv/hello", "group": "root"},
    "tell": {"name": "hello", "event": "live"},
}
WORK = {
    "absent": "Removal",
    "adopt_host": "look",
    "prove_host": "Prove",
    "tune": "Tune",
    "caddy": "read_caddy",
    "deployer_host": "steps",
    "layer": "Layer",
    "logs_info": "read",
    "oxmgr": "read_oxmgr",
    "patch": "Patch",
    "probe": "wait_until_good",
    "release_host": "answer",
    "status_info": "report",
    "swap": "Deploy",
    "tell": "begin",
    "worker_plan_info": "plan_from_params",
}


class Odd:
    """Stands in for a flow that meets what nobody thought of."""

    state = "Nothing was changed."
    hide = str

    def __init__(self, *_arguments, **_options):
        pass

    @property
    def changes(self):
        raise ValueError("zip() argument 2 is shorter than argument 1 \ud800")

    def begin(self):
        return self.changes

    def overtaken(self):
        return self.changes

    def result(self):
        return self.changes


def odd(*_arguments, **_options):
    return Odd().changes


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_thought_of_is_told_with_the_state_of_the_host(name, monkeypatch, capsys, tmp_path):
    module = importlib.import_module(f"ansible_collections.graceful.deploy.plugins.modules.{name}")
    # These two speak to a Python that is too old for the rest, and import it late.
    if name in ("audit_info", "preflight"):
        room = name.removesuffix("_info")
        flow = importlib.import_module(f"ansible_collections.graceful.deploy.plugins.module_utils._{room}.flow")
        monkeypatch.setattr(flow, "look", odd)
    else:
        monkeypatch.setattr(
            module, WORK[name], Odd if name in ("absent", "layer", "patch", "prove_host", "swap", "tune") else odd
        )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if name == "layer":
        monkeypatch.setattr(module, "LOCK", str(tmp_path / "lock"))
    umask = os.umask(0o077)
    try:
        with patch_module_args(ARGUMENTS.get(name, {})), pytest.raises(SystemExit):
            module.main()
    finally:
        assert os.umask(umask) == 0o022
    said = json.loads(capsys.readouterr().out)
    assert said["failed"]
    assert "Traceback" not in said["msg"]
    words = ("Nothing was changed.", "is undone", "No release was made")
    assert said["msg"].startswith(words) or words[1] in said["msg"]
    assert "(ValueError: zip() argument 2" in said["msg"] and "Run again" in said["msg"]


def test_a_module_says_what_it_knows_in_its_own_words(capsys):
    class Module:
        def fail_json(self, msg):
            raise SystemExit(msg)

    def work():
        raise KeyError("\udc80 gone")

    with pytest.raises(SystemExit, match=r"\\udc80 gone"):
        finish(Module(), work, KeyError)


@pytest.mark.parametrize("known", [(KeyError,), ()])
def test_a_failure_is_told_without_secrets(known):
    class Module:
        def fail_json(self, msg, exception=""):
            raise SystemExit(f"{msg} {exception}")

    def work():
        raise KeyError("canary")

    with pytest.raises(SystemExit) as told:
        finish(Module(), work, *known, hide=lambda text: text.replace("canary", "***"))
    assert "***" in str(told.value) and "canary" not in str(told.value).replace('KeyError("canary")', "")
