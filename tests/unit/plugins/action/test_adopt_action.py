"""What ``adopt`` hands to the host."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.module_utils.basic import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.graceful.deploy.plugins.action import adopt
from ansible_collections.graceful.deploy.plugins.action.adopt import ActionModule

ROOT = Path(__file__).resolve().parents[4]


def test_files_come_back_whole_where_the_snippet_is_a_part_of_them(monkeypatch):
    """Ansible takes what a secret option says out of a module's result: a Caddyfile with the same lines elsewhere would
    be written with asterisks in their place."""
    snippet, sent = "header -Server\n", {}
    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={"step": "exchange", "snippet": snippet}, no_log=True)

    def execute(_self, _module, args, task_vars):
        sent.update(args)
        return {"changed": False}

    monkeypatch.setattr(ActionBase, "run", lambda *_args: {})
    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    action.run(task_vars={})
    replaces = [{"path": "/etc/caddy/Caddyfile", "content": f"(common) {{\n\t{snippet}}}\n"}]
    assert remove_values({"replaces": replaces}, {sent["snippet"]}) == {"replaces": replaces}
    assert base64.b64decode(sent["snippet"]).decode() == snippet


@pytest.mark.parametrize(("failed", "no_log", "shown"), [(True, True, 1), (True, False, 0), (False, True, 1)])
def test_a_message_reaches_the_person_once(monkeypatch, failed, no_log, shown):
    """Ansible prints a failed task's by itself, but not where the task has no_log."""
    said: list[str] = []
    action = object.__new__(ActionModule)
    action._host, action._task = "web1", SimpleNamespace(no_log=no_log)
    monkeypatch.setattr(Display, "display", lambda _self, text: said.append(text))
    action._shown({"failed": failed, "msg": "Caddyfile:1 isn't UTF-8."})
    assert said == ["\nweb1\nCaddyfile:1 isn't UTF-8.\n"] * shown


@pytest.mark.parametrize(
    ("stage", "step", "then"),
    [
        ("beside", "compare", "step=move"),
        ("moving", "begin", "step=move"),
        ("moved", "begin", "step=finish"),
        ("moved", "exchange", "step=finish"),
        ("moved", "moved", "step=finish"),
        ("finishing", "exchange", "step=finish"),
        ("finished", "exchange", "site.yml"),
        ("finished", "begin", "site.yml"),
        ("finished", "finish", "site.yml"),
    ],
)
def test_what_comes_next_goes_by_how_far_the_move_is(stage, step, then):
    """After finish, move and beside don't name finish as the next step."""
    action = object.__new__(ActionModule)
    action._host, action._vars = "web1", {"ansible_inventory_sources": ["inventory"]}
    _first, next_, *undo = action._told(step, {"stage": stage, "msg": "So far.", "done": True})["msg"].splitlines()
    assert then in next_ and "step=undo" in (undo or [next_])[0]


@pytest.mark.parametrize(
    ("step", "check", "asked"),
    [("finish", False, ["cat /run/shop/waiting"]), ("undo", False, ["cat /run/shop/waiting"])]
    + [("finish", True, []), ("exchange", False, [])],
)
def test_what_a_long_step_waits_for_is_shown(monkeypatch, step, check, asked):
    commands: list[str] = []

    def shown(_action, command, _every, _host):
        commands.append(command)
        return contextlib.nullcontext()

    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={"step": step, "name": "shop"}, no_log=False, check_mode=check)
    monkeypatch.setattr(adopt, "shown", shown)
    monkeypatch.setattr(ActionBase, "run", lambda *_args: {})
    monkeypatch.setattr(ActionBase, "_execute_module", lambda *_args, **_more: {"failed": True})
    action.run(task_vars={})
    assert commands == asked


def test_the_proxys_files_are_not_shown_by_v():
    """What they hold may be secret, as the snippet that is going to be in one."""
    (play,) = yaml.safe_load((ROOT / "playbooks" / "adopt.yml").read_text())
    (exchange,) = (
        task
        for step in play["tasks"]
        for task in step.get("block", ())
        if task.get("graceful.deploy.adopt", {}).get("step") == "exchange"
    )
    assert exchange["no_log"] is True
