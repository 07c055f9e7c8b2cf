# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a host able to deploy by itself: an ansible-core and this collection in a directory of their own, and a key."""

from __future__ import annotations

import base64
import glob
import io
import os
import pwd
import secrets
import shutil
import sys
import tarfile

from .._host.files import hold, names_in, read_text, write
from .._host.run import HOST, ProgramError, environment_without, finish, run
from .._release.index import pip_environment, read_index

BASE = "/usr/local/lib/graceful-deploys"
USER = "graceful-deploys"
HOME = "/var/lib/graceful-deploys"
SETTINGS = "/etc/graceful-deploys"
LISTENER = "/etc/graceful-webhook"
RUNNER = "ansible_collections.graceful.deploy.plugins.plugin_utils._push.deploys"
COMPLETE = "complete"
MADE = "# Written by Ansible (graceful.deploy.webhook), with a secret that this host made."
SERVICES = "/etc/systemd/system/*-deploys.service"
PROCESSES = "/proc/[0-9]*/cmdline"


def place_of(digest: str) -> str:
    return os.path.join(BASE, digest)


def present(digest: str) -> bool:
    return os.path.exists(os.path.join(place_of(digest), COMPLETE))


def install(digest: str, archive: str, requirements: str, index_url: str) -> None:
    """Put collection and ansible-core where the digest says, complete or not at all.

    :param archive: the collection as tar.gz, in base64.
    :param requirements: the exact versions, each with its hashes.
    :raises ProgramError: where pip fails.
    """
    place = place_of(digest)
    os.makedirs(BASE, mode=0o755, exist_ok=True)
    lock = hold(BASE, os.O_RDONLY, wait=True)
    try:
        if present(digest):
            return
        shutil.rmtree(place, ignore_errors=True)
        collection = os.path.join(place, "collections", "ansible_collections", "graceful", "deploy")
        os.makedirs(collection, mode=0o755)
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive))) as tar:
            # Made by this collection's own other half. Debian 12's Python has no filters yet; newer ones want one.
            if hasattr(tarfile, "data_filter"):
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(collection)
        listed = os.path.join(place, "requirements.txt")
        write(listed, requirements.encode(), 0o644)
        base = environment_without("PYTHON", "PIP_REQUIRE")
        venv = os.path.join(place, "venv")
        run("Making the environment of ansible-core", [sys.executable, "-m", "venv", venv], base, HOST)
        pip = [os.path.join(venv, "bin", "python"), "-m", "pip"]
        environment = pip_environment(read_index(pip, {}, index_url, HOST), base)
        command = [*pip, "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", listed]
        run("Installing ansible-core", command, environment, HOST)
        # Compiled once, by root: who runs it can't write here.
        finish([pip[0], "-m", "compileall", "-q", "-j", "0", place], base, 600)
        write(os.path.join(place, COMPLETE), b"", 0o644)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def remove_stale(digest: str) -> list[str]:
    """Remove what no app's service is started by any more, nor a deploy that goes on; not the one of this digest."""
    used = [digest, *(read_text(path) for path in [*glob.glob(SERVICES), *glob.glob(PROCESSES)])]
    gone = [name for name in names_in(BASE) if not any(name in text for text in used)]
    for name in gone:
        shutil.rmtree(place_of(name), ignore_errors=True)
    return gone


def left_over(name: str, keep: list[str]) -> list[str]:
    """Files of the app's settings that this run didn't bring, such as of a host that is gone."""
    top, wanted = f"{SETTINGS}/{name}", set(keep)
    found = [os.path.join(place, file) for place, _directories, files in os.walk(top) for file in files]
    return [path for path in found if os.path.relpath(path, top) not in wanted]


def remove(paths: list[str]) -> None:
    for path in paths:
        os.unlink(path)


def key_path(name: str) -> str:
    return os.path.join(HOME, name, "key")


def secret_path(name: str) -> str:
    return os.path.join(LISTENER, f"{name}.secret")


def public_key(name: str) -> str:
    return read_text(f"{key_path(name)}.pub").strip()


def make_key(name: str, host: str) -> None:
    """A key that is read by nobody but the user who deploys."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name} on {host}", "-f", key_path(name)]
    run("Making the deploy key", command, os.environ, HOST, account=pwd.getpwnam(USER))


def has_secret(name: str) -> bool:
    return os.path.exists(secret_path(name))


def make_secret(name: str) -> None:
    write(secret_path(name), f"{MADE}\nSECRET={secrets.token_urlsafe(32)}\n".encode(), 0o600)


def trial(name: str, digest: str) -> str:
    """Why a push couldn't be deployed now, as the user who deploys finds it; '' where it could. Changes nothing."""
    environment = dict(
        line.split("=", 1) for line in read_text(f"{SETTINGS}/{name}/environment").splitlines() if "=" in line
    )
    python = os.path.join(place_of(digest), "venv", "bin", "python")
    command = [python, "-m", RUNNER, f"{SETTINGS}/{name}/deploys.json", "try"]
    try:
        run("Trying", command, environment, HOST, 900, account=pwd.getpwnam(USER), detached=True)
    except ProgramError as error:
        return error.said.strip() or str(error)
    return ""
