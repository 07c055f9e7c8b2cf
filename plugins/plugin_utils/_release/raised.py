# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions for what an app pins and has no wheel for a Python: the first later ones that have one, and that go with all
else. Tried by the resolver, and written by init.yml for people to see."""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
import zipfile
from dataclasses import replace

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import CONTROL_NODE, ProgramError
from ...module_utils._release.index import Index, read_index
from .instead import served, twinned, with_versions
from .packages import InvalidRequirement, Requirement, Version, canonicalize_name, canonicalize_version
from .refusals import flattened, named_in, without_wheel
from .requirements import Requirements, named
from .resolver import Collector, compiled, versions_of
from .sdist import Sources
from .shelf import Lacking, Shelf, files_of, pins_of, version_of
from .target import Target
from .tools import Say, cache_directory, provide

_ROUNDS = 4
_MOST_BUILT = 8


Files = dict[str, list[str]]
"""Names of all files on the index, by package."""


def bare(requirements: Requirements, file: str, files: Files, target: Target) -> Requirements:
    """What a run takes of an app's requirements for a host, where no line of them names other versions. Pure.

    :param file: which says what the app needs.
    """
    return twinned(served(requirements, file, target.markers)[0], files, target)


def lacking(requirements: Requirements, files: Files, target: Target) -> list[Lacking]:
    """What of it is pinned and has no wheel. Pure."""
    return Shelf(pins_of([*requirements.constraints, *requirements.lines], target), files).lacking(target)


def versions_for(
    requirements: Requirements, missing: list[Lacking], files: Files, target: Target, say: Say
) -> list[str]:
    """What to write in fastapi_versions, sorted; empty where no such versions go with the rest.

    :param requirements: as `bare` gives them.
    :param missing: what of them has no wheel for the target.
    """
    if not missing or any(not item.instead or item.why for item in missing):
        return []
    try:
        tools = provide(cache_directory(), requirements.options, "", say)
        index = read_index(tools.pip, requirements.options, "", CONTROL_NODE)
        with tempfile.TemporaryDirectory(prefix="graceful-raised-") as new:
            collector = Collector(cache_directory(), tools, index, target, say)
            return tried(collector, requirements, missing, files, new)
    except (ReleaseError, ProgramError, OSError):
        return []


def tried(
    collector: Collector, requirements: Requirements, missing: list[Lacking], files: Files, new: str
) -> list[str]:
    """The versions, by what the resolver says of them.

    :param new: a directory for what is needed meanwhile.
    """
    pins: dict[str, str] = {**pins_of([*requirements.constraints, *requirements.lines], collector.target)}
    index = replace(collector.index, find_links=(*collector.index.find_links, new))
    for name, version in pins.items():
        its = [file for file in files.get(name, []) if version_of(file, name) == canonicalize_version(version)]
        if its and not any(file.endswith(".whl") for file in its):
            _stand_in(collector, new, name, version)
    wanted = [item.instead for item in missing]
    changed = with_versions(requirements, wanted)
    try:
        _compiled(collector, changed.lines, changed.constraints, index, new, requirements.dated)
        return sorted(wanted)
    except ProgramError as error:
        said = flattened(str(error))
    # What asks for the old ones by name has to be newer too: pydantic has its own pydantic-core.
    raised: dict[str, str] = {canonicalize_name(Requirement(line).name): line.partition("==")[2] for line in wanted}
    for _round in range(_ROUNDS):
        culprits = named(named_in(said, [f"{name}=={version}" for name, version in pins.items()])) - raised.keys()
        if not culprits:
            return []
        raised |= {name: pins[name] for name in culprits}
        lines = [f"{name}{'>=' if name in raised else '=='}{raised.get(name, pins[name])}" for name in pins]
        try:
            # The oldest of them that will do.
            found = versions_of(_compiled(collector, lines, [], index, new, ["--resolution", "lowest-direct"]))
        except ProgramError as error:
            said = flattened(str(error))
            continue
        return sorted(f"{name}=={found[name]}" for name in raised if found[name] != pins[name])
    return []


def _compiled(
    collector: Collector, lines: list[str], constraints: list[str], index: Index, new: str, options: list[str]
) -> list[str]:
    """As `compiled`, where what nothing pins may have to be built too."""
    for _step in range(_MOST_BUILT):
        try:
            return compiled(collector, lines, constraints, index, new, options)
        except ProgramError as error:
            name = canonicalize_name(without_wheel(str(error)).partition("==")[0])
            files = files_of([name], collector.tools, collector.index).get(name, []) if name else []
            files = [file for file in files if version_of(file, name)]
            if not files or any(file.endswith(".whl") for file in files):
                raise
            _stand_in(collector, new, name, str(max(Version(version_of(file, name)) for file in files)))
    raise ReleaseError("")


def _stand_in(collector: Collector, directory: str, name: str, version: str) -> None:
    """An empty wheel for what is built of its source when it is deployed, with what that says that it needs: no code of
    a package's is run before."""
    os.makedirs(os.path.join(directory, "sources"), exist_ok=True)
    sources = Sources(os.path.join(directory, "sources"), **vars(collector), tried={name, *os.listdir(directory)})
    try:
        requires = needs_of(sources.fetch(f"{name}=={version}", ""))
    except (ReleaseError, ProgramError):
        requires = []
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    with zipfile.ZipFile(os.path.join(directory, f"{stem}-py3-none-any.whl"), "w") as wheel:
        metadata = "\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires), ""])
        wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


def needs_of(source: str) -> list[str]:
    """What a source's own files say that it needs, without extras; nothing where they don't say."""
    try:
        with tarfile.open(source) as archive:
            texts = {
                member.name: (file.read(1 << 20).decode(errors="replace") if file else "")
                for member in archive
                if re.search(r"(^|/)(PKG-INFO|requires\.txt)$", member.name) and member.isfile()
                for file in [archive.extractfile(member)]
            }
    except (OSError, tarfile.TarError):
        return []
    listed = [texts[path] for path in sorted(texts, key=len) if path.endswith("requires.txt")]
    if not listed:
        told = "\n".join(texts.values())
        lines = dict.fromkeys(re.findall(r"(?m)^Requires-Dist:\s*(.+?)\s*$", told))
        return [line for line in lines if _is_requirement(line) and "extra" not in line]
    found, marker = list[str](), ""
    for line in listed[0].split("\n"):
        if section := re.fullmatch(r"\[(.*)\]", line.strip()):
            # [test] is an extra, and [:python_version < "3.8"] counts where that holds.
            marker = section[1]
        elif line.strip() and marker[:1] in ("", ":"):
            found.append(line.strip() + (f" ; {marker[1:]}" if marker else ""))
    return [*filter(_is_requirement, found)]


def _is_requirement(line: str) -> bool:
    try:
        return bool(Requirement(line))
    except InvalidRequirement:
        return False
