# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the methods differ in on the control node: wheels, a lock for the host's own index, or a whole environment."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import zipfile
from dataclasses import dataclass

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.files import sha256_of
from ...module_utils._host.run import CONTROL_NODE, environment_without, run
from ...module_utils._release.archive import FORMAT, VENV_TIME
from ...module_utils._release.facts import probe
from .resolver import Collector, versions_of
from .source import Entry
from .target import Target, normal_machine
from .tools import digest_of, forget_unused, making
from .wheels import Wheel, locked_text


@dataclass(frozen=True)
class Made:
    """What an environment is made of on the host.

    :param locked: a requirements file with hashes that names exactly what is installed.
    :param packages: version by name.
    :param environment: where it is shipped whole.
    """

    wheels: list[Wheel]
    installers: list[str]
    locked: str
    packages: dict[str, str]
    environment: Environment | None = None

    def __str__(self) -> str:
        """For a sentence: what the control node has ready."""
        if self.environment:
            return f"environment of {len(self.packages)} packages"
        return f"set of {len(self.wheels)} wheels" if self.wheels else f"lock of {len(self.packages)} packages"

    @property
    def modules(self) -> set[str]:
        """The top modules that it brings; none where only the host's index has them."""
        paths = (
            [entry.path.partition("/site-packages/")[2] for entry in self.environment.entries]
            if self.environment
            else []
        )
        for wheel in self.wheels:
            with zipfile.ZipFile(wheel.path) as archive:
                paths += [re.sub(r"^[^/]+\.data/(pure|plat)lib/", "", name) for name in archive.namelist()]
        return {path.partition("/")[0].partition(".")[0] for path in paths if path.endswith((".py", ".so"))}


def from_wheels(wheels: list[Wheel], installers: list[str]) -> Made:
    packages = {wheel.name: wheel.version for wheel in wheels}
    return Made(wheels, installers, locked_text(wheels), packages)


def from_environment(environment: Environment, wheels: list[Wheel]) -> Made:
    """The wheels are in it, and nothing installs anything on the host."""
    made = from_wheels(wheels, [])
    return Made([], [], made.locked, made.packages, environment)


def from_index(locked: str, installers: list[str]) -> Made:
    return Made([], installers, locked, packages_of(locked))


def packages_of(locked: str) -> dict[str, str]:
    """Version by name of what locked requirements name."""
    return versions_of([line for line in locked.splitlines() if line and line[0] not in " #-"])


_GLIBC = re.compile(rb"GLIBC_2\.(\d+)\0")
_OTHERWISE = "or set fastapi_release_method: wheels, which asks nothing of the control node's Python."


@dataclass(frozen=True)
class Environment:
    """One that is ready to be shipped: files below `directory`, without the link to the interpreter."""

    directory: str
    entries: list[Entry]


def make(collector: Collector, wheels: list[Wheel]) -> Environment:
    """The environment of the wheels, from the cache or made now; raises where this control node can't make it."""
    python = interpreter(collector.target, candidates(collector.target.minor))
    environments = os.path.join(collector.cache, "environments")
    os.makedirs(environments, mode=0o700, exist_ok=True)
    identity = digest_of([FORMAT, python, collector.target.family, locked_text(wheels)])
    path = os.path.join(environments, identity)
    with making(path) as new:
        if new is not None:
            collector.say(f"Making the environment for {collector.target}…")
            _install(collector, wheels, python, new)
            forget_unused(environments)
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
        facts, _problem = probe(program)
        if facts:
            minor = ".".join(str(facts["version"]).split(".")[:2])
            machine = normal_machine(str(facts["machine"]), int(str(facts["bits"])))
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


def _install(collector: Collector, wheels: list[Wheel], python: str, new: str) -> None:
    """By uv, then with one time for all files, which bytecode remembers of its source, and bytecode."""
    uv, venv, locked = collector.tools.uv, os.path.join(new, "venv"), os.path.join(new, "lock.txt")
    with open(locked, "w", encoding="utf-8") as file:
        file.write(locked_text(wheels))
    common = ["--no-config", "--no-progress", "--quiet", "--no-python-downloads", "--no-managed-python"]
    links = ["--no-index", "--find-links", os.path.dirname(wheels[0].path)]
    inside = os.path.join(venv, "bin", "python")
    environment = environment_without("PYTHON", "UV_", "PIP_")
    environment["UV_CACHE_DIR"] = os.path.join(new, "cache")
    for command in (
        [uv, "venv", *common, "--relocatable", "--python", python, "--no-project", venv],
        [uv, "pip", "install", *common, "--offline", *links, "--require-hashes", "--no-deps", "--python", inside]
        + ["-r", locked],
    ):
        run("Making the environment", command, environment, CONTROL_NODE)
    shutil.rmtree(environment["UV_CACHE_DIR"], ignore_errors=True)
    for place, _names, files in os.walk(venv):
        for name in files:
            os.utime(os.path.join(place, name), (VENV_TIME, VENV_TIME), follow_symlinks=False)
    # Quietly: packages ship files that aren't meant for this Python, and uv passes over them as well.
    program = "import compileall, sys; compileall.compile_dir(sys.argv[1], quiet=2, workers=0)"
    run("Compiling", [inside, "-I", "-c", program, os.path.join(venv, "lib")], environment, CONTROL_NODE)


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
