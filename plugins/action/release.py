# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``release``: Ansible's ways to the host, handed to the flow."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.releases import ReleaseError
from ..module_utils._host.files import sha256_of
from ..module_utils._host.text import mask
from ..module_utils._release.common import argument_spec
from ..plugin_utils._release import flow
from ..plugin_utils._release.deliver import Host
from ..plugin_utils._release.git_url import is_git

MODULE = "graceful.deploy.release"
# Bytes of an archive that still go with the module itself, a command in place of six: the source of most apps does.
SMALL = 1 << 20
# What the host is told in any case. A git URL stays here, and the index unless the host is to ask it: both may hold
# passwords.
HOST_OPTIONS = ("name", "root", "user", "group", "python", "keep")


class _Failed(Exception):
    """A trip that failed; carries its result, which is the task's then."""


class ActionModule(ActionBase):
    # A temporary directory on the host is made when there is something to send, not before every run.
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        public = {name: option for name, option in argument_spec().items() if not name.startswith("_")}
        _checked, params = self.validate_argument_spec(argument_spec=public)
        if not is_git(params["source"]):
            params["source"] = self._loader.path_dwim(os.path.expanduser(params["source"]))
        params["root"] = (params["root"] or f"/srv/{params['name']}").rstrip("/")
        self._params = params
        self._facts: dict[str, t.Any] = {}
        workdir = tempfile.mkdtemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            if problem := wrong_option(params):
                raise ReleaseError(problem)
            host = Host(self._query, self._install, self._say, self._build)
            result.update(flow.run(params, bool(self._task.check_mode), workdir, host))
        except _Failed as failure:
            result.update(failure.args[0])
        except ReleaseError as error:
            result.update(failed=True, msg=str(error))
        finally:
            shutil.rmtree(workdir, ignore_errors=True)
            self._remove_tmp_path(self._connection._shell.tmpdir)
        if self._facts:
            result["ansible_facts"] = self._facts
        return result

    def _say(self, text: str) -> None:
        Display().display(f"{self._task_vars.get('inventory_hostname', 'host')}: {text}")

    def _module(self, **internal: object) -> dict[str, t.Any]:
        arguments = {name: self._params[name] for name in HOST_OPTIONS} | {
            "source": mask(self._params["source"]),
            **internal,
        }
        answer = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=self._task_vars)
        if answer.get("failed") or answer.get("unreachable"):
            raise _Failed({name: value for name, value in answer.items() if name not in ("invocation", "changed")})
        # Which Python the host has, where Ansible had to look for it: else each task of ours would look again.
        self._facts |= answer.get("ansible_facts", {})
        return answer

    def _query(self) -> dict[str, t.Any]:
        return self._module(_state="query")

    def _install(self, archive: str, sha256: str, release: str, python: str) -> dict[str, t.Any]:
        # With its password, which the option's no_log keeps out of the log, and pip and uv have in their environment.
        index = {"index_url": self._params["index_url"]} if self._params["method"] == "index" else {}
        sent = {"_sha256": sha256, "_release": release, "python": python, **index}
        if os.path.getsize(archive) > SMALL:
            return self._module(_state="install", _archive=self._send(archive), **sent)
        with open(archive, "rb") as file:
            content = base64.b64encode(file.read()).decode()
        return self._module(_state="install", _content=content, **sent)

    def _build(self, archive: str, sha256: str, into: str) -> str:
        built = self._module(_state="build", _archive=self._send(archive), _sha256=sha256)
        wheel = os.path.join(into, os.path.basename(built["wheel"]))
        self._connection.fetch_file(built["wheel"], wheel)
        if sha256_of(wheel) != built["sha256"]:
            raise ReleaseError(f"{os.path.basename(wheel)} came over damaged from the build host. Run again.")
        return wheel

    def _send(self, archive: str) -> str:
        """Where the archive is on the host then."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, os.path.basename(archive))
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


def wrong_option(params: dict[str, t.Any]) -> str:
    """What the argument specification can't say; '' where all is well."""
    if not os.path.isabs(params["root"]):
        return f"root is {params['root']}: it has to be an absolute path on the host, such as /srv/{params['name']}."
    if params["keep"] < 1:
        return f"keep is {params['keep']}: at least the release that is made has to stay. Write 1 or more."
    if params["state"] == "built" and not (params["collected"] and params["build_host"]):
        return "state is built, which needs build_host, and what a task with state=collected returned as collected."
    return ""
