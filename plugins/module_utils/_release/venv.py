# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a release's virtual environment from the wheels beside it: by uv, or by pip where uv doesn't run."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable

from .._app.releases import ReleaseError
from .._host.text import last_lines

_LIMIT = 900

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
    sources = _locked(build) if from_index else _sources(build)
    if uv:
        made, installed = uv_commands(uv, build, venv, python, name, sources, from_index is None)
    else:
        made, installed = pip_commands(unpack_pip(build), venv, python, sources, from_index is None)
    run("Making the virtual environment", made, build)
    if from_index:
        from_index("uv" if uv else "pip", installed, build)
    else:
        run("Installing the wheels", installed, build)
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
    return ["--no-index", "--find-links", os.path.join(build, "wheels"), *_locked(build)]


def _locked(build: str) -> list[str]:
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
            subprocess.run([program, "--version"], capture_output=True, timeout=30, check=True, env=environment(build))
        except (OSError, subprocess.SubprocessError):
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
        mended = content.replace(os.fsencode(venv), os.fsencode(final))
        if mended != content:
            with open(path, "wb") as file:
                file.write(mended)


def settle(venv: str, python: str, build: str) -> None:
    """Give an environment that was made elsewhere the interpreter of this host, which is like its own."""
    os.symlink(python, os.path.join(venv, "bin", "python"))
    config = os.path.join(venv, "pyvenv.cfg")
    with open(config, encoding="utf-8") as file:
        kept = [line for line in file if line.partition("=")[0].strip() not in ("home", "version_info")]
    with open(config, "w", encoding="utf-8") as file:
        file.writelines([f"home = {os.path.dirname(os.path.realpath(python))}\n", *kept])
    run("Starting the environment's Python", [os.path.join(venv, "bin", "python"), "-I", "-c", ""], build)


def compile_source(python: str, build: str, tree: str) -> list[str]:
    """Compile the app's own source, which the service may not do itself; returns the files that don't compile.

    Such a file is no reason to stop: it may be a template or a test's data that nobody imports.
    """
    # One process: an app is small against its dependencies, which uv has compiled on all cores.
    command = [python, "-I", "-m", "compileall", "-q", "-x", r"/\.venv/", tree]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_LIMIT, check=False, env=environment(build), errors="replace"
    )
    marker = f"*** Error compiling '{tree}/"
    lines = done.stdout.splitlines()
    return [line[len(marker) :].rstrip(".").rstrip("'") for line in lines if line.startswith(marker)]


def run(step: str, command: list[str], build: str, env: dict[str, str] | None = None) -> str:
    """Run one step; returns what it printed, or raises with its name and the last that it said."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT,
            check=False,
            env=env or environment(build),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ReleaseError(f"{step} failed on the host: {error}") from error
    if done.returncode:
        said = last_lines(done.stderr or done.stdout) or "It said nothing."
        raise ReleaseError(f"{step} failed on the host with exit code {done.returncode}:\n{said}")
    return done.stdout


def environment(build: str) -> dict[str, str]:
    """Nothing of the caller's: no index, no proxy and no PYTHONPATH may take part."""
    path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": build, "TMPDIR": build}
