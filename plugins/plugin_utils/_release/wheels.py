# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collects the wheels of one set of requirements for one target, once: later deploys take them from the cache."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import shutil
import zipfile
from dataclasses import dataclass, replace

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.files import sha256_of
from ...module_utils._host.run import ProgramError
from ...module_utils._release.index import Index
from .packages import canonicalize_name, canonicalize_version, parse_wheel_filename
from .requirements import Requirements, check_hashes
from .resolver import Collector, begun, identity_of, only_listed, resolve, write_lines
from .sdist import Sources
from .shelf import files_of, nearest, version_of
from .tools import fetch, forget_unused, making


@dataclass(frozen=True)
class Wheel:
    """One wheel of a set; `unpacked` and `files` are what it will take on the host."""

    path: str
    name: str
    version: str
    sha256: str
    size: int
    unpacked: int
    files: int


def collect(collector: Collector, requirements: Requirements, pins: list[str], name: str) -> list[Wheel]:
    """The wheels of the requirements, all that they need, and the pins; raises with what has no wheel.

    :param name: of the requirements file, for sentences.
    """
    path = os.path.join(collector.cache, "wheels", identity_of(collector, requirements, pins))
    if os.path.isdir(path) and not _is_whole(path):
        shutil.rmtree(path)
    if not os.path.isdir(path):
        with making(path) as new:
            if new is not None:
                _build(collector, requirements, pins, new, name)
                forget_unused(os.path.dirname(path))
    os.utime(path)
    return read_set(path)


def _build(collector: Collector, requirements: Requirements, pins: list[str], new: str, name: str) -> None:
    collector.say(begun(requirements, pins, collector.target))
    sources = Sources(os.path.join(new, "built"), **vars(collector))
    requirements = replace(requirements, lines=[*filter(None, map(sources.add_own, requirements.lines))])
    locked = resolve(collector, requirements, pins, new, name, sources)
    collector.say(f"Collecting {len(locked)} wheels…")
    # What was built has a hash of its own; that of its source was checked.
    listed = {**requirements.hashes, **{key: {digest} for key, digest in sources.built.items()}}
    _download(collector, sources.with_built, [only_listed(item, listed) for item in locked], new, name)
    shutil.rmtree(sources.directory, ignore_errors=True)
    wheels = read_set(new)
    digests = {(wheel.name, canonicalize_version(wheel.version)): wheel.sha256 for wheel in wheels}
    if wrong := check_hashes(digests, listed):
        raise ReleaseError(
            f"fastapi_requirements is {name}, and the wheel that the index gave for {', '.join(wrong)} has none of the "
            "hashes listed there: it is another file than was locked. Find out why, or compile the requirements again."
        )
    with open(os.path.join(new, "set.json"), "w", encoding="utf-8") as file:
        json.dump({os.path.basename(wheel.path): wheel.sha256 for wheel in wheels}, file, indent=1)


def _download(collector: Collector, index: Index, locked: list[str], new: str, name: str) -> None:
    """By several pips at once: most of one's time goes into waiting for an index and starting up."""
    parts = max(1, min(4, os.cpu_count() or 1, len(locked) // 6))
    target = collector.target
    command = [*collector.tools.pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += [argument for tag in target.platforms for argument in ("--platform", tag)]
    command += ["--python-version", target.minor, "--implementation", "cp", "--abi", target.abi, "--abi", "abi3"]
    command += ["--abi", "none", "-d", os.path.join(new, "wheels")]
    os.mkdir(os.path.join(new, "wheels"))

    def part(number: int) -> None:
        path = os.path.join(new, f"part-{number}.txt")
        write_lines(path, locked[number::parts])
        try:
            fetch("Collecting wheels", [*command, "-r", path], index)
        except ProgramError as error:
            if unlisted := _unlisted(str(error), locked):
                raise ReleaseError(
                    f"fastapi_requirements is {name}, which lists hashes of {unlisted}, and none of the wheel that the "
                    f"index has for {target}: that came later. Make the list anew, or write fastapi_versions: "
                    f"[{_next(collector, unlisted)}]"
                ) from None
            raise

    with concurrent.futures.ThreadPoolExecutor(parts) as pool:
        for done in [pool.submit(part, number) for number in range(parts)]:
            done.result()


def _unlisted(said: str, locked: list[str]) -> str:
    """The pin of which pip got a file that has none of the listed hashes; '' where it says something else."""
    expected = set(re.findall(r"\b[0-9a-f]{64}\b", said)) if re.search(r"(?m)^\s*Got\s", said) else set[str]()
    return next((item.split()[0] for item in locked if expected & set(re.findall(r"[0-9a-f]{64}", item))), "")


def _next(collector: Collector, pin: str) -> str:
    """The first later version of a package that has a wheel."""
    name, _separator, version = pin.partition("==")
    try:
        files = files_of([name], collector.tools, collector.index).get(canonicalize_name(name), [])
    except (ReleaseError, ProgramError, ValueError):
        files = []
    later = [file for file in files if version_of(file, name) not in ("", canonicalize_version(version))]
    return nearest(name, version, later, collector.target) or f"{name}==VERSION"


def read_set(path: str) -> list[Wheel]:
    """The wheels of a set, by name."""
    found = []
    for entry in os.scandir(os.path.join(path, "wheels")):
        name, version, _build_number, _tags = parse_wheel_filename(entry.name)
        with zipfile.ZipFile(entry.path) as archive:
            sizes = [item.file_size for item in archive.infolist()]
        size = entry.stat().st_size
        found.append(Wheel(entry.path, str(name), str(version), sha256_of(entry.path), size, sum(sizes), len(sizes)))
    return sorted(found, key=lambda wheel: wheel.name)


def name_of(wheels: list[Wheel]) -> str:
    """The name of a set in the cache; '' where there is none."""
    return os.path.basename(os.path.dirname(os.path.dirname(wheels[0].path))) if wheels else ""


def named(cache: str, name: str) -> list[Wheel]:
    """A set that an earlier task of this run has collected; empty where there is none or it isn't whole any more."""
    path = os.path.join(cache, "wheels", os.path.basename(name))
    return read_set(path) if name and _is_whole(path) else []


def locked_text(wheels: list[Wheel]) -> str:
    """Requirements with hashes that name exactly the files that are shipped."""
    return "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)


def _is_whole(path: str) -> bool:
    """Whether a cached set is what was collected. A disk that filled up or a curious hand may have changed it."""
    try:
        with open(os.path.join(path, "set.json"), encoding="utf-8") as file:
            wanted: dict[str, str] = json.load(file)
        return wanted == {entry.name: sha256_of(entry.path) for entry in os.scandir(os.path.join(path, "wheels"))}
    except (OSError, ValueError):
        return False
