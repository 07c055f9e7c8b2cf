# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's cache, and in it a pip and a uv of its own, so that the collection needs ansible-core alone."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import CONTROL_NODE, ProgramError, run
from ...module_utils._release.index import Index, pip_environment, read_index, secrets
from ...module_utils._release.place import mutex
from .target import Target, wheel_fits

UV = "0.13.9"
PIP = "26.3"
_UNUSED_DAYS = 60

Say = Callable[[str], None]


@dataclass(frozen=True)
class Tools:
    """A directory with the program ``uv``, pip's package, and the wheels that both came from."""

    directory: str

    @property
    def uv(self) -> str:
        return os.path.join(self.directory, "uv")

    @property
    def pip(self) -> list[str]:
        """pip runs from its directory: no virtual environment to make, and the site's own pip.conf holds."""
        return [sys.executable, "-I", os.path.join(self.directory, "pip")]

    def wheel(self, name: str) -> str:
        return glob.glob(os.path.join(self.directory, "wheels", f"{name}-*.whl"))[0]


def cache_directory() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(base, "graceful.deploy")
    try:
        os.makedirs(os.path.join(path, "wheels"), mode=0o700, exist_ok=True)
    except OSError as error:
        raise ReleaseError(
            f"The cache {path} can't be made: {error.strerror}. Point XDG_CACHE_HOME elsewhere."
        ) from error
    return path


def digest_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


@contextlib.contextmanager
def making(path: str) -> Iterator[str | None]:
    """A directory to fill that becomes `path` at the end; None where `path` is there, made meanwhile by another fork.

    Leftovers of a process that died are cleared by the next one.
    """
    parent, name = os.path.split(path)
    with mutex(os.path.join(parent, f".{name}.lock")):
        if os.path.isdir(path):
            yield None
            return
        for leftover in glob.glob(os.path.join(glob.escape(parent), f".{name}-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        new = tempfile.mkdtemp(prefix=f".{name}-", dir=parent)
        try:
            yield new
            os.rename(new, path)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def forget_unused(directory: str) -> None:
    """Keep the cache from growing for ever."""
    for entry in os.scandir(directory):
        if not entry.name.startswith(".") and entry.stat().st_mtime < time.time() - _UNUSED_DAYS * 86400:
            shutil.rmtree(entry.path, ignore_errors=True)


def provide(cache: str, options: Mapping[str, list[str]], index_url: str, say: Say) -> Tools:
    """The tools of the cache, fetched at the first use on this control node."""
    identity = digest_of([UV, PIP, platform.system(), platform.machine(), platform.libc_ver()])
    path = os.path.join(cache, f"tools-{identity}")
    if os.path.isdir(path):
        return Tools(path)
    with making(path) as new:
        if new is not None:
            say(f"Fetching uv {UV} and pip {PIP} for this control node, once…")
            pip = _first_pip(new)
            index = read_index(pip, options, index_url, CONTROL_NODE)
            wheels = os.path.join(new, "wheels")
            command = [*pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", wheels]
            command += [f"uv=={UV}", f"pip=={PIP}"]
            fetch("Fetching uv and pip from the index", command, index)
            _unpack(wheels, new)
            shutil.rmtree(os.path.join(new, "first"), ignore_errors=True)
    return Tools(path)


def fetch(step: str, pip: list[str], index: Index) -> str:
    """Run a command of pip's that takes something from the index; returns what it printed."""
    return run(step, pip, pip_environment(index, os.environ), CONTROL_NODE, hidden=secrets(index))


def constraining(index: Index) -> list[str]:
    """Arguments for pip and uv that hold versions to the constraints of pip's own configuration."""
    return [argument for path in index.constraints for argument in ("-c", path)]


def _first_pip(new: str) -> list[str]:
    """The pip that fetches pip: Ansible's own Python's, or one that the standard library brings."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    first = os.path.join(new, "first")
    try:
        run("Making an environment for pip", [sys.executable, "-m", "venv", first], os.environ, CONTROL_NODE)
    except ProgramError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ReleaseError(
            f"The control node's Python ({sys.executable}) has neither pip nor venv, which collect the wheels. Install "
            f"one for it: apt-get install python{version}-venv"
        ) from None
    return [os.path.join(first, "bin", "python"), "-m", "pip"]


def _unpack(wheels: str, into: str) -> None:
    (uv,) = glob.glob(os.path.join(wheels, "uv-*.whl"))
    (pip,) = glob.glob(os.path.join(wheels, "pip-*.whl"))
    with zipfile.ZipFile(pip) as archive:
        archive.extractall(into, [name for name in archive.namelist() if name.startswith("pip/")])
    with zipfile.ZipFile(uv) as archive:
        (program,) = (name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        with archive.open(program) as source, open(os.path.join(into, "uv"), "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    os.chmod(os.path.join(into, "uv"), 0o700)


def host_installers(cache: str, own: Tools, target: Target, index_of_run: Callable[[], Index]) -> list[str]:
    """Paths of the wheels that install on the host: uv's for its platform where there is one, and pip's."""
    if wheel_fits(os.path.basename(own.wheel("uv")), target.platforms):
        return [own.wheel("uv"), own.wheel("pip")]
    path = os.path.join(cache, f"uv-{digest_of([UV, target.platforms])}")
    with making(path) as new:
        if new is not None:
            index = index_of_run()
            command = [*own.pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", new, f"uv=={UV}"]
            command += [argument for tag in target.platforms for argument in ("--platform", tag)]
            fetch(f"Fetching uv for {target}", command, index)
    return [*glob.glob(os.path.join(path, "uv-*.whl")), own.wheel("pip")]
