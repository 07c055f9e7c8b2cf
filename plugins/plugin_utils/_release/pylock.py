# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a pylock.toml (PEP 751) as requirements with hashes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from ...module_utils._app.releases import ReleaseError
from . import extras, requirements, trees
from .packages import canonicalize_name, canonicalize_version
from .requirements import Requirements

_GROUP = re.compile(r"""(['"])(?P<name>[\w.-]+)\1\s+(?P<not>not\s+)?in\s+(?P<of>extras|dependency_groups)""")


def read(lock: dict[str, Any], name: str, wanted: Sequence[str] = ()) -> Requirements:
    """The packages of a lock as exact versions, each with the hashes of its files. Where it says they are isn't read:
    the index settings decide that, and the hashes that it is the same file."""
    found = Requirements()
    version = str(lock.get("lock-version", ""))
    if version.partition(".")[0] != "1":
        raise ReleaseError(
            f"fastapi_requirements is {name}, whose lock-version is {version!r}, and 1.0 is what is known here. Make "
            "it with a tool that writes that."
        )
    extras.check(name, wanted, lock.get("extras", []))
    for package in lock.get("packages", []):
        # A tool may list the app itself, whose source is shipped.
        if package.get("directory", {}).get("path") == ".":
            continue
        problem = _add_package(found, package, lock.get("default-groups", []), wanted, os.path.dirname(name))
        if problem:
            found.problems.append(f"{name}, {package['name']}: {problem}")
    return requirements.whole(found, name)


def _add_package(
    found: Requirements, package: dict[str, Any], groups: list[str], wanted: Sequence[str], beside: str
) -> str:
    decided = decide_groups(str(package.get("marker", "")), groups, wanted)
    marker = f" ; {decided}" if decided else ""
    vcs = package.get("vcs", {})
    if vcs.get("type") == "git" and "url" in vcs and "commit-id" in vcs:
        below = f"#subdirectory={vcs['subdirectory']}" if "subdirectory" in vcs else ""
        return requirements.add(found, f"{package['name']} @ git+{vcs['url']}@{vcs['commit-id']}{below}{marker}")
    if path := package.get("directory", {}).get("path"):
        found.trees.append(trees.Tree(os.path.join(beside, path), package["name"], "", marker))
        return ""
    for kind, text in {
        "vcs": "it is fetched from version control",
        "archive": "it is a URL or a path of its own",
    }.items():
        if kind in package:
            return f"{text}, and has no wheel on an index. Build its wheel, and give its directory by --find-links."
    if "version" not in package:
        return "it has no version."
    files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
    hashes = {str(file["hashes"]["sha256"]).lower() for file in files if "sha256" in file.get("hashes", {})}
    if not hashes:
        return "it has no file with a sha256."
    line = f"{package['name']}=={package['version']}{marker}"
    if problem := requirements.add(found, line):
        return problem
    key = (canonicalize_name(package["name"]), canonicalize_version(package["version"]))
    found.hashes.setdefault(key, set()).update(hashes)
    return ""


def decide_groups(marker: str, groups: Sequence[str], wanted: Sequence[str] = ()) -> str:
    """A marker without what only locks know: the groups that the lock names count, and the wanted extras."""
    chosen = {
        "dependency_groups": {canonicalize_name(group) for group in groups},
        "extras": {canonicalize_name(extra) for extra in wanted},
    }

    def decided(match: re.Match[str]) -> str:
        inside = canonicalize_name(match["name"]) in chosen[match["of"]]
        return extras.TRUE if inside != bool(match["not"]) else extras.FALSE

    return _GROUP.sub(decided, marker)
