# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``release`` on the control node: read, ask the host once, and build only what isn't there."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...module_utils._app.releases import ReleaseError, to_prune
from ...module_utils._host.run import CONTROL_NODE, ProgramError
from ...module_utils._release.index import read_index
from .._source.code import read_code
from .._source.lacks import lacking as lacking_modules
from . import bundle, instead, methods, project, wheels
from .deliver import Ways, deliver
from .packages import Requirement, canonicalize_name
from .read import Source, read_source
from .requirements import Requirements, injected
from .resolver import Collector, locked, on_shelf
from .sdist import NeedsBuildHost
from .seeds import changed_seeds, seeds_of
from .shelf import MOST, TWINS, files_of, pins_of
from .source import release_id
from .target import Target, check_python, target_of
from .tools import Say, cache_directory, host_installers, provide
from .workshop import workshop_of


def run(params: dict[str, Any], check: bool, workdir: str, ways: Ways) -> dict[str, Any]:
    """Make the release unless the host has it; returns the task's result without Ansible's own keys.

    With state `collected` nothing is done on the host beyond asking it. Wheels are collected in check mode as well:
    what has none is found out before anything changes.

    :param params: the task's options; `source` is absolute or a URL.
    :param workdir: an empty directory of this task's, inside the one of the whole run.
    """
    source = read_source(params, workdir, ways.say)
    facts = params["collected"] or ways.query()
    if facts["interpreter_problem"]:
        raise ReleaseError(f"fastapi_python {facts['interpreter_problem']} Set fastapi_python to one that is there.")
    target = target_of(facts["interpreter"])
    asking = functools.partial(lacking, source.requirements, params["index_url"], ways.say)
    check_python(source.requires_python, target.version, target.machine, asking)
    requirements, changes = instead.served(source.requirements, source.requirements_name, target.markers)
    source = replace(source, requirements=requirements)
    pins = injected(source.requirements, target.markers, source.sockets, source.needs)
    release, digest = release_id(source.entries, header_of(params, source, target, pins))
    path = os.path.join(params["root"], "releases", release)
    complete, name = release in facts["created"], f"Release {release} of {params['name']}"
    result: dict[str, Any] = {"release": release, "path": path, "python": python_of(target), "complete": complete}
    result["changed"] = False
    collecting = params["state"] != "present"
    if collecting:
        result |= {"collected": facts, "needs_build": False}
    else:
        result |= {"changed": not complete, "diff": diff_of(facts, release, params["keep"])}
    if complete:
        return {**result, "msg": f"{name} is complete in {path}: nothing to build or send."}
    seeds = seeds_of(source.entries, params["shared_paths"])
    # Once a run: what builds what was collected has heard it.
    if params["state"] == "collected" or not params["collected"]:
        said = changed_seeds(facts.get("seeds", {}), seeds, source.shared_files, params["root"])
        result |= {"warnings": said} if said else {}
    if release in facts["incomplete"]:
        raise ReleaseError(
            f"{path} is there on the host without a record of its own: something else made it. Remove it."
        )
    # In check mode, and before role deploy_user, the group may be one that the run makes.
    if facts["group_missing"] and not (check or params["collected"] or collecting):
        raise ReleaseError(
            f"There is no group {params['group']} on the host. Role deploy_user makes it: run that first."
        )
    try:
        made = collect(params, source, target, pins, ways, facts.get("set", {}).get(release, ""), changes)
    except NeedsBuildHost as needs:
        what = f"{needs} has no wheel for {target}, and is built on {params['build_host']}"
        if not collecting:
            raise ReleaseError(f"{what}: by a task with state=built that is delegated to it.") from None
        return {**result, "needs_build": True, "msg": f"{what}."}
    if collecting:
        # Of this very release alone: the source is read again, and may be another one by then.
        result["collected"] = {**facts, "set": {release: wheels.name_of(made.wheels)}}
        if brought := made.modules:
            paths = {entry.path for entry in source.entries}
            wanted = (params["app"], brought, target.minor, source.requirements_name)
            told = lacking_modules(source.directory, paths, *wanted)
            result |= {"warnings": [*result.get("warnings", []), told]} if told else {}
    if check or collecting:
        ready = f"The {made} for {target} is ready on the control node"
        return {**result, "msg": f"{name} isn't in {path} yet. {ready}."}
    record = bundle.record_of(params["source"], digest, source.requirements_name, target, made.packages)
    record |= {
        "shared_files": source.shared_files,
        "seeds": seeds,
        **({"source": source.origin} if source.origin else {}),
    }
    # What to say where the app fails by it: a traceback has no name of SQLite's file, nor a setting's prefix.
    code = read_code(source.directory, [entry.path for entry in source.entries])
    record |= {"writes": list(code.unshared(params["shared_paths"])), "settings": code.unlike}
    record |= {"hosts": {host: variable for variable, (host, _default) in code.hosts.items()}}
    own = source.project if source.project and canonicalize_name(source.project.name) not in made.packages else None
    files = project.added(own, target.minor)
    # Not part of what is cloned with the environment, which other code and another version of it share.
    record |= {"project": project.tops(files)}
    added = write_project(files, os.path.join(workdir, "project"))
    parts = (made.wheels, made.installers, record, made.locked, made.environment, added)
    contents = bundle.Contents(release, source.directory, source.entries, *parts)
    done = deliver(params, contents, facts, ways, target)
    return {**result, **done, "warnings": [*result.get("warnings", []), *done["warnings"]]}


def header_of(params: dict[str, Any], source: Source, target: Target, pins: list[str]) -> dict[str, object]:
    """What makes a release another one besides its files. A requirements file may be among the excluded ones."""
    requirements = source.requirements
    return {
        "method": params["method"],
        "python": target.minor,
        "platform": target.family,
        "requirements": [requirements.lines, requirements.constraints],
        "pins": pins,
        **({"until": requirements.until} if requirements.until else {}),
        "shared_paths": sorted(params["shared_paths"]),
        **({"shared_files": sorted(source.shared_files)} if source.shared_files else {}),
        # Releases without any keep the ids that they had.
        **({"public_paths": sorted(params["public_paths"])} if params["public_paths"] else {}),
        **({"project": source.project.identity} if source.project else {}),
    }


def write_project(files: dict[str, str], into: str) -> methods.Environment:
    """What the release adds to its environment, as files below `into`."""
    for path, text in files.items():
        place = os.path.join(into, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(place, 0o700 if path.startswith("bin/") else 0o600)
    return methods.Environment(into, methods.every_file(into))


def python_of(target: Target) -> dict[str, str]:
    return {
        "version": target.version,
        "tags": f"{target.abi}-{target.abi}-{target.platforms[0]}",
        "libc": f"{target.libc} {'.'.join(map(str, target.libc_version))}",
        "platform": target.family,
    }


def diff_of(facts: dict[str, Any], release: str, keep: int) -> dict[str, str]:
    """The complete releases before and after, oldest first."""
    # '~' sorts behind every date: what is made now is the newest.
    after = {**facts["created"]} if release in facts["created"] else {**facts["created"], release: "~"}
    protected = {*facts["protected"], release}
    waiting = {*facts.get("untried", [])} - protected
    gone = to_prune(after, facts["served"], protected, keep, waiting) if len(after) > len(facts["created"]) else []

    def listing(created: dict[str, str]) -> str:
        return "".join(f"{name}\n" for name in sorted(created, key=lambda name: (created[name], name)))

    kept = {name: when for name, when in after.items() if name not in gone}
    return {
        "before_header": "releases",
        "before": listing(facts["created"]),
        "after_header": "releases",
        "after": listing(kept),
    }


def lacking(requirements: Requirements, index_url: str, say: Say, other: Target) -> list[str]:
    """What an app pins that has no wheel for another target; none where that can't be found out."""
    if not pins_of([*requirements.lines, *requirements.constraints], other):
        return []
    try:
        tools = provide(cache_directory(), requirements.options, index_url, say)
        index = read_index(tools.pip, requirements.options, index_url, CONTROL_NODE)
        with tempfile.TemporaryDirectory(prefix="graceful-shelf-") as new:
            shelf = on_shelf(Collector(cache_directory(), tools, index, other, say), requirements, new)
    except (ReleaseError, ProgramError):
        return []
    return [f"{item.pin}{f' ({item.instead} has one)' * bool(item.instead)}" for item in shelf.lacking(other)]


def files_of_pins(requirements: Requirements, say: Say) -> dict[str, list[str]]:
    """Names of all files that the index has of what an app pins, by package; {} where it can't be asked."""
    names = {Requirement(line).name for line in (*requirements.lines, *requirements.constraints) if "==" in line}
    names = {*map(canonicalize_name, names)}
    names |= {TWINS[name][0] for name in names & TWINS.keys()}
    if not names:
        return {}
    try:
        tools = provide(cache_directory(), requirements.options, "", say)
        say(f"Asking the index which Pythons have wheels of the {len(names)} packages that are pinned…")
        index = read_index(tools.pip, requirements.options, "", CONTROL_NODE)
        return files_of(sorted(names)[:MOST], tools, index)
    except (ReleaseError, ProgramError, ValueError):
        return {}


def collect(
    params: dict[str, Any],
    source: Source,
    target: Target,
    pins: list[str],
    ways: Ways,
    ready: str,
    told: Sequence[str] = (),
) -> methods.Made:
    """The wheels or the locked requirements, and meanwhile what installs them on the host.

    :param ready: name of the set of wheels, where an earlier task of this run has collected them.
    :param told: what is taken in place of what the app names.
    """
    cache = cache_directory()
    options = source.requirements.options
    tools = provide(cache, options, params["index_url"], ways.say)
    # Asked for where it is needed: pip takes a while to say.
    index = functools.cache(lambda: read_index(tools.pip, options, params["index_url"], CONTROL_NODE))
    if collected := wheels.named(cache, ready):
        return methods.from_wheels(collected, host_installers(cache, tools, target, index))
    for sentence in told:
        ways.say(sentence)
    workshop = workshop_of(params, target, ways.query, ways.build, ways.say)
    collector = Collector(cache, tools, index(), target, ways.say, workshop)
    wanted = (collector, source.requirements, pins, source.requirements_name)
    if params["method"] == "venv":
        collected = wheels.collect(*wanted)
        return methods.from_environment(methods.make(collector, collected), collected)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        installers = pool.submit(host_installers, cache, tools, target, index)
        if params["method"] == "index":
            return methods.from_index(locked(*wanted), installers.result())
        return methods.from_wheels(wheels.collect(*wanted), installers.result())
