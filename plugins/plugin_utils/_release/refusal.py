# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns what the pinned uv says of requirements that it can't resolve into what a person can do about it."""

from __future__ import annotations

import re

from .target import Target

_NO_WHEEL = re.compile(
    r"(?:all versions of )?(\S+?)(==\S+)? has no (?:usable )?wheels|(?:all versions of )(\S+) have no usable wheels"
)
_HINTED = re.compile(r"Wheels are required for `([^`]+)`")
_NOT_FOUND = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")
_NO_VERSION = re.compile(r"there (?:is no version of|are no versions of) (\S+)")
_PYTHON = re.compile(r"does not satisfy (Python\S+)")
_FETCH = re.compile(r"(?:Failed to fetch|Request failed)", re.IGNORECASE)


def refusal(said: str, name: str, target: Target, problem: str = "") -> str:
    """One sentence on what is wrong and one on what to do, then uv's own words.

    :param said: output of ``uv pip compile``, credentials already hidden.
    :param name: of the requirements file.
    :param problem: why what has no wheel can't be built from its source.
    """
    flat = flattened(said)
    head = f"fastapi_requirements is {name}, "
    if missing := without_wheel(said):
        return (
            f"{head}and {missing} has no wheel for {target}. Name a version that has one, set fastapi_python to a "
            "Python that it has wheels for, or build the wheel yourself (pip wheel) and give its directory by a "
            f"--find-links line in a requirements file or in pip's configuration.\n{problem or f'uv said: {flat}'}"
        )
    if match := _NOT_FOUND.search(flat):
        what = f"and no index has {match[1]}. Check the spelling, or set fastapi_index_url to the index that has it."
    elif match := _NO_VERSION.search(flat):
        what = f"and no index has {match[1].rstrip(',')}. Name a version that there is."
    elif match := _PYTHON.search(flat):
        advice = "Set fastapi_python, or name an older version."
        what = f"and a package in it needs {match[1]}, where the host has {target.version}. {advice}"
    elif _FETCH.search(flat):
        advice = "Check the network, pip's configuration and fastapi_index_url."
        what = f"and the index can't be reached from the control node. {advice}"
    else:
        what = f"and its requirements can't be met together for {target}. Loosen one of those that uv names."
    return f"{head}{what}\nuv said: {flat}"


def flattened(said: str) -> str:
    """What uv said in one line, without the sentence before it."""
    return " ".join((said.partition(":\n")[2] or said).split())


def without_wheel(said: str) -> str:
    """The requirement that has no wheel for the target, '' where that isn't what is wrong."""
    flat = flattened(said)
    hinted = _HINTED.search(flat)
    for match in _NO_WHEEL.finditer(flat):
        name = match[1] or match[3]
        if hinted is None or name == hinted[1]:
            return f"{name}{match[2] or ''}"
    return hinted[1] if hinted else ""
