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
from dataclasses import dataclass, field
from typing import Any

from .._app.releases import RECORD, ReleaseError, record_of
from .._host.files import free_bytes, sha256_of
from .._host.run import HOST, run
from . import archive, host_index, place, store, venv
from .access import hand_over, link_shared, make_root, make_shared, open_up
from .archive import VENV_TIME, Manifest


class Missing(Exception):
    """What the control node counted on isn't on the host, or not whole. It sends everything then.

    The argument is a sentence about what is missing.
    """


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


def install(order: Order) -> dict[str, Any]:
    """Install the archive's release unless it is there already; returns what the task reports."""
    uid, gid = owner(order)
    make_releases_directory(order, gid)
    if sha256_of(order.archive) != order.sha256:
        raise ReleaseError("The archive came over damaged: its SHA-256 isn't the one it was sent with. Run again.")
    manifest = archive.read_manifest(order.archive)
    if manifest["release"] != order.release:
        raise ReleaseError(f"The archive holds release {manifest['release']}, not {order.release}.")
    check_space(order, manifest)
    with place.building(order.releases, order.release) as build:
        tree = os.path.join(build, "source")
        os.mkdir(tree, 0o750)
        archive.unpack(order.archive, manifest, build)
        set_times(tree, manifest["built"])
        set_times(os.path.join(tree, ".venv"), VENV_TIME)
        try:
            installer = provide(order, manifest, build, tree, gid)
        except Missing as missing:
            return {"changed": False, "missing": str(missing)}
        project = os.path.join(build, "project")
        hand_over(project, gid, False)
        venv.add(project, os.path.join(tree, ".venv"), manifest["record"].get("project", []))
        shared, files = (manifest["record"][kind] for kind in ("shared_paths", "shared_files"))
        make_shared(order.root, shared, uid, gid, tree, files)
        link_shared(order.root, tree, os.path.join(order.releases, order.release), shared, files)
        broken = venv.compile_source(order.python, build, tree)
        record = write_record(tree, manifest, installer)
        hand_over(tree, gid, bool(manifest["clone"]))
        open_up(tree, record["public_paths"])
        # On the disk before it has its name, so that a power cut leaves no complete-looking release with holes.
        run("Writing the release to disk", ["sync", "--file-system", tree], venv.environment(build), HOST)
        changed = place.put_in_place(order.root, order.release, tree)
    return {
        "changed": changed,
        "installer": installer,
        "cloned": manifest["clone"],
        "not_compiled": broken,
        "size": record["size"],
        "pruned": place.prune(order.root, order.release, order.keep),
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
    make_root(order.root)
    os.mkdir(order.releases, 0o700)
    os.chown(order.releases, -1, gid)
    # To be passed by the proxy on its way to static files, and not to be listed.
    os.chmod(order.releases, 0o751)


def check_space(order: Order, manifest: Manifest) -> None:
    """Raise where the disk has too few bytes or inodes free."""
    archive.check_space(order.releases, free_bytes(order.releases), archive.space_needed(manifest))
    inodes = os.statvfs(order.releases)
    files = 2 * manifest["unpacked_files"]
    if inodes.f_files and inodes.f_favail < files:
        raise ReleaseError(f"{order.releases} has {inodes.f_favail} inodes free, and the release needs {files}.")


def set_times(tree: str, when: int) -> None:
    """One time for all files, the release's own: static files' ETags are made of time and size, so a changed file of
    the same size has to differ in time from the release before."""
    for directory, _names, files in os.walk(tree):
        for name in files:
            os.utime(os.path.join(directory, name), (when, when), follow_symlinks=False)


def write_record(tree: str, manifest: Manifest, installer: str) -> dict[str, Any]:
    """Write release.json, the last file of a release."""
    size = sum(os.lstat(os.path.join(top, name)).st_size for top, _names, files in os.walk(tree) for name in files)
    created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    record = {"id": manifest["release"], "created": created, **manifest["record"]}
    record |= {"installer": installer, "size": size, "venv": venv.fingerprint(os.path.join(tree, ".venv"))}
    with open(os.path.join(tree, RECORD), "x", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    return record


def provide(order: Order, manifest: Manifest, build: str, tree: str, gid: int) -> str:
    """Make ``.venv`` in `tree`, from wheels or from another release's; returns what installed it, then or now."""
    final = os.path.join(order.releases, order.release)
    # Nobody prunes meanwhile.
    with place.mutex(place.mutex_of(order.releases)):
        if manifest["clone"]:
            return clone(order, manifest, os.path.join(tree, ".venv"), gid)
        missing = store.complete(order.root, build, manifest["parts"], manifest["files"])
    if missing:
        raise Missing(f"{os.path.basename(missing[0])} isn't among the host's wheels any more, or is damaged.")
    method = manifest["record"]["method"]
    if method == "venv":
        venv.settle(os.path.join(tree, ".venv"), order.python, build)
        return "the control node"
    from_index = host_index.of_host(build, order.python, order.index_url).install if method == "index" else None
    return venv.make(build, tree, final, order.python, order.name, from_index)


def clone(order: Order, manifest: Manifest, target: str, gid: int) -> str:
    origin, wanted = manifest["clone"], manifest["record"]["environment"]
    record = record_of(order.root, origin)
    if record.get("environment") != wanted:
        raise Missing(f"Release {origin} isn't on the host any more.")
    there = os.path.join(order.releases, origin, ".venv")
    if venv.fingerprint(there)["digest"] != record["venv"]["digest"]:
        raise Missing(f"The environment of release {origin} was changed by hand, so it isn't taken again.")
    final = os.path.join(order.releases, order.release, ".venv")
    venv.clone(there, target, final, gid, record.get("project", []))
    return str(record["installer"])
