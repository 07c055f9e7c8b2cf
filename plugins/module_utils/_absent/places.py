# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the roles leave something of an app, outside its own directory. What a role writes and this doesn't know stays
for ever: a test compares the two."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from .._app.slots import SLOTS
from .._app.words import is_ours, slice_of
from .._host.files import names_in, read_text
from .._host.run import finish
from .._preflight import oxmgr
from .._process import units as beside

RM_LIMIT = 3600.0
"""Seconds for the removal of one directory; what is left then, the next run removes."""
# What keepalived has is no site, but goes as one does: before the site, so that the other balancer takes the address.
SITE_KINDS = ("keepalived", "caddy", "nginx")
PROXY_UNITS = {"keepalived": "keepalived.service", "caddy": "caddy.service", "nginx": "nginx.service"}
# What nginx has of an app beside its site: the timer before what it starts.
_NGINX_UNITS = (
    *("-nginx-logs.timer", "-nginx-logs.service", "-nginx-ready.service", "-nginx-certificate.service"),
    *("-nginx-hosts.timer", "-nginx-hosts.path", "-nginx-hosts.service"),
)
# What takes pushes, and deploys them: what starts another before it.
_PUSH_UNITS = (
    *("-webhook.socket", "-webhook.service", "-webhook-hooks.service"),
    *("-deploys.path", "-deploys.service"),
)
_FILES = {
    # The order is that of their removal.
    "keepalived": ["/etc/keepalived/graceful/{name}.conf", "/etc/keepalived/graceful/{name}.py"],
    "nginx": ["/etc/nginx/sites-enabled/zz-graceful-{name}.conf"],
    "caddy": ["/etc/caddy/sites/{name}.caddy", "/etc/caddy/sites/{name}.users", "/etc/caddy/sites/{name}.health"],
    "unit": [
        *(f"/etc/systemd/system/{{name}}{unit}" for unit in _PUSH_UNITS),
        "/etc/systemd/system/{name}-oxmgr@.service",
        "/etc/systemd/system/{name}@.service",
        "/etc/systemd/system/{name}@.socket",
        *(f"/etc/systemd/system/{{name}}{unit}" for unit in _NGINX_UNITS),
        "/etc/systemd/system/{name}-log-files.service",
        "/etc/systemd/system/systemd-journald@{name}.service.d/graceful.conf",
    ],
    "journal": [
        "/etc/graceful-webhook/{name}.json",
        "/etc/graceful-webhook/{name}.secret",
        "/etc/systemd/journald@{name}-deploys.conf",
        "/etc/systemd/journald@{name}.conf",
        "/usr/local/bin/{name}-run",
        "/usr/local/bin/{name}-logs",
        "/usr/local/bin/{name}-oxmgr",
        "/usr/local/lib/{name}-log-files.py",
    ],
}


@dataclass(frozen=True)
class HostTree:
    """Where the host's own root directory is; another one than ``/`` in tests."""

    top: str = ""

    def at(self, path: str) -> str:
        return self.top + path


@dataclass(frozen=True, order=True)
class Removable:
    """Something to be removed.

    :param base: a directory that root alone can exchange for a link.
    :param inside: the path from there; no part of it is followed where it is a link.
    """

    base: str
    inside: str

    @property
    def path(self) -> str:
        return os.path.join(self.base, self.inside)


def files(host: HostTree, name: str) -> dict[str, list[str]]:
    found = {kind: [host.at(path.format(name=name)) for path in paths] for kind, paths in _FILES.items()}
    directory = host.at("/etc/systemd/system")
    # What starts it goes before what it starts.
    mine = sorted(_beside_files(directory, name), key=lambda unit: unit.endswith(".service"))
    found["unit"] += [f"{directory}/{unit}" for unit in mine]
    return found


def boot_links(host: HostTree, name: str) -> list[str]:
    """What `systemctl enable` made for the slots, also where the unit's file is gone."""
    directory = host.at("/etc/systemd/system")
    wants = [entry for entry in names_in(directory) if entry.endswith((".wants", ".requires"))]
    units = [*push_units(name), *oxmgr_units(name), *slot_units(name), *nginx_units(name)]
    found = [f"{directory}/{entry}/{unit}" for entry in wants for unit in units]
    return found + [f"{place}/{unit}" for place, unit in _beside_links(directory, name)]


def _beside_files(directory: str, name: str) -> list[str]:
    """Unit files of processes and timers. Somebody may have one of their own by such a name."""
    return [unit for unit in beside.of(name, names_in(directory)) if is_ours(read_text(f"{directory}/{unit}"))]


def _beside_links(directory: str, name: str) -> list[tuple[str, str]]:
    """What starts them at boot, directory and unit, also where the unit's file is gone."""
    wants = [f"{directory}/{entry}" for entry in names_in(directory) if entry.endswith((".wants", ".requires"))]
    links = [(place, unit) for place in wants for unit in beside.of(name, names_in(place))]
    return [(place, unit) for place, unit in links if not (text := read_text(f"{place}/{unit}")) or is_ours(text)]


def beside_units(host: HostTree, name: str) -> list[str]:
    """Processes and timers of the app, and what a timer runs: the timers first, so that nothing new begins. What else
    of it is at its last job is in the app's slice."""
    directory = host.at("/etc/systemd/system")
    enabled = {unit for _place, unit in _beside_links(directory, name)}
    there = {unit for unit in _beside_files(directory, name) if "@." not in unit}
    return sorted(enabled | there, key=lambda unit: (not unit.endswith(".timer"), unit))


def stamps(host: HostTree, name: str) -> list[Removable]:
    """When its timers last ran, as systemd keeps it."""
    directory = host.at("/var/lib/systemd/timers")
    mine = [entry for entry in names_in(directory) if beside.of(name, [entry.removeprefix("stamp-")])]
    return [Removable(directory, entry) for entry in mine]


def slot_units(name: str) -> list[str]:
    return [f"{name}@{slot}.{kind}" for slot in SLOTS for kind in ("service", "socket")]


def oxmgr_units(name: str) -> list[str]:
    """What keeps the slots alive in systemd's place."""
    return [f"{name}-oxmgr@{slot}.service" for slot in SLOTS]


def nginx_units(name: str) -> list[str]:
    return [f"{name}{unit}" for unit in _NGINX_UNITS]


def push_units(name: str) -> list[str]:
    """What takes pushes and deploys them, where this host does."""
    return [f"{name}{unit}" for unit in _PUSH_UNITS]


def log_units(name: str) -> list[str]:
    return [f"{name}-log-files.service"]


def transient_units(name: str) -> list[str]:
    """What as_service starts: a run that was cut off may have left one at work."""
    return [f"graceful-{name}-{unit}.service" for unit in ("before-swap", "check", "commands")]


def command_units(host: HostTree, name: str) -> list[str]:
    """What NAME-run and run.yml have at work, and what would end that."""
    kind = rf"graceful-{re.escape(name)}-run-\d{{4}}-[0-9TZ-]+-[0-9a-f]{{6}}(-alone)?\.(service|timer)"
    return [unit for unit in sorted(names_in(host.at("/run/systemd/transient"))) if re.fullmatch(kind, unit)]


def journal_units(name: str) -> list[str]:
    return [
        unit
        for journal in (f"{name}-deploys", name)
        for unit in (
            f"systemd-journald@{journal}.service",
            f"systemd-journald@{journal}.socket",
            f"systemd-journald-varlink@{journal}.socket",
        )
    ]


def units(name: str) -> list[str]:
    proxied = [*slot_units(name), *nginx_units(name)]
    return [
        *push_units(name),
        *oxmgr_units(name),
        *proxied,
        *log_units(name),
        slice_of(name),
        *transient_units(name),
        *journal_units(name),
    ]


def journals(host: HostTree, name: str) -> list[Removable]:
    """The journal's files of the app's namespace, whatever machine id they were written under."""
    found = []
    for directory in (host.at("/var/log/journal"), host.at("/run/log/journal")):
        mine = rf"[0-9a-f]{{32}}\.{re.escape(name)}(-deploys)?"
        found += [Removable(directory, entry) for entry in names_in(directory) if re.fullmatch(mine, entry)]
    for entry in (f"journal.{name}", f"journal.{name}-deploys"):
        if os.path.isdir(host.at(f"/run/systemd/{entry}")):
            found.append(Removable(host.at("/run/systemd"), entry))
    return found


def named_trees(host: HostTree, name: str) -> list[Removable]:
    """What carries the app's name: nginx' files of it, and what certbot has of it, which is what it would renew."""
    places = [
        ("/etc/nginx/graceful", name),
        ("/var/lib/logrotate", f"graceful-{name}"),
        ("/etc/letsencrypt/renewal", f"graceful-{name}.conf"),
        ("/etc/letsencrypt/live", f"graceful-{name}"),
        ("/etc/letsencrypt/archive", f"graceful-{name}"),
        ("/etc/graceful-deploys", name),
        ("/var/lib/graceful-deploys", name),
        ("/var/lib/graceful-webhook", name),
    ]
    # What they share goes with the last: nobody is to become root by what nobody uses.
    if names_in(host.at("/etc/graceful-deploys")) == [name]:
        places += [("/etc/sudoers.d", "graceful-deploys"), ("/usr/local/lib", "graceful-deploys")]
        # With the mirror of what was pushed.
        places += [("/usr/local/lib", "graceful-webhook"), ("/var/lib/graceful-deploys", "cache")]
    found = [Removable(host.at(base), entry) for base, entry in places if os.path.lexists(host.at(f"{base}/{entry}"))]
    drop_ins = Removable(host.at("/etc/systemd/system"), f"systemd-journald@{name}.service.d")
    # One of the administrator's own stays.
    return found + [drop_ins] * (names_in(drop_ins.path) == ["graceful.conf"])


def patch_tree(host: HostTree, name: str) -> list[Removable]:
    """What patch.yml knows of the host (_patch/marked.py), which is of no one app and goes with the last one; on a
    balancer, with the last site."""
    directory = host.at("/etc/caddy/sites")
    ours = [entry for entry in names_in(directory) if is_ours(read_text(f"{directory}/{entry}"))]
    sites = {entry.removesuffix(".caddy") for entry in ours if entry.endswith(".caddy")}
    sites |= {*names_in(host.at("/etc/nginx/graceful"))}
    tree = Removable(host.at("/var/lib"), "graceful-patch")
    return [tree] if os.path.lexists(tree.path) and sites <= {name, "_unknown"} else []


def oxmgr_places(host: HostTree, name: str) -> list[Removable]:
    """What the app's Oxmgr keeps and is, and last the link by which it is known."""
    paths = oxmgr.places(name, host.top)
    return [Removable(host.at(os.path.dirname(path)), os.path.basename(path)) for path in paths]


def logs(host: HostTree, name: str) -> list[Removable]:
    """The proxies' logs of the app, rolled ones too, and its journal as files. Another app's name may begin like this
    one's; none has a dot."""
    found = []
    for directory in (host.at("/var/log/caddy"), host.at("/var/log/nginx")):
        fits = [
            entry for entry in names_in(directory) if re.fullmatch(rf"{re.escape(name)}\.(access|error)[-.].+", entry)
        ]
        found += [Removable(directory, entry) for entry in fits]
    place = Removable(host.at("/var/log"), name)
    entries = [] if os.path.islink(place.path) else names_in(place.path)
    fits = [
        entry for entry in entries if re.fullmatch(r"(app|access)\.log(\.\d{8}T\d{6}\.\d+)?|\.position(\.new)?", entry)
    ]
    whole = bool(fits) and fits == entries
    return found + ([place] if whole else [Removable(place.base, f"{name}/{entry}") for entry in fits])


@contextlib.contextmanager
def _parent(target: Removable) -> Iterator[tuple[int, str]]:
    """The directory that holds the target, and its name there; no link is followed below the base.

    :raises FileNotFoundError: where it is gone; NotADirectoryError where a link stands in the way.
    """
    *parts, name = target.inside.split("/")
    place = os.open(target.base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        yield place, name
    finally:
        os.close(place)


def remove(target: Removable) -> None:
    """Remove a file, a link or a whole directory; a link is removed itself, whatever it leads to.

    :raises OSError: where something of it can't be removed.
    """
    with contextlib.suppress(FileNotFoundError), _parent(target) as (place, name):
        if stat.S_ISDIR(os.lstat(name, dir_fd=place).st_mode):
            _remove_tree(place, name)
        else:
            os.unlink(name, dir_fd=place)


def _remove_tree(place: int, name: str) -> None:
    """Remove the directory `name` from the open directory `place`.

    By rm, which follows no link while somebody exchanges directories below it, and has no depth at which it ends: an
    app may make thousands of directories inside each other, and shutil.rmtree() calls itself for each.
    """
    command = ["rm", "-rf", "--one-file-system", "--", f"./{name}"]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = finish(command, environment, RM_LIMIT, directory=f"/proc/{os.getpid()}/fd/{place}")
    if done.returncode:
        raise OSError(errno.EIO, done.stderr.strip().split("\n")[0], name)


def remove_empty(target: Removable) -> None:
    """Remove a directory that is empty by now.

    :raises OSError: where something is in it.
    """
    with contextlib.suppress(FileNotFoundError), _parent(target) as (place, name):
        os.rmdir(name, dir_fd=place)
