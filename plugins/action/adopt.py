# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of ``adopt``: writes the inventory, and says after each step which one is next."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import tarfile
import tempfile
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._adopt.programs import Refused
from ..module_utils._app.releases import ReleaseError
from ..module_utils._host.text import mask
from ..plugin_utils._adopt import source as sources
from ..plugin_utils._adopt.files import File, compared, hosts_file, put
from ..plugin_utils._adopt.inventory import Page, name_of, write
from ..plugin_utils._inputs.progress import shown
from ..plugin_utils._inputs.rules import TODO
from ..plugin_utils._release.git import is_git
from ..plugin_utils._release.read import open_source

Result = dict[str, t.Any]
PLAYBOOK = "graceful.deploy.adopt"
# By how far the move is: what is next.
_NEXT = {
    "beside": ("move", "to give it the traffic"),
    "moving": ("move", "to give it the traffic"),
    "moved": ("finish", "to stop and disable the old one, when you have seen that all is well"),
    "finishing": ("finish", "to stop and disable the old one"),
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result = super().run(tmp, task_vars)
        self._vars = task_vars or {}
        self._host = str(self._vars.get("inventory_hostname", "host"))
        args = dict(self._task.args)
        step, into = args.get("step", "read"), str(args.pop("into", "") or "inventory")
        given, version = str(args.pop("source", "") or ""), str(args.pop("version", "") or "")
        try:
            if step == "read":
                done = self._read(str(args.get("unit") or ""), into, given, version)
                return result | self._shown(done)
        except (Refused, ReleaseError) as refused:
            return result | {"failed": True, "msg": str(refused)}
        # As the module says why.
        args["snippet"] = base64.b64encode(str(args.get("snippet") or "").encode()).decode()
        paths = args.get("paths")
        if isinstance(paths, str):
            args["paths"] = [path.strip() for path in paths.split(",") if path.strip()]
        if bad := [path for path in args.get("paths") or [] if not path.startswith("/") or not path.isprintable()]:
            return result | {
                "failed": True,
                "msg": f"paths has '{bad[0]}'. Write paths as clients ask: -e paths=/,/items/1",
            }
        with self._waiting(step, str(args.get("name", ""))):
            answer = self._execute_module("graceful.deploy.adopt_host", args, task_vars=self._vars)
        return result | self._shown(self._told(step, answer))

    def _waiting(self, step: str, name: str) -> contextlib.AbstractContextManager[None]:
        """Show for which connections a step waits, where it may: each time that a person might think it hangs."""
        if step not in ("finish", "undo") or self._task.check_mode:
            return contextlib.nullcontext()
        return shown(self, f"cat {shlex.quote(f'/run/{name}/waiting')}", 10, self._host)

    def _shown(self, answer: Result) -> Result:
        """What a person has to read, as it is: Ansible shows a task's message alone by -v, and a failed one's not where
        the task has no_log."""
        if answer.get("msg") and (self._task.no_log or not answer.get("failed")):
            Display().display(f"\n{self._host}\n{answer['msg']}\n")
        return answer

    def _told(self, step: str, answer: Result) -> Result:
        if answer.get("failed"):
            return answer
        if text := answer.get("text"):
            Display().display(f"\n{self._host}\n{text}\n")
        if answer.get("differ"):
            listed = ", ".join(answer["differ"])
            msg = (
                f"The new one answers with another status for {listed}. Nothing of the old one was changed, and it has "
                "the "
                f"traffic. See why (logs.yml), or undo: {self._command('undo')}"
            )
            return answer | {"failed": True, "msg": msg}
        if step not in ("compare", "moved", "finish") and not answer.get("done"):
            return answer
        lines = [answer["msg"]] if answer.get("msg") else []
        if found := _NEXT.get(answer.get("stage", "")):
            then, why = found
            lines += [f"Next, {why}: {self._command(then)}", f"Undo: {self._command('undo')}"]
        else:
            lines.append(f"From here on site.yml and release.yml deploy it. Undo: {self._command('undo')}")
        return answer | {"msg": "\n".join(lines)}

    def _command(self, step: str, inventory: str = "") -> str:
        files = [inventory] if inventory else [os.path.relpath(each) for each in self._inventories()]
        listed = " ".join(f"-i {each}" for each in files)
        more = " -e paths=/" if step == "beside" else ""
        return f"ansible-playbook {listed} {PLAYBOOK} -e step={step}{more}"

    def _inventories(self) -> list[str]:
        return [str(each) for each in self._vars.get("ansible_inventory_sources") or ["inventory"]]

    def _read(self, unit: str, into: str, given: str, version: str) -> Result:
        others = self._vars.get("ansible_play_hosts_all") or [self._host]
        if len(others) > 1:
            raise Refused(f"One host at a time is read, and there are {len(others)}. Add --limit {self._host}.")
        args = {"step": "read", "unit": unit}
        answer = self._execute_module("graceful.deploy.adopt_host", args, task_vars=self._vars)
        if answer.get("failed") or answer.get("unreachable"):
            return answer
        found = answer["found"]
        with tempfile.TemporaryDirectory(prefix="graceful-adopt-", dir=constants.DEFAULT_LOCAL_TMP) as workdir:
            into = os.path.abspath(os.path.expanduser(into))
            page, code, listed = self._page(found, given, version, workdir, os.path.dirname(into))
            group = os.path.join(into, "group_vars", "all")
            files = [File(os.path.join(group, "app.yml"), page.app.text)]
            if page.secrets:
                files.append(File(os.path.join(group, "secrets.yml"), f"---\n{page.secrets}", secret=True))
            files += [listed] if listed else []
            hosts = os.path.join(into, "hosts.yml")
            if not os.path.exists(hosts):
                files.append(File(hosts, hosts_file(self._host, self._vars, self._play_context.remote_user or "")))
            changed, diff = compared(files)
            if not self._task.check_mode:
                put(files, code)
        return self._wrote(page, files, code, changed, diff, into)

    def _page(
        self, found: Result, given: str, version: str, workdir: str, beside: str
    ) -> tuple[Page, tuple[str, str], File | None]:
        """The inventory; a directory of code with where it goes, ('', '') for none; and the list of what the app needs,
        which a source of others' lacks.

        :param beside: the directory that this goes to.
        """
        git, directory = found["code"]["git"], found["directory"]
        sources.vet(git, directory)
        name, root = name_of(found)
        root = root or f"/srv/{name}"
        below, code, note = "", ("", ""), ""
        source = given
        if not given and git and sources.is_reachable(git["remote"]) and not git["unpushed"]:
            source, version, below = git["remote"], git["revision"], git["below"]
        top = os.path.join(workdir, "source")
        if not source:
            source = os.path.abspath(name if name != TODO else "app")
            if os.path.exists(source):
                taken = f"{source} is there already: it is taken for the code, and wasn't fetched anew."
                note = f"{taken} {sources.passed_over(git)}".rstrip()
                top = source
            else:
                args = {"step": "fetch", "directory": directory}
                answer = self._execute_module("graceful.deploy.adopt_host", args, task_vars=self._vars)
                if answer.get("failed"):
                    raise Refused(str(answer.get("msg", "")))
                try:
                    sources.unpack(answer["packed"], top)
                except (OSError, tarfile.TarError) as error:
                    raise Refused(f"The code in {directory} on the host can't be unpacked: {error}") from error
                code = (top, source)
                note = sources.passed_over(git)
        elif not is_git(source):
            top = source = os.path.abspath(os.path.expanduser(source))
        else:
            try:
                top, _origin = open_source(source, version, workdir)
            except ReleaseError as error:
                note = (
                    f"{mask(source)} can't be fetched from here, so what the code shows is missing in app.yml: {error}"
                )
                top = ""
        says, listed = sources.Shown(), None
        if top:
            own = {"user", "tls", "proxy", "static", "max_body", "ready_path"}
            place, installed = os.path.join(top, below), found["code"]["installed"]
            named = place if is_git(source) else source
            says = sources.from_source(place, named, own, root)
            if sources.REQUIREMENTS in says.left and installed and code[1]:
                told = sources.freeze(top, installed)
                says = sources.from_source(place, named, own, root)
                says.notes.insert(0, told)
            elif sources.REQUIREMENTS in says.left:
                if installed:
                    path = os.path.join(beside, f"{name if name != TODO else 'app'}-requirements.txt")
                    listed = File(path, sources.frozen(installed))
                path = os.path.relpath(listed.path) if listed else ""
                says.notes.insert(0, sources.to_be_listed(source, below, version, len(installed), path))
        page = write(found, source, version, says, below)
        page.app.notes += filter(None, [note])
        return page, code, listed

    def _wrote(
        self, page: Page, files: list[File], code: tuple[str, str], changed: bool, diff: list[Result], into: str
    ) -> Result:
        check = self._task.check_mode
        listed = [os.path.relpath(file.path) for file in files] + ([f"{os.path.relpath(code[1])}/"] if code[1] else [])
        verb = "Would write" if check else "Wrote" if changed else "Nothing to write: there already are"
        lines = [f"{verb} {', '.join(listed)}."]
        if page.app.left:
            lines.append(f"Fill in {', '.join(page.app.left)}.")
        if page.unknown:
            lines.append("Not moved, because it has no equal:")
            lines += [f"  {place}: {text}" + (f"  ({why})" if why else "") for place, text, why in page.unknown]
        lines += page.app.notes
        inventory = os.path.relpath(into)
        secret = next((os.path.relpath(file.path) for file in files if file.secret), "")
        if secret:
            lines.append(
                f"Encrypt the secrets: ansible-vault encrypt {secret} (then add --ask-vault-pass to each command)."
            )
        when = "when that is filled in, " if page.app.left else ""
        lines.append(f"Next, {when}to run it beside the old one: {self._command('beside', inventory)}")
        lines.append(f"Nothing was changed on {self._host}. Undo: rm -r {' '.join(listed)}")
        unknown = [{"place": place, "line": text, "advice": why} for place, text, why in page.unknown]
        return {
            "changed": changed,
            "msg": "\n".join(lines),
            "files": [file.path for file in files],
            "unknown": unknown,
            "left": page.app.left,
            "diff": diff,
        }
