# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes one release directory from an archive: built beside, complete with its record, then renamed into place."""

from __future__ import annotations

import datetime
import grp
import json
import os
import pwd
import stat
from dataclasses import dataclass, field

from .._app.releases import RECORD, ReleaseError, record_of
from .._host.files import free_bytes, sha256_of
from .._host.text import megabytes
from . import archive as release_unpack
from . import clone as release_clone
from . import host_index, store
from . import place as release_place
from . import venv as release_venv
from .access import link, make, open_up
from .common import VENV_TIME, Missing


@dataclass(frozen=True)
class Order:
    """What to install and where; the names are those of the task's options."""

    name: str
    root: str
    user: str
    group: str
    python: str
    keep: int
    archive: str
    sha256: str
    release: str
    index_url: str = field(default="", repr=False)

    @property
    def releases(self) -> str:
        return os.path.join(self.root, "releases")


def install(order: Order) -> dict[str, object]:
    """Install the archive's release unless it is there already; returns what the task reports."""
    uid, gid = owner(order)
    make_releases_directory(order, gid)
    if sha256_of(order.archive) != order.sha256:
        raise ReleaseError("The archive came over damaged: its SHA-256 isn't the one it was sent with. Run again.")
    manifest = release_unpack.read_manifest(order.archive)
    if manifest["release"] != order.release:
        raise ReleaseError(f"The archive holds release {manifest['release']}, not {order.release}.")
    check_space(order, manifest)
    with release_place.building(order.releases, order.release) as build:
        tree = os.path.join(build, "source")
        os.mkdir(tree, 0o750)
        release_unpack.unpack(order.archive, manifest, build)
        set_times(tree, int(manifest["built"]))
        set_times(os.path.join(tree, ".venv"), VENV_TIME)
        try:
            installer = provide(order, manifest, build, tree, gid)
        except Missing as missing:
            return {"changed": False, "missing": str(missing)}
        shared = manifest["record"]["shared_paths"]
        make(order.root, shared, uid, gid)
        link(order.root, tree, os.path.join(order.releases, order.release), shared)
        broken = release_venv.compile_source(order.python, build, tree)
        record = write_record(tree, manifest, installer)
        hand_over(tree, gid, bool(manifest["clone"]))
        open_up(tree, record["public_paths"])
        # On the disk before it has its name, so that a power cut leaves no complete-looking release with holes.
        release_venv.run("Writing the release to disk", ["sync", "--file-system", tree], build)
        changed = release_place.put_in_place(order.root, order.release, tree)
    return {
        "changed": changed,
        "installer": installer,
        "cloned": manifest["clone"],
        "not_compiled": broken,
        "size": record["size"],
        "pruned": release_place.prune(order.root, order.release, order.keep),
    }


def owner(order: Order) -> tuple[int, int]:
    """Of what the app may write: its user's and its group's number."""
    for kind, name, find in (("user", order.user, pwd.getpwnam), ("group", order.group, grp.getgrnam)):
        try:
            find(name)
        except KeyError:
            raise ReleaseError(
                f"There is no {kind} {name} on the host. Role deploy_user makes it: run that first."
            ) from None
    return pwd.getpwnam(order.user).pw_uid, grp.getgrnam(order.group).gr_gid


def make_releases_directory(order: Order, gid: int) -> None:
    if os.path.isdir(order.releases):
        return
    os.makedirs(order.root, mode=0o755, exist_ok=True)
    os.mkdir(order.releases, 0o700)
    os.chown(order.releases, -1, gid)
    # To be passed by the proxy on its way to static files, and not to be listed.
    os.chmod(order.releases, 0o751)


def check_space(order: Order, manifest: dict) -> None:
    """The archive's content once, what it unpacks to twice: bytecode is about as large as its source."""
    needed = int(manifest["archive_bytes"]) + 2 * int(manifest["unpacked_bytes"])
    free = free_bytes(order.releases)
    if free < needed:
        raise ReleaseError(space_sentence(order.releases, free, needed))
    inodes = os.statvfs(order.releases)
    files = 2 * int(manifest["unpacked_files"])
    if inodes.f_files and inodes.f_favail < files:
        raise ReleaseError(f"{order.releases} has {inodes.f_favail} inodes free, and the release needs {files}.")


def space_sentence(path: str, free: int, needed: int) -> str:
    return (
        f"{path} has {megabytes(free)} free, and building the release needs {megabytes(needed)}. "
        "Nothing was changed. Free some space, or lower fastapi_keep_releases."
    )


def set_times(tree: str, when: int) -> None:
    """One time for all files, the release's own: static files' ETags are made of time and size, so a changed file of
    the same size has to differ in time from the release before."""
    for directory, _names, files in os.walk(tree):
        for name in files:
            os.utime(os.path.join(directory, name), (when, when), follow_symlinks=False)


def write_record(tree: str, manifest: dict, installer: str) -> dict[str, object]:
    """Write release.json, the last file of a release."""
    venv = release_clone.fingerprint(os.path.join(tree, ".venv"))
    size = sum(os.lstat(os.path.join(place, name)).st_size for place, _names, files in os.walk(tree) for name in files)
    created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    record = {"id": manifest["release"], "created": created, **manifest["record"]}
    record |= {"installer": installer, "size": size, "venv": venv}
    with open(os.path.join(tree, RECORD), "x", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    return record


def hand_over(tree: str, gid: int, cloned: bool) -> None:
    """Readable for the group, writable for root alone, nothing for others.

    :param cloned: whether the environment has all that already, in files that another release has as well.
    """
    for directory, names, files in os.walk(tree):
        if cloned and directory == tree:
            names.remove(".venv")
        for name in ["", *(name for name in names if os.path.islink(os.path.join(directory, name))), *files]:
            path = os.path.join(directory, name) if name else directory
            mode = os.lstat(path).st_mode
            os.chown(path, os.geteuid(), gid, follow_symlinks=False)
            if not stat.S_ISLNK(mode):
                os.chmod(path, 0o750 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o640)


def provide(order: Order, manifest: dict, build: str, tree: str, gid: int) -> str:
    """Make ``.venv`` in `tree`, from wheels or from another release's; returns what installed it, then or now."""
    venv, final = os.path.join(tree, ".venv"), os.path.join(order.releases, order.release)
    # Nobody prunes meanwhile.
    with release_place.locked(release_place.lock_of(order.releases)):
        if manifest["clone"]:
            return clone(order, manifest, venv, gid)
        missing = store.complete(order.root, build, manifest["parts"], manifest["files"])
    if missing:
        raise Missing(f"{os.path.basename(missing[0])} isn't among the host's wheels any more, or is damaged.")
    method = manifest["record"]["method"]
    if method == "venv":
        release_venv.settle(venv, order.python, build)
        return "the control node"
    from_index = host_index.of_host(build, order.python, order.index_url).install if method == "index" else None
    return release_venv.make(build, tree, final, order.python, order.name, from_index)


def clone(order: Order, manifest: dict, venv: str, gid: int) -> str:
    origin, wanted = manifest["clone"], manifest["record"]["environment"]
    record = record_of(order.root, origin)
    if record.get("environment") != wanted:
        raise Missing(f"Release {origin} isn't on the host any more.")
    place = os.path.join(order.releases, origin, ".venv")
    if release_clone.fingerprint(place)["digest"] != record["venv"]["digest"]:
        raise Missing(f"The environment of release {origin} was changed by hand, so it isn't taken again.")
    release_clone.clone(place, venv, os.path.join(order.releases, order.release, ".venv"), gid)
    return str(record["installer"])
