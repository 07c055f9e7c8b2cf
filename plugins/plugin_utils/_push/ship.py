# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host needs to deploy by itself, collected on the control node: this collection, the inventory and its
passwords, and settings."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import re
import stat
import tarfile
import typing as t
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...module_utils._push import install

COLLECTION = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_PARTS = ("plugins", "roles", "playbooks", "meta", "MANIFEST.json", "FILES.json", "galaxy.yml")
_NEVER = re.compile(r"(\.git|\.hg|\.svn|__pycache__|\.venv|.*\.(pyc|swp|retry))$|.*~$")
_LARGEST = 1 << 20
_MOST = 500
VAULTED = b"$ANSIBLE_VAULT;"


class ShipError(Exception):
    """What can't be shipped, in a sentence for the user."""


@dataclass(frozen=True)
class File:
    """A file below the deploying user's directory.

    :param path: relative, with slashes.
    """

    path: str
    content: bytes
    executable: bool = False

    @property
    def text(self) -> str:
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            raise ShipError(
                f"{self.path} isn't text in UTF-8, as files of an inventory are. Give the inventory a directory of its "
                "own."
            ) from None


def collection_archive() -> bytes:
    """This collection as a tar.gz, the same bytes for the same files: its digest names what is installed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(_files(COLLECTION, _PARTS)):
            info = tarfile.TarInfo(os.path.relpath(path, COLLECTION))
            with open(path, "rb") as file:
                content = file.read()
            info.size, info.mode = len(content), 0o755 if os.stat(path).st_mode & 0o100 else 0o644
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _files(top: str, parts: Iterable[str], links: bool = False) -> t.Iterator[str]:
    """:param links: whether links to directories are followed, as Ansible does in an inventory."""
    for part in parts:
        path = os.path.join(top, part)
        if os.path.isfile(path):
            yield path
        for place, directories, names in os.walk(path, followlinks=links):
            # A link to where it is would have no end.
            here = f"{os.path.realpath(place)}/"
            directories[:] = sorted(
                name
                for name in directories
                if not _NEVER.match(name) and not here.startswith(f"{os.path.realpath(os.path.join(place, name))}/")
            )
            yield from (os.path.join(place, name) for name in names if not _NEVER.match(name))


def inventory(sources: Sequence[str]) -> tuple[list[str], list[File]]:
    """The inventories of a run, as paths for `-i` below the new place, and their files.

    :param sources: as Ansible has them, absolute.
    :raises ShipError: where a source is no file that can be copied.
    """
    places, found = [], list[tuple[str, str]]()
    for number, source in enumerate(sources, start=1):
        if "," in source and not os.path.exists(source):
            raise ShipError(
                f"The inventory of this run is a list of hosts (-i {source}), and a deploy without you needs its "
                "variables too. Write a file, such as inventory/hosts.yml, with group_vars beside it."
            )
        if not os.path.exists(source):
            raise ShipError(f"The inventory {source} isn't there any more.")
        name = f"inventory/{number}"
        if os.path.isdir(source):
            places.append(name)
            found += _tree(source, name)
        else:
            places.append(f"{name}/{os.path.basename(source)}")
            found.append((source, f"{name}/{os.path.basename(source)}"))
            for beside in ("group_vars", "host_vars"):
                place = os.path.join(os.path.dirname(source), beside)
                found += _tree(place, f"{name}/{beside}") if os.path.isdir(place) else []
    if not places:
        raise ShipError("This run has no inventory. Write one, such as inventory/hosts.yml, and name it by -i.")
    if len(found) > _MOST:
        raise ShipError(
            f"The inventory has more than {_MOST} files, which are the most. Give it a directory of its own."
        )
    return places, [_read(path, name) for path, name in found]


def _tree(source: str, name: str) -> list[tuple[str, str]]:
    """The files below a directory, and their new names; no more than are one too many."""
    paths = sorted(itertools.islice(_files(source, [""], links=True), _MOST + 1))
    return [(path, f"{name}/{os.path.relpath(path, source)}") for path in paths]


def _read(path: str, name: str) -> File:
    try:
        return _read_file(path, name)
    except OSError as error:
        raise ShipError(
            f"{path} is in the inventory, and can't be read ({error.strerror}). Remove it, or make it readable."
        ) from None


def _read_file(path: str, name: str) -> File:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
        raise ShipError(
            f"{path} is in the inventory, and is no file of up to 1 MB. Give the inventory a directory of its own."
        )
    with open(path, "rb") as file:
        return File(name, file.read(), bool(status.st_mode & 0o100))


def here(host: str) -> list[File]:
    """The inventory that says of the deploying host that no connection is needed to it; read last, so it counts."""
    local = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_become_method": "ansible.builtin.sudo",
        "ansible_become": True,
        "ansible_become_user": "root",
        # By sudo's own names they would count for more.
        "ansible_sudo_user": "root",
        **dict.fromkeys(("ansible_become_exe", "ansible_sudo_exe"), "sudo"),
        **dict.fromkeys(("ansible_become_flags", "ansible_sudo_flags"), "-H -S -n"),
        **dict.fromkeys(("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"), ""),
    }
    hosts = {"all": {"hosts": {host: None}}}
    return [
        File("inventory/here/hosts.yml", json.dumps(hosts).encode()),
        File(f"inventory/here/host_vars/{host}.yml", json.dumps(local).encode()),
    ]


def requirements() -> str:
    """What the host installs, each with its hashes."""
    with open(os.path.join(COLLECTION, "roles", "webhook", "files", "requirements.txt"), encoding="utf-8") as file:
        return file.read()


def environment(name: str, digest: str) -> str:
    """Of the service that deploys, and of the trial: lines as systemd's EnvironmentFile= takes them."""
    place, settings, home = install.place_of(digest), f"{install.SETTINGS}/{name}", install.HOME
    ssh = f"ssh -F /dev/null -i {install.key_path(name)} -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=20"
    ssh += f" -o UserKnownHostsFile={settings}/known_hosts -o StrictHostKeyChecking=yes"
    lines = {
        "HOME": home,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{place}/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{place}/collections",
        "PYTHONUNBUFFERED": "1",
        "XDG_CACHE_HOME": f"{home}/cache",
        "ANSIBLE_CONFIG": f"{settings}/ansible.cfg",
        "ANSIBLE_COLLECTIONS_PATH": f"{place}/collections",
        "ANSIBLE_CALLBACKS_ENABLED": "graceful.deploy.first_failure",
        "GIT_SSH_COMMAND": ssh,
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def configuration(name: str) -> str:
    """Ansible's own settings there; those of the control node name its paths."""
    ssh = "-F /dev/null -o ControlMaster=auto -o ControlPersist=60s -o BatchMode=yes -o IdentitiesOnly=yes"
    # Whatever is silent for minutes, as a long canary or migration, routers forget.
    ssh += " -o ServerAliveInterval=30 -o ServerAliveCountMax=10"
    return f"""# Written by Ansible (graceful.deploy.webhook); changes made here are undone by the next run.
[defaults]
host_key_checking = true
interpreter_python = auto_silent
private_key_file = {install.key_path(name)}
local_tmp = {install.HOME}/{name}/tmp
forks = 20
nocows = true
# In the journal are the lines that people read.
no_target_syslog = true
display_skipped_hosts = false
[ssh_connection]
pipelining = true
ssh_args = {ssh} -o UserKnownHostsFile={install.SETTINGS}/{name}/known_hosts
[inventory]
# Ansible would go on without the hosts of a source that it can't read, and call that a success.
any_unparsed_is_failed = true
host_pattern_mismatch = error
"""


def lacks_password(files: Sequence[File], passwords: Sequence[object]) -> bool:
    return not passwords and any(VAULTED in file.content for file in files)
