# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a source on the control node, and writes the inventory that deploys it."""

from __future__ import annotations

import functools
import os
import tempfile
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._app.releases import ReleaseError
from ..module_utils._host.text import mask
from ..plugin_utils._init.installed import Asked
from ..plugin_utils._init.inventory import HOSTS, app_file
from ..plugin_utils._init.written import Written
from ..plugin_utils._release.flow import files_of_pins
from ..plugin_utils._release.git import is_git, last_day
from ..plugin_utils._release.raised import versions_for
from ..plugin_utils._release.read import open_source

SPEC = {
    "source": {"type": "str", "required": True},
    "version": {"type": "str", "default": ""},
    "into": {"type": "str", "default": "inventory"},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _checked, params = self.validate_argument_spec(argument_spec=SPEC)
        # Both count from where the person stands, who gave them by -e.
        source, into = (str(params[name]) for name in ("source", "into"))
        if not is_git(source):
            source = os.path.abspath(os.path.expanduser(source))
        into = os.path.abspath(os.path.expanduser(into))
        there, hosts = os.path.join(into, "group_vars", "all", "app.yml"), os.path.join(into, "hosts.yml")
        if os.path.exists(there):
            msg = (
                f"{there} is there already, and init.yml writes over nothing. Write -e into=DIRECTORY, or take it away."
            )
            return result | {"failed": True, "msg": msg}
        say = Display().display
        index = Asked(functools.partial(files_of_pins, say=say), functools.partial(versions_for, say=say))
        try:
            with tempfile.TemporaryDirectory(prefix="graceful-init-", dir=constants.DEFAULT_LOCAL_TMP) as workdir:
                top, origin = open_source(source, str(params["version"]), workdir)
                day = last_day(top, source, origin.get("revision", ""))
                files = {there: app_file(top, source, str(params["version"]), day, index)}
        except (ReleaseError, OSError) as error:
            return result | {"failed": True, "msg": f"{mask(source)} can't be read: {error}"}
        left, notes = files[there].left, files[there].notes
        if not os.path.exists(hosts):
            files[hosts] = Written(HOSTS)
            left = ["ansible_host", "ansible_user", *left]
        if not self._task.check_mode:
            for path, written in files.items():
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "x", encoding="utf-8") as file:
                    file.write(written.text)
        shown = [os.path.relpath(path) for path in files]
        would = "Would write" if self._task.check_mode else "Wrote"
        fill = f"Fill in {', '.join(left)}. " if left else ""
        inventory = os.path.relpath(into)
        look = f"ansible-playbook -i {inventory} playbooks/site.yml --check"
        msg = f"{would} {' and '.join(shown)}. {fill}{''.join(f'{note} ' for note in notes)}Then look: {look}"
        diff = [{"before": "", "after": written.shown, "after_header": path} for path, written in files.items()]
        return result | {"changed": True, "msg": msg, "files": list(files), "left": left, "diff": diff}
