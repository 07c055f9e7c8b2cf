# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for what the app may do and which secrets it gets; all of it lands in a unit. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.graceful.deploy.plugins.module_utils import preflight_names as shapes
from ansible_collections.graceful.deploy.plugins.module_utils.preflight_problem import HIDDEN, Problem, show, write
from ansible_collections.graceful.deploy.plugins.module_utils.sandbox import SETTING

# ProtectHome= empties these, and nothing below them can be opened again.
_HIDDEN_FROM_APPS = ("/home", "/root", "/run/user")
_NEVER_WRITABLE = frozenset("/ /boot /dev /etc /opt /proc /run /srv /sys /usr /var /var/lib".split())
# systemd's own limit for all credentials of a unit, in bytes.
MOST_CREDENTIALS = 1 << 20


def writable_paths(variable: str, value: t.Any) -> Problem | None:
    if not isinstance(value, list):
        return Problem(variable, value, "it has to be a list.", write(variable, "[/var/lib/hello]"))
    for entry in value:
        if problem := shapes.path(variable, entry):
            return Problem(variable, value, f"{show(entry)} in it: {problem.wrong}", problem.advice)
        if entry in _NEVER_WRITABLE:
            wrong = f"{entry} is the system's, and an app that may write to all of it may take the host."
            return Problem(variable, value, wrong, f"Write a directory below it, such as {entry.rstrip('/')}/hello.")
        if f"{entry}/".startswith(tuple(f"{top}/" for top in _HIDDEN_FROM_APPS)):
            wrong = f"{entry} is in a place that is hidden from services as a whole."
            return Problem(variable, value, wrong, "Write a directory elsewhere, such as one in /var/lib.")
    return None


def sandbox(variable: str, value: t.Any) -> Problem | None:
    example = write(variable, "{TasksMax: 4000}")
    if not isinstance(value, dict):
        return Problem(variable, value, "it has to be a mapping of systemd's settings to values.", example)
    for name, lines in value.items():
        if not isinstance(name, str) or not SETTING.fullmatch(name):
            return Problem(variable, value, f"{show(name)} is no setting of a sandbox (systemd.exec(5)).", example)
        for line in lines if isinstance(lines, list) else [lines]:
            # A backslash at its end would take the next line in.
            if not isinstance(line, (str, int)) or re.search(r"[\x00-\x1f\x7f\\]", str(line)):
                wrong = f"{name} has to be text on one line, a number, true or false, or a list of them."
                return Problem(variable, value, wrong, example)
    return None


def credentials(variable: str, value: t.Any) -> Problem | None:
    """Secrets by name. No value is ever shown."""
    example = write(variable, "{database_password: '{{ vault_database_password }}'}")
    if not isinstance(value, dict):
        return Problem(variable, HIDDEN, "it has to be a mapping of names to texts.", example)
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name, re.ASCII):
            # Somebody may have taken the secret for the name.
            wrong = "a name in it doesn't fit: each is the name of a file, of letters, digits and . _ - only."
            return Problem(variable, HIDDEN, wrong, example)
        if not isinstance(text, str) or not text:
            wrong = f"{name} has to be text, and not empty."
            return Problem(variable, HIDDEN, wrong, "Put it in quotes, or look it up; encode what isn't text (base64).")
    size = sum(len(name) + len(text.encode(errors="replace")) for name, text in value.items())
    if size > MOST_CREDENTIALS:
        wrong = f"all of it together is {size} bytes, and systemd takes {MOST_CREDENTIALS} for a unit."
        return Problem(variable, HIDDEN, wrong, "Put the largest into a file that the app reads.")
    return None
