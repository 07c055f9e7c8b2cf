# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets that an app has on its host, for whoever shows people something of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .._host.files import names_in, read_text
from .roots import ENVIRONMENT
from .secrets import Hider, secrets_in
from .slots import CREDENTIALS
from .words import GENERATIONS


def hider(root: str, environment: str = "", credentials: Mapping[str, str] | None = None) -> Hider:
    """One for all that an app on this host has in its slots, was to have by the last run, or is about to have.

    :param root: the app's directory; one that isn't there has no secrets.
    """
    found = secrets_in(environment, credentials or {}) | secrets_in(read_text(os.path.join(root, ENVIRONMENT)), {})
    for place in (os.path.join(root, "slots"), os.path.join(root, GENERATIONS)):
        for directory in (os.path.join(place, name) for name in names_in(place)):
            kept = os.path.join(directory, CREDENTIALS)
            texts = {name: read_text(os.path.join(kept, name)) for name in names_in(kept)}
            for name in names_in(directory):
                # A process has one of its own beside that of the app: env.worker
                if name.partition(".")[0] == "env":
                    found |= secrets_in(read_text(os.path.join(directory, name)), texts)
    return Hider(found)
