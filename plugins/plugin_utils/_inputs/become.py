# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a module could not even start on a host, in words for the person at the keyboard. Pure."""

from __future__ import annotations

import re

_PASSWORD = (
    "run with --ask-become-pass (-K), keep the password in ansible_become_password (in a vault), or let the user do "
    "without one by a line `USER ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d."
)
# What sudo, the shell, ssh and ansible-core 2.19 to 2.21 print, and what to do about it. The first that fits holds.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"is not in the sudoers file|may not run sudo|is not allowed to (execute|run sudo)",
        "The login user may not use sudo on this host: add it to the group sudo there (adduser USER sudo), or log in "
        "as a user who may (ansible_user).",
    ),
    (
        r"incorrect \w+ password|incorrect password attempt|try again",
        f"sudo refused the password it was given: {_PASSWORD}",
    ),
    (
        r"missing \w+ password|a password is required|no password was provided|a terminal is required",
        f"sudo asks for a password on this host, and Ansible has none: {_PASSWORD}",
    ),
    (
        r"sudo: (command )?not found|sudo: no such file",
        "There is no sudo on this host: install it there (apt-get install sudo), or log in as root "
        "(ansible_user: root, become: false).",
    ),
    (
        r"(module interpreter|python[0-9.]*).{0,80}not found|python[0-9.]*: no such file",
        "There is no Python on this host that Ansible could use: install it there (apt-get install python3), or say "
        "where it is (ansible_python_interpreter).",
    ),
    (
        r"waiting for (privilege escalation|become)",
        "sudo on this host didn't answer as Ansible expects: try `sudo -v` there as the login user.",
    ),
)


def explain(output: str) -> str:
    """A sentence for what ended a module before it began; empty where the cause isn't one of the usual."""
    for pattern, sentence in _CAUSES:
        if re.search(pattern, output, re.IGNORECASE | re.DOTALL):
            return sentence
    return ""
