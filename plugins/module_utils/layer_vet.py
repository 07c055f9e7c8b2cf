# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has the program that reads a layer's files check them before they land."""

from __future__ import annotations

import os
import shutil
import tempfile

from ansible_collections.graceful.deploy.plugins.module_utils.layer_files import Difference
from ansible_collections.graceful.deploy.plugins.module_utils.systemctl import CommandFailed, Run


def vet(
    run: Run, tree: str, command: list[str], user: str | None, differences: list[Difference], program: str | None = None
) -> None:
    """Have the real program read a copy of ``tree`` with the new files in it, before any of them lands.

    :param command: its ``{tree}`` is replaced by the copy's path.
    :param user: who runs it, so that what the program writes while it looks belongs to the service's user.
    :param program: its name for messages, where the command begins with another.
    :raises CommandFailed: with what the program said.
    """
    with tempfile.TemporaryDirectory(prefix="graceful-vet-") as parent:
        copy = os.path.join(parent, "tree")
        if os.path.isdir(tree):
            shutil.copytree(tree, copy, symlinks=True)
        for difference in differences:
            wanted = difference.wanted
            relative = os.path.relpath(wanted.path, tree)
            if relative.startswith(".."):
                continue
            target = os.path.join(copy, relative)
            if wanted.absent:
                if os.path.lexists(target):
                    os.unlink(target)
            elif wanted.content is None:
                os.makedirs(target, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(wanted.content)
        prefix = []
        if user:
            run(["chown", "-R", user, parent])
            prefix = ["runuser", "-u", user, "--", "env", f"HOME={parent}"]
        status, out, err = run([*prefix, *(word.replace("{tree}", copy) for word in command)])
        if status:
            said = (err or out).strip().replace(copy, tree)
            raise CommandFailed(
                f"{program or command[0]} refuses the new configuration, so no file was changed: {said}"
            )
