# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What preflight thinks of a host: pure functions over what facts.py read."""

from __future__ import annotations

import re
import typing as t

from .._app.problems import HIDDEN, Problem, write
from .._host.files import Room
from .background import judge_background
from .certificates import judge_certificates
from .gate import judge_left
from .logs import judge_logs
from .notify import judge_notify
from .owners import judge_owners
from .ports import check_taken, judge_ports, judge_switch
from .roots import judge_root, judge_user

TESTED_DEBIAN = ("12", "13")
# The units use LogNamespace= (245) and ProtectProc= (247).
OLDEST_SYSTEMD = 247
OLDEST_PYTHON = (3, 10)
TESTED_PYTHON = (3, 11)
# A release is unpacked beside its archive: some 200 MB for a usual app, and the old one stays meanwhile.
ROOT_MEGABYTES = 500
# apt's lists and archives, and the journal.
VAR_MEGABYTES = 200
RELEASE_INODES = 20000
MEGABYTE = 1024 * 1024


def judge_system(facts: dict[str, t.Any]) -> t.Iterator[Problem]:
    release = facts["os"]
    named = release.get("pretty_name") or release.get("id") or "no system that names itself in /etc/os-release"
    if "debian" not in [release.get("id"), *release.get("id_like", "").split()]:
        yield Problem(
            "",
            HIDDEN,
            f"The host runs {named}, and this collection needs Debian: it uses apt and Debian's paths and users.",
            "Use a host with Debian 12 or 13, or one derived from it.",
        )
    if facts["systemd"] is None:
        pid1 = facts["pid1"] or "unknown"
        yield Problem(
            "",
            HIDDEN,
            f"The host's first process is {pid1}, not systemd, which has to hold the sockets and run the workers.",
            "Use a host, virtual machine or system container that boots systemd.",
        )
    elif facts["systemd"] < OLDEST_SYSTEMD:
        yield Problem(
            "",
            HIDDEN,
            f"The host's systemd is version {facts['systemd']}, and the units need {OLDEST_SYSTEMD} or newer.",
            "Use a host with Debian 12 or 13.",
        )
    if facts["uid"] != 0:
        yield Problem(
            "",
            HIDDEN,
            f"The tasks run as uid {facts['uid']}, and only root may change users, units and packages.",
            "Write become: true in the play (or give --become), with a login user who may use sudo.",
        )


def judge_python(python: dict[str, t.Any]) -> t.Iterator[Problem]:
    path = python["path"]
    if python["problem"]:
        # The interpreter's own probe speaks in half sentences that follow the variable.
        advice = "Write fastapi_python: /usr/bin/python3, or install the one that you want (apt-get install)."
        yield Problem("", HIDDEN, f"fastapi_python {python['problem'].strip()}", advice)
        return
    if version_of(python) < OLDEST_PYTHON:
        wrong = f"that is Python {python['version']}, too old for the pinned Gunicorn and Uvicorn."
        advice = "Install Python 3.11 or newer on the host and point fastapi_python at it; Debian 12 brings 3.11."
        yield Problem("python", path, wrong, advice)
    if python["real_path"].startswith(("/root/", "/home/")):
        wrong = f"it leads to {python['real_path']}, and the service is kept out of home directories."
        yield Problem("python", path, wrong, "Install that Python under /opt or /usr/local, or take /usr/bin/python3.")


def version_of(python: dict[str, t.Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", python.get("version", ""))[:2])


def judge_disks(
    disks: list[Room], needs: tuple[tuple[bool, int], ...] = ((True, ROOT_MEGABYTES), (False, VAR_MEGABYTES))
) -> t.Iterator[Problem]:
    """:param needs: of each disk, whether the app's root is on it, and how many megabytes it needs."""
    seen = set()
    for disk, (is_root, needed) in zip(disks, needs, strict=True):
        if disk.device in seen:
            continue
        seen.add(disk.device)
        purpose = "a release with its packages" if is_root else "packages and the journal"
        free = disk.free_bytes // MEGABYTE
        if disk.read_only:
            yield Problem("", HIDDEN, f"The file system of {disk.path} is mounted read-only.", "Mount it read-write.")
        elif free < needed:
            wrong = f"{disk.path} has {free} MB free on the host, and {purpose} may take {needed} MB."
            advice = f"Free at least {needed - free} MB" + (
                ", or move fastapi_root to a larger disk." if is_root else "."
            )
            yield Problem("", HIDDEN, wrong, advice)
        elif disk.free_inodes is not None and disk.free_inodes < RELEASE_INODES:
            wrong = f"{disk.path} has {disk.free_inodes} inodes free, and {purpose} may take {RELEASE_INODES}."
            yield Problem("", HIDDEN, wrong, "Delete files there (many small ones use inodes up before bytes).")


def judge_conflicts(params: dict[str, t.Any], facts: dict[str, t.Any]) -> t.Iterator[Problem]:
    for key in ("user", "group"):
        if facts[f"{key}_id"] == 0:
            wrong = (
                f"on the host that is another name for root (id 0), and the app must not run as root or as its {key}."
            )
            yield Problem(key, params[key], wrong, write(key, "deploy"))
    if facts["in_the_way"]:
        wrong = f"{facts['in_the_way']} exists on the host and isn't a directory."
        yield Problem("root", params["root"], wrong, "Move it away, or choose another directory.")
    name = params["name"]
    if facts["foreign_units"]:
        units = " and ".join(facts["foreign_units"])
        wrong = f"the host has {units}, which this collection didn't write and would replace or hide."
        yield Problem("name", name, wrong, f"{write('name', name[:27] + '-app')[:-1]}, or remove what brought that.")
    elif facts["foreign_runtime"]:
        wrong = f"another program uses {facts['foreign_runtime'][0]}, where the app's sockets have to be."
        yield Problem("name", name, wrong, write("name", name[:27] + "-app"))


def judge(params: dict[str, t.Any], facts: dict[str, t.Any]) -> tuple[list[Problem], list[str]]:
    """All that is wrong with the host for these variables, and what is worth a warning."""
    problems = [
        *judge_system(facts),
        *judge_python(facts["python"]),
        *judge_disks(facts["disks"]),
        *(judge_ports(params, facts["ports"]) if facts["uid"] == 0 else ()),
        *judge_switch(params, facts["left_sites"], facts["ports"]),
        *check_taken(params, facts["sites"]),
        *judge_left(params, facts["site"], facts["shares"]),
        *judge_conflicts(params, facts),
        *judge_root(params, facts["root"]),
        *judge_owners(params, facts["owners"]),
    ]
    for path in facts["missing_paths"]:
        wrong = f"{path} in it isn't a directory on the host, and without it the service doesn't start."
        advice = f"Make it there: install -d -o {params['user']} -g {params['group']} {path}."
        problems.append(Problem("writable_paths", params["writable_paths"], wrong, advice))
    background, warnings = judge_background(params, facts["background"])
    found, more = judge_certificates(params, facts["certificates"])
    told, about = judge_notify(params, facts["notify"])
    problems += background + found + told
    warnings += more + about
    warnings += judge_logs(params, facts["logs"])
    warnings += judge_user(params, facts["root"])
    release, python = facts["os"], facts["python"]
    if not problems and (release.get("id") != "debian" or release.get("version_id") not in TESTED_DEBIAN):
        warnings.append(f"{release.get('pretty_name', 'This system')} is untested; tested are Debian 12 and 13.")
    if OLDEST_PYTHON <= version_of(python) < TESTED_PYTHON:
        warnings.append(f"Python {python['version']} is untested; 3.11 to 3.13 are tested.")
    if not problems and facts["plain_unit"]:
        name = params["name"]
        warnings.append(
            f"{name}.service exists beside the {name}@.service of this collection. If it is an older way to run the "
            f"same app, end it once the new one serves: systemctl disable --now {name}.service."
        )
    if facts["missing_unit"]:
        warnings.append(
            f"fastapi_on_failure is '{params['on_failure']}', and there is no {facts['missing_unit']} on the host yet. "
            "Put it there, or nobody is told when the service has failed for good."
        )
    return problems, warnings


def summary(facts: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the role's later tasks may want to know of the host."""
    return {
        "distribution": facts["os"].get("id", ""),
        "release": facts["os"].get("version_id", ""),
        "systemd": facts["systemd"],
        "python": {key: value for key, value in facts["python"].items() if key != "problem"},
        "proxy_installed": facts["proxy_installed"],
        "site": facts["site"],
        "balancers": facts["balancers"],
        "caddy": facts["caddy"],
        "nginx": facts["nginx"],
        "oxmgr": facts["oxmgr"],
        "notify": {"current": facts["notify"]["current"]},
    }
