# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an app is on a host, for its removal. Reads only; absent_steps decides what of it goes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

from .._app.releases import complete
from .._app.roots import NOTE, app_of_link, root_in
from .._app.words import BUILDING, is_ours
from .._host.files import names_in, read_text
from .._host.systemd import Systemd
from .._preflight import gate, ways
from .._process.units import of
from .._release.place import mutex
from . import account as absent_account
from . import front, places


@dataclass
class Facts:
    """What there is, by what it is. Paths are absolute; ``root`` is the app's directory.

    :param files: files of ours outside the root, by the kind of their place (see absent_places).
    :param links: what starts the app's units at boot.
    :param journals: the stored journal; `trees` other directories outside the root, such as certificates.
    :param oxmgr: what Oxmgr has of the app, outside the root.
    :param commands: units of commands that are at work.
    :param beside: units of processes and timers.
    :param runtime: names in /run/NAME; None where that isn't there.
    :param units: systemd's properties of each unit that the app may have, by its name.
    :param entries: names in the root.
    :param releases: names in its ``releases``; `complete` of these are the ones with a record of their own.
    :param building: whether a release is being built right now.
    :param linked: the app that ``live.sock`` belongs to; '' where there is no such link.
    :param unit_root: the root by the app's unit; '' where there is none of ours.
    :param others: roots of the host's other apps, by name.
    :param runs_as: other units that run as the user.
    :param alone: whether Caddy has no site but the app's.
    :param mounted: whether the root itself is a mount point; `mounts` are those below it.
    :param address: what this balancer shares with another one; `leaned_on` are apps that it balances too, and that have
        no such address of their own.
    :param account: user and group as the host knows them, see absent_account.read().
    """

    files: dict[str, list[str]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    journals: list[places.Removable] = field(default_factory=list)
    trees: list[places.Removable] = field(default_factory=list)
    logs: list[places.Removable] = field(default_factory=list)
    oxmgr: list[places.Removable] = field(default_factory=list)
    units: dict[str, dict[str, str]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    runtime: list[str] | None = None
    entries: list[str] | None = None
    releases: list[str] = field(default_factory=list)
    complete: list[str] = field(default_factory=list)
    building: bool = False
    linked: str = ""
    unit_root: str = ""
    others: dict[str, str] = field(default_factory=dict)
    runs_as: list[str] = field(default_factory=list)
    alone: bool = False
    mounted: bool = False
    mounts: list[str] = field(default_factory=list)
    note: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    address: str = ""
    leaned_on: list[str] = field(default_factory=list)


def mounts_below(root: str, mountinfo: str) -> list[str]:
    """Mount points below a directory, from the text of /proc/self/mountinfo."""
    points = [line.split()[4] for line in mountinfo.split("\n") if len(line.split()) > 4]
    plain = [re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point) for point in points]
    return sorted(point for point in plain if point.startswith(f"{root}/"))


def read_note(root: str) -> dict[str, Any]:
    try:
        note = json.loads(read_text(os.path.join(root, NOTE)))
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def is_building(directory: str) -> bool:
    for name in names_in(directory):
        path = os.path.join(directory, name)
        if name.startswith(BUILDING) and os.path.isdir(path) and not os.path.islink(path):
            with mutex(path, wait=False) as dead:
                if not dead:
                    return True
    return False


def service_units(directory: str, name: str) -> dict[str, str]:
    """The text of every service unit but the app's own, by the unit's name."""
    found = {entry: f"{directory}/{entry}" for entry in names_in(directory) if entry.endswith(".service")}
    mine = {f"{name}@.service", *of(name, list(found))}
    return {entry: read_text(path) for entry, path in found.items() if entry not in mine}


def read_facts(systemd: Systemd, host: places.HostTree, params: dict[str, Any]) -> Facts:
    """Look at everything that an app may have left.

    :param host: where the places are.
    :param params: the module's options.
    """
    name, root = params["name"], params["root"]
    facts = Facts(note=read_note(root), account=absent_account.read(params["user"], params["group"]))
    for kind, paths in places.files(host, name).items():
        # A site may be switched on by a link to where it is.
        facts.files[kind] = [
            path
            for path in paths
            if is_ours(read_text(path)) or (os.path.islink(path) and os.path.realpath(path) in paths)
        ]
    main = host.at("/etc/caddy/Caddyfile")
    facts.alone = front.is_alone(name, host.at("/etc/caddy/sites")) and is_ours(read_text(main))
    facts.address = ways.parse_shared(read_text(host.at(f"{ways.SHARED}/{name}.conf"))).get("address", "")
    others = [other for other in gate.balanced(host.top) if other != name]
    facts.leaned_on = [other for other in others if not gate.shares(other, host.top)]
    facts.links = [path for path in places.boot_links(host, name) if os.path.islink(path)]
    facts.journals = places.journals(host, name)
    facts.trees = places.named_trees(host, name)
    facts.logs = places.logs(host, name)
    facts.oxmgr = places.oxmgr_places(host, name)
    facts.commands = places.command_units(host, name)
    facts.beside = places.beside_units(host, name)
    facts.trees += places.stamps(host, name)
    facts.units = systemd.show([*places.units(name), *facts.commands, *facts.beside])
    facts.runtime = sorted(os.listdir(host.at(f"/run/{name}"))) if os.path.isdir(host.at(f"/run/{name}")) else None
    facts.entries = None if os.path.islink(root) or not os.path.isdir(root) else names_in(root)
    if facts.entries is not None:
        inside = os.path.join(root, "releases")
        facts.releases = names_in(inside)
        facts.complete = complete(root) if os.path.isdir(inside) else []
        facts.building = is_building(inside)
        facts.linked = app_of_link(os.path.join(root, "live.sock"))
        facts.mounted = os.path.ismount(root)
        facts.mounts = mounts_below(root, read_text(host.at("/proc/self/mountinfo")))
    directory = host.at("/etc/systemd/system")
    unit = read_text(f"{directory}/{name}@.service")
    facts.unit_root = root_in(unit)
    for entry, text in service_units(directory, name).items():
        if root_in(text):
            facts.others[entry.removesuffix("@.service")] = root_in(text)
        if re.search(rf"^User={re.escape(params['user'])}$", text, re.MULTILINE):
            facts.runs_as.append(entry)
    facts.trees += front.certificates(host, facts.files["caddy"])
    if not facts.others:
        facts.trees += places.patch_tree(host, name)
    return facts
