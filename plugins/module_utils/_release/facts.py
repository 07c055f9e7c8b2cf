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
from typing import Any

from .._app.command import running_from
from .._app.releases import created, records_in, standing
from .._host.files import free_bytes
from .._host.run import HOST, ProgramError, finish, run
from . import store

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
    records, incomplete = records_in(root)
    stand = standing(root, records)
    newest = max(records.values(), key=lambda record: str(record["created"]), default={})
    return {
        "interpreter": interpreter,
        "interpreter_problem": problem,
        "created": created(records),
        "incomplete": incomplete,
        **stand,
        "protected": sorted({*stand["protected"], *running_from(root)}),
        "environments": environments(root, records, group),
        "wheels": store.kept(root),
        "seeds": newest.get("seeds", {}),
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
        facts = json.loads(run("Starting it", [program, "-I", "-S", "-c", PROBE], os.environ, HOST, limit=60))
    except (ProgramError, ValueError) as error:
        said = (getattr(error, "said", "") or str(error)).strip()[-300:]
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
    said = finish([loader], os.environ, limit=10).stderr
    return next((f"musl {line.split()[1]}" for line in said.splitlines() if line.startswith("Version ")), "musl 1.1")


def environments(root: str, records: dict[str, dict[str, Any]], group: str) -> dict[str, str]:
    """A release for each environment that another may be cloned from: links share the owner, so it has to be right."""
    found = {}
    for release in sorted(records, key=lambda name: str(records[name]["created"])):
        digest = records[release].get("environment")
        if digest and has_group(group):
            venv = os.path.join(root, "releases", release, ".venv")
            if os.path.isdir(venv) and os.stat(venv).st_gid == grp.getgrnam(group).gr_gid:
                found[digest] = release
    return found
