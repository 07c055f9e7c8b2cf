# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a release's virtual environment comes from: another release, wheels, an index, or the archive itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ansible_collections.graceful.deploy.plugins.module_utils import (
    release_clone,
    release_facts,
    release_host_index,
    release_place,
    release_store,
    release_venv,
)
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import Missing

if TYPE_CHECKING:
    from ansible_collections.graceful.deploy.plugins.module_utils.release_install import Order


def provide(order: Order, manifest: dict, build: str, tree: str, gid: int) -> str:
    """Make ``.venv`` in `tree`, from wheels or from another release's; returns what installed it, then or now."""
    venv, final = os.path.join(tree, ".venv"), os.path.join(order.releases, order.release)
    # Nobody prunes meanwhile.
    with release_place.locked(release_place.lock_of(order.releases)):
        if manifest["clone"]:
            return clone(order, manifest, venv, gid)
        missing = release_store.complete(order.root, build, manifest["parts"], manifest["files"])
    if missing:
        raise Missing(f"{os.path.basename(missing[0])} isn't among the host's wheels any more, or is damaged.")
    method = manifest["record"]["method"]
    if method == "venv":
        release_venv.settle(venv, order.python, build)
        return "the control node"
    index = release_host_index.of_host(build, order.python, order.index_url) if method == "index" else None
    return release_venv.make(build, tree, final, order.python, order.name, index)


def clone(order: Order, manifest: dict, venv: str, gid: int) -> str:
    origin, wanted = manifest["clone"], manifest["record"]["environment"]
    record = release_facts.releases(order.root)[0].get(origin, {})
    if record.get("environment") != wanted:
        raise Missing(f"Release {origin} isn't on the host any more.")
    place = os.path.join(order.releases, origin, ".venv")
    if release_clone.fingerprint(place)["digest"] != record["venv"]["digest"]:
        raise Missing(f"The environment of release {origin} was changed by hand, so it isn't taken again.")
    release_clone.clone(place, venv, os.path.join(order.releases, order.release, ".venv"), gid)
    return str(record["installer"])
