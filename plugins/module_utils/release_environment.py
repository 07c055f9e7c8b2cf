# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Method venv: the whole environment is made on the control node, by a Python like the host's, and shipped as it is."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from dataclasses import dataclass

from ansible_collections.graceful.deploy.plugins.module_utils import (
    release_facts,
    release_tools,
    release_wheels,
)
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import (
    FORMAT,
    VENV_TIME,
    ReleaseError,
    sha256_of,
)
from ansible_collections.graceful.deploy.plugins.module_utils.release_source import Entry
from ansible_collections.graceful.deploy.plugins.module_utils.release_target import Target, normal_machine

_GLIBC = re.compile(rb"GLIBC_2\.(\d+)\0")
_OTHERWISE = "or set fastapi_release_method: wheels, which asks nothing of the control node's Python."


@dataclass(frozen=True)
class Environment:
    """One that is ready to be shipped: files below `directory`, without the link to the interpreter."""

    directory: str
    entries: list[Entry]


def make(collector: release_wheels.Collector, wheels: list[release_wheels.Wheel]) -> Environment:
    """The environment of the wheels, from the cache or made now; raises where this control node can't make it."""
    python = interpreter(collector.target, candidates(collector.target.minor))
    environments = os.path.join(collector.cache, "environments")
    os.makedirs(environments, mode=0o700, exist_ok=True)
    identity = release_tools.digest_of([FORMAT, python, collector.target.family, release_wheels.lock_text(wheels)])
    path = os.path.join(environments, identity)
    with release_tools.making(path) as new:
        if new is not None:
            collector.say(f"Making the environment for {collector.target}…")
            _install(collector, wheels, python, new)
            release_tools.forget_unused(environments)
    os.utime(path)
    directory = os.path.join(path, "venv")
    entries = [entry for entry in every_file(directory) if entry.path != "bin/python"]
    check_libc(directory, entries, collector.target)
    return Environment(directory, entries)


def candidates(minor: str) -> list[str]:
    """Interpreters of this control node that may be like the host's."""
    found = [sys.executable, shutil.which(f"python{minor}"), shutil.which("python3")]
    return [program for program in dict.fromkeys(found) if program]


def interpreter(target: Target, programs: list[str]) -> str:
    """The one of `programs` that is like the host's; raises with both where none is."""
    seen = []
    for program in programs:
        facts, _problem = release_facts.probe(program)
        if facts:
            minor = ".".join(str(facts["version"]).split(".")[:2])
            machine = normal_machine(str(facts["machine"]), int(facts["bits"]))
            libc = str(facts["libc"]).partition(" ")[0]
            like = (minor, machine, libc) == (target.minor, target.machine, target.libc)
            if like and facts["implementation"] == "cpython" and not facts["free_threaded"]:
                return program
            seen.append(f"Python {minor} on {machine} with {libc} ({program})")
    raise ReleaseError(
        f"fastapi_release_method is venv, and the host has {target}, while the control node has "
        f"{', '.join(seen)}. Install Python {target.minor} on the control node, deploy from one like the host, "
        f"{_OTHERWISE}"
    )


def _install(collector: release_wheels.Collector, wheels: list[release_wheels.Wheel], python: str, new: str) -> None:
    """By uv, then with one time for all files, which bytecode remembers of its source, and bytecode."""
    uv, venv, lock = collector.tools.uv, os.path.join(new, "venv"), os.path.join(new, "lock.txt")
    with open(lock, "w", encoding="utf-8") as file:
        file.write(release_wheels.lock_text(wheels))
    common = ["--no-config", "--no-progress", "--quiet", "--no-python-downloads", "--no-managed-python"]
    links = ["--no-index", "--find-links", os.path.dirname(wheels[0].path)]
    inside = os.path.join(venv, "bin", "python")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UV_", "PIP_"))}
    environment["UV_CACHE_DIR"] = os.path.join(new, "cache")
    for command in (
        [uv, "venv", *common, "--relocatable", "--python", python, "--no-project", venv],
        [uv, "pip", "install", *common, "--offline", *links, "--require-hashes", "--no-deps", "--python", inside]
        + ["-r", lock],
    ):
        release_tools.run("Making the environment", command, environment)
    shutil.rmtree(environment["UV_CACHE_DIR"], ignore_errors=True)
    for place, _names, files in os.walk(venv):
        for name in files:
            os.utime(os.path.join(place, name), (VENV_TIME, VENV_TIME), follow_symlinks=False)
    # Quietly: packages ship files that aren't meant for this Python, and uv passes over them as well.
    program = "import compileall, sys; compileall.compile_dir(sys.argv[1], quiet=2, workers=0)"
    release_tools.run("Compiling", [inside, "-I", "-c", program, os.path.join(venv, "lib")], environment)


def every_file(directory: str) -> list[Entry]:
    """Every file and link below a directory of our own making, sorted by path."""
    found = []
    for place, names, files in os.walk(directory):
        for name in [*files, *(name for name in names if os.path.islink(os.path.join(place, name)))]:
            path = os.path.join(place, name)
            inside = os.path.relpath(path, directory)
            if os.path.islink(path):
                found.append(Entry(inside, False, 0, "", os.readlink(path)))
            else:
                info = os.stat(path)
                found.append(Entry(inside, bool(info.st_mode & stat.S_IXUSR), info.st_size, sha256_of(path)))
    return sorted(found, key=lambda entry: entry.path)


def check_libc(directory: str, entries: list[Entry], target: Target) -> None:
    """Raise where a compiled file needs a newer glibc than the host has."""
    for entry in entries:
        if target.libc != "glibc" or entry.target or ".so" not in os.path.basename(entry.path):
            continue
        with open(os.path.join(directory, entry.path), "rb") as file:
            needed = max((int(number) for number in _GLIBC.findall(file.read())), default=0)
        if needed > target.libc_version[1]:
            raise ReleaseError(
                f"fastapi_release_method is venv, and {entry.path} needs glibc 2.{needed}, where the host has 2."
                f"{target.libc_version[1]}. Make it on a control node as old as the host, {_OTHERWISE}"
            )
