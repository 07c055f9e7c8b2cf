# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an app goes, in which order, and what forbids it: pure functions over what absent_facts read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .._app.roots import ENTRIES, NOTE, SHARED, is_made_by_us, ours
from .._app.words import LEAVING, slice_of
from . import account, places
from .facts import Facts
from .places import Removable

# The first may have been made by the removal itself.
LAST = (LEAVING, NOTE, "deploy.lock")
_RUNNING = ("active", "activating", "reloading", "deactivating")


@dataclass(frozen=True)
class Step:
    """One thing to do: ``verb`` is how, and the step has the fields that it takes.

    :param said: the sentence that tells of it.
    """

    verb: str
    said: str
    target: Removable | None = None
    units: tuple[str, ...] = ()
    proxy: str = ""
    names: tuple[str, ...] = ()


def is_proven(facts: Facts, name: str, root: str) -> bool:
    """Whether the root is known to be the app's: by its unit, its link, a release, or by having nothing else in it."""
    if not facts.entries:
        return facts.entries is not None
    if facts.unit_root == root or facts.linked == name or facts.note.get("name") == name:
        return True
    return is_made_by_us(facts.entries, facts.releases, facts.complete)


def refusal(facts: Facts, params: dict[str, Any]) -> str:
    """Why nothing may be removed, and what to do about it; '' where it may."""
    name, root = params["name"], params["root"]
    if facts.unit_root and facts.unit_root != root:
        return (
            f"fastapi_root is {root}, and the units of {name} on the host run from {facts.unit_root}. "
            f"Write fastapi_root: {facts.unit_root}."
        )
    owner = next((other for other, place in facts.others.items() if place == root), "")
    if facts.linked not in ("", name):
        owner = facts.linked
    if owner:
        return (
            f"fastapi_root is {root}, which is the directory of another app, {owner}. Fix fastapi_name or fastapi_root."
        )
    if facts.building:
        return f"A release of {name} is being built on this host. Run again when that has ended."
    if facts.address and facts.leaned_on:
        others = ", ".join(facts.leaned_on)
        return (
            f"{facts.address}, which this host shares with the other balancer, goes with {name}, and {others} may be "
            f"served by it too. Hand it on first: run site.yml with fastapi_balancer_address empty for {name}, then "
            f"with {facts.address} and its prefix for {facts.leaned_on[0]}; in between nobody has it. Or remove "
            f"{others} first."
        )
    mounts = [path for path in facts.mounts if params["remove_data"] or not f"{path}/".startswith(f"{root}/{SHARED}/")]
    if mounts and is_proven(facts, name, root):
        return (
            f"{mounts[0]} on the host is a file system of its own, and what is on it may be somebody else's. "
            f"Unmount it there: umount {mounts[0]}."
        )
    if not params["remove_user"]:
        return ""
    if why := account.refusal(facts.account, facts.runs_as, params):
        return why
    if SHARED in (facts.entries or []) and not params["remove_data"]:
        return (
            f"fastapi_remove_user is true, and {root}/{SHARED} stays, which would be nobody's then, and later the "
            "next user's with this id. Write fastapi_remove_data: true too, or take fastapi_remove_user out."
        )
    return ""


def steps(facts: Facts, params: dict[str, Any]) -> list[Step]:
    """Everything to do, in order: from the clients' side inwards, and last what the other things are known by."""
    proven = is_proven(facts, params["name"], params["root"])
    mine = [entry for entry in facts.entries or [] if ours(entry)] if proven else []
    here = any(facts.files.values()) or bool(facts.links) or any(entry != SHARED for entry in mine)
    found: list[Step] = []
    seconds = params.get("leave_for", 0)
    if seconds > 0 and proven and (facts.files["caddy"] or facts.files["nginx"]):
        found.append(Step("leave", f"mark the host as leaving, and serve on for {seconds} s"))
    if here:
        found += [*_front(facts), *_services(facts, params["name"]), *_journal(facts, params["name"])]
        found += [_remove(target) for target in [*facts.logs, *facts.oxmgr, *_noted(facts)]]
        # The other is a canary's, of a run that was cut off with whoever would have ended it.
        if facts.runtime is not None and all(entry.endswith(".sock") or entry == "canary" for entry in facts.runtime):
            found.append(_remove(Removable("/run", params["name"])))
    if proven:
        found += _root(facts, params["root"], mine, params["remove_data"])
    if params["remove_user"]:
        goes = account.goes(facts.account, params)
        found += [Step(verb, f"remove {verb[:-3]} {name}", names=(name,)) for verb, name in goes]
    return found


def _remove(target: Removable) -> Step:
    return Step("remove", f"remove {target.path}", target)


def _file(path: str) -> Removable:
    return Removable(os.path.dirname(path), os.path.basename(path))


def _noted(facts: Facts) -> list[Removable]:
    """Certificates and the like: those that can be seen to be the app's now, and those that could before."""
    noted = [Removable(*row) for row in facts.note.get("trees", [])]
    return sorted({*facts.trees, *(target for target in noted if os.path.lexists(target.path))})


def _front(facts: Facts) -> Iterable[Step]:
    """The sites; after a run that was cut off also a proxy that was to be reloaded."""
    for kind in places.SITE_KINDS:
        if facts.files[kind] or facts.note:
            yield Step("proxy", "", proxy=kind)


def _services(facts: Facts, name: str) -> Iterable[Step]:
    if facts.links:
        yield from (_remove(_file(path)) for path in facts.links)
    units = [
        *facts.beside,
        *facts.commands,
        *places.push_units(name),
        *places.transient_units(name),
        *places.oxmgr_units(name),
        *places.slot_units(name),
        *places.nginx_units(name),
    ]
    units += places.log_units(name)
    running = _in_state(facts, [*units, slice_of(name)], _RUNNING)
    if running:
        yield Step("stop", f"stop {', '.join(running)}", units=running)
    failed = _in_state(facts, units, ("failed",))
    if running or failed:
        yield Step("reset", f"forget failures of {', '.join(failed)}" if failed else "", units=(*running, *failed))
    yield from (_remove(_file(path)) for path in facts.files["unit"])
    loaded = any(facts.units[unit].get("LoadState") == "loaded" for unit in places.slot_units(name))
    if facts.files["unit"] or (facts.note and loaded):
        yield Step("daemon-reload", "let systemd forget the units")


def _in_state(facts: Facts, units: list[str], states: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unit for unit in units if facts.units[unit].get("ActiveState") in states)


def _journal(facts: Facts, name: str) -> Iterable[Step]:
    running = _in_state(facts, places.journal_units(name), (*_RUNNING, "failed"))
    if running:
        yield Step("stop", f"stop {', '.join(running)}", units=running)
        yield Step("reset", "", units=running)
    yield from (_remove(target) for target in facts.journals)
    yield from (_remove(_file(path)) for path in facts.files["journal"])


def _root(facts: Facts, root: str, mine: list[str], data: bool) -> Iterable[Step]:
    goes = [entry for entry in mine if entry != SHARED or data]
    goes.sort(key=lambda entry: ENTRIES.index(entry) if entry in ENTRIES else -1)
    whole = set(goes) == set(facts.entries or []) and not facts.mounted
    # The lock and the note are a matter of the removal itself.
    told = [entry for entry in goes if entry not in LAST] or goes
    if whole:
        yield Step("clear", f"remove {root}", _file(root), names=(*goes,))
    elif goes:
        yield Step("clear", f"remove {', '.join(told)} from {root}", _file(root), names=(*goes,))
    if whole:
        yield Step("rmdir", "", _file(root))


def kept(facts: Facts, params: dict[str, Any]) -> list[str]:
    """What stays on the host, a sentence each."""
    root, entries = params["root"], facts.entries or []
    said = []
    if facts.files["caddy"] and facts.logs and not facts.alone:
        said.append(
            "Caddy has the removed log open until it is restarted: before a new app takes this name, "
            "systemctl restart caddy, or its requests are logged to nowhere."
        )
    if not is_proven(facts, params["name"], root):
        return [*said, f"{root} stays: nothing in it says that it is {params['name']}'s."] if entries else said
    said += [f"{root}/{entry} stays: it is none of the app's." for entry in entries if not ours(entry)]
    if SHARED in entries and not params["remove_data"]:
        said.append(f"{root}/{SHARED} stays, the app's data; -e fastapi_remove_data=true removes it too.")
    return said
