# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a release's virtual environment: by uv or pip from the wheels beside it, or out of another release's.

What two releases share is never written again: Python and the installers replace files by renaming new ones over them,
and only root may write here. What names its own place, in ``bin`` and ``pyvenv.cfg``, is a file of the release's own.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Sequence

from .._app.releases import ReleaseError
from .._host.run import HOST, ProgramError, finish, run
from .store import link_or_copy

_SCRIPT = 1 << 20
"""Bytes that a script or a settings file stays under."""

Install = Callable[[str, list[str], str], None]
"""Runs what installs from an index: 'uv' or 'pip', the command, and the directory of the build."""


def make(build: str, tree: str, final: str, python: str, name: str, from_index: Install | None = None) -> str:
    """Make ``.venv`` in `tree`; returns what made it, 'uv' or 'pip'.

    :param build: directory with ``lock.txt``, ``wheels/`` and ``tools/``.
    :param final: where `tree` will be when it is complete.
    :param python: absolute path of the host's interpreter.
    :param from_index: installs from the host's index in place of ``wheels/``.
    """
    venv = os.path.join(tree, ".venv")
    uv = uv_program(build)
    sources = _requirements(build) if from_index else _sources(build)
    if uv:
        made, installed = uv_commands(uv, build, venv, python, name, sources, from_index is None)
    else:
        made, installed = pip_commands(unpack_pip(build), venv, python, sources, from_index is None)
    run("Making the virtual environment", made, environment(build), HOST)
    if from_index:
        from_index("uv" if uv else "pip", installed, build)
    else:
        run("Installing the wheels", installed, environment(build), HOST)
    if uv:
        return "uv"
    relocate(venv, os.path.join(final, ".venv"))
    return "pip"


def uv_commands(
    uv: str, build: str, venv: str, python: str, name: str, sources: list[str], offline: bool
) -> tuple[list[str], list[str]]:
    """What makes and what fills an environment by uv.

    Links from a cache that is thrown away are as good as copies, and half the writing.
    """
    common = ["--no-config", "--no-progress", "--cache-dir", os.path.join(build, "cache")]
    common += ["--offline"] if offline else []
    host_python = ["--no-managed-python", "--no-python-downloads"]
    inside = ["--python", os.path.join(venv, "bin/python")]
    return (
        [uv, "venv", "--quiet", "--relocatable", "--python", python, *host_python, "--no-project", "--prompt", name]
        + [*common, venv],
        [uv, "pip", "install", *inside, *host_python, *common, *sources]
        + ["--compile-bytecode", "--link-mode", "hardlink"],
    )


def pip_commands(pip: str, venv: str, python: str, sources: list[str], offline: bool) -> tuple[list[str], list[str]]:
    """The same by pip: slower, but with nothing of the host's but its interpreter."""
    quiet = ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-warn-script-location"]
    # The host's configuration is what names its index, and is of no use to wheels that were shipped.
    quiet += ["--isolated"] if offline else []
    return (
        # Debian's python3 has venv without ensurepip; the pip that was shipped does its work.
        [python, "-m", "venv", "--without-pip", venv],
        [os.path.join(venv, "bin/python"), "-I", pip, "install", *quiet, *sources],
    )


def _sources(build: str) -> list[str]:
    return ["--no-index", "--find-links", os.path.join(build, "wheels"), *_requirements(build)]


def _requirements(build: str) -> list[str]:
    """Nothing but wheels: building one would run its code as root."""
    return ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", os.path.join(build, "lock.txt")]


def uv_program(build: str) -> str:
    """The uv of the shipped wheel, or '' where none was shipped or it doesn't run here (a noexec mount, say)."""
    for wheel in glob.glob(os.path.join(build, "tools", "uv-*.whl")):
        program = os.path.join(build, "tools", "uv")
        with zipfile.ZipFile(wheel) as archive:
            member = next((name for name in archive.namelist() if name.endswith(".data/scripts/uv")), None)
            if member is None:
                continue
            with archive.open(member) as source, open(program, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        os.chmod(program, 0o700)
        try:
            run("Starting uv", [program, "--version"], environment(build), HOST, limit=30)
        except ProgramError:
            continue
        return program
    return ""


def unpack_pip(build: str) -> str:
    wheels = glob.glob(os.path.join(build, "tools", "pip-*.whl"))
    if not wheels:
        raise ReleaseError("uv doesn't run on the host, and no pip was shipped to take its place.")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(os.path.join(build, "tools", "pip-unpacked"))
    return os.path.join(build, "tools", "pip-unpacked", "pip")


def relocate(venv: str, final: str) -> None:
    """Write the final path where `python -m venv` and pip wrote the one of the build: scripts, activate, pyvenv.cfg."""
    for path in [os.path.join(venv, "pyvenv.cfg"), *glob.glob(os.path.join(venv, "bin", "*"))]:
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            content = file.read()
        corrected = content.replace(os.fsencode(venv), os.fsencode(final))
        if corrected != content:
            with open(path, "wb") as file:
                file.write(corrected)


def settle(venv: str, python: str, build: str) -> None:
    """Give an environment that was made elsewhere the interpreter of this host, which is like its own."""
    os.symlink(python, os.path.join(venv, "bin", "python"))
    config = os.path.join(venv, "pyvenv.cfg")
    with open(config, encoding="utf-8") as file:
        kept = [line for line in file if line.partition("=")[0].strip() not in ("home", "version_info")]
    with open(config, "w", encoding="utf-8") as file:
        file.writelines([f"home = {os.path.dirname(os.path.realpath(python))}\n", *kept])
    command = [os.path.join(venv, "bin", "python"), "-I", "-c", ""]
    run("Starting the environment's Python", command, environment(build), HOST)


def compile_source(python: str, build: str, tree: str) -> list[str]:
    """Compile the app's own source, which the service may not do itself; returns the files that don't compile.

    Such a file is no reason to stop: it may be a template or a test's data that nobody imports.
    """
    # One process: an app is small against its dependencies, which uv has compiled on all cores.
    command = [python, "-I", "-m", "compileall", "-q", "-x", r"/\.venv/", tree]
    lines = finish(command, environment(build), limit=900).stdout.splitlines()
    marker = f"*** Error compiling '{tree}/"
    return [line[len(marker) :].rstrip(".").rstrip("'") for line in lines if line.startswith(marker)]


def environment(build: str) -> dict[str, str]:
    """Nothing of the caller's: no index, no proxy and no PYTHONPATH may take part."""
    path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": build, "TMPDIR": build}


def add(parts: str, venv: str, paths: Sequence[str]) -> None:
    """Move what is the release's own, `paths` below `parts`, into its environment; never over a file of a package,
    which other releases may share."""
    for path in paths:
        target = os.path.join(venv, path)
        if os.path.lexists(target):
            raise ReleaseError(
                f"The app's pyproject.toml has the command {os.path.basename(path)}, and a package that it needs, or "
                "the environment itself, has one of that name. Give it another name in [project.scripts]."
            )
        os.rename(os.path.join(parts, path), target)


def clone(origin: str, venv: str, final: str, gid: int, without: Sequence[str] = ()) -> None:
    """Make `venv`, which will be at `final`, out of the environment `origin`. Modes and owners are then right.

    :param without: paths below `origin` that were that release's own.
    :raises FileNotFoundError: where `origin` goes meanwhile.
    """
    _directory(venv, gid)
    for place, names, files in os.walk(origin):
        inside = os.path.relpath(place, origin)
        own = {name for name in (*names, *files) if os.path.normpath(os.path.join(inside, name)) in without}
        names[:] = [name for name in names if name not in own]
        for name in (*names, *(name for name in files if name not in own)):
            source, target = os.path.join(place, name), os.path.normpath(os.path.join(venv, inside, name))
            if os.path.islink(source):
                os.symlink(os.readlink(source), target)
                os.chown(target, -1, gid, follow_symlinks=False)
            elif name in names:
                _directory(target, gid)
            elif names_its_place(source, os.path.join(inside, name), origin):
                _written_anew(source, target, origin, final, gid)
            else:
                link_or_copy(source, target)


def names_its_place(source: str, inside: str, origin: str) -> bool:
    """Whether a file holds the path of its environment. Programs of megabytes, such as Ruff's, don't."""
    if os.path.normpath(inside) != "pyvenv.cfg" and os.path.dirname(inside) != "bin":
        return False
    if os.path.getsize(source) > _SCRIPT:
        return False
    with open(source, "rb") as file:
        return os.fsencode(origin) in file.read()


def _directory(path: str, gid: int) -> None:
    os.mkdir(path, 0o700)
    os.chown(path, -1, gid)
    os.chmod(path, 0o750)


def _written_anew(source: str, target: str, origin: str, final: str, gid: int) -> None:
    before = os.stat(source)
    with open(source, "rb") as file:
        content = file.read()
    with open(target, "xb") as file:
        file.write(content.replace(os.fsencode(origin), os.fsencode(final)))
    os.chown(target, -1, gid)
    os.chmod(target, stat.S_IMODE(before.st_mode))
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))


def fingerprint(venv: str) -> dict[str, object]:
    """What tells whether an environment is still as it was made: ``digest`` of its files' names, sizes and times.

    Bytecode is left out: Python may have written some for another level of optimisation. ``directories`` is their
    number, which is what a clone takes on the disk.
    """
    lines, directories = [], 0
    for place, names, files in os.walk(venv):
        directories += 1 + ("__pycache__" in names)
        names[:] = [name for name in names if name != "__pycache__"]
        for name in [*files, *(name for name in names if os.path.islink(os.path.join(place, name)))]:
            path = os.path.join(place, name)
            found = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(found.st_mode) else f"{found.st_size} {found.st_mtime_ns}"
            lines.append(f"{os.path.relpath(path, venv)} {content}\n")
    return {"digest": hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(), "directories": directories}
