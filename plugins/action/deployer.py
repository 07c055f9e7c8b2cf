# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``deployer``: what only the control node has, and what it may not show."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._push import install
from ..plugin_utils._push import servers, ship
from ..plugin_utils._release.git import is_git

MODULE, LAYER = "graceful.deploy.deployer_host", "graceful.deploy.layer"
SETTINGS = install.SETTINGS
SPEC = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["checked", "present", "tried"], "default": "present"},
    **{name: {"type": "str", "default": ""} for name in ("source", "branch", "tags", "index_url")},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "extra": {"type": "dict", "default": {}},
    "make_secret": {"type": "bool", "default": False, "no_log": False},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        _checked, params = self.validate_argument_spec(argument_spec=SPEC)
        try:
            return {**result, **self._work(params)}
        except ship.ShipError as error:
            return {**result, "failed": True, "msg": str(error)}

    def _work(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["state"] == "checked":
            # Of which version it will be says nothing yet.
            self._files(params, "")
            return {"changed": False, "msg": "The control node has all that a host needs to deploy by itself."}
        archive, requirements = ship.collection_archive(), ship.requirements()
        digest = hashlib.sha256(archive + requirements.encode()).hexdigest()[:16]
        if params["state"] == "tried":
            Display().display(f"{self._host}: trying what a push does, in check mode…")
            return self._module(MODULE, {"name": params["name"], "step": "trial", "digest": digest})
        files = self._files(params, digest)
        written = self._module(LAYER, self._layer(params["name"], files))
        asked = {"name": params["name"], "digest": digest, "make_secret": params["make_secret"]}
        sent: dict[str, Any] = {"keep": [file.path for file in files]}
        if self._module(MODULE, {**asked, "step": "ask"}).get("lacks") and not self._task.check_mode:
            Display().display(f"{self._host}: installing ansible-core, once for this version of the collection…")
            packed = base64.b64encode(archive).decode()
            sent |= {"archive": packed, "requirements": requirements, "index_url": params["index_url"]}
        done = self._module(MODULE, {**asked, **sent, "step": "install"})
        return {
            **done,
            "digest": digest,
            "changed": bool(written.get("changed") or done.get("changed")),
            "diff": written.get("diff", []),
        }

    @property
    def _host(self) -> str:
        return str(self._task_vars.get("inventory_hostname", "host"))

    def _module(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module, arguments, task_vars=self._task_vars)
        if answer.get("failed") or answer.get("unreachable"):
            raise ship.ShipError(str(answer.get("msg") or answer))
        return {name: value for name, value in answer.items() if name != "invocation"}

    def _files(self, params: dict[str, Any], digest: str) -> list[ship.File]:
        """All that the deploying user reads, below his directory."""
        source = params["source"]
        if not is_git(source):
            raise ship.ShipError(
                f"fastapi_source is {source or 'empty'}, which is no git URL: a host that deploys what was pushed "
                "fetches it from where it was pushed to. Write the repository's address, such as "
                "git@example.com:us/shop.git."
            )
        sources = [
            os.path.abspath(path) if "," not in path else path for path in self._task_vars["ansible_inventory_sources"]
        ]
        places, files = ship.inventory(sources)
        # Two may have one id, as two --vault-password-file have.
        vault = [(vault_id, secret.bytes) for vault_id, secret in self._loader._vault.secrets or []]
        if ship.lacks_password(files, vault):
            raise ship.ShipError(
                "The inventory has vaulted values, and this run no vault password to give to the host."
            )
        if self._host in params["hosts"]:
            files += ship.here(self._host)
            places.append("inventory/here")
        top = f"{SETTINGS}/{params['name']}"
        files += [ship.File(f"vault/{number}", secret) for number, (_id, secret) in enumerate(vault, start=1)]
        settings = {
            "name": params["name"],
            "source": source,
            "branch": params["branch"],
            "tags": params["tags"],
            "inventories": [f"{top}/{place}" for place in places],
            "hosts": params["hosts"],
            "vault_ids": [
                f"{vault_id}@{top}/vault/{number}" for number, (vault_id, _secret) in enumerate(vault, start=1)
            ],
            "extra": params["extra"],
        }
        files.append(ship.File("deploys.json", (json.dumps(settings, indent=1) + "\n").encode()))
        files.append(ship.File("known_hosts", servers.known_hosts(self._servers(params)).encode()))
        files.append(ship.File("environment", ship.environment(params["name"], digest).encode()))
        files.append(ship.File("ansible.cfg", ship.configuration(params["name"]).encode()))
        return files

    def _servers(self, params: dict[str, Any]) -> list[tuple[str, int]]:
        """Whom the deploying user speaks to by ssh: the git server, and the other hosts."""
        found = [server] if (server := servers.server_of(params["source"])) else []
        for host in params["hosts"]:
            known = self._task_vars["hostvars"][host]
            if host != self._host and known.get("ansible_connection", "ssh") in ("ssh", "smart", "ansible.builtin.ssh"):
                found.append((str(known.get("ansible_host") or host), int(known.get("ansible_port") or 22)))
        return found

    def _layer(self, name: str, files: list[ship.File]) -> dict[str, Any]:
        top = f"{SETTINGS}/{name}"
        directories = {os.path.dirname(f"{top}/{file.path}") for file in files}
        # Those above as well, from the top on.
        for place in list(directories):
            while len(place := os.path.dirname(place)) > len(top):
                directories.add(place)
        mine = {"group": install.USER}
        return {
            "directories": [{"path": path, "mode": "0750", **mine} for path in sorted(directories)],
            "files": [
                {"path": f"{top}/{file.path}", "mode": "0750" if file.executable else "0640", **mine} for file in files
            ],
            "secrets": {f"{top}/{file.path}": file.text for file in files},
        }
