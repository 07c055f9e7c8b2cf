# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module ``release`` finds on the host: the interpreter, and the releases that are there."""

from __future__ import annotations

import glob
import grp
import json
import os
import shutil
import subprocess

from ansible_collections.graceful.deploy.plugins.module_utils import history, release_store, slots
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import (
    BUILDING,
    RECORD,
    RELEASE_ID,
    ReleaseError,
)

# Run by the app's interpreter, which needn't be the one that runs this module. Without `platform`, which is slow.
PROBE = """
import json, os, struct, sys, sysconfig
def confstr():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return ""
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "implementation": sys.implementation.name,
    "soabi": sysconfig.get_config_var("SOABI") or "",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "machine": os.uname().machine,
    "bits": struct.calcsize("P") * 8,
    "libc": confstr(),
}))
"""


def query(root: str, group: str, interpreter: dict[str, object], problem: str = "") -> dict[str, object]:
    """Everything that the control node's half decides by. Changes nothing.

    :param interpreter: what `probe` says of the app's, as is `problem`.
    """
    records, incomplete = releases(root)
    return {
        "interpreter": interpreter,
        "interpreter_problem": problem,
        "created": created(records),
        "incomplete": incomplete,
        **standing(root, records),
        "environments": environments(root, records, group),
        "wheels": release_store.kept(root),
        "group_missing": not has_group(group),
        "free": free_bytes(os.path.join(root, "releases")),
    }


def has_group(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True


def probe(python: str) -> tuple[dict[str, object], str]:
    """What PROBE prints, and an empty string; or nothing and what is wrong with the interpreter."""
    program = shutil.which(python)
    if program is None or not os.path.isabs(program):
        there = sorted(glob.glob("/usr/bin/python3.[0-9]*[0-9]") + glob.glob("/usr/local/bin/python3.[0-9]*[0-9]"))
        found = f"There is {', '.join(there)}." if there else "No other Python 3 was found there either."
        return {}, f"is {python}, and there is no such program on the host. {found}"
    try:
        run = subprocess.run([program, "-I", "-S", "-c", PROBE], capture_output=True, text=True, timeout=60, check=True)
        facts = json.loads(run.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()[-300:]
        return {}, f"is {python}, which doesn't run as a Python on the host: {said}"
    facts["path"] = program
    if not facts["libc"]:
        facts["libc"] = _musl(facts["machine"])
    return facts, ""


def _musl(machine: str) -> str:
    """musl has no call that tells its version; its loader prints it when run alone."""
    loader = f"/lib/ld-musl-{machine}.so.1"
    if not os.path.exists(loader):
        return ""
    said = subprocess.run([loader], capture_output=True, text=True, timeout=10, check=False).stderr
    return next((f"musl {line.split()[1]}" for line in said.splitlines() if line.startswith("Version ")), "musl 1.1")


def releases(root: str) -> tuple[dict[str, dict], list[str]]:
    """The records of complete releases, and names beside them that are neither complete nor ours to clear."""
    records: dict[str, dict] = {}
    incomplete: list[str] = []
    try:
        names = sorted(os.listdir(os.path.join(root, "releases")))
    except FileNotFoundError:
        return records, incomplete
    except NotADirectoryError as error:
        raise ReleaseError(
            f"{error.filename} is not a directory on the host. Move it away, or set fastapi_root."
        ) from error
    for name in names:
        if name.startswith(BUILDING):
            continue
        try:
            with open(os.path.join(root, "releases", name, RECORD), encoding="utf-8") as file:
                record = json.load(file)
            if not RELEASE_ID.fullmatch(name) or record["id"] != name or not record["created"]:
                raise ValueError("another release's record")
            records[name] = record
        except (OSError, ValueError, KeyError, TypeError):
            incomplete.append(name)
    return records, incomplete


def created(records: dict[str, dict]) -> dict[str, str]:
    """When each release was made: UTC, ISO 8601."""
    return {release: str(record["created"]) for release, record in records.items()}


def standing(root: str, records: dict[str, dict]) -> dict[str, object]:
    """What to_prune() decides by: ``served``, and ``protected`` but for the release just made."""
    entries = history.read(root)
    bad = history.marked(entries)
    held = {slot: releases_of(os.path.join(root, "slots", slot)) for slot in _names(os.path.join(root, "slots"))}
    live = held.get(slots.App("", root).live() or "", {}).get("release")
    target = history.rollback_target(entries, records, live)
    protected = {release for slot in held.values() for release in slot.values()} | ({target} if target else set())
    served = {release: last for release, last in history.last_served(entries).items() if release not in bad}
    return {"served": served, "protected": sorted(protected)}


def releases_of(slot: str) -> dict[str, str]:
    """Releases that a slot holds, by the name of the link: what it serves, and what a reload left in memory."""
    links = {name: os.path.join(slot, name) for name in ("release", "booted")}
    return {
        name: os.path.basename(os.readlink(link).rstrip("/")) for name, link in links.items() if os.path.islink(link)
    }


def _names(path: str) -> list[str]:
    return os.listdir(path) if os.path.isdir(path) else []


def environments(root: str, records: dict[str, dict], group: str) -> dict[str, str]:
    """A release for each environment that another may be cloned from: links share the owner, so it has to be right."""
    found = {}
    for release in sorted(records, key=lambda name: str(records[name]["created"])):
        digest = records[release].get("environment")
        if digest and has_group(group):
            venv = os.path.join(root, "releases", release, ".venv")
            if os.path.isdir(venv) and os.stat(venv).st_gid == grp.getgrnam(group).gr_gid:
                found[digest] = release
    return found


def free_bytes(path: str) -> int:
    """What others than root could still write where `path` is or would be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize
