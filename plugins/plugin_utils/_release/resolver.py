# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolves requirements to one version each, by the pinned uv, and says what a person can do where that can't be."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import CONTROL_NODE, ProgramError, run
from ...module_utils._host.text import mask
from ...module_utils._release.archive import FORMAT
from ...module_utils._release.index import Index, fingerprint, secrets, uv_environment
from .packages import Requirement, SpecifierSet, canonicalize_name, canonicalize_version
from .requirements import COMMIT, LOWEST, WEBSOCKETS, Requirements
from .sdist import HERE, Sources, Workshop
from .target import Target
from .tools import Say, Tools, constraining, digest_of, forget_unused, making
from .trees import TREE

_NO_WHEEL = re.compile(
    r"(?:all versions of )?([^\s=<>~!]+)(?:(==\S+)|[<>~!]\S+)? has no (?:usable )?wheels"
    r"|all versions of (\S+) have no usable wheels"
)
_HINTED = re.compile(r"Wheels are required for `([^`]+)`")
_NOT_FOUND = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")
_NO_VERSION = re.compile(r"there (?:is no version of|are no versions of) (\S+)")
_PYTHON = re.compile(r"does not satisfy (Python\S+)")
_FETCH = re.compile(r"(?:Failed to fetch|Request failed)", re.IGNORECASE)


@dataclass(frozen=True)
class Collector:
    """What collecting needs besides the requirements."""

    cache: str
    tools: Tools
    index: Index
    target: Target
    say: Say
    workshop: Workshop = HERE


def identity_of(collector: Collector, requirements: Requirements, pins: list[str]) -> str:
    """Equal where the same is asked of the same indexes for the same target."""
    target = collector.target
    wanted = [FORMAT, requirements.lines, requirements.constraints, _sorted_hashes(requirements), pins]
    return digest_of([*wanted, target.version, target.abi, target.platforms, fingerprint(collector.index)])


def locked(collector: Collector, requirements: Requirements, pins: list[str], name: str) -> str:
    """The requirements with all that they need, one version each, with the hashes of its files on the index.

    Resolved once, on the control node, so that all hosts install the same, today and next week.

    :param name: of the requirements file, for sentences.
    """
    if built := [line for line in requirements.lines if COMMIT.fullmatch(line) or TREE.fullmatch(line)]:
        raise ReleaseError(
            f"fastapi_requirements is {name}, and {mask(built[0])} in it is built from a "
            f"{'commit' if COMMIT.fullmatch(built[0]) else 'directory'}, so the host's index hasn't got it. Write "
            "fastapi_release_method: wheels."
        )
    locks = os.path.join(collector.cache, "locks")
    os.makedirs(locks, mode=0o700, exist_ok=True)
    path = os.path.join(locks, identity_of(collector, requirements, pins))
    with making(path) as new:
        if new is not None:
            count = len(requirements.lines) + len(pins)
            collector.say(f"Resolving {count} requirements for {collector.target}…")
            lines = resolve(collector, requirements, pins, new, name)
            with open(os.path.join(new, "lock.txt"), "w", encoding="utf-8") as file:
                file.writelines(f"{only_listed(line, requirements.hashes)}\n" for line in lines)
            forget_unused(locks)
    os.utime(path)
    with open(os.path.join(path, "lock.txt"), encoding="utf-8") as file:
        return file.read()


def resolve(
    collector: Collector,
    requirements: Requirements,
    pins: list[str],
    new: str,
    name: str,
    sources: Sources | None = None,
) -> list[str]:
    """The locked requirements, each with its hashes, with the host's markers decided.

    The app's come first, by themselves. Of the pins, those are added that it lacks, within what it was resolved to:
    beside the app's own, a pin would make uv look for older versions of the app's packages that go with it.

    :param sources: where wheels may be built; None where they may not.
    """
    items = _app_resolved(collector, requirements, new, name, sources)
    index = sources.with_built if sources else collector.index
    sockets = [pin for pin in pins if Requirement(pin).name == WEBSOCKETS[0]]
    # One by one: where there is no tested version of the one, the other stays the tested one.
    for part in ([pin for pin in pins if pin not in sockets], sockets):
        found = versions_of(items)
        lacking = [pin for pin in part if Requirement(pin).name not in found]
        if lacking and not (part is sockets and "wsproto" in found):
            items += _added(collector, requirements, lacking, found, index, new, name)
    found = versions_of(items)
    if problem := too_old(found, [*requirements.lines, *requirements.constraints]):
        raise ReleaseError(f"fastapi_requirements is {name}, {problem}")
    return items


def _added(
    collector: Collector,
    requirements: Requirements,
    lacking: list[str],
    found: dict[str, str],
    index: Index,
    new: str,
    name: str,
) -> list[str]:
    """What the pins `lacking` add to the versions `found`, which stay: the tested versions, else the best that go with
    those."""
    limits = [*requirements.constraints, *(f"{package}=={version}" for package, version in found.items())]
    lowest, said = {**LOWEST, WEBSOCKETS[0]: WEBSOCKETS[2]}, ""
    for wanted in (lacking, [f"{Requirement(pin).name}>={lowest[Requirement(pin).name]}" for pin in lacking]):
        try:
            added = _compile(collector, wanted, limits, index, new)
            return [item for item in added if item.partition("==")[0] not in found]
        except ProgramError as error:
            said = flattened(str(error).replace(new + os.sep, ""))
    names = _names(named_in(said, lacking) or lacking)
    # Else each handshake would be answered 404.
    needs = "which its WebSocket endpoint needs" if names == WEBSOCKETS[0] else "that can serve"
    raise ReleaseError(
        f"fastapi_requirements is {name}, and no {names} {needs} "
        f"goes with {' and '.join(named_in(said, limits)) or 'what it names'}. Loosen that.\nuv said: {said}"
    )


def _app_resolved(
    collector: Collector, requirements: Requirements, new: str, name: str, sources: Sources | None
) -> list[str]:
    """Where one of them has no wheel, and it could be built, it is tried again: what was built needs more of them."""
    index = sources.with_built if sources else collector.index
    try:
        return _compile(collector, requirements.lines, requirements.constraints, index, new)
    except ProgramError as error:
        said = str(error).replace(new + os.sep, "")
        missing = without_wheel(said)
        problem = sources.add(missing, requirements) if missing and sources else ""
        if missing and sources and not problem:
            collector.say("Resolving again…")
            return _app_resolved(collector, requirements, new, name, sources)
        lines = [*requirements.lines, *requirements.constraints]
        raise ReleaseError(refusal(said, name, collector.target, problem, lines)) from None


def _compile(collector: Collector, lines: list[str], constraints: list[str], index: Index, new: str) -> list[str]:
    """What uv makes of the lines, an item for each package: ``name==version``, and its hashes in further lines."""
    write_lines(os.path.join(new, "requirements.in"), lines)
    write_lines(os.path.join(new, "constraints.in"), constraints)
    out = os.path.join(new, "resolved.txt")
    command = [collector.tools.uv, "pip", "compile", "--quiet", os.path.join(new, "requirements.in")]
    # Beside an argument uv doesn't look at the environment's constraints.
    command += ["-c", os.path.join(new, "constraints.in"), *constraining(index), "-o", out]
    command += ["--python-version", collector.target.version, "--python-platform", collector.target.uv_platform]
    command += ["--only-binary", ":all:", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--python", sys.executable, *(["--no-index"] if index.no_index else [])]
    run("Resolving", command, uv_environment(index, os.environ), CONTROL_NODE, hidden=secrets(index))
    with open(out, encoding="utf-8") as file:
        return [item for item in re.split(r"\n(?=\S)", file.read().strip()) if item and not item.startswith("#")]


def versions_of(items: list[str]) -> dict[str, str]:
    """Version by name of locked requirements."""
    pins = [item.split()[0].partition("==") for item in items]
    return {canonicalize_name(name): version for name, _separator, version in pins}


def too_old(found: dict[str, str], lines: list[str]) -> str:
    """What is wrong where the app brings a Gunicorn or Uvicorn that can't serve, and what to write; '' where all is
    well. Pure."""
    for package, lowest in LOWEST.items():
        version = found.get(package, lowest)
        if SpecifierSet(f">={lowest}").contains(version, prereleases=True):
            continue
        own = [line for line in lines if canonicalize_name(Requirement(line).name) == package]
        brought = f"whose line {own[0]} brings" if own else f"and what it asks for brings {package}"
        return (
            f"{brought} {version}: workers need {package} {lowest} or newer. Write {package}>={lowest}"
            f"{' there' if own else ', and loosen what uv then names'}."
        )
    return ""


def named_in(said: str, lines: list[str]) -> list[str]:
    """Those of the lines whose package is named in what uv says."""
    names = {canonicalize_name(name) for name in re.findall(r"[A-Za-z0-9][\w.-]*", said)}
    return [line for line in dict.fromkeys(lines) if canonicalize_name(Requirement(line).name) in names]


def _names(lines: list[str]) -> str:
    return " and ".join(Requirement(line).name for line in lines)


def only_listed(item: str, listed: dict[tuple[str, str], set[str]]) -> str:
    """A locked requirement with the hashes that the app lists for it alone, where the index has a file with one: an
    index may have had new files since."""
    pin, *rest = item.replace("\\\n", " ").split()
    name, _separator, version = pin.partition("==")
    wanted = listed.get((canonicalize_name(name), canonicalize_version(version)), set())
    known = [entry for entry in rest if entry.rpartition(":")[2] in wanted]
    return " ".join([pin, *(entry for entry in rest if not entry.startswith("--hash=")), *known]) if known else item


def refusal(said: str, name: str, target: Target, problem: str = "", lines: Sequence[str] = ()) -> str:
    """One sentence on what is wrong and one on what to do, then uv's own words.

    :param said: output of ``uv pip compile``, credentials already hidden.
    :param name: of the requirements file.
    :param problem: why what has no wheel can't be built from its source.
    :param lines: what the app asks for, to name those that contradict one another.
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
    hinted = _HINTED.search(flat)
    for match in _NO_WHEEL.finditer(flat):
        name = match[1] or match[3]
        looked_into = re.search(rf"(?<![\w.-]){re.escape(name)}[=<>~!][^ ]* depends? on", flat)
        if not looked_into and (hinted is None or name.partition("[")[0] == hinted[1]):
            return name.partition("[")[0] + (match[2] or "")
    return hinted[1] if hinted else ""


def _sorted_hashes(requirements: Requirements) -> list[list[object]]:
    return sorted([[*key], sorted(digests)] for key, digests in requirements.hashes.items())


def write_lines(path: str, lines: list[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
