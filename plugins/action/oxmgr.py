# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of module oxmgr."""

from __future__ import annotations

from ..plugin_utils._inputs import oxmgr
from ..plugin_utils._inputs.bring import Bring


class ActionModule(Bring):
    choice = oxmgr
