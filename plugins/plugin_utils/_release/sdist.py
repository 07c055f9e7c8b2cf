# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that an index has as source alone: fetched without running them, and made into wheels once."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.files import sha256_of
from ...module_utils._host.run import CONTROL_NODE, ProgramError, run
from ...module_utils._host.text import mask
from ...module_utils._release.index import Index, secrets, uv_environment
from . import git, trees
from .packages import (
    Requirement,
    canonicalize_name,
    canonicalize_version,
    parse_sdist_filename,
    parse_wheel_filename,
)
from .requirements import COMMIT, Requirements
from .shelf import TWINS, misfit
from .target import Target
from .tools import Say, Tools, constraining, digest_of, fetch, forget_unused, making

# pip runs a package's code as soon as it has its source, and for many that fails where nothing can be compiled. So it
# is stopped between the two. What else the index has of the package it tells on the way.
_FETCH = """
import shutil, sys
sys.path.insert(0, sys.argv[1])
from pip._internal.cli.main import main
from pip._internal.index.package_finder import LinkEvaluator
from pip._internal.operations import prepare
look, seen = LinkEvaluator.evaluate_link, {}
def looking(evaluator, link):
    seen[link.filename] = None
    return look(evaluator, link)
LinkEvaluator.evaluate_link = looking
fetch, kept = prepare.unpack_url, []
def keep(*arguments, **options):
    kept.append(shutil.copy(fetch(*arguments, **options).path, sys.argv[2]))
    raise SystemExit
prepare.unpack_url = keep
status = main(sys.argv[3:])
print(*seen, sep="\\n")
sys.exit(0 if kept else status)
"""


class NeedsBuildHost(Exception):
    """A wheel has to be built on another host; carries the requirement."""


@dataclasses.dataclass(frozen=True)
class Workshop:
    """Where wheels are built.

    :param key: what besides the source's digest decides the wheel.
    :param build: the source's path, an empty directory, the tools and the index -> the wheel's path in it; raises
        with what a person has to know.
    :param compiles: whether it can build more than pure Python.
    """

    key: Sequence[object]
    build: Callable[[str, str, Tools, Index], str]
    compiles: bool = True


@dataclasses.dataclass
class Sources:
    """The wheels that are built for one set.

    :param directory: one for them, which may be missing; what is in it is as good as on the index.
    :param built: (name, version) -> SHA-256 of the wheel.
    """

    directory: str
    cache: str
    tools: Tools
    index: Index
    target: Target
    workshop: Workshop
    say: Say
    built: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    tried: set[str] = dataclasses.field(default_factory=set)

    @property
    def with_built(self) -> Index:
        """The index and the wheels that were built."""
        if not self.built:
            return self.index
        return dataclasses.replace(self.index, find_links=(*self.index.find_links, self.directory))

    def add(self, missing: str, requirements: Requirements) -> str:
        """Build the wheel of `missing`, 'name' or 'name==version'; returns '', or a sentence on why that can't be."""
        if missing in self.tried:
            return self._unfit(missing)
        if not self.workshop.compiles and canonicalize_name(missing.partition("==")[0]) in TWINS:
            return f"Its source is compiled. {WAY_OUT}."
        self.tried.add(missing)
        os.makedirs(self.directory, exist_ok=True)
        try:
            source = self.fetch(wanted(missing, requirements), requirements.end)
            wheel = self._wheel(source, missing)
        except (ReleaseError, ProgramError) as error:
            return str(error)
        name, version, _build_number, _tags = parse_wheel_filename(os.path.basename(wheel))
        key = (str(name), canonicalize_version(str(version)))
        # pip has checked it before; this holds for whatever version the wheel turned out to be.
        if sha256_of(source) not in requirements.hashes.get(key, {sha256_of(source)}):
            return f"The hash of {os.path.basename(source)} is none of those that are listed."
        if wrong := misfit(os.path.basename(wheel), self.target):
            return f"Its source was built to {os.path.basename(wheel)}, and {wrong}. {_TAGGED}"
        self.built[key] = sha256_of(shutil.copy(wheel, self.directory))
        return ""

    def _unfit(self, missing: str) -> str:
        """Why what was built isn't taken, although its tags fit."""
        name, _separator, version = missing.partition("==")
        built = next((its for other, its in self.built if other == canonicalize_name(name)), "")
        if version and built and built != canonicalize_version(version):
            return (
                f"Its source calls itself {name}=={built} when it is built, so no {missing} comes of it. Write that "
                "version if the index has it, else another."
            )
        return (
            f"Its source was built{f' to {name}=={built}' * bool(built)}, and what the wheel says of itself "
            f"(Requires-Python, its name or version) isn't for {self.target}. Write another version of it."
        )

    def add_own(self, line: str) -> str:
        """Build the wheel of a line that names a commit or a directory of the app's repository; returns the line that
        takes it, '' if the host needs none."""
        wanted = COMMIT.fullmatch(line) or trees.TREE.fullmatch(line)
        if wanted is None:
            return line
        marker = Requirement(line).marker
        if marker is not None and not marker.evaluate(self.target.markers):
            return ""
        self.tried.add(line)
        where = wanted.groupdict().get("path")
        shown, kind = (unquote(where), "directory") if where else (mask(line), "commit")
        os.makedirs(self.directory, exist_ok=True)
        try:
            source = trees.archive_of(wanted, self.cache) if where else self._checked_out(wanted)
            self.say(f"Building the wheel of {wanted['name']} from its {kind}…")
            wheel = self._wheel(source, shown)
        except (ReleaseError, ProgramError) as error:
            said = str(error).removeprefix("" if where else f"fastapi_source is {mask(wanted['url'])}, and ")
            raise ReleaseError(f"fastapi_requirements has {shown}, and its wheel can't be built: {said}") from None
        name, version, _build_number, _tags = parse_wheel_filename(os.path.basename(wheel))
        if str(name) != canonicalize_name(wanted["name"]):
            raise ReleaseError(f"fastapi_requirements has {shown}, and what is built there is {name}. Write that name.")
        self.built[(str(name), canonicalize_version(str(version)))] = sha256_of(shutil.copy(wheel, self.directory))
        return f"{name}{wanted['extras'] or ''}=={version}{wanted['marker'] or ''}"

    def _checked_out(self, wanted: re.Match[str]) -> str:
        """An archive of what a line that COMMIT matches names."""
        into = os.path.join(self.directory, f"source-{len(self.tried)}")
        os.makedirs(os.path.join(into, "tree"))
        git.checkout(git.remote_of(wanted["url"], wanted["commit"]), self.cache, os.path.join(into, "tree"))
        top = os.path.normpath(os.path.join(into, "tree", wanted["below"] or ""))
        if not f"{top}/".startswith(f"{into}/tree/") or not os.path.isdir(top):
            raise ReleaseError(f"there is no directory {wanted['below']} in that commit.")
        path = os.path.join(into, commit_name(wanted["name"], wanted["commit"]))
        trees.pack(top, [""], path, os.path.basename(path).removesuffix(".tar.gz"))
        return path

    def fetch(self, line: str, end: str) -> str:
        """The source's path. Where the app lists hashes for it, pip checks them.

        :param end: the moment after which nothing is taken where no version is named; '' for none.
        :raises ReleaseError: where it has to be compiled, which isn't done here. To find that out by building it takes
            minutes for a large one.
        """
        into = os.path.join(self.directory, f"source-{len(self.tried)}")
        os.mkdir(into)
        path = os.path.join(into, "wanted.in")
        with open(path, "w", encoding="utf-8") as file:
            file.write(line + "\n")
        command = [sys.executable, "-I", "-c", _FETCH, os.path.dirname(self.tools.pip[-1]), into]
        command += ["download", "--quiet", "--no-deps", "--no-binary=:all:", "--python-version", self.target.version]
        command += ["-d", os.path.join(into, "unused"), "-r", path]
        # A version that the resolver has chosen obeys them already.
        command += [] if "==" in line else constraining(self.index)
        command += ["--uploaded-prior-to", end] if end and "==" not in line else []
        seen = fetch("Fetching its source", command, self.index).split()
        (source,) = (entry.path for entry in os.scandir(into) if entry.is_file() and entry.path != path)
        pythons = [] if self.workshop.compiles else compiled_for(os.path.basename(source), seen)
        if pythons:
            raise ReleaseError(f"Its source is compiled. It has wheels for Python {', '.join(pythons)}. {WAY_OUT}.")
        return source

    def _wheel(self, source: str, missing: str) -> str:
        key = digest_of([sha256_of(source), *self.workshop.key])
        place = os.path.join(self.cache, "built", key)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with making(place) as new:
            if new is not None:
                self.say(f"Building the wheel of {missing} from its source…")
                wheel = self.workshop.build(source, new, self.tools, self.index)
                for entry in os.scandir(new):
                    if entry.path != wheel:
                        shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)
                forget_unused(os.path.dirname(place))
        os.utime(place)
        return glob.glob(os.path.join(glob.escape(place), "*.whl"))[0]


def commit_name(project: str, commit: str) -> str:
    """The file name of a commit's archive. Where a tool could read the commit as a version, as that of 2177163436a6, an
    alpha release, it would expect the metadata to say so."""
    return f"{project}-git{commit[:12]}.tar.gz"


def wanted(missing: str, requirements: Requirements) -> str:
    """The line for pip: the version that the requirements leave, and the hashes that they list for it."""
    name, _separator, version = missing.partition("==")
    canonical = canonicalize_name(name)
    if not version:
        parsed = [Requirement(line) for line in [*requirements.lines, *requirements.constraints]]
        ranges = [str(item.specifier) for item in parsed if canonicalize_name(item.name) == canonical]
        missing = name + ",".join(dict.fromkeys(filter(None, ranges)))
        version = missing.removeprefix(f"{name}==")
    hashes = requirements.hashes.get((canonical, canonicalize_version(version)), set())
    return " ".join([missing, *(f"--hash=sha256:{digest}" for digest in sorted(hashes))])


WAY_OUT = (
    "Set fastapi_build_host to a host of the inventory with the same Python and platform, where it is built. That host "
    "needs compilers: apt-get install build-essential python3-dev"
)
_TAGGED = (
    "The package gives that tag itself (in its setup.py, setup.cfg or pyproject.toml). Write another version of it, or "
    "build its wheel on a host with that Python (pip wheel), and give the directory by a --find-links line."
)


def compiled_for(source: str, files: Sequence[str]) -> list[str]:
    """The Pythons for which an index has compiled wheels of a source's version; none where it may be pure. Pure.

    :param source: file name of the source.
    :param files: names of all files of the package.
    """
    found = set()
    for file in files:
        try:
            name, version, _build_number, tags = parse_wheel_filename(file)
            if (name, version) != parse_sdist_filename(source):
                continue
        except ValueError:
            continue
        if any(tag.platform == "any" for tag in tags):
            return []
        found |= {tag.interpreter for tag in tags if "linux" in tag.platform}
    minors = sorted(int(tag[3:]) for tag in found if re.fullmatch(r"cp3\d+", tag))
    return [f"3.{minor}" for minor in minors]


def build_here(source: str, into: str, tools: Tools, index: Index) -> str:
    """Build on the control node what fits every host: pure Python."""
    command = [tools.uv, "build", "--wheel", "--python", sys.executable, "-o", into, source]
    command += ["--no-index"] if index.no_index else []
    try:
        run("Building its source", command, uv_environment(index, os.environ), CONTROL_NODE, hidden=secrets(index))
    except ProgramError as error:
        raise ReleaseError(f"{WAY_OUT}. {error}") from None
    (wheel,) = glob.glob(os.path.join(glob.escape(into), "*.whl"))
    if not is_pure(os.path.basename(wheel)):
        raise ReleaseError(f"Its source is compiled, here to {os.path.basename(wheel)}. {WAY_OUT}.")
    return wheel


def is_pure(filename: str) -> bool:
    """Whether a wheel is for any platform and for every Python 3."""
    tags = parse_wheel_filename(filename)[3]
    return any((tag.interpreter, tag.abi, tag.platform) == ("py3", "none", "any") for tag in tags)


HERE = Workshop([], build_here, compiles=False)


def later(source: str, into: str, tools: Tools, index: Index) -> str:
    """For a task that may not build: leaves it to the one that is delegated to the build host."""
    raise NeedsBuildHost(re.sub(r"(\.tar\.\w+|\.zip)$", "", os.path.basename(source)))
