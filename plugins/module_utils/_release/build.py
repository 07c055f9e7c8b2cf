# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds one wheel from source on a build host, from what was sent alone, as a user without rights."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import tempfile
import zipfile

from .._app.releases import ReleaseError
from .._host.files import sha256_of
from .._host.run import BUILD_HOST, ProgramError, run


def build(archive: str, sha256: str, python: str) -> dict[str, str]:
    """Build the wheel; returns its path, beside the archive, and its SHA-256.

    :param archive: with ``source/``, ``pip/`` and ``wheels/``, which hold what the build needs.
    :param python: absolute path of the interpreter that the wheel is for.
    """
    if sha256_of(archive) != sha256:
        raise ReleaseError("The archive came over damaged: its SHA-256 isn't the one it was sent with. Run again.")
    # What is unpacked is for the build to read, whatever the module's umask is; it may write to `own` alone.
    umask = os.umask(0o022)
    work = tempfile.mkdtemp(prefix="graceful-build-")
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(work)
        (source,) = glob.glob(os.path.join(glob.escape(work), "source", "*"))
        (pip,) = glob.glob(os.path.join(glob.escape(work), "pip", "*.whl"))
        with zipfile.ZipFile(pip) as wheel:
            wheel.extractall(os.path.join(work, "tool"))
        os.makedirs(os.path.join(work, "wheels"), exist_ok=True)
        own = os.path.join(work, "own")
        os.mkdir(own, 0o700)
        os.chmod(work, 0o755)
        _run(command(python, work, own, source), own, os.path.basename(source))
        (built,) = glob.glob(os.path.join(glob.escape(own), "out", "*.whl"))
        # For the user who fetches it, who needn't be the one who builds.
        kept = os.path.join(os.path.dirname(archive), os.path.basename(built))
        _copy(built, kept)
    finally:
        os.umask(umask)
        shutil.rmtree(work, ignore_errors=True)
    return {"wheel": kept, "sha256": sha256_of(kept)}


def _copy(built: str, kept: str) -> None:
    """Copy what the build made, which may be a link to something that the build couldn't read."""
    with os.fdopen(os.open(built, os.O_RDONLY | os.O_NOFOLLOW), "rb") as source, open(kept, "xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def command(python: str, work: str, own: str, source: str) -> list[str]:
    pip = [python, "-I", os.path.join(work, "tool", "pip"), "wheel", "--isolated", "--no-input", "--no-cache-dir"]
    pip += ["--disable-pip-version-check", "--no-deps", "--no-index", "--find-links", os.path.join(work, "wheels")]
    return [*pip, "-w", os.path.join(own, "out"), source]


def _run(arguments: list[str], own: str, name: str) -> None:
    """Run the build. It executes whatever the package wants, so not as root.

    :param own: an empty directory that was made for it; the only one that is given away.
    """
    nobody = None
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(own, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": own, "TMPDIR": own}
    try:
        run(f"Building {name}", arguments, environment, BUILD_HOST, 3600, directory=own, account=nobody)
    except ProgramError as error:
        if not error.said:
            raise
        raise ReleaseError(
            f"Building {name} failed on the build host. A compiler and headers have to be there: build-essential, "
            f"python3-dev, and what the package's own documentation asks for.\n{error.said}"
        ) from None
