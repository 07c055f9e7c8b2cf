"""What ``adopt`` hands to the host."""

from __future__ import annotations

import base64
from types import SimpleNamespace

from ansible.module_utils.basic import remove_values
from ansible.plugins.action import ActionBase
from ansible_collections.graceful.deploy.plugins.action.adopt import ActionModule


def test_files_come_back_whole_where_the_snippet_is_a_part_of_them(monkeypatch):
    """Ansible takes what a secret option says out of a module's result: a Caddyfile with the same lines elsewhere would
    be written with asterisks in their place."""
    snippet, sent = "header -Server\n", {}
    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={"step": "exchange", "snippet": snippet})

    def execute(_self, _module, args, task_vars):
        sent.update(args)
        return {"changed": False}

    monkeypatch.setattr(ActionBase, "run", lambda *_args: {})
    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    action.run(task_vars={})
    replaces = [{"path": "/etc/caddy/Caddyfile", "content": f"(common) {{\n\t{snippet}}}\n"}]
    assert remove_values({"replaces": replaces}, {sent["snippet"]}) == {"replaces": replaces}
    assert base64.b64decode(sent["snippet"]).decode() == snippet
