# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of the module ``logs_info``: prints the lines as they are."""

from __future__ import annotations

from .status_info import ActionModule as Printed


class ActionModule(Printed):
    module = "graceful.deploy.logs_info"
