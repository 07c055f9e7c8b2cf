"""The control node's half of module deployer: what it hands to the host, and in which steps."""

from __future__ import annotations

import json
import types
from pathlib import Path
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret
from ansible.template import Templar
from ansible_collections.graceful.deploy.plugins.action.deployer import ActionModule
from ansible_collections.graceful.deploy.plugins.plugin_utils._push import servers

SOURCE = "ssh://git@git.example.com:2222/us/hello.git"
ARGS = {"name": "hello", "source": SOURCE, "branch": "main", "hosts": ["web1", "web2"], "make_secret": True}


class Host:
    """Answers what a host would, and notes what it was asked."""

    def __init__(self, lacks: bool) -> None:
        self.lacks, self.asked = lacks, list[dict]()

    def answer(self, module: str, arguments: dict, task_vars: dict) -> dict:
        self.asked.append(arguments)
        if module.endswith("layer"):
            return {"changed": True, "diff": [], "invocation": {}}
        if arguments["step"] == "trial":
            return {"changed": False, "reason": "web1: no"}
        return {"lacks": self.lacks} if arguments["step"] == "ask" else {"changed": self.lacks, "key": "ssh-ed25519 x"}

    @property
    def layer(self) -> dict:
        return next(asked for asked in self.asked if "secrets" in asked)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The servers whose keys are asked for."""
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(servers, "known_hosts", lambda asked: found.extend(asked) or "keys\n")
    return found


def run(tmp_path: Path, host: Host, check: bool = False, vault: list | None = None, **changes: object) -> dict:
    (tmp_path / "hosts.yml").write_text("all: {}\n" if vault is None else "x: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n")
    task = types.SimpleNamespace(args={**ARGS, **changes}, async_val=0, check_mode=check, action="deployer")
    connection, loader = mock.MagicMock(), DataLoader()
    connection._shell.tmpdir = "/nowhere"
    loader.set_vault_secrets(vault or [])
    variables = {
        "inventory_hostname": "web1",
        "ansible_inventory_sources": [str(tmp_path / "hosts.yml")],
        "hostvars": {
            "web1": {"ansible_connection": "ssh", "ansible_host": "10.0.0.1"},
            "web2": {"ansible_host": "10.0.0.2", "ansible_port": 2200},
        },
    }
    plugin = ActionModule(task, connection, mock.MagicMock(), loader, Templar(loader, variables), None)
    plugin._execute_module = mock.Mock(side_effect=host.answer)
    return plugin.run(None, variables)


def test_a_host_gets_all_that_it_deploys_by(tmp_path: Path, known: list[tuple[str, int]]) -> None:
    host = Host(lacks=True)
    result = run(tmp_path, host)
    assert result["changed"] and result["key"] == "ssh-ed25519 x" and len(result["digest"]) == 16
    files = {file["path"].removeprefix("/etc/graceful-deploys/hello/"): file for file in host.layer["files"]}
    assert set(files) == {
        *("inventory/1/hosts.yml", "inventory/here/hosts.yml", "inventory/here/host_vars/web1.yml"),
        *("deploys.json", "known_hosts", "environment", "ansible.cfg"),
    }
    # Nobody but root and the user who deploys reads any of it.
    assert {(file["mode"], file["group"]) for file in files.values()} == {("0640", "graceful-deploys")}
    assert {place["mode"] for place in host.layer["directories"]} == {"0750"}
    assert set(host.layer["secrets"]) == {file["path"] for file in host.layer["files"]}
    settings = json.loads(host.layer["secrets"]["/etc/graceful-deploys/hello/deploys.json"])
    assert settings["inventories"] == [
        "/etc/graceful-deploys/hello/inventory/1/hosts.yml",
        "/etc/graceful-deploys/hello/inventory/here",
    ]
    assert (settings["source"], settings["branch"], settings["vault_ids"]) == (SOURCE, "main", [])
    # Itself it needs no connection to.
    assert known == [("git.example.com", 2222), ("10.0.0.2", 2200)]
    steps = [asked["step"] for asked in host.asked if "step" in asked]
    assert steps == ["ask", "install"] and host.asked[-1]["archive"] and host.asked[-1]["requirements"]
    assert set(host.asked[-1]["keep"]) == set(files)


def test_a_host_that_has_this_version_gets_no_archive(tmp_path: Path) -> None:
    host = Host(lacks=False)
    run(tmp_path, host)
    assert "archive" not in host.asked[-1]
    host = Host(lacks=True)
    run(tmp_path, host, check=True)
    assert "archive" not in host.asked[-1]


def test_a_host_that_is_not_deployed_to_is_reached_by_nobody(tmp_path: Path, known: list[tuple[str, int]]) -> None:
    host = Host(lacks=False)
    run(tmp_path, host, hosts=["web2"], source="https://example.com/us/hello.git")
    assert not [file for file in host.layer["files"] if "/here/" in file["path"]]
    assert known == [("10.0.0.2", 2200)]


def test_each_vault_password_is_brought_also_two_of_one_id(tmp_path: Path) -> None:
    host = Host(lacks=False)
    vault = [("default", VaultSecret(b"one")), ("dev", VaultSecret(b"two")), ("default", VaultSecret(b"three"))]
    run(tmp_path, host, vault=vault)
    top = "/etc/graceful-deploys/hello"
    settings = json.loads(host.layer["secrets"][f"{top}/deploys.json"])
    assert settings["vault_ids"] == [f"default@{top}/vault/1", f"dev@{top}/vault/2", f"default@{top}/vault/3"]
    assert [host.layer["secrets"][f"{top}/vault/{number}"] for number in (1, 2, 3)] == ["one", "two", "three"]


def test_what_cannot_be_brought_is_said_before_anything_is(tmp_path: Path) -> None:
    for changes, part in [
        ({"source": "/home/me/hello"}, "fastapi_source is /home/me/hello, which is no git URL"),
        ({"source": ""}, "fastapi_source is empty"),
        ({"vault": []}, "no vault password"),
    ]:
        host = Host(lacks=True)
        result = run(tmp_path, host, **changes)
        assert result["failed"] and part in result["msg"] and host.asked == []


def test_a_trial_is_one_question(tmp_path: Path) -> None:
    host = Host(lacks=False)
    assert run(tmp_path, host, state="tried")["reason"] == "web1: no"
    assert [asked["step"] for asked in host.asked] == ["trial"] and len(host.asked[0]["digest"]) == 16
