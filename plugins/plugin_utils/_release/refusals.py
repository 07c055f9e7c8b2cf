# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What uv says where requirements can't be resolved, read, and said again with what a person can do. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .packages import Requirement, canonicalize_name
from .shelf import TWINS
from .target import Target

_NO_WHEEL = re.compile(
    r"(?:all versions of )?([^\s=<>~!]+)(?:(==\S+)|[<>~!]\S+)? has no (?:usable )?wheels"
    r"|all versions of (\S+) have no usable wheels"
)
_HINTED = re.compile(r"Wheels are required for `([^`]+)`")
_NOT_FOUND = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")
_NO_VERSION = re.compile(r"there (?:is no version of|are no versions of) (\S+)")
_TOO_NEW = re.compile(r"`([\w.-]+)` was filtered by `exclude-newer`((?:(?!Consider using).)*)")
_PYTHON = re.compile(r"does not satisfy (Python\S+)")
_FETCH = re.compile(r"(?:Failed to fetch|Request failed)", re.IGNORECASE)


def refusal(said: str, name: str, target: Target, problem: str = "", lines: Sequence[str] = (), until: str = "") -> str:
    """One sentence on what is wrong and one on what to do, then uv's own words.

    :param said: output of ``uv pip compile``, credentials already hidden.
    :param name: of the requirements file.
    :param problem: why what has no wheel can't be built from its source.
    :param lines: what the app asks for, to name those that contradict one another.
    :param until: the last day of which versions are taken.
    """
    flat = flattened(said)
    head = f"fastapi_requirements is {name}, "
    if missing := without_wheel(said):
        twin, why = TWINS.get(canonicalize_name(missing.partition("==")[0]), ("", ""))
        # Of those there is neither a version nor a Python with wheels.
        write = f"Write {twin}, {why}" if twin else "Name a version that has one, set fastapi_python to a Python that"
        if until:
            problem = f"By {until}, which fastapi_packages_until is, it may have had none yet.\n{problem}".rstrip()
        return (
            f"{head}and {missing} has no wheel for {target}. {write}{'' if twin else ' it has wheels for'}, or build "
            "the wheel yourself (pip wheel) and give its directory by a --find-links line in a requirements file or in "
            f"pip's configuration.\n{problem or f'uv said: {flat}'}"
        )
    if match := _NOT_FOUND.search(flat):
        what = f"and no index has {match[1]}. Check the spelling, or set fastapi_index_url to the index that has it."
    elif until and (match := _TOO_NEW.search(flat)):
        if "published at" in match[2]:
            what = f"and {match[1]} had nothing that fits by {until}. Write a later day in fastapi_packages_until, or "
            what += "the exact version of what needs it newer: exact ones are taken whatever their day."
        else:
            what = f"and the index doesn't say when the files of {match[1]} were uploaded (upload-time, PEP 700), so "
            what += f"fastapi_packages_until: {until} leaves out all of them. Take it out and name exact versions, or "
            what += "name an index that says it, as PyPI does."
    elif match := _NO_VERSION.search(flat):
        what = f"and no index has {match[1].rstrip(',')}. Name a version that there is."
    elif match := _PYTHON.search(flat):
        advice = "Set fastapi_python, or name an older version."
        what = f"and a package in it needs {match[1]}, where the host has {target.version}. {advice}"
    elif _FETCH.search(flat):
        advice = "Check the network, pip's configuration and fastapi_index_url."
        what = f"and the index can't be reached from the control node. {advice}"
    else:
        own = named_in(flat, list(lines))[:6]
        loosen = f"Loosen one of these: {'; '.join(own)}." if own else "Loosen one of those that uv names."
        what = f"and its requirements can't be met together for {target}. {loosen}"
    return f"{head}{what}\nuv said: {flat}"


def flattened(said: str) -> str:
    """What uv said in one line, without the sentence before it."""
    return " ".join((said.partition(":\n")[2] or said).split())


def without_wheel(said: str) -> str:
    """The requirement that has no wheel for the target, '' where that isn't what is wrong.

    Of a package with many versions, uv also tells the old ones without a wheel when it is something else that is wrong.
    So a package doesn't count of which another version was good enough to look into.
    """
    flat = flattened(said)

    def looked_into(name: str) -> bool:
        return bool(re.search(rf"(?<![\w.-]){re.escape(name)}(\[[^\]]*\])?[=<>~!][^ ]* depends? on", flat))

    hinted = _HINTED.findall(flat)
    # Of several only that one is in the way of which nothing could be taken.
    hinted = [name for name in hinted if len(hinted) == 1 or not looked_into(name)]
    for match in _NO_WHEEL.finditer(flat):
        name = match[1] or match[3]
        if not looked_into(name) and (not hinted or name.partition("[")[0] in hinted):
            return name.partition("[")[0] + (match[2] or "")
    return hinted[0] if hinted else ""


def asked_of(said: str, missing: str) -> str:
    """Which versions another package asks for, as uv tells it, such as '>=2.7'; '' for any.

    :param missing: 'name' or 'name==version'.
    """
    name = re.escape(missing.partition("==")[0])
    found = re.search(rf"depends? on {name}([=<>~!][^\s]*?),?(?=\s|$)", flattened(said))
    return found[1] if found else ""


def named_in(said: str, lines: list[str]) -> list[str]:
    """Those of the lines whose package is named in what uv says."""
    names = {canonicalize_name(name) for name in re.findall(r"[A-Za-z0-9][\w.-]*", said)}
    return [line for line in dict.fromkeys(lines) if canonicalize_name(Requirement(line).name) in names]
