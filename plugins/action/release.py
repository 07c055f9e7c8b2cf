# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``release``: Ansible's ways to the host, handed to the flow."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.releases import ReleaseError
from ..module_utils._host.files import sha256_of
from ..module_utils._host.run import ProgramError
from ..plugin_utils._release import flow, options
from ..plugin_utils._release.deliver import Ways
from ..plugin_utils._release.git import is_git

MODULE = "graceful.deploy.release_host"
# Bytes of an archive that still go with the module itself, a command in place of six: the source of most apps does.
SMALL = 1 << 20
# What the host is told in any case. The source stays here, and the index unless the host is to ask it: the URLs of both
# may hold passwords.
HOST_OPTIONS = ("name", "root", "user", "group", "python", "keep")


class _Failed(Exception):
    """A trip that failed; carries its result, which is the task's then."""


class ActionModule(ActionBase):
    # A temporary directory on the host is made when there is something to send, not before every run.
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        _checked, params = self.validate_argument_spec(argument_spec=options.argument_spec())
        if not is_git(params["source"]):
            params["source"] = self._loader.path_dwim(os.path.expanduser(params["source"]))
        params["root"] = (params["root"] or f"/srv/{params['name']}").rstrip("/")
        self._params = params
        self._facts: dict[str, Any] = {}
        workdir = tempfile.mkdtemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            if problem := options.wrong_option(params):
                raise ReleaseError(problem)
            ways = Ways(self._query, self._install, self._say, self._build)
            result.update(flow.run(params, bool(self._task.check_mode), workdir, ways))
        except _Failed as failure:
            result.update(failure.args[0])
        except (ReleaseError, ProgramError) as error:
            result.update(failed=True, msg=str(error))
        finally:
            shutil.rmtree(workdir, ignore_errors=True)
            self._remove_tmp_path(self._connection._shell.tmpdir)
        if self._facts:
            result["ansible_facts"] = self._facts
        return result

    def _say(self, text: str) -> None:
        Display().display(f"{self._task_vars.get('inventory_hostname', 'host')}: {text}")

    def _module(self, state: str, **more: object) -> dict[str, Any]:
        arguments = {name: self._params[name] for name in HOST_OPTIONS} | {"state": state, **more}
        answer: dict[str, Any] = self._execute_module(MODULE, arguments, task_vars=self._task_vars)
        if answer.get("failed") or answer.get("unreachable"):
            raise _Failed({name: value for name, value in answer.items() if name not in ("invocation", "changed")})
        # Which Python the host has, where Ansible had to look for it: else each task of ours would look again.
        self._facts |= answer.get("ansible_facts", {})
        return answer

    def _query(self) -> dict[str, Any]:
        return self._module("queried")

    def _install(self, archive: str, sha256: str, release: str, python: str) -> dict[str, Any]:
        # With its password, which the option's no_log keeps out of the log, and pip and uv have in their environment.
        index = {"index_url": self._params["index_url"]} if self._params["method"] == "index" else {}
        sent = {"sha256": sha256, "release": release, "python": python, **index}
        if os.path.getsize(archive) > SMALL:
            return self._module("installed", archive=self._send(archive), **sent)
        with open(archive, "rb") as file:
            content = base64.b64encode(file.read()).decode()
        return self._module("installed", content=content, **sent)

    def _build(self, archive: str, sha256: str, into: str) -> str:
        built = self._module("built", archive=self._send(archive), sha256=sha256)
        wheel = os.path.join(into, os.path.basename(built["wheel"]))
        self._connection.fetch_file(built["wheel"], wheel)
        if sha256_of(wheel) != built["sha256"]:
            raise ReleaseError(f"{os.path.basename(wheel)} came over damaged from the build host. Run again.")
        return wheel

    def _send(self, archive: str) -> str:
        """Where the archive is on the host then."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        remote: str = self._connection._shell.join_path(self._connection._shell.tmpdir, os.path.basename(archive))
        try:
            self._transfer_file(archive, remote)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            raise ReleaseError(
                f"Sending the archive failed; the host's disk may be full where {remote} goes (remote_tmp): {error}"
            ) from error
        self._fixup_perms2((self._connection._shell.tmpdir, remote), execute=False)
        return remote
