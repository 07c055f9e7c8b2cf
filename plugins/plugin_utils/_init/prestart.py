# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the source's own scripts run before the app: what makes its tables, or its first user."""

from __future__ import annotations

import os
import re

from ...module_utils._app.words import PREFIX
from ...module_utils._host.files import names_in, read_text
from .written import Written, as_yaml

_PLACES = ("", "scripts", "docker", "bin", "deploy")
_SCRIPT = re.compile(r"(?i)(pre_?-?start|start|entry|init|boot|run)[\w.-]*\.sh$")
_PYTHON = re.compile(
    r"(?m)^[ \t]*(?:(?:poetry|uv|pipenv)[ \t]+run[ \t]+)?python3?[ \t]+(-m[ \t]+[\w.]+|[\w./-]+\.py)[ \t]*(?:$|&&|;)"
)
_MAKES = re.compile(r"(?i)create|init|seed|populate|setup|superuser|pre_?start|bootstrap")


def before(out: Written, top: str) -> None:
    """A line of the inventory's comments for what of them is in the source."""
    for place in _PLACES:
        directory = os.path.join(top, place)
        for name in sorted(names_in(directory)) if os.path.isdir(directory) else ():
            if _SCRIPT.search(name) and (found := commands(read_text(os.path.join(directory, name)), top)):
                script = os.path.join(place, name)
                said = (
                    f"{script} runs {' and '.join(f'`{each}`' for each in found)} before the app starts. If the host "
                )
                said += "needs it too, and it does no harm a second time, it belongs in"
                out.comment(f"{said} {PREFIX}before_swap: {as_yaml(found)}")
                out.notes.append(f"{said} {PREFIX}before_swap.")
                return


def commands(text: str, top: str) -> list[str]:
    """What a script runs of the source's own Python that makes something, each as the release's directory has it."""
    found = []
    for what in _PYTHON.findall(text):
        path = os.path.normpath(what)
        if what.startswith("-m"):
            what = f"-m {what.split()[1]}"
            path = f"{what.split()[1].replace('.', '/')}.py"
        elif os.path.isfile(os.path.join(top, path.lstrip("/"))):
            what = path = path.lstrip("/")
        elif os.path.isabs(path) and os.path.isfile(os.path.join(top, path.strip("/").partition("/")[2])):
            # In a container the source is /app, say.
            what = path = path.strip("/").partition("/")[2]
        if _MAKES.search(os.path.basename(path)) and os.path.isfile(os.path.join(top, path)):
            found.append(f"python {what}")
    return list(dict.fromkeys(found))
