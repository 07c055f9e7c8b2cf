# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a release's contents to a host, and says what became of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ansible_collections.graceful.deploy.plugins.module_utils import release_bundle, release_manifest, release_pack
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import ReleaseError, megabytes
from ansible_collections.graceful.deploy.plugins.module_utils.release_install import space_sentence
from ansible_collections.graceful.deploy.plugins.module_utils.release_target import Target

if TYPE_CHECKING:
    from ansible_collections.graceful.deploy.plugins.module_utils.release_control import Host


def deliver(
    params: dict, contents: release_bundle.Contents, facts: dict, host: Host, target: Target
) -> dict[str, object]:
    """Pack what the host lacks, send it and install."""
    python = facts["interpreter"]["path"]
    contents = release_manifest.identified(contents, target, python, params["method"])
    contents.record["shared_paths"] = params["shared_paths"]
    contents.record["public_paths"] = params["public_paths"]
    for known in (facts, {"environments": {}, "wheels": []}):
        pack = release_pack.pack(contents, known)
        if facts["free"] < pack.needed:
            raise ReleaseError(space_sentence(os.path.join(params["root"], "releases"), facts["free"], pack.needed))
        size = pack.size
        host.say(f"Sending {megabytes(size)}…")
        done = host.install(pack.path, pack.sha256, contents.release, python)
        if not done.get("missing"):
            break
        # Pruned or damaged since the host was asked.
        host.say(done["missing"])
    else:
        raise ReleaseError(f"The host still says, though everything was sent: {done['missing']}")
    how = f"installed by {done['installer']}" if not done["cloned"] else f"environment of {done['cloned']}"
    installed = f"{len(contents.record['packages'])} packages for {target}, {megabytes(size)} sent, {how}"
    pruned = f" Removed {', '.join(done['pruned'])}." if done["pruned"] else ""
    broken = done["not_compiled"]
    path = os.path.join(params["root"], "releases", contents.release)
    return {
        "changed": done["changed"],
        "packages": contents.record["packages"],
        "pruned": done["pruned"],
        "sent_bytes": size,
        "warnings": [f"{len(broken)} files of the source don't compile, such as {broken[0]}."] if broken else [],
        "msg": f"Release {contents.release} of {params['name']} is in {path}: {installed}.{pruned}",
    }
