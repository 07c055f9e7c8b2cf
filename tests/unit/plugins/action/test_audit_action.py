# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of audit_info: which source it reads, and when it fails."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.graceful.deploy.plugins.action import audit_info
from ansible_collections.graceful.deploy.plugins.module_utils._audit.findings import Finding

BAD = Finding("runs-as-root", "shop", "pid 7: gunicorn", "Its workers run as root.", "User=app").as_dict()
ASKED: list[dict] = []


@pytest.fixture
def act(monkeypatch, tmp_path):
    """Run the action with options; what the module was asked is in ASKED."""
    ASKED.clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audit_info.ActionBase, "run", lambda *_arguments: {})

    def execute(_self, _name, arguments, task_vars=None):
        ASKED.append(arguments)
        return {"changed": False, "findings": [BAD], "apps": [], "counts": {}, "database": {}}

    monkeypatch.setattr(audit_info.ActionModule, "_execute_module", execute)

    def run(**options: object) -> dict:
        action = audit_info.ActionModule.__new__(audit_info.ActionModule)
        action._task = SimpleNamespace(args=options)
        action._loader = SimpleNamespace(path_dwim=lambda path: str(tmp_path / "playbooks" / path))
        return action.run(None, {"inventory_hostname": "web-1"})

    return run


def test_findings_are_returned_and_fail_nothing_by_themselves(act):
    result = act()
    assert not result.get("failed")
    assert result["counts"]["high"] == 1
    assert "database" not in result


@pytest.mark.parametrize(("fail_on", "failed"), [("high", True), ("medium", True), ("low", True), ("", False)])
def test_it_fails_from_a_severity_on(act, fail_on, failed):
    result = act(fail_on=fail_on)
    assert result.get("failed", False) == failed
    assert ("runs-as-root" in result.get("msg", "")) == failed


def test_nothing_bad_fails_nothing(act, monkeypatch):
    monkeypatch.setitem(BAD, "severity", "low")
    assert not act(fail_on="medium").get("failed")


def test_a_source_that_is_nowhere_is_refused_before_the_host_is_asked(act):
    result = act(source="../shop")
    assert result["failed"] and result["msg"].startswith("fastapi_source is ../shop: there is no such directory")
    assert ASKED == []


@pytest.mark.parametrize("place", ["playbooks/shop", "shop"])
def test_a_relative_source_counts_from_the_playbook_or_from_here(act, tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "main.py").write_text("import time\nasync def x():\n    time.sleep(1)\n")
    found = [each["where"] for each in act(source="shop")["findings"] if each["id"] == "sync-call-in-async"]
    assert found == [f"{tmp_path}/{place}/main.py:3"]


@pytest.mark.parametrize(
    "source", ["https://ann:secretpw@git.example.com/shop.git", "git@example.com:us/shop.git", "shop.tar.gz"]
)
def test_what_only_a_deploy_can_fetch_is_read_on_the_host(act, tmp_path, source):
    (tmp_path / "shop.tar.gz").write_text("")
    result = act(source=source)
    assert ASKED[0]["source"] == ""
    (told,) = [each for each in result["findings"] if "source on the host was read" in each["seen"]]
    assert "secretpw" not in str(result)
    assert told["severity"] == "info"
