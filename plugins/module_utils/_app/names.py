# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for what names things on the host: the app's own name, accounts, directories and programs. Pure."""

from __future__ import annotations

import os
import posixpath
import re
import typing as t

from .._host.files import names_in, read_text
from .problems import Problem, write
from .words import is_ours

# Units, users and directories under /run that exist on most servers. `postgresql`, for one, has a template unit of its
# own, postgresql@.service, that a unit of ours would hide. What else the host has is checked there.
WELL_KNOWN = frozenset(
    """
    apache2 apt autovt avahi bind9 caddy containerd cron dbus docker dovecot getty gunicorn ifup journal lock log
    mariadb memcached mount mysql network nginx ntp openvpn podman postfix postgresql private rabbitmq-server redis
    redis-server rsync rsyslog run serial-getty smartd ssh sshd sudo syslog systemd udev user user-runtime-dir uwsgi
    wg-quick
    """.split()
)
# Root's own, and accounts that other programs share: an app running as one of these could read their files.
NOT_FOR_APPS = {
    "root": "releases and workers never run as root: a hole in the app would be a hole in the host.",
    "nobody": "other programs run as nobody too, and could read the app's releases.",
    "caddy": "the app could then read the proxy's private keys.",
}
SYSTEM_DIRECTORIES = frozenset("/home /media /mnt /opt /srv /var /var/lib /var/log /var/cache".split())
# The system's own, not real files, emptied at boot, or hidden from the service by its sandbox.
NO_ROOT_IN = "/bin /boot /dev /etc /home /lib /lib32 /lib64 /proc /root /run /sbin /sys /tmp /usr /var/tmp".split()
PLAIN = re.compile(r"[A-Za-z0-9._+@/-]+", re.ASCII)
# A unix socket's path ends at 107 bytes, and the proxy dials <root>/live.sock.
LONGEST_ROOT = 96


DEPLOYS = "-deploys"
"""Ends the name of the journal that an app's deploys have where pushes start them."""
DAEMONS = "-oxmgr"
"""Ends the name of the units that run an app's slots where Oxmgr does, and so no app's."""


def fitting(value: object, longest: int, taken: t.Container[str]) -> str:
    """The nearest good name to what was written; empty where nothing of it is left, or it is taken."""
    if not isinstance(value, str):
        return ""
    kept = re.sub(r"[^a-z0-9_-]+", "-", value.strip().lower()).lstrip("0123456789_-")[:longest].rstrip("-")
    return "" if kept in taken or kept.startswith("systemd-") else kept


def name(variable: str, value: t.Any) -> Problem | None:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", value):
        wrong = (
            "the name becomes part of unit names, socket paths and directories; it takes 1 to 31 lower-case letters, "
            "digits, _ and -, and begins with a letter."
        )
        return Problem(variable, value, wrong, write(variable, fitting(value, 31, WELL_KNOWN) or "hello"))
    if value in WELL_KNOWN or value.startswith("systemd-"):
        wrong = f"a well-known service has that name, and {value}@.service or /run/{value} would collide with it."
        return Problem(variable, value, wrong, write(variable, "hello" if "systemd" in value else f"{value[:27]}-app"))
    if value.endswith(DEPLOYS):
        wrong = (
            f"the deploys of what is pushed to {value.removesuffix(DEPLOYS)} have that name, or would have it one day."
        )
        return Problem(variable, value, wrong, write(variable, f"{value.removesuffix(DEPLOYS)}-app"))
    if value.endswith(DAEMONS):
        wrong = f"the units of {value.removesuffix(DAEMONS)}'s own Oxmgr have that name, or would have it one day."
        return Problem(variable, value, wrong, write(variable, f"{value.removesuffix(DAEMONS)}-app"))
    return None


def path(variable: str, value: t.Any) -> Problem | None:
    """An absolute path that needs no quoting in a unit, a Caddyfile or a shell."""
    if not isinstance(value, str) or not value.startswith("/"):
        return Problem(variable, value, "it has to be an absolute path on the host.", "Begin it with a slash.")
    odd = ", ".join(sorted({describe(char) for char in re.sub(PLAIN, "", value)}))
    if odd:
        wrong = f"it holds {odd}, which unit files and the proxy would misread."
        return Problem(variable, value, wrong, "Use letters, digits and . _ + @ - only.")
    shortest = "/" + posixpath.normpath(value).lstrip("/")
    if shortest != value:
        return Problem(variable, value, "it isn't in its shortest form.", write(variable, shortest))
    return None


def describe(char: str) -> str:
    return {" ": "a blank", "\n": "a newline", "\t": "a tab", '"': "a double quote"}.get(char, repr(char)[1:-1])


def root(variable: str, value: t.Any) -> Problem | None:
    problem = path(variable, value)
    if problem:
        return problem
    if value == "/" or value in SYSTEM_DIRECTORIES or f"{value}/".startswith(tuple(f"{top}/" for top in NO_ROOT_IN)):
        wrong = "that is the system's own, emptied at boot, or hidden from the service."
        advice = "Write a directory of the app's own, such as /srv/<name> or /opt/<name>."
        return Problem(variable, value, wrong, advice)
    if len(value) > LONGEST_ROOT:
        wrong = f"with /live.sock after it the path wouldn't fit a unix socket; {LONGEST_ROOT} characters are the most."
        return Problem(variable, value, wrong, "Write a shorter one.")
    return None


def account(variable: str, value: t.Any) -> Problem | None:
    """A user or group by the rule of Debian's adduser."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", value):
        wrong = "Debian takes 1 to 32 lower-case letters, digits, _ and -, and a letter first."
        return Problem(variable, value, wrong, write(variable, fitting(value, 32, NOT_FOR_APPS) or "deploy"))
    if value in NOT_FOR_APPS:
        return Problem(variable, value, NOT_FOR_APPS[value], write(variable, "deploy"))
    return None


def python(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.fullmatch(r"(python)?3?(\.\d+)*", value)):
        version = re.sub(r"^python", "", str(value)) if not isinstance(value, bool) else ""
        wrong = "it has to be the absolute path of an interpreter on the host."
        return Problem(variable, value, wrong, write(variable, f"/usr/bin/python{version or '3'}"))
    problem = path(variable, value)
    if problem is None and value.startswith(("/root/", "/home/")):
        wrong = "the service is kept out of home directories and couldn't start it."
        return Problem(variable, value, wrong, write(variable, "/usr/bin/python3"))
    return problem


def missing(name: str, units: str = "/etc/systemd/system") -> str:
    """A sentence for people where the host has no such app; else nothing.

    :param units: the directory of the host's own units.
    """
    if os.path.lexists(os.path.join(units, f"{name}@.service")):
        return ""
    # A process of an app's has a dot in its unit's name.
    found = [entry for entry in names_in(units) if entry.endswith("@.service") and entry.count(".") == 1]
    found = [entry for entry in found if not entry.endswith(f"{DAEMONS}@.service")]
    others = [entry.removesuffix("@.service") for entry in found if is_ours(read_text(os.path.join(units, entry)))]
    return f"There is no app {name} on this host" + (f"; there is {' and '.join(others)}." if others else ".")
