# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wheels from source on a host like the target: what is sent there, and whether it is like it."""

from __future__ import annotations

import os
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from typing import Any

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.files import sha256_of
from ...module_utils._release.index import Index
from .requirements import Requirements
from .resolver import Collector
from .sdist import HERE, Workshop, later
from .target import Target, target_of
from .tools import Say, Tools, cache_directory
from .wheels import collect

_DEFAULT = ["setuptools>=40.8.0", "wheel"]
"""What builds a source that doesn't say what does, by PEP 517."""

Build = Callable[[str, str, str], str]
"""The archive's path, its SHA-256 and a directory -> the wheel's path, which the build host's came to."""


def workshop_of(
    params: dict[str, Any], target: Target, query: Callable[[], dict[str, Any]], build: Build, say: Say
) -> Workshop:
    """Where this task builds wheels: on the control node, on the host that it is delegated to, or not at all."""
    if not params["build_host"]:
        return HERE
    key = ["host", target.minor, target.platforms[0]]
    if params["state"] != "built":
        return Workshop(key, later)

    def there(source: str, into: str, tools: Tools, index: Index) -> str:
        facts = query()
        if facts["interpreter_problem"]:
            raise ReleaseError(
                f"fastapi_build_host is {params['build_host']}: fastapi_python {facts['interpreter_problem']}"
            )
        like = target_of(facts["interpreter"])
        check_alike(params["build_host"], like, target)
        collector = Collector(cache_directory(), tools, index, like, say)
        name = os.path.basename(source)
        needed = Requirements(lines=build_requirements(source))
        wheels = collect(collector, needed, [], f"what builds {name}") if needed.lines else []
        archive = os.path.join(into, "build.zip")
        with zipfile.ZipFile(archive, "w") as packed:
            packed.write(source, f"source/{name}")
            packed.write(tools.wheel("pip"), f"pip/{os.path.basename(tools.wheel('pip'))}")
            for wheel in wheels:
                packed.write(wheel.path, f"wheels/{os.path.basename(wheel.path)}")
        return build(archive, sha256_of(archive), into)

    return Workshop(key, there)


def check_alike(name: str, like: Target, target: Target) -> None:
    """Raise unless what is built on `like` runs on `target`; an older C library of the same kind is as good."""
    same = [(found.minor, found.family) for found in (like, target)]
    if same[0] != same[1] or like.libc_version > target.libc_version:
        raise ReleaseError(
            f"fastapi_build_host is {name}, which has {like}, and the host that the wheels are for has {target}. "
            "Name one with the same Python and platform and no newer C library, such as the host itself."
        )


def build_requirements(source: str) -> list[str]:
    """What the source's pyproject.toml asks for to be built."""
    try:
        content = _project_in(source)
    except Exception as error:
        # What the two libraries raise for damage is of any kind.
        raise ReleaseError(f"{os.path.basename(source)} can't be unpacked: {error or type(error).__name__}.") from error
    try:
        system = tomllib.loads(content.decode()).get("build-system", {})
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"pyproject.toml in {os.path.basename(source)} can't be read: {error}") from error
    return list(system.get("requires", _DEFAULT))


def _project_in(source: str) -> bytes:
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            return next((archive.read(name) for name in archive.namelist() if _is_project(name)), b"")
    with tarfile.open(source) as tar:
        member = next((m for m in tar if m.isreg() and _is_project(m.name)), None)
        text = tar.extractfile(member) if member else None
        return text.read() if text else b""


def _is_project(name: str) -> bool:
    return name.count("/") == 1 and name.endswith("/pyproject.toml")
