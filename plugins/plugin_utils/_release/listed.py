# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Debian's own Python has wheels of all that an app pins, by the names of their files. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ...module_utils._app.releases import ReleaseError
from . import locks
from .instead import SAME
from .packages import canonicalize_name
from .shelf import TWINS, Lacking, Shelf
from .target import DEBIANS, Target, debian_for, debians

_MOST_NAMES = 3


def fitting_debian(name: str, lock: dict[str, Any], pyproject: dict[str, Any], wanted: str) -> str:
    """What to say of the Debian that an app fits; '' where it fits each, or where nothing tells.

    :param name: of what says what the app needs.
    :param lock: its content, {} for what is no TOML.
    :param wanted: what the app asks of the Python.
    """
    try:
        packages = packages_of(lock, pyproject)
        there = debians(wanted, "x86_64")
        missing = {debian: _lacking(packages, its) for debian, its in there.items()}
    except (ReleaseError, ValueError, KeyError, TypeError, AttributeError):
        # A lock with a mistake is refused where it is read.
        return debian_for(wanted)
    if all(missing.values()) and (stuck := [item for item in next(iter(missing.values()), []) if not item.pythons]):
        return f"No Debian has wheels of all that {name} has: {stuck[0].told(next(iter(there.values())))}"
    return _said(name, missing, wanted, "Have it locked with newer versions")


def fitting_pins(name: str, missing: dict[str, list[Lacking]], wanted: str) -> str:
    """The same for what has no files' names in it, as requirements.txt.

    :param missing: by Debian, what of it has no wheel.
    """
    best = fewest(missing)
    instead = ", ".join(item.instead for item in missing.get(best, []) if item.instead)
    return _said(name, missing, wanted, f"For {best} write {instead}" if instead else "Write newer versions")


def fewest(missing: dict[str, list[Lacking]]) -> str:
    """The Debian that lacks the fewest wheels; '' for none."""
    return min(missing, key=lambda debian: len(missing[debian]), default="")


def _said(name: str, missing: dict[str, list[Lacking]], wanted: str, write: str) -> str:
    """:param missing: by Debian, what has no wheel for its Python.
    :param write: what to do where that is so on each.
    """
    there = debians(wanted, "x86_64")
    if not any(missing.values()):
        return debian_for(wanted)
    asks = f", and the app needs Python {wanted}" if wanted and len(there) < len(DEBIANS) else ""
    good = [f"{debian}, which has Python {its.minor}" for debian, its in there.items() if not missing[debian]]
    told = "; ".join(_told(items, there[debian]) for debian, items in missing.items() if items)
    if good:
        return f"The app wants {good[0]}: of what {name} has, {told}{asks}."
    return (
        f"No Debian's own Python has wheels of all that {name} has: {told}{asks}. {write}, or put a Python that fits "
        "on the host, and set fastapi_python to it."
    )


def _told(items: list[Lacking], target: Target) -> str:
    more = f" and {len(items) - _MOST_NAMES} more" if len(items) > _MOST_NAMES else ""
    have = "has" if len(items) == 1 else "have"
    # What fails to run is told with the rest: it comes to the same.
    runs = f", or {'does' if len(items) == 1 else 'do'}n't run there" if any(item.fails for item in items) else ""
    return f"{', '.join(item.pin for item in items[:_MOST_NAMES])}{more} {have} no wheel for {target.minor}{runs}"


def _lacking(packages: dict[str, dict[str, list[str]]], target: Target) -> list[Lacking]:
    """Of several versions, each for other Pythons, one has to have a wheel. What has none for any Linux, and isn't
    known to be needed there, is another system's."""
    found = []
    for name, versions in sorted(packages.items()):
        each = [Shelf({name: version}, {name: files}).lacking(target) for version, files in versions.items()]
        found += each[-1] if all(each) else []
    known = TWINS.keys() - SAME.keys()
    return [item for item in found if item.pythons or item.fails or item.pin.partition("==")[0] in known]


def packages_of(lock: dict[str, Any], pyproject: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The files' names of each version of each package that the app needs; a lock has what is for development too."""
    listed = locks.with_files(lock) or lock.get("packages") or []
    needs: dict[str, set[str]] = {}
    found: dict[str, dict[str, list[str]]] = {}
    for package in listed:
        name = canonicalize_name(package["name"])
        extras = package.get("optional-dependencies", {}).values()
        needs.setdefault(name, set()).update(*map(_names, [package.get("dependencies", []), *extras]))
        files = [*package.get("wheels", []), *package.get("files", [])]
        paths = [str(file.get("file") or file.get("name") or file.get("url") or file.get("path")) for file in files]
        found.setdefault(name, {})[str(package.get("version", ""))] = [os.path.basename(path) for path in paths]
    if "packages" in lock:
        return found
    waiting: list[str] = [*_names(locks.direct(pyproject))]
    reached = set[str]()
    while waiting:
        if (one := waiting.pop()) not in reached:
            reached.add(one)
            waiting += needs.get(one, ())
    return {name: versions for name, versions in found.items() if name in reached}


def _names(dependencies: Iterable[Any]) -> Iterator[str]:
    """Of a list of uv's tables, of requirements as PDM's, or of a table as Poetry's."""
    for each in dependencies:
        name = each["name"] if isinstance(each, dict) else re.split(r"[^\w.-]", each.strip(), maxsplit=1)[0]
        yield canonicalize_name(name)
