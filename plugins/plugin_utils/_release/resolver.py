# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolves requirements to one version each, by the pinned uv, and says what a person can do where that can't be."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import CONTROL_NODE, ProgramError, run
from ...module_utils._host.text import mask
from ...module_utils._release.archive import FORMAT
from ...module_utils._release.index import Index, fingerprint, secrets, uv_environment
from .._source.lacks import POSTGRESQL
from .instead import SAME, newer_server, twin, twinned
from .packages import Requirement, SpecifierSet, Version, canonicalize_name, canonicalize_version
from .refusals import asked_of, flattened, named_in, refusal, without_wheel
from .requirements import COMMIT, LOWEST, WEBSOCKETS, Requirements, named, undated
from .sdist import HERE, WAY_OUT, Sources, Workshop
from .shelf import Shelf, fails_on, files_of, nearest, shelf_of, version_of
from .shelf import refusal as shelf_refusal
from .target import Target
from .tools import Say, Tools, constraining, digest_of, forget_unused, making
from .trees import TREE


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
    wanted += [requirements.until] if requirements.until else []
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
            collector.say(begun(requirements, pins, collector.target))
            lines = resolve(collector, requirements, pins, new, name)
            with open(os.path.join(new, "lock.txt"), "w", encoding="utf-8") as file:
                file.writelines(f"{only_listed(line, requirements.hashes)}\n" for line in lines)
            forget_unused(locks)
    os.utime(path)
    with open(os.path.join(path, "lock.txt"), encoding="utf-8") as file:
        return file.read()


def begun(requirements: Requirements, pins: list[str], target: Target) -> str:
    """What is said while it is resolved, which is once for all hosts and releases with the same."""
    loose, count = len(requirements.loose), len(requirements.lines)
    text = f"Resolving {count + len(pins)} requirements for {target}…"
    if loose and not requirements.until:
        text += f" {loose} of the app's {count} name no exact version: today's newest are taken, see "
        text += "fastapi_packages_until."
    return text


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
    brings = _asking(collector, requirements, new, sources) if _serves_too_old(items, requirements) else []
    if brings and (newer := newer_server(requirements, versions_of(items), brings)):
        collector.say(newer[1])
        requirements = newer[0]
        items = _app_resolved(collector, requirements, new, name, sources)
    index = sources.with_built if sources else collector.index
    sockets = [pin for pin in pins if Requirement(pin).name == WEBSOCKETS[0]]
    serving = [pin for pin in pins if _name(pin) in LOWEST]
    # One by one: where there is no tested version of the one, the other stays the tested one.
    for part in (serving, sockets, [pin for pin in pins if pin not in (*serving, *sockets)]):
        found = versions_of(items)
        wanted = [pin for named_pin in part for pin in ([named_pin] if named_pin != POSTGRESQL else drivers(found))]
        lacking = [pin for pin in wanted if Requirement(pin).name not in found]
        if lacking and not (part is sockets and "wsproto" in found):
            if part not in (serving, sockets):
                collector.say(f"Adding {', '.join(lacking)}, which the app's code needs and {name} doesn't name…")
            items += _added(collector, requirements, lacking, found, index, new, name)
    if problem := too_old(versions_of(items), [*requirements.lines, *requirements.constraints], name):
        raise ReleaseError(f"fastapi_requirements is {name}, {problem}")
    if failing := not_running(versions_of(items), collector.target):
        files = files_of([*failing], collector.tools, collector.index)
        told = [item.told(collector.target) for item in Shelf(failing, files).lacking(collector.target)]
        instead = [item.instead for item in Shelf(failing, files).lacking(collector.target) if item.instead]
        write = f" Write fastapi_versions: [{', '.join(instead)}]" if instead else ""
        raise ReleaseError(f"fastapi_requirements is {name}. {' '.join(told)}{write}")
    return items


def _serves_too_old(items: list[str], requirements: Requirements) -> bool:
    """Whether a Uvicorn that can't serve is brought by something else than a line of the app's."""
    version = versions_of(items).get("uvicorn", LOWEST["uvicorn"])
    named_it = "uvicorn" in named([*requirements.lines, *requirements.constraints])
    return not named_it and Version(version) < Version(LOWEST["uvicorn"])


def _asking(collector: Collector, requirements: Requirements, new: str, sources: Sources | None) -> list[str]:
    """Names of the packages that ask for Uvicorn."""
    index = sources.with_built if sources else collector.index
    asked = (requirements.lines, requirements.constraints)
    options = ("--annotation-style", "line")
    items = compiled(collector, *asked, index, new, requirements.dated, requirements.overrides, options)
    item = next((item for item in items if item.startswith("uvicorn==")), "")
    return [who.strip() for who in item.rpartition("# via ")[2].split(",")] if "# via " in item else []


_OF_POSTGRESQL = {"asyncpg", "pg8000", "psycopg", "psycopg2", "psycopg2-binary", "psycopg2cffi"}


def drivers(found: dict[str, str]) -> list[str]:
    """What SQLAlchemy imports for postgresql:// alone, where it isn't there and no other driver may be meant. Pure.

    :param found: versions by name of all that the app is resolved to.
    """
    if "sqlalchemy" not in found:
        return []
    newer = Version(found["sqlalchemy"]) >= Version("2.1.0b1")
    # An app that has another one names it when it makes its engine; psycopg2's users had no need to.
    meant = _OF_POSTGRESQL - ({"psycopg2", "psycopg2-binary"} if newer else set())
    return [] if meant & found.keys() else ["psycopg[binary]" if newer else "psycopg2-binary"]


def not_running(found: dict[str, str], target: Target) -> dict[str, str]:
    """Those of the versions that can't be imported by the host's Python, whatever their wheels say."""
    return {name: version for name, version in found.items() if fails_on(name, version, target.minor)}


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
    # What serves was tested, whatever its day, and what the app was resolved to stays.
    kept = {*found, *map(canonicalize_name, map(_name, lacking))}
    dated = [*requirements.dated, *undated(kept)] if requirements.until else []
    lowest, said = {**LOWEST, WEBSOCKETS[0]: WEBSOCKETS[2]}, ""
    for wanted in (lacking, [f"{_name(pin)}>={lowest.get(_name(pin), 0)}" for pin in lacking]):
        try:
            added = compiled(collector, wanted, limits, index, new, dated)
            return [item for item in added if item.partition("==")[0] not in found]
        except ProgramError as error:
            said = flattened(str(error).replace(new + os.sep, ""))
    names = _names(named_in(said, lacking) or lacking)
    # Else each handshake would be answered 404.
    needs = "which its WebSocket endpoint needs" if names == WEBSOCKETS[0] else "that can serve"
    needs = needs if _name(lacking[0]) in lowest else "which its code needs"
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
        asked = (requirements.lines, requirements.constraints)
        return compiled(collector, *asked, index, new, requirements.dated, requirements.overrides)
    except ProgramError as error:
        said = str(error).replace(new + os.sep, "")
        missing = without_wheel(said)
        compiles = bool(sources and sources.workshop.compiles)
        closest = functools.partial(_nearest, collector)
        if missing and not compiles and (other := twin(requirements, missing, closest, asked_of(said, missing))):
            collector.say(other[1])
            return _app_resolved(collector, other[0], new, name, sources)
        problem = sources.add(missing, requirements) if missing and sources else ""
        if missing and sources and not problem:
            collector.say("Resolving again…")
            return _app_resolved(collector, requirements, new, name, sources)
        if missing and (later := _later(collector, requirements, missing)):
            dated = f"{missing} had no wheel for {collector.target} by {requirements.until}"
            collector.say(f"{dated}: {later} is taken, the first later version that has one.")
            with contextlib.suppress(ReleaseError):
                bound = replace(requirements, constraints=[*requirements.constraints, later])
                return _app_resolved(collector, bound, new, name, sources)
        lines = [*requirements.lines, *requirements.constraints]
        others = ""
        # A build host compiles whatever it is.
        if missing and not compiles:
            way_out = f"Or s{WAY_OUT[1:]}." if sources else ""
            # What the run would exchange by itself is nothing for people to do.
            asked_for = [one for each in SAME.items() if each[0] in named(lines) for one in each]
            known = {one: _files(collector, one) for one in asked_for}
            bare = twinned(requirements, known, collector.target)
            shelf = on_shelf(collector, bare, new, missing)
            told = shelf_refusal(shelf, collector.target, requirements.python, way_out, missing)
            if told:
                raise ReleaseError(f"fastapi_requirements is {name}, {told}") from None
            others = "".join(f"\n{item.told(collector.target)}" for item in shelf.lacking(collector.target))
        raise ReleaseError(refusal(said, name, collector.target, problem, lines, requirements.until) + others) from None


def _nearest(collector: Collector, name: str, version: str) -> str:
    """The version of a package that is nearest to another and has a wheel; '' where there is none."""
    return nearest(name, version, _files(collector, name), collector.target).partition("==")[2]


def _files(collector: Collector, name: str) -> list[str]:
    """Names of a package's files; none where the index can't be asked, which is told where it is needed."""
    try:
        return files_of([name], collector.tools, collector.index).get(name, [])
    except (ReleaseError, ProgramError, ValueError):
        return []


def _later(collector: Collector, requirements: Requirements, missing: str) -> str:
    """The first version with a wheel of what had none by the day of fastapi_packages_until, 'name==version'; '' where
    there is none, or the app names the version."""
    name, _separator, version = missing.partition("==")
    name = canonicalize_name(name)
    asked = [Requirement(line) for line in (*requirements.lines, *requirements.constraints)]
    ranges = [each.specifier for each in asked if canonicalize_name(each.name) == name]
    if not requirements.until or any(pin.operator == "==" for specifier in ranges for pin in specifier):
        return ""
    files = [file for file in _files(collector, name) if version_of(file, name)]
    fitting = [file for file in files if all(its.contains(version_of(file, name)) for its in ranges)]
    # Those before had none by the day.
    found = nearest(name, version or "0", fitting, collector.target)
    return found if found and Version(found.partition("==")[2]) > Version(version or "0") else ""


def on_shelf(collector: Collector, requirements: Requirements, new: str, first: str = "") -> Shelf:
    """What the index has of all that is pinned.

    :param new: a directory for what is needed meanwhile.
    :param first: what was found without a wheel first.
    """

    def reached(open_pins: list[str]) -> set[str]:
        # No older one, so that nothing becomes needed that wasn't.
        loose = {pin: pin.replace("==", ">=") for pin in open_pins}
        names = {*versions_of(open_pins)}
        constraints = [line for line in requirements.constraints if not named([line]) & names]
        lines = [_loosened(line, names) for line in requirements.lines]
        bounds = [*constraints, *loose.values()]
        items = compiled(collector, lines, bounds, collector.index, new, requirements.dated, requirements.overrides)
        return {*versions_of(items)}

    return shelf_of(requirements, collector.target, collector.tools, collector.index, reached, first)


def _loosened(line: str, names: set[str]) -> str:
    """A requirement without its version, where it is one of `names`."""
    parsed = Requirement(line)
    if canonicalize_name(parsed.name) in names and not parsed.url:
        parsed.specifier = SpecifierSet()
    return str(parsed)


def compiled(
    collector: Collector,
    lines: list[str],
    constraints: list[str],
    index: Index,
    new: str,
    dated: list[str],
    overrides: Sequence[str] = (),
    options: Sequence[str] = ("--no-annotate",),
) -> list[str]:
    """What uv makes of the lines, an item for each package: ``name==version``, and its hashes in further lines.

    :param overrides: lines that count in place of whatever asks for the same package.
    :param options: of uv's, for what it writes beside.
    """
    write_lines(os.path.join(new, "requirements.in"), lines)
    write_lines(os.path.join(new, "constraints.in"), constraints)
    out = os.path.join(new, "resolved.txt")
    command = [collector.tools.uv, "pip", "compile", "--quiet", os.path.join(new, "requirements.in")]
    # Beside an argument uv doesn't look at the environment's constraints.
    command += ["-c", os.path.join(new, "constraints.in"), *constraining(index), "-o", out]
    command += ["--python-version", collector.target.version, "--python-platform", collector.target.uv_platform]
    if overrides:
        write_lines(os.path.join(new, "overrides.in"), list(overrides))
        command += ["--override", os.path.join(new, "overrides.in")]
    command += [*dated, "--only-binary", ":all:", "--generate-hashes", "--no-header", *options]
    command += ["--python", sys.executable, *(["--no-index"] if index.no_index else [])]
    run("Resolving", command, uv_environment(index, os.environ), CONTROL_NODE, hidden=secrets(index))
    with open(out, encoding="utf-8") as file:
        return [item for item in re.split(r"\n(?=\S)", file.read().strip()) if item and not item.startswith("#")]


def versions_of(items: list[str]) -> dict[str, str]:
    """Version by name of locked requirements."""
    pins = [item.split()[0].partition("==") for item in items]
    return {canonicalize_name(name): version for name, _separator, version in pins}


def too_old(found: dict[str, str], lines: list[str], file: str = "requirements.txt") -> str:
    """What is wrong where the app brings a Gunicorn or Uvicorn that can't serve, and what to write; '' where all is
    well. Pure.

    In place of an exact version an exact one is named, the nearest to it: the newest of a range may not go with what
    else was pinned in its day, as Uvicorn 0.54 with websockets 10.4.
    """
    for package, lowest in LOWEST.items():
        version = found.get(package, lowest)
        if SpecifierSet(f">={lowest}").contains(version, prereleases=True):
            continue
        own = [line for line in lines if canonicalize_name(Requirement(line).name) == package]
        exact = [line for line in own if "==" in line]
        brought = f"whose line {(exact or own)[0]} brings" if own else f"and what it asks for brings {package}"
        extras = next((f"[{','.join(sorted(its))}]" for line in own if (its := Requirement(line).extras)), "")
        there = " there" if own else ", and loosen what uv then names"
        if re.search(r"\.lock$|pylock.*\.toml$", file):
            brought = f"which has {package}"
            there = f" in {'the Pipfile' if 'Pipfile' in file else 'pyproject.toml'}, and make the lock anew"
        wanted = f"{package}{extras}{'==' if exact else '>='}{lowest}"
        return f"{brought} {version}: workers need {package} {lowest} or newer. Write {wanted}{there}."
    return ""


def _name(line: str) -> str:
    return Requirement(line).name


def _names(lines: list[str]) -> str:
    return " and ".join(map(_name, lines))


def only_listed(item: str, listed: dict[tuple[str, str], set[str]]) -> str:
    """A locked requirement with the hashes that the app lists for it alone, where the index has a file with one: an
    index may have had new files since."""
    pin, *rest = item.replace("\\\n", " ").split()
    name, _separator, version = pin.partition("==")
    wanted = listed.get((canonicalize_name(name), canonicalize_version(version)), set())
    known = [entry for entry in rest if entry.rpartition(":")[2] in wanted]
    return " ".join([pin, *(entry for entry in rest if not entry.startswith("--hash=")), *known]) if known else item


def _sorted_hashes(requirements: Requirements) -> list[list[object]]:
    return sorted([[*key], sorted(digests)] for key, digests in requirements.hashes.items())


def write_lines(path: str, lines: list[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
