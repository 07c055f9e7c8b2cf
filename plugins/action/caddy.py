# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of module caddy."""

from __future__ import annotations

import typing as t

from ..plugin_utils._inputs import caddy
from ..plugin_utils._inputs.bring import Bring


class ActionModule(Bring):
    choice = caddy
    options: t.ClassVar = {"rate_limit": "", "trusted_proxies": [], "protect": []}
